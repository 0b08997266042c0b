"""Activations: operators of their own, and what exporters make of those that have none."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from typing import Any

from .patterns import OneOf, Op, match, op
from .table import decomposed, finder
from .view import Found, GraphView

PLAIN = {
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign", "HardSwish": "hard_silu",
    "Mish": "mish",
}  # fmt: skip
"""Operators that are one of our activations by name."""

SIGMOID_6 = OneOf((
    op("Div", op("Clip", op("Add", "x", 3), 0, 6), 6), op("Mul", op("Clip", op("Add", "x", 3), 0, 6), 1 / 6),
    op("HardSigmoid", "x", alpha=1 / 6),
))  # fmt: skip
TAIL = OneOf((op("Erf", op("Div", "x", sqrt(2))), op("Erf", op("Mul", "x", sqrt(0.5)))))
GROWN = op("Add", TAIL, 1)
CUBE = OneOf((
    op("Mul", OneOf((op("Pow", "x", 3), op("Mul", op("Mul", "x", "x"), "x"))), 0.044715),
    op("Mul", "x", op("Mul", "x", op("Mul", "x", 0.044715))),
))  # fmt: skip
BENT = op("Add", op("Tanh", OneOf((
    op("Mul", op("Add", "x", CUBE), sqrt(2 / pi)),
    op("Mul", op("Mul", "x", sqrt(2 / pi)), op("Add", op("Mul", op("Mul", "x", "x"), 0.044715), 1)),
    op("Mul", op("Mul", "x", sqrt(2 / pi)), op("Add", op("Mul", op("Mul", "x", 0.044715), "x"), 1)),
))), 1)  # fmt: skip


def halved(factor: Op) -> OneOf:
    """x * factor / 2 in the orders in which exporters write it."""
    return OneOf((
        op("Mul", op("Mul", "x", factor), 0.5), op("Mul", op("Mul", "x", 0.5), factor),
        op("Mul", "x", op("Mul", factor, 0.5)),
    ))  # fmt: skip


CHAINS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("gelu", halved(GROWN), {}),
    ("gelu_tanh", halved(BENT), {}),
    ("silu", op("Mul", "x", op("Sigmoid", "x")), {}),
    ("hard_silu", op("Mul", "x", SIGMOID_6), {}),
    ("hard_silu", op("Div", op("Mul", "x", op("Clip", op("Add", "x", 3), 0, 6)), 6), {}),
    ("mish", op("Mul", "x", op("Tanh", op("Softplus", "x"))), {}),
)
"""Activations of several nodes: the name, the nodes."""


@decomposed("Mul", "Div")
def chain(view: GraphView, i: int) -> Found | None:
    """Nodes that are an activation together."""
    output = view.nodes[i].output[0]
    for name, tree, config in CHAINS:
        found = match(view, tree, output)
        if found is not None:
            return Found("Activation", found.nodes, (found.names["x"],), (output,), {"activation": name, **config})
    return None


@decomposed("Div", "Mul")
def hard_sigmoid(view: GraphView, i: int) -> Found | None:
    """relu6(x + 3) / 6."""
    output = view.nodes[i].output[0]
    found = match(view, OneOf(SIGMOID_6.trees[:2]), output)
    if found is None:
        return None
    return Found("Activation", found.nodes, (found.names["x"],), (output,), {"activation": "hard_sigmoid"})


def _of(kind: str, view: GraphView, i: int, **config: Any) -> Found:
    return Found(kind, (i,), (view.nodes[i].input[0],), (view.nodes[i].output[0],), config)


@finder(*PLAIN)
def plain(view: GraphView, i: int) -> Found | None:
    """An operator that is an activation."""
    return _of("Activation", view, i, activation=PLAIN[view.operator(i)])


@finder("Identity")
def identity(view: GraphView, i: int) -> Found | None:
    """The tensor as it is."""
    return _of("Identity", view, i)


@finder("Relu")
def rectifier(view: GraphView, i: int) -> Found | None:
    """max(x, 0)."""
    found = _of("ReLU", view, i)
    found.settle = _floating
    return found


def _floating(inputs: Sequence[Any]) -> dict[str, Any] | None:
    """Whole numbers stay whole in the operator, but not in the layer."""
    return {} if inputs[0].dtype.kind == "f" else None


@finder("LeakyRelu", "Elu")
def sloped(view: GraphView, i: int) -> Found | None:
    """A rectifier with one number."""
    leaky = view.operator(i) == "LeakyRelu"
    alpha = view.attributes(i).get("alpha", 0.01 if leaky else 1.0)
    if leaky and alpha < 0:
        return None
    return _of("LeakyReLU", view, i, negative_slope=alpha) if leaky else _of("ELU", view, i, alpha=alpha)


@finder("Gelu", "HardSigmoid", "Selu", "LogSoftmax")
def with_options(view: GraphView, i: int) -> Found | None:
    """Operators that are our activation for some of their attributes."""
    options, operator = view.attributes(i), view.operator(i)
    if operator == "Gelu":
        return _of("Activation", view, i, activation="gelu" if options.get("approximate") != "tanh" else "gelu_tanh")
    if operator == "HardSigmoid" and abs(options.get("alpha", 0.2) - 1 / 6) < 1e-6 and options.get("beta", 0.5) == 0.5:
        return _of("Activation", view, i, activation="hard_sigmoid")
    if operator == "Selu" and options.keys().isdisjoint(("alpha", "gamma")):
        return _of("Activation", view, i, activation="selu")
    if operator == "LogSoftmax":
        found = _of("Activation", view, i, activation="log_softmax")
        found.settle = _on_last_axis(options.get("axis", -1 if view.version >= 13 else 1))
        return found
    return None


@finder("Clip")
def bounded_rectifier(view: GraphView, i: int) -> Found | None:
    """Values between 0 and a bound: ReLU6 and its like."""
    node, options = view.nodes[i], view.attributes(i)
    low, high = options.get("min"), options.get("max")
    if view.version >= 11:
        bounds = [view.array(view.given(i, place)) for place in (1, 2)]
        if len(node.input) < 3 or any(b is None or b.size != 1 for b in bounds):
            return None
        low, high = (float(b.reshape(-1)[0]) for b in bounds if b is not None)
    if low != 0 or high is None or not 0 < high < 1e30:
        return None
    found = _of("ReLU", view, i, max_value=float(high))
    found.settle = _floating
    return found


@finder("PRelu")
def learned_slope(view: GraphView, i: int) -> Found | None:
    """A rectifier whose slopes are a weight."""
    name = view.nodes[i].input[1]
    slopes = view.weight(name)
    if slopes is None:
        return None

    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        sample = inputs[0].shape[1:]
        shape = (1,) * (len(sample) - slopes.ndim) + slopes.shape
        extra, own = shape[: len(shape) - len(sample)], shape[len(shape) - len(sample) :]
        if any(n != 1 for n in extra) or any(n not in (1, size) for n, size in zip(own, sample, strict=True)):
            return None
        shared = [axis for axis, n in enumerate(own, 1) if n == 1]
        return {"shared_axes": shared or None, "shapes": {"alpha": own}}

    found = _of("PReLU", view, i)
    found.weights, found.settle = {"alpha": view.source(name)}, settle
    return found


@finder("Softmax")
def softmax(view: GraphView, i: int) -> Found | None:
    """Softmax along one axis; before version 13 over all axes from one on."""
    axis = view.attributes(i).get("axis", -1 if view.version >= 13 else 1)
    found = _of("Softmax", view, i, axis=axis)
    if view.version < 13:
        found.config, found.settle = {"axis": -1}, _on_last_axis(axis)
    return found


def _on_last_axis(axis: int) -> Any:
    def settle(inputs: Sequence[Any]) -> dict[str, Any] | None:
        return {} if axis in (-1, len(inputs[0].shape) - 1) else None

    return settle
