"""Functions that state their own gradient (Keras name: `ops.custom_gradient`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core import tree
from ..core.primitive import Primitive
from ..core.tensor import Tensor
from ..core.variable import Variable
from .convert import convert_to_tensor

__all__ = ["custom_gradient"]


def _infer(*specs: Any, count: int, rule: Any) -> tuple[Any, ...]:
    return specs[count:]


def _lower(emit: Any, *values: Any, count: int, rule: Any) -> tuple[Any, ...]:
    return tuple(emit("Identity", v) for v in values[count:])


def _joint_vjp(gradients: Any, outputs: Any, inputs: Any, needed: Any, *, count: int, rule: Any) -> list[Tensor | None]:
    found = rule(*gradients)
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(found) != count:
        raise ValueError(
            f"custom_gradient: the gradient function returned {len(found)} gradients for {count} arguments; "
            "expected one per tensor argument, None where there is none"
        )
    return [*found, *[None] * (len(inputs) - count)]


# The results pass through; that the arguments are inputs as well is what brings the gradient to them.
custom_gradient_primitive = Primitive(
    name="custom_gradient",
    run=lambda *arrays, count, rule: arrays[count:],
    infer=_infer,
    lower=_lower,
    joint_vjp=_joint_vjp,
    residuals="none",
)


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that states its own gradient: `f(*tensors)` returns `(result, gradient)`.

    `gradient` is called with the gradient of each result and returns one gradient per tensor argument. It may be
    differentiated in turn. Variables that `f` reads from outside get no
    gradient through it. Keras name: `ops.custom_gradient`.

    >>> import sardonyx as sx
    >>> @sx.ops.custom_gradient
    ... def clipped(x):
    ...     return x, lambda upstream: sx.ops.clip(upstream, -1.0, 1.0)
    >>> float(sx.grad(lambda x: clipped(x) * 5)(2.0))
    1.0
    """

    @functools.wraps(f)
    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        result, rule = f(*arguments, **keywords)
        leaves = [convert_to_tensor(x) for x in tree.flatten(result)]
        tensors = [x for x in tree.flatten(list(arguments)) if isinstance(x, (Tensor, Variable))]
        passed = custom_gradient_primitive(*tensors, *leaves, count=len(tensors), rule=rule)
        return tree.pack_sequence_as(result, passed)

    return wrapped
