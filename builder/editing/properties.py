"""Texts that a model's files carry in their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..saving import user_metadata


def add_metadata(model: Any, entries: Mapping[str, str]) -> Any:
    """Give the files that a model is saved or exported to entries of metadata; gives the model itself.

    onnxruntime shows them as `session.get_modelmeta().custom_metadata_map`. Raises `TypeError` for what is no text,
    `ValueError` for names that the library uses.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
    >>> sx.editing.metadata(sx.editing.add_metadata(model, {"licence": "MIT"}))
    {'licence': 'MIT'}
    """
    for key, value in entries.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"editing.add_metadata: entries are texts, got {key!r}: {value!r}")
        if key.startswith("sardonyx."):
            raise ValueError(f"editing.add_metadata: names that begin with 'sardonyx.' are the library's, got {key!r}")
    model._metadata = {**user_metadata(model), **entries}
    return model


def metadata(model: Any) -> dict[str, str]:
    """The entries that `add_metadata` gave a model, or the file it was loaded from.

    >>> import sardonyx as sx
    >>> sx.editing.metadata(sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)]))
    {}
    """
    return user_metadata(model)
