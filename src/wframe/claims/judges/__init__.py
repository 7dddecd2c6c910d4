"""The judges, by subject. A judge is a function with the decorator `@judge`; to add one is to add the function."""

import importlib

from wframe.runtime.code import module_names


def load_judges() -> None:
    """Import every module of judges, so that they register themselves."""
    for name in module_names(__name__):
        importlib.import_module(f"{__name__}.{name}")
