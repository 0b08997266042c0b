"""What layers on onnxruntime need of this package: loaded when the first is made, for most programs have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trainer.core.later import loaded_later

if TYPE_CHECKING:
    from .frozen import FrozenGraph, constant_graph, frozen_graph
    from .frozen_source import from_text, open_fragment, to_text

__all__ = ["FrozenGraph", "constant_graph", "from_text", "frozen_graph", "open_fragment", "to_text"]

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        **dict.fromkeys(("FrozenGraph", "constant_graph", "frozen_graph"), ".frozen"),
        **dict.fromkeys(("from_text", "open_fragment", "to_text"), ".frozen_source"),
    },
)
