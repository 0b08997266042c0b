"""Two values of one variable, from two branches or from before and after a step, as one value of the graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import tree
from ..core.dims import Dim
from ..core.dtypes import dtype_name, result_type
from ..core.errors import DtypeError, ShapeError, SymbolicValueError, format_shape
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from ..core.variable import Variable
from ..ops.broadcast import broadcast_to
from ..ops.convert import convert_to_tensor
from ..ops.create import zeros
from .refusals import Missing, is_missing

__all__: list[str] = []

NUMBERS = (bool, int, float)


class Conflict(Exception):
    """Why two values are not one: the sentence and the kind of error it is."""

    def __init__(self, text: str, kind: type[Exception]) -> None:
        super().__init__(text)
        self.text, self.kind = text, kind


class Slot(NamedTuple):
    """A place in a structure that is filled with tensor number `index`."""

    index: int


class Constant(NamedTuple):
    """A place in a structure that holds a Python value, the same on both sides."""

    value: Any


class Pairs:
    """The leaves in which two sides differ, and their common specs."""

    def __init__(self) -> None:
        self.left: list[Any] = []
        self.right: list[Any] = []
        self.specs: list[TensorSpec] = []

    def add(self, left: Any, right: Any, spec: TensorSpec) -> Slot:
        """Note two leaves; what stands in their place."""
        self.left.append(left)
        self.right.append(right)
        self.specs.append(spec)
        return Slot(len(self.specs) - 1)


def is_numeric(value: Any) -> bool:
    """Whether a value can be a tensor of a graph."""
    return isinstance(value, (Tensor, Variable, Dim, np.ndarray, np.generic, *NUMBERS))


def snapshot(value: Any) -> Any:
    """A copy of lists, tuples and dictionaries around the same leaves; variables of the graph as they stand now."""
    return tree.map_structure(lambda x: x.read() if isinstance(x, Variable) else x, value)


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same Python value: the same objects, equal numbers, equal texts."""
    if left is right:
        return True
    if type(left) is not type(right) or isinstance(left, (Tensor, Variable, np.ndarray, Missing)):
        return False
    if tree.is_nested(left):
        keys = not isinstance(left, dict) or list(left) == list(right)
        values = (left.values(), right.values()) if isinstance(left, dict) else (left, right)
        return len(left) == len(right) and keys and all(same(a, b) for a, b in zip(*values, strict=True))
    try:
        return bool(left == right)
    except Exception:  # an object of the user's whose comparison fails is not known to be the same
        return False


def unify(left: Any, right: Any, pairs: Pairs, filled: bool = False) -> Any:
    """One structure for two values, with a `Slot` for every leaf that is a tensor; raises `Conflict`.

    `filled`: a value that is missing on one side is never looked at, and zeros do.
    """
    if same(left, right):
        return Constant(left)
    if filled and (is_missing(left) or is_missing(right)):
        present = right if is_missing(left) else left
        return tree.map_structure(lambda x: _filled(x, is_missing(left), pairs), present)
    for value in (left, right):
        if is_missing(value):
            raise Conflict(value.text, value.kind)
    if isinstance(left, dict) and isinstance(right, dict) and set(left) == set(right):
        return type(left)((key, unify(left[key], right[key], pairs, filled)) for key in left)
    if isinstance(left, (list, tuple)) and type(left) is type(right) and len(left) == len(right):
        return tree.rebuild(left, [unify(a, b, pairs, filled) for a, b in zip(left, right, strict=True)])
    if is_numeric(left) and is_numeric(right):
        return pairs.add(left, right, common_spec(left, right))
    raise Conflict(f"{described(left)} on one side and {described(right)} on the other", SymbolicValueError)


def _filled(leaf: Any, is_left: bool, pairs: Pairs) -> Any:
    if not is_numeric(leaf):
        return Constant(leaf)
    spec = spec_of(leaf)
    return pairs.add(None, leaf, spec) if is_left else pairs.add(leaf, None, spec)


def build(template: Any, tensors: list[Any]) -> Any:
    """A value from its structure and the tensors for the slots."""
    if isinstance(template, Slot):
        return tensors[template.index]
    if isinstance(template, Constant):
        return template.value
    if isinstance(template, dict):
        return type(template)((key, build(value, tensors)) for key, value in template.items())
    return tree.rebuild(template, [build(value, tensors) for value in template])


def spec_of(value: Any) -> TensorSpec:
    """Shape and dtype of a numeric leaf as a tensor."""
    tensor = value if isinstance(value, (Tensor, Variable)) else convert_to_tensor(value)
    return TensorSpec(tensor.shape, tensor.dtype)


def common_spec(left: Any, right: Any) -> TensorSpec:
    """Shape and dtype for both; Python numbers take the dtype of what they meet. Raises `Conflict`."""
    a, b = spec_of(left), spec_of(right)
    if not same_shape(a.shape, b.shape):
        text = f"shape {format_shape(a.shape)} on one side and {format_shape(b.shape)} on the other"
        raise Conflict(text, ShapeError)
    if a.dtype == b.dtype:
        return a
    if isinstance(right, NUMBERS):
        return TensorSpec(a.shape, result_type(a.dtype, type(right)))
    if isinstance(left, NUMBERS):
        return TensorSpec(a.shape, result_type(b.dtype, type(left)))
    text = f"dtype {dtype_name(a.dtype)} on one side and {dtype_name(b.dtype)} on the other"
    raise Conflict(text, DtypeError)


def as_leaf(value: Any, spec: TensorSpec) -> Tensor:
    """A leaf as a tensor of the common spec; zeros for one that is missing."""
    if value is None:
        return zeros(spec.shape, spec.dtype)
    tensor = convert_to_tensor(value, dtype=spec.dtype)
    return tensor if same_shape(tensor.shape, spec.shape) else broadcast_to(tensor, spec.shape)


def described(value: Any) -> str:
    """A value in an error message."""
    if isinstance(value, (Tensor, Variable)):
        return f"a tensor of shape {format_shape(value.shape)}"
    if tree.is_nested(value):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r}" if value is None or isinstance(value, (*NUMBERS, str)) else f"a {type(value).__name__}"
