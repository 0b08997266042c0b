"""Nodes of a graph that NumPy runs faster together: rewritten before the graph becomes a flat program.

A convolution takes its relu along; and where nothing but max-pooling reads that, pooling too, forwards and backwards.
Windows whose largest cell is 0 have no gradient behind relu, so relu's gate is applied to the pooled results. Batch
normalisation takes along what is added to it, and relu. Every number stays what the nodes make one by one, to the last
bit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from .core.graph import Graph, Node
from .core.primitive import Primitive
from .core.tensor import Symbol, Tensor
from .ops import kept_convolution
from .ops import pooled_convolution as pooled
from .ops import rectified_normalization as rectified
from .ops.arithmetic import add_primitive
from .ops.channel_normalization import batch_normalization_training_primitive
from .ops.comparison import greater_primitive
from .ops.convolution_primitives import convolution_gradients, convolution_primitive, convolution_relu_primitive
from .ops.pooling_primitives import max_pool_gradient, max_pool_primitive
from .ops.rectifier import relu_primitive
from .ops.selection import gate_primitive


def fused_nodes(graph: Graph) -> list[Node]:
    """The graph's nodes, some of them replaced by one that makes the same tensors."""
    if not any(
        node.primitive in (convolution_primitive, batch_normalization_training_primitive) for node in graph.nodes
    ):
        return graph.nodes
    kept = {id(x) for x in [*graph.results, *graph.assigns.values()]}
    nodes = _with_relu(graph.nodes, kept)
    uses = _uses(nodes)
    made: dict[int, list[Node]] = {}
    for node in nodes:
        if node.primitive is convolution_relu_primitive and id(node.outputs[0]) not in kept:
            made.update(_with_pooling(node, uses, kept))
    place = {node.index: i for i, node in enumerate(nodes)}
    for node in nodes:
        if node.primitive in _RECTIFIED and node.index not in made:
            made.update(_with_transform(node, uses, place))
        elif node.primitive is batch_normalization_training_primitive:
            made.update(_normalization(node, uses, kept, place))
    return [new for node in nodes for new in made.get(node.index, [node])]


def _uses(nodes: Sequence[Node]) -> Mapping[int, list[Node]]:
    """The nodes that read each tensor."""
    uses: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        for x in node.inputs:
            if x is not None:
                uses[id(x)].append(node)
    return uses


def _made(
    primitive: Primitive, inputs: Sequence[Tensor | None], attributes: Mapping[str, Any], outputs: Sequence[Tensor] = ()
) -> Node:
    """A node whose first results are tensors that there are already."""
    inferred = primitive.infer(*[None if x is None else x.spec for x in inputs], **attributes)
    specs = inferred if type(inferred) is tuple else (inferred,)
    node = Node(primitive, tuple(inputs), dict(attributes), specs, None)
    further = [Tensor(None, Symbol(spec, node, i)) for i, spec in enumerate(specs) if i >= len(outputs)]
    node.outputs = (*outputs, *further)
    return node


def _with_relu(nodes: Sequence[Node], kept: set[int]) -> list[Node]:
    """Convolutions whose results only relu reads, as one node in the place of relu."""
    uses = Counter(id(x) for node in nodes for x in node.inputs if x is not None)
    found: list[Node] = []
    for node in nodes:
        source = node.inputs[0] if node.inputs else None
        before = source.symbol.node if source is not None and source.symbol is not None else None
        if (
            node.primitive is relu_primitive and before is not None and before.primitive is convolution_primitive
            and uses[id(source)] == 1 and id(source) not in kept
        ):  # fmt: skip
            found = [other for other in found if other is not before]
            node = _made(convolution_relu_primitive, before.inputs, before.attributes, node.outputs)
        found.append(node)
    return found


def _with_pooling(node: Node, uses: Mapping[int, list[Node]], kept: set[int]) -> dict[int, list[Node]]:
    """What stands in the place of nodes around a rectified convolution that is pooled; nothing where it cannot be."""
    readers = uses[id(node.outputs[0])]
    pools = [x for x in readers if x.primitive is max_pool_primitive]
    x, kernel = node.inputs[:2]
    if len(pools) != 1 or x is None or kernel is None:
        return {}
    (pool,) = pools
    if not pooled.suits(x.spec, kernel.spec, node.attributes, pool.attributes):
        return {}
    others = [other for other in readers if other is not pool]
    forward = _made(
        pooled.pooled_convolution_primitive, node.inputs, {**node.attributes, "choose": bool(others)}, pool.outputs
    )
    if not others:
        return {node.index: [], pool.index: [forward]}
    backward = _backward(node, forward, pool, others, uses, kept)
    return {node.index: [], pool.index: [forward], **backward} if backward else {}


