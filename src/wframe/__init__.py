"""wframe: the paper "FRAME Revisited", reproduced from raw data, with a verdict on each of its claims.

import wframe

result = wframe.learn(images, method="wframe", T=25, L=10)
"""

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Result", "UserError", "learn"]
_PLACES = {"learn": "wframe.engine.python", "Result": "wframe.engine.python", "UserError": "wframe.errors"}


def __getattr__(name: str) -> Any:
    """Import what notebooks use on first use: every command imports this package, and PyTorch takes seconds."""
    if name not in _PLACES:
        raise AttributeError(f"module 'wframe' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
