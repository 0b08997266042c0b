"""The choice between values: gates, `where`, the larger and the smaller of two, clipping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add, multiply
from .comparison import equal, greater, greater_equal, isnan, less, less_equal, logical_and, logical_not
from .convert import apply_promoted, cast, convert_to_tensor, promote, promote_all
from .lowering import BOOL, INT32
from .rules import binary, broadcast_shapes, infer_same

__all__ = ["clip", "fmax", "fmin", "heaviside", "maximum", "minimum", "select", "where"]

BITS = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}
_BLOCK = 16384


def _gate_run(x: np.ndarray, condition: np.ndarray) -> np.ndarray:
    # As integers, so that infinities and NaN behind a closed gate become 0 and not NaN, at the speed of a product
    bits = BITS.get(x.dtype.itemsize)
    if x.dtype.kind != "f" or bits is None:
        return x * condition
    return np.multiply(x.view(bits), condition, dtype=bits).view(x.dtype)


def _infer_gate(x: TensorSpec, condition: TensorSpec) -> TensorSpec:
    if condition.dtype != BOOL:
        raise DtypeError(f"expected a boolean condition, got {condition.dtype.name}")
    return TensorSpec(broadcast_shapes(x.shape, condition.shape), x.dtype)


def _gate_lower(emit: Emitter, x: Value, condition: Value) -> Value:
    return emit("Mul", x, emit.cast(condition, x.dtype), spec=_infer_gate(x.spec, condition.spec))


gate_primitive = Primitive(
    name="gate",
    run=_gate_run,
    infer=_infer_gate,
    lower=_gate_lower,
    vjp=(lambda g, out, x, condition: gate(g, condition), None),
    residuals="inputs",
)


def gate(x: Any, condition: Any) -> Tensor:
    """`x` where the condition holds, 0 elsewhere: a product with a mask, many times faster than `where`."""
    return gate_primitive(x, condition)


def _where_run(condition: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    bits = BITS.get(x.dtype.itemsize)
    if bits is None or condition.size < 1024 or not x.shape == y.shape == condition.shape or x.dtype.kind in "OcSU":
        return np.where(condition, x, y)
    # y ^ ((x ^ y) & mask) on the bits: no branch for each element
    first, second = np.ascontiguousarray(x).view(bits).reshape(-1), np.ascontiguousarray(y).view(bits).reshape(-1)
    mask, out = condition.reshape(-1), np.empty(x.size, bits)
    for start in range(0, x.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        chosen = out[part]
        np.bitwise_xor(first[part], second[part], out=chosen)
        np.multiply(chosen, mask[part], out=chosen)
        np.bitwise_xor(chosen, second[part], out=chosen)
    return out.view(x.dtype).reshape(x.shape)


def _infer_where(condition: TensorSpec, x: TensorSpec, y: TensorSpec) -> TensorSpec:
    if x.dtype != y.dtype:
        raise DtypeError(f"expected values of one dtype, got {x.dtype.name} and {y.dtype.name}")
    if condition.dtype != BOOL:
        raise DtypeError(f"expected a boolean condition, got {condition.dtype.name}")
    return TensorSpec(broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype)


def _where_lower(emit: Emitter, condition: Value, x: Value, y: Value) -> Value:
    spec = _infer_where(condition.spec, x.spec, y.spec)
    if x.dtype != BOOL:
        return emit("Where", condition, x, y, spec=spec)
    # onnxruntime has no Where for booleans
    numbers = emit("Where", condition, emit.cast(x, INT32), emit.cast(y, INT32), spec=TensorSpec(spec.shape, INT32))
    return emit.cast(numbers, BOOL)


where_primitive = Primitive(
    name="where",
    run=_where_run,
    infer=_infer_where,
    lower=_where_lower,
    vjp=(
        None,
        lambda g, out, condition, x, y: gate(g, condition),
        lambda g, out, condition, x, y: gate(g, logical_not(condition)),
    ),
    residuals="inputs",
)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """`x1` where the condition holds, else `x2`, with broadcasting (ONNX: Where).

    Without `x1` and `x2`: the places where the condition holds, as `ops.nonzero`. Raises `ValueError` for one of them.

    >>> import sardonyx as sx
    >>> sx.ops.where([True, False], 1.0, [5.0, 6.0]).numpy().tolist()
    [1.0, 6.0]
    """
    if x1 is None or x2 is None:
        if x1 is not x2:
            raise ValueError("where: give both x1 and x2, or neither (then the places where the condition holds)")
        return FUNCTIONS["nonzero"](condition)
    x, y = promote(x1, x2)
    return where_primitive(cast(condition, "bool"), x, y)


def _share(g: Tensor, winner: Tensor, loser: Tensor) -> Tensor:
    """The part of a gradient that goes to the larger of two operands: all, half on a tie, or nothing."""
    wins, ties = cast(greater(winner, loser), g.dtype), cast(greater_equal(winner, loser), g.dtype)
    return multiply(g, multiply(add(wins, ties), 0.5))


def _on_numbers(operator: str, logical: str) -> Any:
    def lower(emit: Emitter, x: Value, y: Value) -> Value:
        spec = TensorSpec(broadcast_shapes(x.shape, y.shape), x.dtype)
        return emit(logical if x.dtype == BOOL else operator, x, y, spec=spec)

    return lower


maximum_primitive = binary(
    "maximum",
    np.maximum,
    _on_numbers("Max", "Or"),
    vjp=(lambda g, out, x, y: _share(g, x, y), lambda g, out, x, y: _share(g, y, x)),
    residuals="inputs",
)
minimum_primitive = binary(
    "minimum",
    np.minimum,
    _on_numbers("Min", "And"),
    vjp=(lambda g, out, x, y: _share(g, y, x), lambda g, out, x, y: _share(g, x, y)),
    residuals="inputs",
)


def maximum(x1: Any, x2: Any) -> Tensor:
    """The larger of two elements, NaN if either is; ties share the gradient evenly (ONNX: Max)."""
    return apply_promoted(maximum_primitive, x1, x2)


def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of two elements, NaN if either is; ties share the gradient evenly (ONNX: Min)."""
    return apply_promoted(minimum_primitive, x1, x2)


