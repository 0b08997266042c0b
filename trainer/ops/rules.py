"""Shape rules and constructors that families of primitives share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dims import Shape, UndecidableSize, broadcast_size
from ..core.emitter import Emitter, Value, onnx_operator
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive, Residuals, Rule
from ..core.spec import TensorSpec


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that NumPy's broadcasting gives, symbolic sizes included; raises `ShapeError` naming the axis."""
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        return tuple(shapes[0])
    rank = max((len(s) for s in shapes), default=0)
    result: list[Any] = []
    for axis in range(-rank, 0):
        size: Any = 1
        for shape in shapes:
            if len(shape) >= -axis:
                size = _broadcast_axis(size, shape[axis], axis, shapes)
        result.append(size)
    return tuple(result)


def _broadcast_axis(first: Any, second: Any, axis: int, shapes: tuple[Shape, ...]) -> Any:
    try:
        return broadcast_size(first, second)
    except ValueError as error:
        all_shapes = " and ".join(format_shape(s) for s in shapes)
        if isinstance(error, UndecidableSize):
            raise ShapeError(f"shapes {all_shapes}, axis {axis}: {error}") from None
        raise ShapeError(
            f"shapes {all_shapes} do not broadcast: axis {axis} has sizes {first} and {second}; expected equal "
            f"sizes, or 1"
        ) from None


def infer_same(x: TensorSpec, **attributes: Any) -> TensorSpec:
    """The result is like the input."""
    return TensorSpec(x.shape, x.dtype)


def infer_float(x: TensorSpec, **attributes: Any) -> TensorSpec:
    """The result is like the input, which must be floating-point."""
    if x.dtype.kind not in "fc":
        raise DtypeError(f"expected a floating-point tensor, got {x.dtype.name}")
    return TensorSpec(x.shape, x.dtype)


def infer_broadcast(*inputs: TensorSpec, **attributes: Any) -> TensorSpec:
    """The inputs broadcast against each other; they have one dtype."""
    for x in inputs[1:]:
        if x.dtype != inputs[0].dtype:
            raise DtypeError(f"expected operands of one dtype, got {inputs[0].dtype.name} and {x.dtype.name}")
    return TensorSpec(broadcast_shapes(*[x.shape for x in inputs]), inputs[0].dtype)


def infer_comparison(*inputs: TensorSpec, **attributes: Any) -> TensorSpec:
    """The inputs broadcast against each other; the result is boolean."""
    return TensorSpec(infer_broadcast(*inputs).shape, np.dtype(bool))


def unary(
    name: str,
    run: Callable[..., Any],
    lower: str | Callable[..., Any],
    vjp: Rule | None = None,
    residuals: Residuals = "all",
    infer: Callable[..., Any] = infer_same,
) -> Primitive:
    """An elementwise primitive of one input; `lower` may be the name of an ONNX operator."""
    lowering = onnx_operator(lower) if isinstance(lower, str) else lower
    return Primitive(name, run, infer, lowering, None if vjp is None else (vjp,), residuals=residuals)


def binary(
    name: str,
    run: Callable[..., Any],
    lower: str | Callable[..., Any],
    vjp: tuple[Rule | None, Rule | None] | None = None,
    residuals: Residuals = "all",
    infer: Callable[..., Any] = infer_broadcast,
) -> Primitive:
    """A broadcasting primitive of two inputs of one dtype; `lower` may be the name of an ONNX operator."""
    lowering = broadcasting_operator(lower, infer) if isinstance(lower, str) else lower
    return Primitive(name, run, infer, lowering, vjp, residuals=residuals)


def broadcasting_operator(operator: str, infer: Callable[..., Any] = infer_broadcast) -> Callable[..., Value]:
    """A lowering that is one ONNX operator whose inputs broadcast."""

    def lower(emit: Emitter, *values: Value, **attributes: Any) -> Value:
        return emit(operator, *values, spec=infer(*[v.spec for v in values]))

    return lower
