"""A whole ONNX file, or a part of one, as a layer that runs on onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from ...exporters import frozen_parts
from ...trainer import ops
from ...trainer.core.tensor import Tensor
from ...trainer.threads import session_threads
from ..layer import Layer
from .registry import LAYERS


@LAYERS.register()
class FrozenONNX(Layer):
    """Somebody's ONNX file, or the part of it between tensors, run by onnxruntime inside of any model.

    model: a path, or the bytes of a file; nothing of it but its operators is ever run
    inputs, outputs: names of tensors of the file between which its part lies; the file's own by default
    stop_gradient: whether what is before the layer learns nothing through it; else it is refused to train that

    Called on a tensor, or on a list of as many as there are inputs, in their order; gives one tensor or a list. The
    weights never change. It is as fast as onnxruntime is, also for operators that `load_model` does not know
    (`load_model(path, frozen="unsupported")` keeps only these so); there is no gradient through it. A model with it is
    exported to one file, in which the nodes of both stand together.

    Raises `FileNotFoundError`, `ValueError` for what is no sound ONNX file or has no such tensors,
    `UnsupportedOperatorError` for operators that onnxruntime does not know, `DtypeError` for inputs of another type.

    >>> import tempfile, pathlib, sardonyx as sx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "theirs.onnx"
    ...     sx.Sequential([sx.Input((4,)), sx.layers.Dense(3)]).export(path)
    ...     layer = sx.layers.FrozenONNX(path)
    >>> model = sx.Sequential([sx.Input((4,)), layer, sx.layers.Dense(2)])
    >>> model.predict(sx.ops.ones((5, 4)), verbose=0).shape, len(model.trainable_variables)
    ((5, 2), 2)
    """

    UNTRACKED: ClassVar[frozenset[str]] = Layer.UNTRACKED | {"graph"}
    graph: Any = None  # with its session, made in the first call

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | Any,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        stop_gradient: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "autocast": False})
        given = isinstance(model, (str, bytes, os.PathLike))
        self.fragment = frozen_parts.open_fragment(model, inputs, outputs) if given else model
        self.stop_gradient = bool(stop_gradient)
        self.first_name = self.name
        self._weights = list(self.fragment.weights.values())
        self.built = True

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the tensors that the layer takes, in the file."""
        return self.fragment.inputs

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the tensors that the layer gives, in the file."""
        return self.fragment.outputs

    def call(self, *inputs: Any) -> Any:
        """Run the file's nodes."""
        tensors = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        if len(tensors) != len(self.fragment.inputs):
            raise ValueError(
                f"FrozenONNX '{self.name}' takes {len(self.fragment.inputs)} inputs "
                f"({', '.join(self.fragment.inputs)}), got {len(tensors)}"
            )
        if self.graph is None:
            label = f"FrozenONNX '{self.name}'"
            self.graph = frozen_parts.FrozenGraph(self.fragment, label, session_threads)
        tensors = [_entering(x, wanted) for x, wanted in zip(tensors, self.graph.dtypes, strict=True)]
        run = frozen_parts.constant_graph if self.stop_gradient else frozen_parts.frozen_graph
        results = run(*tensors, *self._weights, graph=self.graph)
        return list(results) if isinstance(results, tuple) else results

    def get_config(self) -> dict[str, Any]:
        """The nodes as text, and what the weights are."""
        weights = [[name, list(v.shape), v.dtype.name] for name, v in self.fragment.weights.items()]
        return {
            "name": self.name, "trainable": self.trainable, "model": frozen_parts.to_text(self.fragment),
            "weights": weights, "stop_gradient": self.stop_gradient,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer that `get_config` described, its weights zero. Raises `ValueError` for a damaged description."""
        options = {key: config[key] for key in ("name", "trainable", "stop_gradient") if key in config}
        return cls(frozen_parts.from_text(config["model"], config["weights"]), **options)


def _entering(x: Any, wanted: Any) -> Tensor:
    """An input; data in Python's precision becomes what the file takes."""
    x = ops.convert_to_tensor(x)
    is_data = x.array is not None and x.dtype.kind == "f"
    return ops.cast(x, wanted) if is_data and wanted is not None and wanted.kind == "f" and x.dtype != wanted else x
