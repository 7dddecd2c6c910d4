"""The configuration: what an edition may say, checked before anything runs. No PyTorch here."""
