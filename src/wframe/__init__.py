"""wframe: the paper "FRAME Revisited", regenerated from raw data, with a verdict on each of its claims."""

__version__ = "0.1.0"
