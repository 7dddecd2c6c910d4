"""Inputs: where they come from, how they are fetched, and how they become arrays."""
