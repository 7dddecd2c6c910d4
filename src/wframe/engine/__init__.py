"""Training thousands of groups: batches, checkpoints, progress, records."""
