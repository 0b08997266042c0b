"""Graphs to ONNX files and back, and the onnxruntime sessions that run them.

Loaded when first used: a program that trains on NumPy needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trainer.core.later import loaded_later

if TYPE_CHECKING:
    from .comparison import Comparison, compare
    from .convert import DEFAULT_OPSET, run_graph, to_onnx, write_onnx
    from .engine import Engine
    from .opsets import newest_opset
    from .runtime import session

__all__ = [
    "DEFAULT_OPSET", "Comparison", "Engine", "compare", "newest_opset", "run_graph", "session", "to_onnx", "write_onnx",
]  # fmt: skip

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        **dict.fromkeys(("Comparison", "compare"), ".comparison"),
        **dict.fromkeys(("DEFAULT_OPSET", "run_graph", "to_onnx", "write_onnx"), ".convert"),
        "Engine": ".engine",
        "newest_opset": ".opsets",
        "session": ".runtime",
    },
)
