"""Orthogonal factors and spectra of matrices: QR, singular values, eigenvalues. All run on the NumPy core alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dims import Size, minimum
from ..core.errors import ShapeError, format_shape
from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add, divide, multiply, negative, subtract
from .axes import expand_dims, squeeze
from .convert import convert_to_tensor, promote, to_float
from .create import eye
from .decomposition import check_matrix, guarded, solve_primitive
from .diagonal import tril
from .linalg import matmul_primitive as product
from .linalg import swap_last

__all__ = ["eig", "eigh", "lstsq", "matrix_rank", "pinv", "qr", "svd"]


def _qr_infer(x: TensorSpec, *, mode: str) -> tuple[TensorSpec, TensorSpec]:
    check_matrix(x, square=False)
    *batch, rows, columns = x.shape
    width: Size = rows if mode == "complete" else minimum(rows, columns)
    return TensorSpec((*batch, rows, width), x.dtype), TensorSpec((*batch, width, columns), x.dtype)


def _qr_vjp(g: Any, outputs: Any, inputs: Any, needed: Any, *, mode: str) -> tuple[Tensor]:
    q, r = outputs
    if q.shape[-1] != r.shape[-1]:
        raise NotImplementedError(
            f"qr: no gradient for shape {format_shape(inputs[0].shape)} with mode={mode!r}; use mode='reduced' and "
            "matrices with at least as many rows as columns"
        )
    lower = subtract(product(r, swap_last(g[1])), product(swap_last(g[0]), q))
    symmetric = add(tril(lower), swap_last(tril(lower, -1)))
    middle = add(g[0], product(q, symmetric))
    return (swap_last(solve_primitive(r, swap_last(middle))),)


qr_primitive = Primitive(
    name="qr",
    run=lambda x, *, mode: tuple(np.linalg.qr(x, mode)),
    infer=_qr_infer,
    lower=unsupported_lowering("qr"),
    joint_vjp=_qr_vjp,
    residuals="outputs",
)


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Q with orthonormal columns and upper triangular R with `Q @ R = x`; mode "reduced" or "complete".

    Not exportable to ONNX. Differentiable for matrices with at least as many rows as columns.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f'qr: mode must be "reduced" or "complete", got {mode!r}')
    q, r = qr_primitive(to_float(x), mode=mode)
    return q, r


def _svd_infer(x: TensorSpec, *, full: bool) -> tuple[TensorSpec, TensorSpec, TensorSpec]:
    check_matrix(x, square=False)
    *batch, rows, columns = x.shape
    count = minimum(rows, columns)
    sizes = (rows, columns) if full else (count, count)
    return (
        TensorSpec((*batch, rows, sizes[0]), x.dtype),
        TensorSpec((*batch, count), x.dtype),
        TensorSpec((*batch, sizes[1], columns), x.dtype),
    )


def _gaps(values: Tensor) -> Tensor:
    """1 / (v[j] - v[i]) off the diagonal, 0 on it."""
    size = values.shape[-1]
    ones = eye(size, dtype=values.dtype)
    differences = subtract(expand_dims(values, -2), expand_dims(values, -1))
    return subtract(divide(1.0, add(differences, ones)), ones)


def _outside(basis: Tensor, x: Tensor) -> Tensor:
    """What of the columns of `x` the columns of an orthonormal basis do not span."""
    return subtract(x, product(basis, product(swap_last(basis), x)))


def _svd_vjp(g: Any, outputs: Any, inputs: Any, needed: Any, *, full: bool) -> tuple[Tensor]:
    """Townsend (2016), "Differentiating the singular value decomposition"."""
    u, s, vh = outputs
    if full and u.shape[-1] != vh.shape[-1]:
        raise NotImplementedError(
            f"svd: no gradient for the full factors of shape {format_shape(inputs[0].shape)}; use full_matrices=False"
        )
    v, gv = swap_last(vh), swap_last(g[2])
    gaps, row = _gaps(multiply(s, s)), expand_dims(s, -2)
    left, right = product(swap_last(u), g[0]), product(vh, gv)
    inner = multiply(multiply(gaps, subtract(left, swap_last(left))), row)
    inner = add(inner, multiply(expand_dims(s, -1), multiply(gaps, subtract(right, swap_last(right)))))
    inner = add(inner, multiply(expand_dims(g[1], -2), eye(s.shape[-1], dtype=s.dtype)))
    result = product(product(u, inner), vh)
    result = add(result, product(divide(_outside(u, g[0]), row), vh))
    return (add(result, product(divide(u, row), swap_last(_outside(v, gv)))),)


svd_primitive = Primitive(
    name="svd",
    run=guarded("svd", lambda x, *, full: tuple(np.linalg.svd(x, full_matrices=full))),
    infer=_svd_infer,
    lower=unsupported_lowering("svd"),
    joint_vjp=_svd_vjp,
    residuals="outputs",
)


def _singular_values_vjp(g: Tensor, out: Tensor, x: Tensor) -> Tensor:
    u, _, vh = svd_primitive(x, full=False)
    return product(multiply(u, expand_dims(g, -2)), vh)


singular_values_primitive = Primitive(
    name="singular_values",
    run=guarded("svd", lambda x: np.linalg.svd(x, compute_uv=False)),
    infer=lambda x: _svd_infer(x, full=False)[1],
    lower=unsupported_lowering("svd"),
    vjp=(_singular_values_vjp,),
    residuals="inputs",
)


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, S, V with `U @ diag(S) @ V = x`, S descending; S alone without `compute_uv`. Not exportable to ONNX.

    The gradient is that of distinct singular values; of U and V only with `full_matrices=False` or square matrices.
    """
    tensor = to_float(x)
    return svd_primitive(tensor, full=bool(full_matrices)) if compute_uv else singular_values_primitive(tensor)


