"""The kinds of models by name, for configurations that hold models."""

from __future__ import annotations

from ..trainer.registry import Registry

MODELS = Registry("model", "models", None, functions=False)
