"""The kinds of models by name, for configurations that hold models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..trainer.registry import Registry

MODELS = Registry("model", "models", None, functions=False)

RECORDED: dict[str, Callable[..., Any]] = {}
"""What makes models and layers out of recorded computations: `read(config, reason)`."""
