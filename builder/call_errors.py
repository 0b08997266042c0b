"""What is said when a layer is called with arguments that its `call` does not take."""

from __future__ import annotations

from typing import Any

from ..trainer.core.errors import user_line
from ..trainer.core.later import LazyModule
from .signature import call_signature

difflib: Any = LazyModule("difflib")


def tell_arguments(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: TypeError) -> None:
    """Put the layer, what its `call` takes and the user's line into an error about arguments; others stay."""
    signature = call_signature(type(layer))
    if type(error) is not TypeError or 'File "' in str(error):
        return
    given = {k: v for k, v in kwargs.items() if k != "training"}
    try:
        signature.signature.bind(*args, **given)
    except TypeError as mismatch:
        unknown = [k for k in given if k not in signature.names]
        close = difflib.get_close_matches(unknown[0], signature.names, 1) if unknown else []
        hint = f"; did you mean {close[0]!r}?" if close else "."
        error.args = (
            f"layer '{layer.name}' ({type(layer).__name__}): call() {mismatch}{hint} It takes "
            f"({', '.join(signature.names)})\n  called at {user_line(2)}",
        )
