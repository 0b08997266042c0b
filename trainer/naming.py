"""Names of what was not given one: from the class, numbered when taken, as in Keras."""

from __future__ import annotations

from collections import Counter

from .registry import snake_case

_used: Counter[str] = Counter()


def automatic_name(kind: str) -> str:
    """The next free name for a class: `Precision` gives `precision`, then `precision_1`, ..."""
    base = snake_case(kind)
    count = _used[base]
    _used[base] += 1
    return f"{base}_{count}" if count else base


def reset_names() -> None:
    """Start counting anew (part of what Keras calls `clear_session`)."""
    _used.clear()
