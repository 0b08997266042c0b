"""Comparisons, logic, tests for NaN and infinity, and the choice between values that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import absolute, add, multiply, subtract
from .convert import apply_promoted, cast, promote_all
from .lowering import BOOL, FLOAT32, INT32, boolean, in_dtypes
from .rules import binary, broadcast_shapes, broadcasting_operator, infer_comparison, unary

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


def _ordered(operator: str) -> Callable[..., Value]:
    """ONNX orders numbers only: booleans are compared as integers."""
    plain = broadcasting_operator(operator, infer_comparison)

    def lower(emit: Emitter, x: Value, y: Value) -> Value:
        if x.dtype.kind == "b" and operator != "Equal":
            x, y = emit.cast(x, INT32), emit.cast(y, INT32)
        return plain(emit, x, y)

    return lower


def _not_equal_lower(emit: Emitter, x: Value, y: Value) -> Value:
    return emit("Not", broadcasting_operator("Equal", infer_comparison)(emit, x, y))


def _comparison(name: str, run: Callable[..., Any], lower: Callable[..., Value]) -> Primitive:
    return binary(name, run, lower, residuals="none", infer=infer_comparison)


equal_primitive = _comparison("equal", np.equal, _ordered("Equal"))
not_equal_primitive = _comparison("not_equal", np.not_equal, _not_equal_lower)
less_primitive = _comparison("less", np.less, _ordered("Less"))
less_equal_primitive = _comparison("less_equal", np.less_equal, _ordered("LessOrEqual"))
greater_primitive = _comparison("greater", np.greater, _ordered("Greater"))
greater_equal_primitive = _comparison("greater_equal", np.greater_equal, _ordered("GreaterOrEqual"))


def _infer_logical(*inputs: TensorSpec) -> TensorSpec:
    for x in inputs:
        if x.dtype != BOOL:
            raise DtypeError(f"expected booleans, got {x.dtype.name}")
    return TensorSpec(broadcast_shapes(*[x.shape for x in inputs]), BOOL)


def _logical(name: str, run: Callable[..., Any], operator: str) -> Primitive:
    lower = broadcasting_operator(operator, _infer_logical)
    return Primitive(name, run, _infer_logical, lower, residuals="none")


logical_and_primitive = _logical("logical_and", np.logical_and, "And")
logical_or_primitive = _logical("logical_or", np.logical_or, "Or")
logical_xor_primitive = _logical("logical_xor", np.logical_xor, "Xor")
logical_not_primitive = _logical("logical_not", np.logical_not, "Not")


def _float_test(name: str, run: Callable[..., Any], lower: Callable[..., Value]) -> Primitive:
    """A test for special floating-point values; integers have none."""

    def lower_any(emit: Emitter, x: Value) -> Value:
        return lower(emit, in_dtypes(emit, x, "fd" if emit.opset < 20 else "efd", FLOAT32))

    return unary(name, run, lower_any, residuals="none", infer=infer_comparison)


isnan_primitive = _float_test("isnan", np.isnan, lambda emit, x: boolean(emit, "IsNaN", x))
isinf_primitive = _float_test("isinf", np.isinf, lambda emit, x: boolean(emit, "IsInf", x))
isfinite_primitive = _float_test(
    "isfinite",
    np.isfinite,
    lambda emit, x: emit("Not", boolean(emit, "Or", boolean(emit, "IsNaN", x), boolean(emit, "IsInf", x))),
)


def _infinity(emit: Emitter, x: Value, positive: bool) -> Value:
    spec = TensorSpec(x.shape, BOOL)
    return emit("IsInf", x, detect_positive=int(positive), detect_negative=int(not positive), spec=spec)


isposinf_primitive = _float_test(
    "isposinf", lambda x: np.equal(x, np.inf) if x.dtype.kind == "f" else np.zeros(x.shape, bool),
    lambda emit, x: _infinity(emit, x, True),
)  # fmt: skip
isneginf_primitive = _float_test(
    "isneginf", lambda x: np.equal(x, -np.inf) if x.dtype.kind == "f" else np.zeros(x.shape, bool),
    lambda emit, x: _infinity(emit, x, False),
)  # fmt: skip


def equal(x1: Any, x2: Any) -> Tensor:
    """Whether elements are equal (ONNX: Equal)."""
    return apply_promoted(equal_primitive, x1, x2)


def not_equal(x1: Any, x2: Any) -> Tensor:
    """Whether elements differ (ONNX: Equal, Not)."""
    return apply_promoted(not_equal_primitive, x1, x2)


def less(x1: Any, x2: Any) -> Tensor:
    """Whether `x1 < x2`, elementwise (ONNX: Less)."""
    return apply_promoted(less_primitive, x1, x2)


def less_equal(x1: Any, x2: Any) -> Tensor:
    """Whether `x1 <= x2`, elementwise (ONNX: LessOrEqual)."""
    return apply_promoted(less_equal_primitive, x1, x2)


def greater(x1: Any, x2: Any) -> Tensor:
    """Whether `x1 > x2`, elementwise (ONNX: Greater)."""
    return apply_promoted(greater_primitive, x1, x2)


def greater_equal(x1: Any, x2: Any) -> Tensor:
    """Whether `x1 >= x2`, elementwise (ONNX: GreaterOrEqual)."""
    return apply_promoted(greater_equal_primitive, x1, x2)


def logical_and(x1: Any, x2: Any) -> Tensor:
    """Whether both are true; numbers are true unless 0 (ONNX: And)."""
    return logical_and_primitive(cast(x1, "bool"), cast(x2, "bool"))


def logical_or(x1: Any, x2: Any) -> Tensor:
    """Whether at least one is true; numbers are true unless 0 (ONNX: Or)."""
    return logical_or_primitive(cast(x1, "bool"), cast(x2, "bool"))


def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Whether exactly one is true; numbers are true unless 0 (ONNX: Xor)."""
    return logical_xor_primitive(cast(x1, "bool"), cast(x2, "bool"))


def logical_not(x: Any) -> Tensor:
    """Whether the value is false or 0 (ONNX: Not)."""
    return logical_not_primitive(cast(x, "bool"))


def isnan(x: Any) -> Tensor:
    """Whether elements are NaN (ONNX: IsNaN)."""
    return isnan_primitive(x)


def isinf(x: Any) -> Tensor:
    """Whether elements are infinite (ONNX: IsInf)."""
    return isinf_primitive(x)


def isfinite(x: Any) -> Tensor:
    """Whether elements are neither infinite nor NaN (ONNX: IsNaN, IsInf)."""
    return isfinite_primitive(x)


def isposinf(x: Any) -> Tensor:
    """Whether elements are +inf (ONNX: IsInf)."""
    return isposinf_primitive(x)


def isneginf(x: Any) -> Tensor:
    """Whether elements are -inf (ONNX: IsInf)."""
    return isneginf_primitive(x)


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`, elementwise; infinities are close to themselves.

    >>> import sardonyx as sx
    >>> sx.ops.isclose([1.0, 2.0], [1.000001, 2.1]).numpy().tolist()
    [True, False]
    """
    x, y = promote_all(x1, x2, 0.0)[:2]
    near = less_equal(absolute(subtract(x, y)), add(multiply(absolute(y), rtol), atol))
    close = logical_or(logical_and(near, isfinite(y)), equal(x, y))
    return logical_or(close, logical_and(isnan(x), isnan(y))) if equal_nan else close
