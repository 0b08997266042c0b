"""Inverses, solutions, determinants and factors of matrices. ONNX has Det alone; the others run on the NumPy core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dims import equal
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add, multiply, negative, subtract
from .axes import expand_dims, squeeze
from .broadcast import sum_axes
from .convert import promote, to_float
from .create import eye, tri
from .diagonal import diagonal, tril, triu
from .elementwise import log
from .linalg import matmul_primitive as product
from .linalg import swap_last
from .rules import broadcast_shapes

__all__ = [
    "cholesky", "cholesky_inverse", "det", "inv", "logdet", "slogdet", "solve", "solve_triangular",
]  # fmt: skip

FLOAT32 = np.dtype(np.float32)


def check_matrix(x: TensorSpec, square: bool = True) -> None:
    """Raise unless a spec is that of (square) matrices of float32 or float64."""
    if x.rank < 2 or (square and equal(x.shape[-1], x.shape[-2]) is not True):
        raise ShapeError(f"expected {'square ' if square else ''}matrices, got shape {format_shape(x.shape)}")
    if x.dtype.char not in "fd":
        raise DtypeError(f"expected float32 or float64, got {x.dtype.name}; convert with ops.cast(x, 'float32')")


def guarded(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel whose failure on the values of a matrix is told in the operation's terms."""

    def kernel(*arrays: np.ndarray, **attributes: Any) -> Any:
        try:
            return run(*arrays, **attributes)
        except np.linalg.LinAlgError as error:
            shapes = " and ".join(format_shape(a.shape) for a in arrays)
            if any(a.ndim < 2 or a.shape[-1] != a.shape[-2] for a in arrays[:1]):
                raise
            raise np.linalg.LinAlgError(f"{name}: {error} (shape {shapes})") from None

    return kernel


def _square_infer(x: TensorSpec) -> TensorSpec:
    check_matrix(x)
    return TensorSpec(x.shape, x.dtype)


