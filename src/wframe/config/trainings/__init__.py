"""Each baseline's settings, with its publication's as defaults: one module with `Settings` for each model.

They stand apart from the networks because an edition is checked without PyTorch, and apart from one another because
one model's new setting retrains no other model.
"""
