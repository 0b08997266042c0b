"""What a graph that has max-pooling and its gradient can share between the two.

Pooling and gradient look at the same slices of the image. And of a window one cell gets a gradient, the largest, which
is positive where the window's result is: a rectifier's gate on the gradient moves to the windows, fewer than the cells.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..trainer.core.graph import Graph, Node
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Symbol, Tensor
from ..trainer.ops.comparison import greater_primitive
from ..trainer.ops.pooling_primitives import max_pool_gradient, max_pool_of_slices, max_pool_primitive
from ..trainer.ops.selection import gate_primitive


def with_pooled_gradients(graph: Graph) -> list[Node]:
    """The nodes of a graph, where `gate(max_pool_gradient(dy, x), x > 0)` is `max_pool_gradient(gate(dy, y > 0), x)` if
    the graph has `y = max_pool(x)`, and nothing else reads the gradient; and such y are made of slices."""
    nodes = graph.nodes
    spread = {_settings(node, 1): node.index for node in reversed(nodes) if node.primitive is max_pool_gradient}
    pools = {_settings(node, 0): node for node in reversed(nodes) if node.primitive is max_pool_primitive}
    pooled = {key: node for key, node in pools.items() if node.index < spread.get(key, 0)}
    if not pooled:
        return nodes
    uses = Counter(id(x) for node in nodes for x in node.inputs)
    uses.update(id(x) for x in [*graph.results, *graph.assigns.values()])
    gates: dict[int, Node] = {}
    for node in nodes:
        gradient = _gated(node)
        if gradient is not None and uses[id(gradient.outputs[0])] == 1 and _settings(gradient, 1) in pooled:
            gates[gradient.index] = node
    return [x for node in nodes for x in _written(node, gates, pooled)]


def _written(node: Node, gates: dict[int, Node], pooled: dict[Any, Node]) -> list[Node]:
    """What stands in the place of a node."""
    if node.index in gates:
        return []
    if node.primitive is max_pool_primitive and _settings(node, 0) in pooled:
        return [_node(node, max_pool_of_slices, node.inputs, node.attributes, node.specs[0], node.outputs)]
    gradient = _gated(node)
    if gradient is None or gradient.index not in gates:
        return [node]
    dy, x = gradient.inputs
    largest = pooled[_settings(gradient, 1)].outputs[0]
    _, zero = _maker(node.inputs[1], greater_primitive).inputs  # pyright: ignore[reportOptionalMemberAccess]
    is_positive = _node(node, greater_primitive, (largest, zero), {}, TensorSpec(largest.shape, np.bool_))
    gated = _node(node, gate_primitive, (dy, is_positive.outputs[0]), {}, gradient.inputs[0].spec)  # pyright: ignore
    whole = (gated.outputs[0], x)
    spread = _node(gradient, max_pool_gradient, whole, gradient.attributes, gradient.specs[0], node.outputs)
    return [is_positive, gated, spread]


def _gated(node: Node) -> Node | None:
    """The gradient of a max-pooling behind a gate that is open where the pooled image is positive."""
    gradient = _maker(node.inputs[0], max_pool_gradient) if node.primitive is gate_primitive else None
    condition = None if gradient is None else _maker(node.inputs[1], greater_primitive)
    if gradient is None or condition is None or condition.inputs[0] is not gradient.inputs[1]:
        return None
    limit = condition.inputs[1]
    return None if limit is None or limit.array is None or limit.array.any() else gradient


def _node(
    like: Node,
    primitive: Any,
    inputs: tuple[Any, ...],
    attributes: dict[str, Any],
    spec: TensorSpec,
    outputs: tuple[Tensor, ...] = (),
) -> Node:
    """A node where another was, which may make the other's results."""
    made = Node(primitive, inputs, attributes, (spec,), like.source)
    made.scope = like.scope
    made.outputs = outputs or (Tensor(None, Symbol(spec, node=made)),)
    return made


def _maker(tensor: Tensor | None, primitive: Any) -> Node | None:
    """The node that made a tensor, if it is an application of the primitive."""
    node = tensor.symbol.node if tensor is not None and tensor.symbol is not None else None
    return node if node is not None and node.primitive is primitive else None


def _settings(node: Node, position: int) -> tuple[int, str]:
    """Which image is pooled, and how."""
    return id(node.inputs[position]), repr(sorted(node.attributes.items()))
