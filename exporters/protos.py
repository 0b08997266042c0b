"""From protobuf to Python values: tensors and attributes of ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .lazy import onnx
from .mapped import mapped_array


def tensor_array(proto: Any) -> np.ndarray:
    """The array of a tensor, dense or sparse; texts are objects."""
    if isinstance(proto, onnx.SparseTensorProto):
        return _dense(proto)
    if proto.data_type == onnx.TensorProto.STRING:
        flat = [text.decode("utf-8", "replace") for text in proto.string_data]
        return text_array(flat, tuple(proto.dims))
    mapped = mapped_array(proto)
    return onnx.numpy_helper.to_array(proto) if mapped is None else mapped


def plain_array(array: np.ndarray, name: str) -> Any:
    """The `TensorProto` of an array."""
    return onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)


def text_array(texts: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Texts as an array of objects."""
    found = np.empty(len(texts), object)
    found[:] = texts
    return found.reshape(shape)


def _dense(proto: Any) -> np.ndarray:
    values, indices = tensor_array(proto.values), tensor_array(proto.indices)
    dense = np.zeros(tuple(proto.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def attribute_value(attribute: Any, body: Callable[[Any], Any] | None) -> Any:
    """The value of an attribute: numbers, texts, arrays; graphs through `body`."""
    kinds = onnx.AttributeProto
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == kinds.STRING:
        return value.decode("utf-8", "replace")
    if attribute.type == kinds.STRINGS:
        return [text.decode("utf-8", "replace") for text in value]
    if attribute.type in (kinds.TENSOR, kinds.SPARSE_TENSOR):
        return tensor_array(value)
    if attribute.type == kinds.TENSORS:
        return [tensor_array(tensor) for tensor in value]
    if attribute.type == kinds.GRAPH and body is not None:
        return body(value)
    if attribute.type in (kinds.FLOATS, kinds.INTS):
        return list(value)
    return value


def element_type(code: int) -> np.dtype:
    """The NumPy type of an ONNX element type."""
    if code == onnx.TensorProto.STRING:
        return np.dtype(object)
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code))


def element_code(dtype: np.dtype) -> int:
    """The ONNX number of an element type."""
    if dtype.kind in "OUST":
        return onnx.TensorProto.STRING
    return onnx.helper.np_dtype_to_tensor_dtype(dtype)
