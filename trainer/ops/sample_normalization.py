"""Layer and RMS normalisation as primitives: statistics of each sample over its last axes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..core.dims import Shape, is_static
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from .lowering import emit_reduce
from .normalization_gradients import Form, second_order
from .normalization_kernels import normalize_rows, normalize_rows_gradient
from .precision import in_single


def _flat(x: np.ndarray, first: int) -> np.ndarray:
    """The array as one row a sample."""
    return np.ascontiguousarray(x).reshape(prod(x.shape[:first]), prod(x.shape[first:]))


def _vector(x: np.ndarray | None) -> np.ndarray | None:
    return None if x is None else x.reshape(-1)


def _check(x: TensorSpec, first: int, *weights: TensorSpec | None) -> None:
    if x.dtype.kind != "f":
        raise DtypeError(f"expected a floating-point tensor, got {x.dtype.name}")
    for weight in weights:
        if weight is not None and (not same_shape(weight.shape, x.shape[first:]) or weight.dtype != x.dtype):
            raise ShapeError(
                f"expected scale and bias of shape {format_shape(x.shape[first:])} and dtype {x.dtype.name}, "
                f"got {format_shape(weight.shape)} and {weight.dtype.name}"
            )


def _forward(centered: bool) -> Callable[..., np.ndarray]:
    def run(
        x: np.ndarray, scale: np.ndarray | None = None, bias: np.ndarray | None = None, *, first: int, epsilon: float
    ) -> np.ndarray:
        for weight in (scale, bias):
            if weight is not None and weight.shape != x.shape[first:]:
                raise ValueError("scale and input do not fit")
        return normalize_rows(_flat(x, first), _vector(scale), _vector(bias), epsilon, centered).reshape(x.shape)

    return in_single(run)


def _infer(
    x: TensorSpec, scale: TensorSpec | None = None, bias: TensorSpec | None = None, *, first: int, epsilon: float
) -> TensorSpec:
    _check(x, first, scale, bias)
    return TensorSpec(x.shape, x.dtype)


def constant_of(emit: Emitter, value: float, shape: Shape, dtype: np.dtype) -> Value:
    """A tensor of one value."""
    if is_static(shape):
        return emit.constant(np.full(shape, value, dtype))  # pyright: ignore[reportArgumentType, reportCallIssue]
    return emit("ConstantOfShape", emit.shape(shape), value=np.full(1, value, dtype), spec=TensorSpec(shape, dtype))


def _layer_lower(
    emit: Emitter, x: Value, scale: Value | None = None, bias: Value | None = None, *, first: int, epsilon: float
) -> Value:
    weights = constant_of(emit, 1.0, x.shape[first:], x.dtype) if scale is None else scale
    return emit("LayerNormalization", x, weights, bias, axis=first - x.rank, epsilon=epsilon)


def _kept(x: Value, axes: tuple[int, ...]) -> TensorSpec:
    return TensorSpec([1 if i in axes else n for i, n in enumerate(x.shape)], x.dtype)


def emit_mean(emit: Emitter, x: Value, axes: tuple[int, ...]) -> Value:
    """The mean over axes, which are kept."""
    return emit_reduce(emit, "ReduceMean", x, axes, _kept(x, axes))


def emit_root(emit: Emitter, square: Value, epsilon: float) -> Value:
    """One over the root of a mean square."""
    shifted = emit("Add", square, emit.constant(epsilon, square.dtype))
    return emit("Reciprocal", emit("Sqrt", shifted))


def _rms_lower(
    emit: Emitter, x: Value, scale: Value | None = None, bias: Value | None = None, *, first: int, epsilon: float
) -> Value:
    if emit.opset >= 23:
        weights = constant_of(emit, 1.0, x.shape[first:], x.dtype) if scale is None else scale
        out = emit("RMSNormalization", x, weights, axis=first - x.rank, epsilon=epsilon)
    else:
        inverse = emit_root(emit, emit_mean(emit, emit("Mul", x, x), tuple(range(first, x.rank))), epsilon)
        out = emit("Mul", x, inverse)
        out = out if scale is None else emit("Mul", out, scale)
    return out if bias is None else emit("Add", out, bias)


def _gradient_run(centered: bool) -> Callable[..., tuple[np.ndarray, ...]]:
    def run(
        dy: np.ndarray, x: np.ndarray, scale: np.ndarray | None = None, *, first: int, epsilon: float
    ) -> tuple[np.ndarray, ...]:
        inner = x.shape[first:]
        dx, dscale, dbias = normalize_rows_gradient(
            _flat(dy, first), _flat(x, first), _vector(scale), epsilon, centered
        )
        return dx.reshape(x.shape), dscale.reshape(inner), dbias.reshape(inner)

    return in_single(run)


def _gradient_infer(
    dy: TensorSpec, x: TensorSpec, scale: TensorSpec | None = None, *, first: int, epsilon: float
) -> tuple[TensorSpec, ...]:
    _check(x, first, scale)
    inner = TensorSpec(x.shape[first:], x.dtype)
    return TensorSpec(x.shape, x.dtype), inner, inner


def emit_projected(
    emit: Emitter, g: Value, standard: Value, inverse: Value, axes: tuple[int, ...], centered: bool
) -> Value:
    """The gradient of standardising, as `second_order` has it: r * P(g)."""
    along = emit("Mul", standard, emit_mean(emit, emit("Mul", g, standard), axes))
    rest = emit("Sub", g, along)
    if centered:
        rest = emit("Sub", rest, emit_mean(emit, g, axes))
    return emit("Mul", rest, inverse)


def emit_standardized(
    emit: Emitter, x: Value, first: int, epsilon: float, centered: bool = True
) -> tuple[Value, Value]:
    """The standardised input and one over its deviation."""
    axes = tuple(range(first, x.rank))
    if not centered:
        inverse = emit_root(emit, emit_mean(emit, emit("Mul", x, x), axes), epsilon)
        return emit("Mul", x, inverse), inverse
    ones = constant_of(emit, 1.0, x.shape[first:], x.dtype)
    statistic = _kept(x, axes)
    standard, _, inverse = emit.many(
        "LayerNormalization", x, ones, None, specs=(x.spec, statistic, statistic), axis=first - x.rank, epsilon=epsilon
    )
    return standard, inverse


def _gradient_lower(centered: bool) -> Callable[..., tuple[Value, ...]]:
    def lower(
        emit: Emitter, dy: Value, x: Value, scale: Value | None = None, *, first: int, epsilon: float
    ) -> tuple[Value, ...]:
        axes, outer = tuple(range(first, x.rank)), tuple(range(first))
        standard, inverse = emit_standardized(emit, x, first, epsilon, centered)
        scaled = dy if scale is None else emit("Mul", dy, scale)
        dx = emit_projected(emit, scaled, standard, inverse, axes, centered)
        inner = TensorSpec(x.shape[first:], x.dtype)
        if not outer:
            return dx, emit("Mul", dy, standard), emit("Identity", dy)
        dscale = emit_reduce(emit, "ReduceSum", emit("Mul", dy, standard), outer, inner, keepdims=False)
        return dx, dscale, emit_reduce(emit, "ReduceSum", dy, outer, inner, keepdims=False)

    return lower


def _form(x: Tensor, first: int, epsilon: float, centered: bool) -> Form:
    axes = tuple(range(first, len(x.shape)))
    return Form(axes, axes, epsilon, centered)


def _pair(name: str, centered: bool, lower: Callable[..., Value]) -> tuple[Primitive, Primitive]:
    """A normalisation and its gradient."""

    def gradient_vjp(
        gradients: Any, outputs: Any, inputs: Any, needed: Any, *, first: int, epsilon: float
    ) -> list[Any]:
        dy, x = inputs[:2]
        scale = inputs[2] if len(inputs) > 2 else None
        form = _form(x, first, epsilon, centered)
        return list(second_order(gradients, dy, x, scale, form))[: len(inputs)]

    gradient = Primitive(
        name=f"{name}_gradient",
        run=_gradient_run(centered),
        infer=_gradient_infer,
        lower=_gradient_lower(centered),
        joint_vjp=gradient_vjp,
        residuals="inputs",
    )

    def vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, **attributes: Any) -> list[Tensor | None]:
        x, scale = (*inputs, None)[:2]
        found = gradient(gradients[0], x, *([] if scale is None else [scale]), **attributes)
        return list(found)[: len(inputs)]

    forward = Primitive(name=name, run=_forward(centered), infer=_infer, lower=lower, joint_vjp=vjp, residuals="inputs")
    return forward, gradient


layer_normalization_primitive, layer_normalization_gradient = _pair("layer_normalization", True, _layer_lower)
rms_normalization_primitive, rms_normalization_gradient = _pair("rms_normalization", False, _rms_lower)
