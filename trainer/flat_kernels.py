"""How nodes of a graph become calls of NumPy that write into memory laid out before: the forms of a flat program.

A form takes a `Place` and says whether it could serve. What has no form runs its primitive's kernel, which makes new
arrays. Every form computes the very numbers that the kernel does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .core.primitive import Primitive
from .core.spec import TensorSpec
from .flat_large import is_large, large_call
from .flat_slots import Memory, Slot, call, product
from .ops.axes import transpose_primitive
from .ops.blocks import BLOCK, zeros_row
from .ops.broadcast import ones_row, reshape_primitive, sum_primitive
from .ops.crossentropy_primitives import sparse_cross_entropy_primitive, sparse_gradient_primitive
from .ops.linalg import matmul_primitive
from .ops.matrix_pieces import matrix_product
from .ops.rectifier import relu_primitive
from .ops.reduce import mean_primitive
from .ops.selection import BITS, gate_primitive

SHORT = 64
"""Elements of a row below which NumPy's loop over rows costs more than what it does in each."""


class OutOfRange(Exception):
    """A form met values that it has no way with; the step has to run as Python does it."""


class Place:
    """One node: its slots, the calls to add to, and memory to work in."""

    def __init__(
        self, primitive: Primitive, attributes: Mapping[str, Any], inputs: Sequence[Slot | None],
        outputs: Sequence[Slot], memory: Memory, dying: Sequence[Slot], is_factor: bool, found: dict[Any, np.ndarray],
    ) -> None:  # fmt: skip
        """`is_factor`: only products of matrices read the output; `found`: what forms keep for others to come"""
        self.primitive = primitive
        self.attributes = attributes
        self.inputs = inputs
        self.outputs = outputs
        self.memory = memory
        self.dying = list(dying)
        self.is_factor = is_factor
        self.found = found
        self.calls: list[Callable[[], Any]] = []

    def result(self, index: int = 0, reuse: bool = False) -> np.ndarray:
        """Memory for an output; with `reuse` that of an input of the same kind that nobody needs afterwards.

        Only for ufuncs, which NumPy runs right even where operands overlap in other ways.
        """
        slot = self.outputs[index]
        if slot.array is None:
            shape, dtype = slot.spec.shape, slot.spec.dtype
            for other in self.dying if reuse else ():
                if other.owned and other.spec.shape == shape and other.spec.dtype == dtype:
                    self.dying.remove(other)
                    slot.array, other.owned = other.array, False
                    break
            else:
                slot.array = self.memory.take(shape, dtype)
            slot.owned = True
        slot.is_fixed = True
        return slot.array

    def view(self, array: np.ndarray) -> bool:
        """The output is a view of memory that stays the same: nothing to call."""
        self.outputs[0].array, self.outputs[0].is_fixed = array, True
        return True

    def write(self, function: Callable[..., Any], inputs: Sequence[Slot], out: np.ndarray) -> None:
        """Call an elementwise function on the arrays of slots, its results into `out`."""
        self.calls.append(large_call(function, inputs, out) if is_large(out) else call(function, inputs, out=out))

    def add(self, function: Callable[..., Any], inputs: Sequence[Slot], *more: Any, **named: Any) -> None:
        """Call a function on the arrays of slots and on what stays the same."""
        self.calls.append(call(function, inputs, *more, **named))


def elementwise(place: Place) -> bool:
    """A ufunc of NumPy, in place where an input is no longer needed."""
    inputs = [slot for slot in place.inputs if slot is not None]
    if place.attributes or len(inputs) != len(place.inputs) or place.primitive.run.nout != 1:
        return False
    dtypes = [slot.spec.dtype for slot in inputs]
    found = place.primitive.run.resolve_dtypes((*dtypes, None))[-1]
    if found != place.outputs[0].spec.dtype:
        return False
    place.write(place.primitive.run, inputs, place.result(reuse=True))
    return True


def _relu(place: Place) -> bool:
    (x,) = place.inputs
    if x is None or x.spec.dtype.kind != "f" or not x.spec.shape:
        return False
    shape: Any = x.spec.shape
    size = math.prod(shape)
    if size > BLOCK and shape[-1] < SHORT:
        return False
    zeros = zeros_row(shape[-1], x.spec.dtype) if size > BLOCK else zeros_row(size, x.spec.dtype).reshape(shape)
    place.write(np.maximum, [x, Slot(TensorSpec(zeros.shape, zeros.dtype), zeros)], place.result(reuse=True))
    return True


def _matmul(place: Place) -> bool:
    x, y = place.inputs
    if x is None or y is None or len(y.spec.shape) != 2 or x.spec.dtype.kind != "f":
        return False
    if len(x.spec.shape) == 2:
        place.calls.append(product(x, y, place.result()))
        return True
    if len(x.spec.shape) < 3 or not x.is_fixed or not x.array.flags.c_contiguous or not x.array.size:
        return False
    rows = Slot(x.spec, x.array.reshape(-1, x.array.shape[-1]))
    columns: Any = y.spec.shape[-1]
    place.add(matrix_product, [rows, y], out=place.result().reshape(-1, columns))
    return True


