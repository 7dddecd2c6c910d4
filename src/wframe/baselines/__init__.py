"""Trained baselines: models of another kind, on the same images. Each is one module here; `train` trains any."""
