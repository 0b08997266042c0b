"""Rows that are all alike and rows that end in one mean are multiplied once: broadcasting late, averaging early."""

from __future__ import annotations

from collections.abc import Sequence

from ...trainer.core.spec import TensorSpec, same_shape
from ...trainer.ops.rules import broadcast_shapes
from ..ir import OnnxGraph, OnnxNode
from .dead import remove_dead
from .scope import Scope, Shared, Sweep

BROADCASTING = ("Add", "Sub", "Mul", "Div")


def drop_expansions(scope: Scope) -> bool:
    """Before: any valid graph. After: no Expand feeds an arithmetic operator that broadcasts to the same shape."""
    return Sweep(scope).run(_drop_expansion, BROADCASTING, beside=("Expand",))


def _drop_expansion(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    after = sweep.spec(node.outputs[0])
    for i, name in enumerate(node.inputs):
        made = sweep.maker(name, "Expand")
        if made is None or after is None:
            continue
        inputs = [made.inputs[0] if j == i else other for j, other in enumerate(node.inputs)]
        specs = [sweep.spec(x) for x in inputs]
        if all(specs) and same_shape(broadcast_shapes(*[x.shape for x in specs if x is not None]), after.shape):
            return [OnnxNode(node.operator, inputs, node.outputs, node.attributes, node.name, source=node.source)]
    return None


def average_early(graph: OnnxGraph, opset: int) -> None:
    """Before: any valid graph. After: a mean over rows of what a matrix product or sums of it made, and nobody else
    reads, is the product of a mean: a dense layer before global pooling multiplies one row for all.

    For graphs that run and are not looked at: the nodes of a file stand in the order of its model.
    """
    scope = Scope(Shared(graph, opset), graph)
    if Sweep(scope, count_uses=True).run(_average_early, ("ReduceMean",)):
        remove_dead(scope)


def _average_early(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    axes = sweep.array(node.inputs[1]) if len(node.inputs) == 2 else None
    spec = sweep.spec(node.inputs[0])
    if axes is None or spec is None or spec.rank < 3 or any(a % spec.rank == spec.rank - 1 for a in axes.tolist()):
        return None
    moved = _Moved(sweep, node, spec.rank)
    last = moved.mean_of(node.inputs[0])
    if not moved.products:
        return None
    moved.nodes[-1].outputs = node.outputs
    return moved.nodes if last else None


class _Moved:
    """A mean over rows that goes backwards through sums and products, with the nodes that make it."""

    def __init__(self, sweep: Sweep, node: OnnxNode, rank: int) -> None:
        self.sweep = sweep
        self.node = node
        self.rank = rank
        self.nodes: list[OnnxNode] = []
        self.products = 0

    def mean_of(self, name: str) -> str:
        """The name of the mean of a value."""
        made = self.sweep.maker(name, "Add", "MatMul") if self.sweep.only_use(name) else None
        specs = [] if made is None else [self.sweep.spec(x) for x in made.inputs]
        spec = self.sweep.spec(name)
        if made is not None and spec is not None and all(specs) and spec.rank == self.rank:
            known = [x for x in specs if x is not None]
            if made.operator == "MatMul" and known[0].rank == self.rank and known[1].rank == 2:
                self.products += 1
                return self._put(made, [self.mean_of(made.inputs[0]), made.inputs[1]], spec)
            if made.operator == "Add" and all(self._is_plain(x, spec) for x in known):
                pairs = zip(made.inputs, known, strict=True)
                return self._put(made, [x if s.rank < 2 else self.mean_of(x) for x, s in pairs], spec)
        return self._put(self.node, [name, *self.node.inputs[1:]], self.sweep.spec(name))

    def _is_plain(self, operand: TensorSpec, total: TensorSpec) -> bool:
        """Whether an operand of a sum is of the sum's own shape, or one vector for all rows."""
        return operand.rank < 2 or same_shape(operand.shape, total.shape)

    def _put(self, like: OnnxNode, inputs: Sequence[str], spec: TensorSpec | None) -> str:
        name = self.sweep.shared.unique(f"{like.outputs[0]}:mean")
        title = self.sweep.shared.unique(like.name)
        node = OnnxNode(like.operator, list(inputs), [name], dict(like.attributes), title, source=like.source)
        self.nodes.append(node)
        if spec is not None:
            axes = [int(a) % self.rank for a in self.sweep.array(self.node.inputs[1])]  # pyright: ignore[reportOptionalIterable]
            kept = bool(self.node.attributes.get("keepdims", 1))
            shape = [1 if i in axes else n for i, n in enumerate(spec.shape) if kept or i not in axes]
            self.sweep.scope.graph.specs[name] = TensorSpec(shape, spec.dtype)
        return name
