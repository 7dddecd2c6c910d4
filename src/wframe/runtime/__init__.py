"""What every long-running command shares: device and signals, progress, checkpoints, and the facts for its record."""
