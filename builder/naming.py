"""Names of layers: from the class, numbered when taken, as in Keras."""

from __future__ import annotations

import re
from collections import Counter

_used: Counter[str] = Counter()


def snake_case(name: str) -> str:
    """`Conv2DTranspose` -> `conv2d_transpose`."""
    spaced = re.sub(r"\W+", "", name)
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", spaced)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def automatic_name(kind: str) -> str:
    """The next free name for a class: `dense`, `dense_1`, ..."""
    base = snake_case(kind)
    count = _used[base]
    _used[base] += 1
    return f"{base}_{count}" if count else base


def reset_names() -> None:
    """Start counting anew (Keras name: `clear_session`)."""
    _used.clear()
