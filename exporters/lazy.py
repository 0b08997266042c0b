"""The onnx package, imported at first use."""

from __future__ import annotations

from typing import Any

from ..trainer.core.later import LazyModule

onnx: Any = LazyModule("onnx")
"""The onnx package; importing it takes longer than importing all of this library."""
