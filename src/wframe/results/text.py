"""Numbers, intervals, durations and constants in readable form."""

import math
from typing import Any

from wframe.runtime.durations import duration as duration

SYMBOLS = {"sigma": "σ", "beta": "β", "delta": "δ", "lambda": "λ"}  # the paper's, by their names in a configuration


def symbol(constant: str) -> str:
    """Return the paper's symbol of a constant, or its name."""
    return SYMBOLS.get(constant, constant)


def number(value: Any, digits: int = 3) -> str:
    """Format a number; a missing one is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value):,}".replace("-", "−")
    if 1e-3 <= abs(value) < 1000:
        text = f"{value:#.{digits}g}".rstrip(".")
    else:
        text = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, unknown: str = "–") -> str:
    """Return an interval in words, as "0.84 to ∞"; `unknown` where neither end is known.

    An end that is missing is open: JSON has no infinity.
    """
    known = [end is not None and not math.isnan(end) for end in (low, high)]
    if not any(known):
        return unknown
    return f"{number(low) if known[0] else '−∞'} to {number(high) if known[1] else '∞'}"
