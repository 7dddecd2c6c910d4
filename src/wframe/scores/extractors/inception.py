"""Inception v3 from TensorFlow's graph of 2015-12-05, logits without bias: the paper's Inception score."""

SCORE = "Inception score"
REGISTERED = "inception-v3-compat"  # torch-fidelity's own port
SHAPES = {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "fc.weight": (1008, 2048)}
