"""Trained baselines: models of another kind, on the same pictures. Each is one module here; `train` trains any."""
