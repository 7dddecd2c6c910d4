"""Weights that come with the package, the builtin bank and the pocket classifier, and how they were made."""

from pathlib import Path

BUILTIN_BANK = Path(__file__).parent / "builtin.safetensors"
POCKET = Path(__file__).parent / "pocket.safetensors"