def _eigh_infer(x: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    check_matrix(x)
    return TensorSpec(x.shape[:-1], x.dtype), TensorSpec(x.shape, x.dtype)


def _eigh_vjp(g: Any, outputs: Any, inputs: Any, needed: Any) -> tuple[Tensor]:
    values, vectors = outputs
    inner = multiply(_gaps(values), product(swap_last(vectors), g[1]))
    inner = add(inner, multiply(expand_dims(g[0], -2), eye(values.shape[-1], dtype=values.dtype)))
    result = product(product(vectors, inner), swap_last(vectors))
    return (multiply(add(result, swap_last(result)), 0.5),)


eigh_primitive = Primitive(
    name="eigh",
    run=guarded("eigh", lambda x: tuple(np.linalg.eigh(x))),
    infer=_eigh_infer,
    lower=unsupported_lowering("eigh"),
    joint_vjp=_eigh_vjp,
    residuals="outputs",
)


def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues (ascending) and eigenvectors (columns) of symmetric matrices. Not exportable to ONNX.

    The gradient is that of distinct eigenvalues.
    """
    values, vectors = eigh_primitive(to_float(x))
    return values, vectors


def _complex_of(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.complex64 if dtype.char == "f" else np.complex128)


def _eig_infer(x: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
    check_matrix(x)
    kind = _complex_of(x.dtype)
    return TensorSpec(x.shape[:-1], kind), TensorSpec(x.shape, kind)


eig_primitive = Primitive(
    name="eig",
    run=guarded("eig", lambda x: tuple(part.astype(_complex_of(x.dtype)) for part in np.linalg.eig(x))),
    infer=_eig_infer,
    lower=unsupported_lowering("eig"),
    residuals="none",
)


def eig(x: Any) -> tuple[Tensor, Tensor]:
    """Complex eigenvalues and eigenvectors (columns) of square matrices. Not differentiable, not exportable."""
    values, vectors = eig_primitive(to_float(x))
    return values, vectors


def _pinv_infer(x: TensorSpec, *, rcond: float | None) -> TensorSpec:
    check_matrix(x, square=False)
    return TensorSpec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)


def _pinv_vjp(g: Tensor, out: Tensor, x: Tensor, *, rcond: float | None) -> Tensor:
    """Golub and Pereyra (1973), for matrices of constant rank."""
    transposed, back = swap_last(out), swap_last(g)
    result = negative(product(product(transposed, g), transposed))
    behind = product(back, product(out, transposed))
    result = add(result, subtract(behind, product(x, product(out, behind))))
    ahead = product(product(transposed, out), back)
    return add(result, subtract(ahead, product(product(ahead, out), x)))


pinv_primitive = Primitive(
    name="pinv",
    run=guarded("pinv", lambda x, *, rcond: np.linalg.pinv(x) if rcond is None else np.linalg.pinv(x, rcond)),
    infer=_pinv_infer,
    lower=unsupported_lowering("pinv"),
    vjp=(_pinv_vjp,),
)


def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The Moore-Penrose inverse; singular values below `rcond` times the largest count as 0. Not exportable to ONNX."""
    return pinv_primitive(to_float(x), rcond=rcond)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x of least norm among those for which `a @ x` is nearest to `b` (vector or columns). Not exportable to ONNX.

    >>> import sardonyx as sx
    >>> [round(v, 4) for v in sx.ops.lstsq([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 4.0]).tolist()]
    [1.0, 3.0]
    """
    left, right = promote(to_float(a), to_float(b))
    inverse = pinv(left, rcond)
    if len(right.shape) == len(left.shape) - 1:
        return squeeze(product(inverse, expand_dims(right, -1)), -1)
    return product(inverse, right)


def _rank_infer(x: TensorSpec, *, tolerance: float | None) -> TensorSpec:
    if x.rank < 2:
        raise ShapeError(f"expected matrices, got shape {format_shape(x.shape)}")
    return TensorSpec(x.shape[:-2], np.dtype(np.int32))


matrix_rank_primitive = Primitive(
    name="matrix_rank",
    run=lambda x, *, tolerance: np.linalg.matrix_rank(x, tolerance).astype(np.int32),
    infer=_rank_infer,
    lower=unsupported_lowering("matrix_rank"),
    residuals="none",
)


def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """The number of singular values above `tol` (a small multiple of the largest when None). Not exportable to ONNX."""
    return matrix_rank_primitive(convert_to_tensor(x), tolerance=tol)
