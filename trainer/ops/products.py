"""Products of vectors, matrices and tensors: dot, tensordot, inner, outer, cross, Kronecker."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .arithmetic import multiply, subtract
from .axes import axes_of, axis_of, moveaxis
from .broadcast import reshape
from .convert import promote
from .einsum import einsum_primitive
from .join import stack
from .linalg import matmul_primitive
from .slicing import WHOLE, index_primitive

__all__ = ["cross", "dot", "inner", "kron", "outer", "tensordot", "vdot"]


def dot(x1: Any, x2: Any) -> Tensor:
    """NumPy's dot: the last axis of the first with the last but one of the second, no broadcasting (ONNX: MatMul).

    >>> import sardonyx as sx
    >>> sx.ops.dot([1, 2], [3, 4]).item()
    11
    """
    x, y = promote(x1, x2)
    if not x.shape or not y.shape:
        return multiply(x, y)
    if len(y.shape) <= 2:
        return matmul_primitive(x, y)
    return _contract(x, y, (len(x.shape) - 1,), (len(y.shape) - 2,))


def _contract(x: Tensor, y: Tensor, left: tuple[int, ...], right: tuple[int, ...]) -> Tensor:
    """Sum over pairs of axes; the others stay, those of the first in front."""
    letters = iter(string.ascii_letters)
    first = [next(letters) for _ in x.shape]
    second = [first[left[right.index(i)]] if i in right else next(letters) for i in range(len(y.shape))]
    result = [c for i, c in enumerate(first) if i not in left] + [c for i, c in enumerate(second) if i not in right]
    return einsum_primitive(x, y, pattern=f"{''.join(first)},{''.join(second)}->{''.join(result)}")


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sum of products over axes: the last `axes` of the first with the first of the second, or given pairs.

    Raises `ShapeError` when sizes or numbers of axes differ.

    >>> import sardonyx as sx
    >>> sx.ops.tensordot(sx.ops.ones((2, 3, 4)), sx.ops.ones((4, 3)), axes=([1, 2], [1, 0])).tolist()
    [12.0, 12.0]
    """
    x, y = promote(x1, x2)
    rank, other = len(x.shape), len(y.shape)
    if isinstance(axes, int):
        if not 0 <= axes <= min(rank, other):
            raise ShapeError(
                f"tensordot: cannot sum over {axes} axes of {format_shape(x.shape)} and {format_shape(y.shape)}"
            )
        left, right = tuple(range(rank - axes, rank)), tuple(range(axes))
    else:
        left, right = axes_of(axes[0], rank, "tensordot"), axes_of(axes[1], other, "tensordot")
        if len(left) != len(right):
            raise ShapeError(f"tensordot: expected as many axes of the second as of the first, got {axes}")
    if left == (rank - 1,) and right == (0,) and other == 2:
        return matmul_primitive(x, y)
    return _contract(x, y, left, right)


def inner(x1: Any, x2: Any) -> Tensor:
    """The sum of products over the last axes of both.

    >>> import sardonyx as sx
    >>> sx.ops.inner([[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    """
    x, y = promote(x1, x2)
    if not x.shape or not y.shape:
        return multiply(x, y)
    if len(y.shape) == 1:
        return matmul_primitive(x, y)
    return _contract(x, y, (len(x.shape) - 1,), (len(y.shape) - 1,))


def outer(x1: Any, x2: Any) -> Tensor:
    """Each element of the first, flattened, times each of the second: a matrix.

    >>> import sardonyx as sx
    >>> sx.ops.outer([1, 2], [3, 4]).tolist()
    [[3, 4], [6, 8]]
    """
    x, y = promote(x1, x2)
    return multiply(reshape(x, (-1, 1)), reshape(y, (1, -1)))


def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of products of both, flattened."""
    x, y = promote(x1, x2)
    return matmul_primitive(reshape(x, (-1,)), reshape(y, (-1,)))


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The vector product along an axis of 3 (or 2) components; of two plane vectors its third component alone.

    >>> import sardonyx as sx
    >>> sx.ops.cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promote(x1, x2)
    x = moveaxis(x, axis_of(axisa, len(x.shape), "cross"), -1)
    y = moveaxis(y, axis_of(axisb, len(y.shape), "cross"), -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ShapeError(f"cross: expected vectors of 2 or 3 components, got {x.shape[-1]} and {y.shape[-1]}")
    a, b = _components(x), _components(y)
    third = _minor(a[0], b[1], a[1], b[0])
    if len(a) == len(b) == 2:
        return third
    parts = [_difference(a, b, 1, 2), _difference(a, b, 2, 0), third]
    result = stack(parts, axis=-1)
    return moveaxis(result, -1, axis_of(axisc, len(result.shape), "cross"))


def _components(x: Tensor) -> list[Tensor]:
    batch = [WHOLE] * (len(x.shape) - 1)
    return [index_primitive(x, items=(*batch, i)) for i in range(x.shape[-1].__index__())]


def _minor(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return subtract(multiply(a, b), multiply(c, d))


def _difference(a: Sequence[Tensor], b: Sequence[Tensor], i: int, j: int) -> Tensor:
    """`a[i] b[j] - a[j] b[i]`, missing third components being 0."""
    if len(a) == len(b):
        return _minor(a[i], b[j], a[j], b[i])
    if len(a) == 2:
        return multiply(a[i], b[j]) if j == 2 else multiply(-a[j], b[i])
    return multiply(a[i], b[j]) if i == 2 else multiply(-a[j], b[i])


def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product: each element of the first times the whole second, laid out as blocks.

    >>> import sardonyx as sx
    >>> sx.ops.kron([1, 10], [1, 2]).tolist()
    [1, 2, 10, 20]
    """
    x, y = promote(x1, x2)
    rank = max(len(x.shape), len(y.shape))
    left = (1,) * (rank - len(x.shape)) + tuple(x.shape)
    right = (1,) * (rank - len(y.shape)) + tuple(y.shape)
    spread = multiply(
        reshape(x, [size for s in left for size in (s, 1)]), reshape(y, [size for s in right for size in (1, s)])
    )
    return reshape(spread, [a * b for a, b in zip(left, right, strict=True)])
