"""The value itself as a new tensor: to give a result its own name, or to cut the path of the gradient."""

from __future__ import annotations

from typing import Any

from ..core.emitter import onnx_operator
from ..core.primitive import Primitive
from ..core.tensor import Tensor
from .rules import infer_same

__all__ = ["stop_gradient"]

identity_primitive = Primitive(
    name="identity",
    run=lambda x: x,
    infer=infer_same,
    lower=onnx_operator("Identity"),
    vjp=(lambda g, out, x: g,),
    residuals="none",
)

stop_gradient_primitive = Primitive(
    name="stop_gradient",
    run=lambda x: x,
    infer=infer_same,
    lower=onnx_operator("Identity"),
    residuals="none",
)


def pass_through(x: Any) -> Tensor:
    """The same value as a new tensor, and a new node of the graph (ONNX: Identity)."""
    return identity_primitive(x)


def stop_gradient(variable: Any) -> Tensor:
    """The same value, a constant to differentiation (ONNX: Identity; Keras name: `ops.stop_gradient`).

    >>> import sardonyx as sx
    >>> float(sx.grad(lambda x: x * sx.ops.stop_gradient(x))(3.0))
    3.0
    """
    return stop_gradient_primitive(variable)
