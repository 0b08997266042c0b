"""Primitives of operators that have no form of ours: loaded when first asked for, for most programs read no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trainer.core.later import loaded_later

if TYPE_CHECKING:
    from .operators.opaque import PRIMITIVES

__all__ = ["PRIMITIVES"]

__getattr__, __dir__ = loaded_later(__name__, {"PRIMITIVES": ".operators.opaque"})