def _sum(place: Place) -> bool:
    (x,) = place.inputs
    count, rank = len(place.attributes["axes"]), 0 if x is None else len(x.spec.shape)
    if x is None or not (0 < count < rank and place.attributes["axes"][-1] == count - 1) or not x.is_fixed:
        return False
    if x.spec.dtype.char not in "fd" or not x.array.flags.c_contiguous:
        return False
    rows = x.array.reshape(math.prod(x.array.shape[:count]), -1)
    if rows.shape[0] <= 8 or rows.shape[1] <= 1:
        return False
    place.add(np.matmul, [], ones_row(len(rows), rows.dtype), rows, place.result().reshape(-1))
    return True


def _mean(place: Place) -> bool:
    """Over all axes, as a loss is."""
    (x,) = place.inputs
    axes, kind = place.attributes["axes"], place.outputs[0].spec.dtype
    if x is None or not x.is_fixed or kind.char not in "fd" or len(axes) != x.array.ndim or not x.array.size:
        return False
    out = place.result()
    place.add(np.add.reduce, [x], axes, kind, out, place.attributes["keepdims"])
    place.add(np.multiply, [], out, kind.type(1.0 / x.array.size), out)
    return True


def _view(place: Place) -> bool:
    (x,) = place.inputs
    if x is None or place.outputs[0].array is not None:
        return False
    if not x.is_fixed:
        place.outputs[0].turned = x if place.is_factor and x.turned is None else None
        return place.outputs[0].turned is not None
    found = place.primitive.run(x.array, **place.attributes)
    return np.shares_memory(found, x.array) and place.view(found)


def _gate(place: Place) -> bool:
    x, condition = place.inputs
    bits = None if x is None else BITS.get(x.spec.dtype.itemsize)
    if x is None or condition is None or bits is None or not (x.is_fixed and condition.is_fixed):
        return False
    if x.spec.dtype.kind != "f" or x.spec.shape != condition.spec.shape:
        return False
    source = Slot(x.spec, x.array.view(bits))
    place.write(np.multiply, [source, condition], place.result(reuse=True).view(bits))
    return True


def _class_places(place: Place, labels: Slot, classes: int, count: int) -> np.ndarray:
    """Where the scores of each row's class lie among all scores: found in each run, once for all forms that ask."""
    key = "class places", id(labels), classes
    if key in place.found:
        return place.found[key]
    offsets = np.arange(count) * classes
    found = place.found[key] = np.empty(count, np.int64)
    unsigned = f"u{labels.spec.dtype.itemsize}"

    def find(given: np.ndarray) -> None:
        if given.view(unsigned).max() >= classes:
            raise OutOfRange
        np.add(given, offsets, out=found, casting="unsafe")

    place.add(find, [labels])
    return found


def _scores(logits: Slot | None, labels: Slot | None) -> tuple[int, int] | None:
    """Numbers of rows and classes, where logits are a matrix in memory that stays, and labels are integers."""
    if logits is None or labels is None or not logits.is_fixed or labels.spec.dtype.kind not in "iu":
        return None
    shape = logits.array.shape
    return shape if len(shape) == 2 and shape[0] else None


def _cross_entropy(place: Place) -> bool:
    logits, labels = place.inputs
    sizes = _scores(logits, labels)
    if sizes is None or logits is None or labels is None:
        return False
    (count, classes), kind = sizes, logits.spec.dtype
    loss, probabilities = place.result(0), place.result(1)
    column, logarithm = place.memory.take((count, 1), kind), place.memory.take((count,), kind)
    shifted = place.memory.take((count, classes), kind)
    place.add(np.maximum.reduce, [logits], 1, None, column, True)
    place.add(np.subtract, [logits], column, shifted)
    place.add(np.exp, [], shifted, probabilities)
    place.add(np.matmul, [], probabilities, np.ones((classes, 1), kind), column)
    place.add(np.divide, [], probabilities, column, probabilities)
    place.add(np.log, [], column[:, 0], logarithm)
    at = _class_places(place, labels, classes, count)
    place.add(shifted.reshape(-1).take, [], at, None, loss, "clip")
    place.add(np.subtract, [], logarithm, loss, loss)
    for array in (column, logarithm, shifted):
        place.memory.give(array)
    return True


def _cross_entropy_gradient(place: Place) -> bool:
    g, logits, labels, probabilities = place.inputs
    sizes = _scores(logits, labels)
    if sizes is None or g is None or labels is None or probabilities is None:
        return False
    if not (g.is_fixed and probabilities.is_fixed and g.array.flags.c_contiguous):
        return False
    slopes = place.result(reuse=True)
    at = _class_places(place, labels, sizes[1], sizes[0])
    place.add(np.multiply, [probabilities], g.array.reshape(-1, 1), slopes)
    place.add(_subtract_at, [], slopes.reshape(-1), at, g.array)
    return True


def _subtract_at(values: np.ndarray, at: np.ndarray, amounts: np.ndarray) -> None:
    values[at] -= amounts


FORMS: dict[Primitive, Callable[[Place], bool]] = {
    relu_primitive: _relu,
    matmul_primitive: _matmul,
    sum_primitive: _sum,
    mean_primitive: _mean,
    transpose_primitive: _view,
    reshape_primitive: _view,
    gate_primitive: _gate,
    sparse_cross_entropy_primitive: _cross_entropy,
    sparse_gradient_primitive: _cross_entropy_gradient,
}


def form_of(primitive: Primitive) -> Callable[[Place], bool] | None:
    """The form of a primitive's nodes, if it has one."""
    return elementwise if isinstance(primitive.run, np.ufunc) else FORMS.get(primitive)