def _ignoring_nan(choose: Any, x1: Any, x2: Any) -> Tensor:
    x, y = promote(x1, x2)
    if x.dtype.kind != "f":
        return choose(x, y)
    return choose(where(isnan(x), y, x), where(isnan(y), x, y))


def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of two elements; where one is NaN, the other.

    >>> import sardonyx as sx
    >>> sx.ops.fmax([1.0, float("nan")], [3.0, 2.0]).numpy().tolist()
    [3.0, 2.0]
    """
    return _ignoring_nan(maximum, x1, x2)


def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of two elements; where one is NaN, the other."""
    return _ignoring_nan(minimum, x1, x2)


def _clip_run(x: np.ndarray, *, low: Any, high: Any) -> np.ndarray:
    if low is None:
        return np.minimum(x, x.dtype.type(high))
    raised = np.maximum(x, x.dtype.type(low))
    return raised if high is None else np.minimum(raised, raised.dtype.type(high), out=raised if x.ndim else None)


def _clip_lower(emit: Emitter, x: Value, *, low: Any, high: Any) -> Value:
    bounds = [None if bound is None else emit.constant(bound, x.dtype) for bound in (low, high)]
    return emit("Clip", x, *bounds)


def _clip_vjp(g: Tensor, out: Tensor, x: Tensor, *, low: Any, high: Any) -> Tensor:
    inside = [f(x, b) for f, b in ((greater_equal, low), (less_equal, high)) if b is not None]
    strictly = [f(x, b) for f, b in ((greater, low), (less, high)) if b is not None]
    within, interior = (v[0] if len(v) == 1 else logical_and(*v) for v in (inside, strictly))
    # half of the gradient passes on a bound: max(x, low) is a tie there
    return multiply(g, multiply(add(cast(within, g.dtype), cast(interior, g.dtype)), 0.5))


clip_primitive = Primitive(
    "clip", _clip_run, infer_same, _clip_lower, (_clip_vjp,), residuals="inputs"
)  # fmt: skip


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Values below `x_min` become `x_min`, above `x_max` become `x_max`; None leaves a side open (ONNX: Clip).

    >>> import sardonyx as sx
    >>> sx.ops.clip([-2.0, 0.5, 3.0], 0.0, 1.0).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    tensor = convert_to_tensor(x)
    if x_min is None and x_max is None:
        return tensor
    numbers = all(bound is None or isinstance(bound, (int, float)) for bound in (x_min, x_max))
    if numbers and (tensor.dtype.kind == "f" or all(bound is None or type(bound) is int for bound in (x_min, x_max))):
        if tensor.dtype.kind == "b":
            tensor = cast(tensor, "int32")
        return clip_primitive(tensor, low=x_min, high=x_max)
    raised = tensor if x_min is None else maximum(tensor, x_min)
    return raised if x_max is None else minimum(raised, x_max)


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 for negative `x1`, `x2` where it is 0, 1 for positive `x1`, NaN for NaN.

    >>> import sardonyx as sx
    >>> sx.ops.heaviside([-1.0, 0.0, 2.0], 0.5).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    x, y = promote_all(x1, x2, 0.0)[:2]
    step = cast(greater(x, 0), x.dtype)
    return where(isnan(x), x, where(equal(x, 0), y, step))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """For each element the choice of the first condition that holds, else `default`.

    Raises `ValueError` unless there are as many conditions as choices, and at least one.

    >>> import sardonyx as sx
    >>> x = sx.ops.arange(5)
    >>> sx.ops.select([x < 2, x > 3], [x, x * 10], -1).numpy().tolist()
    [0, 1, -1, -1, 40]
    """
    if not condlist or len(condlist) != len(choicelist):
        raise ValueError(
            f"select: expected as many choices as conditions, at least one, got {len(condlist)} conditions and "
            f"{len(choicelist)} choices"
        )
    result, *choices = promote_all(default, *choicelist)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = where(condition, choice, result)
    return result
