"""Second derivatives of every normalisation, from one formula, and its pieces in operations."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core.dims import Shape, product
from ..core.tensor import Tensor
from .arithmetic import add, divide, multiply, subtract
from .broadcast import reshape, sum_axes
from .convert import cast, convert_to_tensor
from .power import rsqrt


class Form(NamedTuple):
    """What is normalised: over which axes, with which axes the scale varies, and whether the mean is taken out."""

    axes: tuple[int, ...]
    scale_axes: tuple[int, ...]
    epsilon: float
    centered: bool


def mean_over(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The mean over axes, which are kept; sizes may be symbolic."""
    total = sum_axes(x, axes, True)
    count = product([x.shape[a] for a in axes])
    if isinstance(count, int):
        return multiply(total, 1.0 / count)
    return divide(total, cast(convert_to_tensor(count), x.dtype))


def standardized(x: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """x with mean 0 (if centered) and variance 1, and one over its deviation."""
    if form.centered:
        x = subtract(x, mean_over(x, form.axes))
    inverse = rsqrt(add(mean_over(multiply(x, x), form.axes), form.epsilon))
    return multiply(x, inverse), inverse


def as_scale(scale: Tensor, shape: Shape, form: Form) -> Tensor:
    """A scale as it broadcasts against images of `shape`."""
    return reshape(scale, tuple(n if i in form.scale_axes else 1 for i, n in enumerate(shape)))


def _project(a: Tensor, standard: Tensor, form: Form) -> Tensor:
    """What remains of `a` without its mean (if centered) and its share along the standardised input."""
    rest = subtract(a, multiply(standard, mean_over(multiply(a, standard), form.axes)))
    return subtract(rest, mean_over(a, form.axes)) if form.centered else rest


def second_order(
    cotangents: tuple[Tensor, Tensor, Tensor], dy: Tensor, x: Tensor, scale: Tensor | None, form: Form
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for dy, x and scale, of the first gradients (dx, dscale, dbias), given their cotangents.

    With r one over the deviation, h the standardised x, G = dy * scale and P the projection:
    dx = r P(G), dscale = sum(dy h), dbias = sum(dy).
    """
    u = cotangents[0]
    v, w = (as_scale(c, x.shape, form) for c in cotangents[1:])
    standard, inverse = standardized(x, form)
    weights = None if scale is None else as_scale(scale, x.shape, form)
    scaled = dy if weights is None else multiply(dy, weights)
    through = multiply(inverse, _project(u, standard, form))
    to_dy = add(through if weights is None else multiply(through, weights), add(multiply(v, standard), w))
    to_scale = multiply(dy, through)
    mean_u, mean_g = (mean_over(multiply(a, standard), form.axes) for a in (u, scaled))
    crossed = add(multiply(u, mean_g), multiply(scaled, mean_u))
    to_standard = subtract(multiply(v, dy), multiply(inverse, crossed))
    slope = mean_over(multiply(u, _project(scaled, standard, form)), form.axes)
    curved = multiply(multiply(slope, multiply(inverse, inverse)), standard)
    to_x = subtract(multiply(inverse, _project(to_standard, standard, form)), curved)
    return to_dy, to_x, sum_to_scale(to_scale, form, () if scale is None else scale.shape)


def sum_to_scale(x: Tensor, form: Form, shape: Shape) -> Tensor:
    """The sum over the axes along which the scale does not vary, in the scale's shape."""
    others = tuple(a for a in range(len(x.shape)) if a not in form.scale_axes)
    total = sum_axes(x, others, False) if others else x
    return reshape(total, shape) if shape else total


def zero_or(x: Any) -> Any:
    """None for a gradient that is known to be zero, so that nothing is computed or written for it."""
    if x is None or (isinstance(x, Tensor) and x.array is not None and not x.array.any()):
        return None
    return x
