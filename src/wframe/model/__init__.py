"""The model: the bank F, the energy Φ, the readings, and Algorithm 1."""
