"""Weights that a session of onnxruntime reads where the model has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .held import is_plain
from .lazy import onnx
from .mapped import all_tensors, fill, mapped_array

LOCATION = "memory"
"""What initializers name as their file that are given to the session."""


def weights_apart(model: Any) -> tuple[bytes, dict[str, np.ndarray]]:
    """A serialized model and, by names, the arrays of initializers that it does not hold itself: for a session.

    An initializer whose elements do not lie in order is, as a rule, a weight with its axes permuted. The weight is
    shared and the model permutes it, which onnxruntime does once, when the session is made. Contents of tensors that
    are no initializers of the graph are put in place, as are those of element types that NumPy does not have. Changes
    the model.
    """
    arrays: dict[str, np.ndarray] = {}
    permuting: list[Any] = []
    for tensor in model.graph.initializer:
        array = mapped_array(tensor)
        if array is None or not is_plain(array.dtype):
            continue
        order = _order(array)
        if order is not None:
            name, array = f"{tensor.name}:in order", array.transpose(order)
            perm = [int(i) for i in np.argsort(order)]
            permuting.append(onnx.helper.make_node("Transpose", [name], [tensor.name], name=name, perm=perm))
            tensor.name, tensor.dims[:] = name, array.shape
        arrays[tensor.name] = np.require(array, requirements=("C", "A"))
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=LOCATION)
    for tensor in all_tensors(model):
        fill(tensor)
    if permuting:
        nodes = [*permuting, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return model.SerializeToString(), arrays


def _order(array: np.ndarray) -> list[int] | None:
    """Axes in whose order the elements lie one after the other in memory; None if in the given, or in no order."""
    if array.flags.c_contiguous:
        return None
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return order if array.transpose(order).flags.c_contiguous else None
