"""Specs of the arguments of a model's `call`, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..trainer.core import tree
from ..trainer.core.dtypes import dtype_name
from ..trainer.core.spec import TensorSpec
from ..trainer.serialization import plain_values, serialize_object


def write_specs(structure: Any) -> Any:
    """A structure of specs, and of other arguments, as JSON."""

    def write(x: Any) -> Any:
        return {"class_name": "__spec__", "config": spec_config(x)} if isinstance(x, TensorSpec) else x

    return serialize_object(tree.map_structure(write, structure))


def spec_config(x: Any) -> list[Any]:
    """Shape, element type and name of a spec or tensor."""
    return [[size if isinstance(size, int) else str(size) for size in x.shape], dtype_name(x.dtype), x.name]


def read_specs(config: Any) -> Any:
    """What `write_specs` wrote."""
    return _read(plain_values(config))


def _read(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("class_name") == "__spec__":
        return TensorSpec(*value["config"])
    if isinstance(value, Mapping):
        return {k: _read(v) for k, v in value.items()}
    return type(value)([_read(v) for v in value]) if isinstance(value, (list, tuple)) else value
