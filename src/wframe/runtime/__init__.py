"""Shared by long-running commands: device and signals, progress, checkpoints, and the facts for a result's record."""
