"""Configurations of symbolic models: layers, their calls, inputs and outputs, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .functional import Functional
    from .sequential import Sequential


def functional_config(model: Functional) -> dict[str, Any]:
    """What `Functional.get_config` returns."""
    raise NotImplementedError


def functional_from_config(cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None) -> Any:
    """What `Functional.from_config` does."""
    raise NotImplementedError


def sequential_config(model: Sequential) -> dict[str, Any]:
    """What `Sequential.get_config` returns."""
    raise NotImplementedError


def sequential_from_config(cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None) -> Any:
    """What `Sequential.from_config` does."""
    raise NotImplementedError