def _inv_vjp(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    transposed = swap_last(out)
    return negative(product(product(transposed, g), transposed))


inv_primitive = Primitive(
    name="inv",
    run=guarded("inv", np.linalg.inv),
    infer=_square_infer,
    lower=unsupported_lowering("inv"),
    vjp=(_inv_vjp,),
    residuals="outputs",
)


def inv(x: Any) -> Tensor:
    """The inverse of square matrices (the last two axes). Not exportable to ONNX.

    Raises `numpy.linalg.LinAlgError` for a singular matrix.

    >>> import sardonyx as sx
    >>> sx.ops.inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return inv_primitive(to_float(x))


def _det_infer(x: TensorSpec) -> TensorSpec:
    check_matrix(x)
    return TensorSpec(x.shape[:-2], x.dtype)


def _det_lower(emit: Emitter, x: Value) -> Value:
    # onnxruntime has Det in float32 alone
    result = emit("Det", emit.cast(x, FLOAT32), spec=TensorSpec(x.shape[:-2], FLOAT32))
    return emit.cast(result, x.dtype)


def _on_matrix(x: Tensor) -> Tensor:
    """A number for each matrix as something that multiplies matrices."""
    return expand_dims(x, (-2, -1))


det_primitive = Primitive(
    name="det",
    run=np.linalg.det,
    infer=_det_infer,
    lower=_det_lower,
    vjp=(lambda g, out, x: multiply(_on_matrix(multiply(g, out)), swap_last(inv_primitive(x))),),
)


def det(x: Any) -> Tensor:
    """The determinants of square matrices (the last two axes; ONNX: Det). Its gradient needs them to be invertible.

    >>> import sardonyx as sx
    >>> round(sx.ops.det([[1.0, 2.0], [3.0, 4.0]]).item(), 5)
    -2.0
    """
    return det_primitive(to_float(x))


slogdet_primitive = Primitive(
    name="slogdet",
    run=lambda x: tuple(np.linalg.slogdet(x)),
    infer=lambda x: (_det_infer(x), _det_infer(x)),
    lower=unsupported_lowering("slogdet"),
    joint_vjp=lambda g, out, x, needed: (multiply(_on_matrix(g[1]), swap_last(inv_primitive(x[0]))),),
    residuals="inputs",
)


def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """Sign and logarithm of the absolute value of determinants. Not exportable to ONNX."""
    sign, logarithm = slogdet_primitive(to_float(x))
    return sign, logarithm


def logdet(x: Any) -> Tensor:
    """The logarithms of the determinants of positive definite matrices. Not exportable to ONNX.

    Raises `numpy.linalg.LinAlgError` for other matrices.
    """
    found = log(diagonal(cholesky(x), axis1=-2, axis2=-1))
    return multiply(2.0, sum_axes(found, (len(found.shape) - 1,), False))


def _solve_infer(a: TensorSpec, b: TensorSpec) -> TensorSpec:
    check_matrix(a)
    if a.dtype != b.dtype:
        raise DtypeError(f"expected operands of one dtype, got {a.dtype.name} and {b.dtype.name}")
    if b.rank < 2 or equal(a.shape[-1], b.shape[-2]) is not True:
        raise ShapeError(f"matrices {format_shape(a.shape)} and right-hand sides {format_shape(b.shape)} do not fit")
    return TensorSpec((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), a.dtype)


def _solve_vjp(g: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Tensor | None, Tensor]:
    right = solve_primitive(swap_last(inputs[0]), g[0])
    return negative(product(right, swap_last(outputs[0]))) if needed[0] else None, right


solve_primitive = Primitive(
    name="solve",
    run=guarded("solve", np.linalg.solve),
    infer=_solve_infer,
    lower=unsupported_lowering("solve"),
    joint_vjp=_solve_vjp,
)


def _with_columns(a: Any, b: Any, apply: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Right-hand sides with one axis less than the matrices are vectors: columns while they are worked on."""
    left, right = promote(to_float(a), to_float(b))
    if len(right.shape) == len(left.shape) - 1:
        return squeeze(apply(left, expand_dims(right, -1)), -1)
    return apply(left, right)


def solve(a: Any, b: Any) -> Tensor:
    """The solutions x of `a @ x = b` for square matrices `a`; `b` holds columns, or vectors. Not exportable to ONNX.

    Raises `numpy.linalg.LinAlgError` for a singular matrix, `ShapeError` when sizes do not fit.

    >>> import sardonyx as sx
    >>> sx.ops.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    return _with_columns(a, b, solve_primitive)


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """`solve` with the lower or upper triangle of `a`, whatever the other holds. Not exportable to ONNX."""
    triangle = tril if lower else triu
    return _with_columns(a, b, lambda left, right: solve_primitive(triangle(left), right))


def _cholesky_vjp(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    """Murray (2016), "Differentiation of the Cholesky decomposition", in its symmetric form."""
    size = out.shape[-1]
    transposed = swap_last(out)
    halves = subtract(tri(size, dtype=g.dtype), multiply(eye(size, dtype=g.dtype), 0.5))
    middle = multiply(product(transposed, g), halves)
    right = swap_last(solve_primitive(transposed, swap_last(solve_primitive(transposed, middle))))
    return multiply(add(right, swap_last(right)), 0.5)


cholesky_primitive = Primitive(
    name="cholesky",
    run=guarded("cholesky", np.linalg.cholesky),
    infer=_square_infer,
    lower=unsupported_lowering("cholesky"),
    vjp=(_cholesky_vjp,),
    residuals="outputs",
)


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The lower triangular L with `L @ L.T = x` for symmetric positive definite matrices, or its transpose `upper`.

    Not exportable to ONNX. Raises `numpy.linalg.LinAlgError` for matrices that are not positive definite.

    >>> import sardonyx as sx
    >>> sx.ops.cholesky([[4.0, 2.0], [2.0, 5.0]]).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    result = cholesky_primitive(to_float(x))
    return swap_last(result) if upper else result


def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is given. Not exportable to ONNX."""
    factor = inv(triu(x) if upper else tril(x))
    return product(factor, swap_last(factor)) if upper else product(swap_last(factor), factor)
