"""What a dense layer computes, as one kernel: product, bias and relu without arrays between them.

For eager tensors alone: in a graph the three operators stand by themselves, where exporters and engines know them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.primitive import Primitive, plain_arrays
from ..core.spec import TensorSpec
from ..core.state import state
from ..core.tensor import Tensor
from .blocks import BLOCK, zeros_row
from .broadcast import repeated_axes, sum_primitive, sum_to
from .comparison import greater
from .linalg import matmul_lower, matmul_primitive, matmul_vjp_x, matmul_vjp_y
from .matrix_pieces import matrix_product
from .parallel import block_size, run_blocks
from .rules import broadcast_shapes
from .selection import gate, gate_primitive

__all__: list[str] = []

RATE = 2000.0
"""Elements to which a bias is added in a microsecond, roughly."""


def _finish(product: np.ndarray, bias: np.ndarray, rectified: bool) -> None:
    """Add the bias and rectify, in place."""
    product += bias
    if rectified:
        np.maximum(product.reshape(-1), zeros_row(product.size, product.dtype), out=product.reshape(-1))


def _kernel_of(rectified: bool) -> Callable[..., np.ndarray]:
    def run(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
        out = matrix_product(rows, kernel)
        if out.size <= BLOCK:
            _finish(out, bias, rectified)
        else:
            count = max(1, block_size(out.size, BLOCK, out.size / RATE) // out.shape[1])
            steps = range(0, len(out), count)
            run_blocks(
                lambda i: _finish(out[steps[i] : steps[i] + count], bias, rectified), len(steps), out.size / RATE
            )
        return out if x.ndim == 2 else out.reshape(*x.shape[:-1], out.shape[1])

    return run


def _infer(x: TensorSpec, kernel: TensorSpec, bias: TensorSpec) -> TensorSpec:
    product = matmul_primitive.infer(x, kernel)
    return TensorSpec(broadcast_shapes(product.shape, bias.shape), product.dtype)


def _lower_of(rectified: bool) -> Callable[..., Value]:
    def lower(emit: Emitter, x: Value, kernel: Value, bias: Value) -> Value:
        spec = _infer(x.spec, kernel.spec, bias.spec)
        total = emit("Add", matmul_lower(emit, x, kernel), bias, spec=spec)
        return emit("Relu", total) if rectified else total

    return lower


def _gradient_run(
    g: np.ndarray, out: np.ndarray | None, x: np.ndarray, kernel: np.ndarray, needed: Sequence[bool]
) -> list[np.ndarray | None]:
    """Gradients of input, kernel and bias; `out` where it was rectified."""
    if out is not None:
        g = gate_primitive.run(g, out > 0)
    elif g.ndim > 2 and (axes := repeated_axes(g)):
        return _repeated_gradient(g, axes, x, kernel, needed)
    rows = g if g.ndim == 2 else g.reshape(-1, g.shape[-1])
    d_x = matrix_product(rows, kernel.T) if needed[0] else None
    if d_x is not None and x.ndim != 2:
        d_x = d_x.reshape(x.shape)
    d_kernel = matrix_product((x if x.ndim == 2 else x.reshape(-1, x.shape[-1])).T, rows) if needed[1] else None
    return [d_x, d_kernel, sum_primitive.run(rows, axes=(0,), keepdims=False) if needed[2] else None]


def _repeated_gradient(
    g: np.ndarray, axes: tuple[int, ...], x: np.ndarray, kernel: np.ndarray, needed: Sequence[bool]
) -> list[np.ndarray | None]:
    """The same where g repeats itself along axes, as behind global pooling: products with what is repeated alone."""
    small = g[tuple([slice(1) if i in axes else slice(None) for i in range(g.ndim)])]
    rows = small.reshape(-1, g.shape[-1])
    d_x = np.broadcast_to((rows @ kernel.T).reshape(*small.shape[:-1], x.shape[-1]), x.shape) if needed[0] else None
    d_kernel = x.sum(axis=axes).reshape(-1, x.shape[-1]).T @ rows if needed[1] else None
    return [d_x, d_kernel, sum_primitive.run(g, axes=tuple(range(g.ndim - 1)), keepdims=False) if needed[2] else None]


def _vjp_of(rectified: bool) -> Callable[..., Sequence[Tensor | None]]:
    def vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any) -> Sequence[Tensor | None]:
        (g,), (out,), (x, kernel, bias) = gradients, outputs, inputs
        if (arrays := plain_arrays((g, x, kernel))) is not None:
            found = _gradient_run(arrays[0], out.array if rectified else None, arrays[1], arrays[2], needed)
            return [None if array is None else Tensor(array) for array in found]
        if rectified:
            g = gate(g, greater(out, 0))
        return [
            matmul_vjp_x(g, out, x, kernel) if needed[0] else None,
            matmul_vjp_y(g, out, x, kernel) if needed[1] else None,
            sum_to(g, bias.shape) if needed[2] else None,
        ]

    return vjp


dense_primitive = Primitive(
    "dense", _kernel_of(False), _infer, _lower_of(False), joint_vjp=_vjp_of(False), residuals="inputs"
)
dense_relu_primitive = Primitive("dense_relu", _kernel_of(True), _infer, _lower_of(True), joint_vjp=_vjp_of(True))


def can_be_fused(x: Any, kernel: Any, bias: Any) -> bool:
    """Whether the kernels serve: eager rows outside of traces, and weights that fit them."""
    return type(x) is Tensor and bias is not None and not state.traces and fits_kernel(x, kernel, bias)


def fits_kernel(x: Any, kernel: Any, bias: Any) -> bool:
    """Whether the kernels take an eager input: rows of the kernel's element type, and weights of the usual shapes."""
    array = x.array
    if array is None or array.ndim < 2 or array.dtype.char not in "fd" or not array.size:
        return False
    same = array.dtype == kernel.dtype == bias.dtype
    return same and (array.shape[-1], *bias.shape) == kernel.shape
