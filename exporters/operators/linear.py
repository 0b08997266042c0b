"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .table import Call, operator
from .values import back_to, scalar_like


@operator("MatMul")
def matmul(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """Product of matrices in the element type of the operands."""
    return back_to(ops.matmul(x, y), x.dtype)


@operator("Gemm")
def gemm(call: Call, a: Tensor, b: Tensor, c: Any = None) -> Tensor:
    """alpha * a @ b + beta * c, a and b transposed if asked for."""
    a = ops.transpose(a) if call.get("transA", 0) else a
    b = ops.transpose(b) if call.get("transB", 0) else b
    found = back_to(ops.matmul(a, b), a.dtype)
    found = _scaled(found, call.get("alpha", 1.0))
    return found if c is None else ops.add(found, _scaled(c, call.get("beta", 1.0)))


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else ops.multiply(x, scalar_like(factor, x))


@operator("Einsum")
def einsum(call: Call, *inputs: Tensor) -> Tensor:
    """Sums of products along named axes."""
    equation = call.get("equation").replace(" ", "")
    found = ops.einsum(equation, *inputs)
    return back_to(found, inputs[0].dtype)


def centred(x: Tensor, zero: Any, axis: int | None = None) -> Tensor:
    """Integers minus their zero point, as float64: exact for all that fits 53 bits."""
    wide = ops.cast(x, np.float64)
    if zero is None:
        return wide
    shift = ops.cast(zero, np.float64)
    if axis is not None and len(zero.shape) == 1 and zero.shape[0] != 1:
        shift = ops.reshape(shift, [-1 if i == axis % len(x.shape) else 1 for i in range(len(x.shape))])
    return ops.subtract(wide, shift)


@operator("MatMulInteger")
def matmul_integer(call: Call, a: Tensor, b: Tensor, a_zero: Any = None, b_zero: Any = None) -> Tensor:
    """Product of integers minus their zero points, in int32."""
    return ops.cast(ops.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1)), np.int32)
