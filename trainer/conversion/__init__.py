"""Python control flow becomes the graph's: `if`, `while` and `for` over tensors, as If, Loop and Scan.

While a function or a layer's `call` is traced, its source is rewritten once (`statements`, `expressions`) so that every
condition and loop asks the runtime (`branches`, `loops`): where Python knows the value, Python decides; where only the
model's run will know, both branches are traced, and what they assign is joined. Eager calls never come here.
"""

from __future__ import annotations

from .functions import converted, do_not_convert, in_trace, why_unconverted
from .runtime import Runtime

__all__ = ["Runtime", "converted", "do_not_convert", "in_trace", "why_unconverted"]
