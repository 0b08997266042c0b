"""What a model keeps of the file that it came from, and that file again, with the weights of now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .held import Held, tensor_of
from .mapped import Mappings, filled
from .origins import same_bits
from .weights import stored_weights


class Source:
    """A file as it was read: everything but what the weights are now.

    frame: its `ModelProto`; the contents of large tensors may be left in the file
    mappings: where these are
    path: of the file, if it is one
    """

    def __init__(self, frame: Any, mappings: Mappings | None = None, path: Path | None = None) -> None:
        self.frame = frame
        self.mappings = mappings
        self.path = path
        self.stamp = None if path is None else _stamp(path)

    @cached_property
    def given(self) -> set[str]:
        """Names of the initializers."""
        graph = self.frame.graph
        return {x.name for x in graph.initializer} | {x.values.name for x in graph.sparse_initializer}

    @cached_property
    def inputs(self) -> list[str]:
        """Names of the inputs that have no value in the file."""
        return [x.name for x in self.frame.graph.input if x.name not in self.given]

    @cached_property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return [x.name for x in self.frame.graph.output]

    def without(self, unwanted: Callable[[str], bool]) -> Source:
        """The same without training information, and without texts in the metadata whose keys are not wanted."""
        frame = type(self.frame)()
        frame.CopyFrom(self.frame)
        frame.ClearField("training_info")
        for place in reversed(range(len(frame.metadata_props))):
            if unwanted(frame.metadata_props[place].key):
                del frame.metadata_props[place]
        return Source(frame, self.mappings)

    def __deepcopy__(self, memo: dict[int, Any]) -> Source:
        return self

    def changed(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those values of weights that are not what the file says, by name."""
        stored = stored_weights(self.frame)
        return {k: x for k, x in values.items() if k not in stored or not same_bits(stored[k], x)}

    def file(self, values: Mapping[str, np.ndarray]) -> Path | None:
        """The path, where the file is still there as it was read, and says these values of weights."""
        if self.path is None or _stamp(self.path) != self.stamp or self.changed(values):
            return None
        return self.path

    def proto(self, values: Mapping[str, np.ndarray], held: Held | None = None) -> Any:
        """The file's `ModelProto` with these values of weights: the same, where they are the file's.

        held: takes the arrays of large ones, of which the model then has no copy; nor has it one of those in the file
        """
        model = type(self.frame)()
        model.CopyFrom(self.frame)
        changed = self.changed(values)
        graph = model.graph
        for tensor in graph.initializer:
            if tensor.name in changed:
                replace_tensor(tensor, changed.pop(tensor.name), held)
        for node in graph.node:
            if node.op_type == "Constant" and node.output and node.output[0] in changed:
                replace_tensor(node.attribute[0].t, changed.pop(node.output[0]), held)
        for place in reversed(range(len(graph.node))):
            node = graph.node[place]
            if node.output and node.output[0] in changed:  # what unpacked the weight from a narrower type
                replace_tensor(graph.initializer.add(name=node.output[0]), changed.pop(node.output[0]), held)
                del graph.node[place]
        return filled(model, self.mappings) if held is None else model


def _stamp(path: Path) -> tuple[int, ...]:
    """What tells whether a file is still the same."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def replace_tensor(tensor: Any, array: np.ndarray, held: Held | None = None) -> None:
    """Give a `TensorProto` another value; name and doc string stay. Contents of large ones stay in `held`, if given."""
    name, doc = tensor.name, tensor.doc_string
    tensor.CopyFrom(tensor_of(np.asarray(array), name, held))
    if doc:
        tensor.doc_string = doc
