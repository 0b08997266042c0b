"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import agree, equal
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive, plain_arrays
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .axes import expand_dims, squeeze, transpose_primitive
from .broadcast import broadcast_to, broadcast_to_primitive, repeated_axes, reshape, sum_axes
from .convert import promote
from .matrix_pieces import matrix_product, stacked_product
from .rules import broadcast_shapes

__all__ = ["matmul"]

INT32 = np.dtype(np.int32)


def _matmul_infer(x: TensorSpec, y: TensorSpec) -> TensorSpec:
    if x.dtype != y.dtype:
        raise DtypeError(f"expected operands of one dtype, got {x.dtype.name} and {y.dtype.name}")
    if x.rank == 0 or y.rank == 0:
        raise ShapeError(f"expected at least one axis each, got {format_shape(x.shape)} and {format_shape(y.shape)}")
    inner_x, inner_y = x.shape[-1], y.shape[-2] if y.rank > 1 else y.shape[0]
    if not agree(inner_x, inner_y):
        same = equal(inner_x, inner_y)
        raise ShapeError(
            f"inner sizes {'differ' if same is False else 'may differ'}: {format_shape(x.shape)} @ "
            f"{format_shape(y.shape)} has {inner_x} and {inner_y}"
        )
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    rows = x.shape[-2:-1]
    columns = y.shape[-1:] if y.rank > 1 else ()
    return TensorSpec((*batch, *rows, *columns), x.dtype)


def matmul_lower(emit: Emitter, x: Value, y: Value) -> Value:
    spec = _matmul_infer(x.spec, y.spec)
    if x.dtype.name in ("float16", "float32", "float64", "int32", "int64", "uint32", "uint64"):
        return emit("MatMul", x, y, spec=spec)
    product = emit("MatMul", emit.cast(x, INT32), emit.cast(y, INT32), spec=TensorSpec(spec.shape, INT32))
    return emit.cast(product, spec.dtype)


def swap_last(x: Any) -> Tensor:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return transpose_primitive(x, axes=(*range(rank - 2), rank - 1, rank - 2))


def _as_matrices(g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors as one-row or one-column matrices, and the gradient with them."""
    if len(x.shape) == 1:
        x = expand_dims(x, 0)
        g = expand_dims(g, -2 if len(y.shape) > 1 else 0)
    if len(y.shape) == 1:
        y = expand_dims(y, 1)
        g = expand_dims(g, -1)
    return g, x, y


def _repeating(g: Tensor) -> tuple[Tensor, tuple[int, ...]] | None:
    """What a gradient repeats along leading axes, with size 1 there, and these axes; None where every row is its own.

    Behind a mean or a sum over rows (global pooling) each of them has the same gradient; a product with one of them
    stands for all.
    """
    if g.symbol is not None:
        node = g.symbol.node
        if node is None or node.primitive is not broadcast_to_primitive:
            return None
        small = node.inputs[0]
        if small is None or len(small.shape) != len(g.shape) or equal(small.shape[-1], g.shape[-1]) is not True:
            return None
        pairs = enumerate(zip(small.shape, g.shape, strict=True))
        return small, tuple([i for i, (one, size) in pairs if equal(one, size) is not True])
    arrays = plain_arrays((g,))
    axes = repeated_axes(arrays[0]) if arrays is not None and arrays[0].ndim > 2 else ()
    if arrays is None or not axes:
        return None
    return Tensor(arrays[0][tuple([slice(1) if i in axes else slice(None) for i in range(arrays[0].ndim)])]), axes


def matmul_vjp_x(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    if len(x.shape) > 2 and len(y.shape) == 2 and (found := _repeating(g)) is not None:
        return broadcast_to(matmul_primitive(found[0], swap_last(y)), x.shape)
    g, _, matrix = _as_matrices(g, x, y)
    result = matmul_primitive(g, swap_last(matrix))
    return squeeze(result, -2) if len(x.shape) == 1 else result


def matmul_vjp_y(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    g, matrix, _ = _as_matrices(g, x, y)
    if len(y.shape) <= 2 and len(matrix.shape) > 2:
        # one matrix shared by the batch: a single product over all rows instead of a product each and a sum
        if (found := _repeating(g)) is not None:
            g, matrix = found[0], sum_axes(matrix, found[1], True)
        matrix = reshape(matrix, (-1, matrix.shape[-1]))
        g = reshape(g, (-1, g.shape[-1]))
    result = matmul_primitive(swap_last(matrix), g)
    if len(y.shape) > 1:
        return result
    result = squeeze(result, -1)
    return sum_axes(result, tuple(range(len(result.shape) - 1)), False) if len(result.shape) > 1 else result


def _matmul_run(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.ndim > 2 and y.ndim == 2 and x.size:
        # numpy multiplies a stack of matrices one by one; one large product is what BLAS is good at
        return matrix_product(x.reshape(-1, x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[-1])
    if x.ndim == y.ndim == 2:
        return matrix_product(x, y)
    return stacked_product(x, y) if x.ndim > 2 and y.ndim > 2 else x @ y


matmul_primitive = Primitive(
    name="matmul",
    run=_matmul_run,
    infer=_matmul_infer,
    lower=matmul_lower,
    vjp=(matmul_vjp_x, matmul_vjp_y),
    residuals="inputs",
)


def matmul(x1: Any, x2: Any) -> Tensor:
    """Matrix product over the last two axes, broadcasting the others; vectors as in NumPy (ONNX: MatMul).

    Raises `ShapeError` when the inner sizes differ.

    >>> import sardonyx as sx
    >>> sx.ops.matmul(sx.ops.ones((2, 3)), sx.ops.ones((3, 4))).shape
    (2, 4)
    """
    return matmul_primitive(*promote(x1, x2))
