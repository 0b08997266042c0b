"""What a model delegates to files, copies and descriptions of itself: a few lines each."""

from __future__ import annotations

import json
from typing import Any

from ..trainer.serialization import serialize_object
from .cloning import copy_graph


class ModelFiles:
    """to_json, copying, saving, exporting, summary."""

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON, without weights; `models.model_from_json` reads it. `kwargs` go to `json.dumps`.

        Raises `TypeError` for what JSON cannot hold, such as a lambda.

        >>> import sardonyx as sx
        >>> text = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)]).to_json()
        >>> sx.models.model_from_json(text).output_shape
        (None, 2)
        """
        return json.dumps(serialize_object(self), **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = super().__deepcopy__(memo)  # type: ignore[misc]
        if self._plan is not None:  # type: ignore[attr-defined]
            copy_graph(self, twin, memo)
        else:
            twin._signature = self._signature  # type: ignore[attr-defined]
        return twin
