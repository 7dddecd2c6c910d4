"""What people do around a run: start one on their own images, follow it."""