def _backward(
    node: Node, forward: Node, pool: Node, others: Sequence[Node], uses: Mapping[int, list[Node]], kept: set[int]
) -> dict[int, list[Node]]:
    """The gradients of pooling, relu and convolution in the usual order, replaced; nothing where they differ."""
    by_kind = {other.primitive: other for other in others}
    spread, mask = by_kind.get(max_pool_gradient), by_kind.get(greater_primitive)
    if len(others) != 2 or spread is None or mask is None or spread.attributes != pool.attributes:
        return {}
    gated = _only_reader(spread, uses, kept)
    if gated is None or gated.primitive is not gate_primitive or _only_reader(mask, uses, kept) is not gated:
        return {}
    zero = mask.inputs[1]
    if spread.inputs[1] is not node.outputs[0] or zero is None or zero.array is None or zero.array.any():
        return {}
    gradients = _only_reader(gated, uses, kept)
    if gradients is None or not _are_gradients_of(gradients, node):
        return {}
    positive = _made(greater_primitive, [forward.outputs[0], zero], {})
    passed = _made(gate_primitive, [spread.inputs[0], positive.outputs[0]], {})
    (small,) = passed.outputs
    inputs = [node.inputs[0], small, forward.outputs[1], node.inputs[1]]
    joint = _made(pooled.pooled_convolution_gradients, inputs, gradients.attributes, gradients.outputs)
    return {spread.index: [positive, passed], mask.index: [], gated.index: [], gradients.index: [joint]}


def _are_gradients_of(node: Node, convolution: Node) -> bool:
    """Whether a node makes the gradients of a convolution."""
    if node.primitive is not convolution_gradients or node.inputs[0] is not convolution.inputs[0]:
        return False
    own = {name: value for name, value in node.attributes.items() if name != "with_bias"}
    return node.inputs[2] is convolution.inputs[1] and own == convolution.attributes


_RECTIFIED = {convolution_primitive: False, convolution_relu_primitive: True}


def _with_transform(node: Node, uses: Mapping[int, list[Node]], place: Mapping[int, int]) -> dict[int, list[Node]]:
    """A convolution and its gradients, the image's transform kept from one to the other; nothing where it cannot be."""
    x, kernel = node.inputs[:2]
    if x is None or kernel is None or not kept_convolution.suits(x.spec, kernel.spec, node.attributes):
        return {}
    ends = [
        end for end in uses[id(x)]
        if _are_gradients_of(end, node) and place[end.index] > place[node.index]
    ]  # fmt: skip
    if len(ends) != 1:
        return {}
    (end,) = ends
    attributes = {**node.attributes, "rectified": _RECTIFIED[node.primitive]}
    forward = _made(kept_convolution.keeping_convolution_primitive, node.inputs, attributes, node.outputs)
    inputs = [x, end.inputs[1], forward.outputs[1], kernel]
    backward = _made(kept_convolution.kept_convolution_gradients, inputs, end.attributes, end.outputs)
    return {node.index: [forward], end.index: [backward]}


def _normalization(
    node: Node, uses: Mapping[int, list[Node]], kept: set[int], place: Mapping[int, int]
) -> dict[int, list[Node]]:
    """Batch normalisation, relu behind it, and what is added between them if it is there before."""
    x, reader = node.inputs[0], _only_reader(node, uses, kept)
    if x is None or reader is None or not rectified.suits(x.spec, node.attributes["axis"]):
        return {}
    added: list[Tensor] = []
    gone = [reader]
    if reader.primitive is add_primitive:
        added = [t for t in reader.inputs if t is not None and t is not node.outputs[0]]
        if len(added) != 1 or added[0].spec != x.spec or not _is_made_before(added[0], node, place):
            return {}
        following = _only_reader(reader, uses, kept)
        if following is None:
            return {}
        gone.append(following)
    if gone[-1].primitive is not relu_primitive:
        return {}
    outputs = [gone[-1].outputs[0], *node.outputs[1:]]
    inputs = [*node.inputs, *added]
    fused = _made(rectified.rectified_normalization_primitive, inputs, node.attributes, outputs)
    return {node.index: [fused], **{other.index: [] for other in gone}}


def _is_made_before(tensor: Tensor, node: Node, place: Mapping[int, int]) -> bool:
    source = None if tensor.symbol is None else tensor.symbol.node
    return source is None or place.get(source.index, place[node.index]) < place[node.index]


def _only_reader(node: Node, uses: Mapping[int, list[Node]], kept: set[int]) -> Node | None:
    """The one node that reads a node's result, which nobody else wants."""
    readers = uses[id(node.outputs[0])]
    return readers[0] if len(readers) == 1 and id(node.outputs[0]) not in kept else None
