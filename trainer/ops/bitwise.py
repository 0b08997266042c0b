"""Operations on the bits of integers, and the common divisor and multiple."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError
from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .convert import as_number, promote
from .lowering import BOOL
from .rules import binary, infer_broadcast

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "gcd",
    "lcm",
    "left_shift",
    "right_shift",
]


def _infer(*inputs: TensorSpec) -> TensorSpec:
    for x in inputs:
        if x.dtype.kind not in "iub":
            raise DtypeError(f"expected integers or booleans, got {x.dtype.name}; convert with ops.cast first")
    return infer_broadcast(*inputs)


def _bitwise(name: str, run: Callable[..., Any], operator: str, logical: str) -> Primitive:
    def lower(emit: Emitter, *values: Value) -> Value:
        if values[0].dtype != BOOL and emit.opset < 18:
            raise NotImplementedError(f"{name}: integers need ONNX opset 18 or later, got {emit.opset}")
        spec = _infer(*[v.spec for v in values])
        return emit(logical if values[0].dtype == BOOL else operator, *values, spec=spec)

    return Primitive(name, run, _infer, lower, residuals="none")


bitwise_and_primitive = _bitwise("bitwise_and", np.bitwise_and, "BitwiseAnd", "And")
bitwise_or_primitive = _bitwise("bitwise_or", np.bitwise_or, "BitwiseOr", "Or")
bitwise_xor_primitive = _bitwise("bitwise_xor", np.bitwise_xor, "BitwiseXor", "Xor")
bitwise_not_primitive = _bitwise("bitwise_not", np.bitwise_not, "BitwiseNot", "Not")


def _power_of_two(emit: Emitter, x: Value, y: Value) -> Value:
    wide = emit.cast(y, np.int64)
    return emit.cast(emit("Pow", emit.constant(2, np.int64), wide, spec=wide.spec), x.dtype)


def _left_shift_lower(emit: Emitter, x: Value, y: Value) -> Value:
    """ONNX shifts unsigned integers only: a product with a power of two does it for all."""
    return emit("Mul", x, _power_of_two(emit, x, y), spec=_infer(x.spec, y.spec))


def _right_shift_lower(emit: Emitter, x: Value, y: Value) -> Value:
    """Division by a power of two, rounded down as a shift does it; in 64 bits, where the power always fits."""
    spec = TensorSpec(_infer(x.spec, y.spec).shape, np.int64)
    number, divisor = emit.cast(x, np.int64), _power_of_two(emit, emit.cast(x, np.int64), y)
    rest = emit("Mod", number, divisor, spec=spec)
    return emit.cast(emit("Div", emit("Sub", number, rest, spec=spec), divisor), x.dtype)


left_shift_primitive = binary("left_shift", np.left_shift, _left_shift_lower, residuals="none", infer=_infer)
right_shift_primitive = binary("right_shift", np.right_shift, _right_shift_lower, residuals="none", infer=_infer)
gcd_primitive = binary("gcd", np.gcd, unsupported_lowering("gcd"), residuals="none", infer=_infer)
lcm_primitive = binary("lcm", np.lcm, unsupported_lowering("lcm"), residuals="none", infer=_infer)


def _integers(x: Any, y: Any) -> tuple[Any, Any]:
    first, second = promote(x, y)
    return as_number(first), as_number(second)


def bitwise_and(x: Any, y: Any) -> Tensor:
    """Bits set in both integers (ONNX: BitwiseAnd).

    >>> import sardonyx as sx
    >>> int(sx.ops.bitwise_and(0b1100, 0b1010))
    8
    """
    return bitwise_and_primitive(*promote(x, y))


def bitwise_or(x: Any, y: Any) -> Tensor:
    """Bits set in at least one of two integers (ONNX: BitwiseOr)."""
    return bitwise_or_primitive(*promote(x, y))


def bitwise_xor(x: Any, y: Any) -> Tensor:
    """Bits set in exactly one of two integers (ONNX: BitwiseXor)."""
    return bitwise_xor_primitive(*promote(x, y))


def bitwise_not(x: Any) -> Tensor:
    """All bits turned (ONNX: BitwiseNot)."""
    return bitwise_not_primitive(x)


bitwise_invert = bitwise_not


def left_shift(x: Any, y: Any) -> Tensor:
    """Bits moved `y` places to the left: `x * 2**y` within the integer's width (ONNX: Mul by a power of two).

    >>> import sardonyx as sx
    >>> int(sx.ops.left_shift(3, 2))
    12
    """
    return left_shift_primitive(*_integers(x, y))


def right_shift(x: Any, y: Any) -> Tensor:
    """Bits moved `y` places to the right, the sign kept: `x // 2**y` (ONNX: Div by a power of two).

    >>> import sardonyx as sx
    >>> int(sx.ops.right_shift(-5, 1))
    -3
    """
    return right_shift_primitive(*_integers(x, y))


bitwise_left_shift = left_shift
bitwise_right_shift = right_shift


def gcd(x1: Any, x2: Any) -> Tensor:
    """Greatest common divisor of integers; ONNX has no form of it, so export raises `NotImplementedError`.

    >>> import sardonyx as sx
    >>> int(sx.ops.gcd(12, 18))
    6
    """
    return gcd_primitive(*promote(x1, x2))


def lcm(x1: Any, x2: Any) -> Tensor:
    """Least common multiple of integers; ONNX has no form of it, so export raises `NotImplementedError`."""
    return lcm_primitive(*promote(x1, x2))
