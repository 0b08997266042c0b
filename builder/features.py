"""A model in two: what training leaves as it is, and what learns from the features that this part gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..trainer.core import tree
from ..trainer.core.dims import contains_dim
from ..trainer.core.graph import Graph, Node
from ..trainer.core.primitive import Primitive
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from ..trainer.ops import random, random_bits, random_dropout, random_samples, random_selection
from .call import CallContext, LayerCall, contexts
from .plan import Plan, Step

RANDOM = frozenset(
    value.name
    for module in (random, random_bits, random_dropout, random_samples, random_selection)
    for value in vars(module).values()
    if isinstance(value, Primitive)
)
"""Names of the primitives that draw numbers."""


class Split:
    """The steps of a model's plan in two groups, and the tensors that pass from one to the other.

    features: tensors that only what is frozen has made, and that the rest, or the user, gets; inputs of the model too
    reasons: for each step of the rest that takes such a tensor, why it is no part of what is frozen
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.plan: Plan = model.plan
        self.reasons: dict[int, str] = {}
        changing = self._changing()
        made_late = {id(x) for step in changing for x in results_of(step)}
        wanted = [x for step in changing for x in sources_of(step)] + self.plan.output_tensors
        kept = {id(x): x for x in wanted if is_computed(x) and id(x) not in made_late}
        self.features: list[Tensor] = list(kept.values())

    def _changing(self) -> list[Step]:
        """Steps that learn, draw, remember or depend on the mode, and all that build on these."""
        own: dict[int, str] = {}
        assigned: set[Variable] = set()
        for step in self.plan.steps:
            reason, assigns = why_changing(step)
            assigned |= assigns
            if reason:
                own[id(step)] = reason
        changing: list[Step] = []
        late: set[int] = set()
        for step in self.plan.steps:
            reads = variables_of(step) & assigned
            builds_on = any(id(x) in late for x in sources_of(step))
            if id(step) in own or reads or builds_on:
                if not builds_on:
                    self.reasons[id(step)] = own.get(id(step)) or "reads what another layer assigns while it trains"
                changing.append(step)
                late.update(id(x) for x in results_of(step))
        return changing

    def check(self) -> None:
        """Raise `ValueError` unless some layers or operations can be computed once for all."""
        inputs = {id(x) for x in self.plan.input_tensors}
        if any(id(x) not in inputs for x in self.features):
            masked = [x for x in self.features if x.mask is not None]
            if masked:
                raise ValueError(
                    f"cache_features: the features of model '{self.model.name}' carry a mask (from Masking, or an "
                    "Embedding with mask_zero), which is not kept with them; train without cache_features"
                )
            return
        first = [f"{name_of(step)} {self.reasons[id(step)]}" for step in self.plan.steps if id(step) in self.reasons]
        raise ValueError(
            f"cache_features: model '{self.model.name}' has no frozen part that could be computed once: "
            f"{'; '.join(first[:3])}. Freeze the first layers (model.freeze('name*')); what draws at random, such as "
            "augmentation, gives other features in each epoch: do it once, before fit, or train without cache_features"
        )


def why_changing(step: Step) -> tuple[str, set[Variable]]:
    """Why the result of a step may differ from epoch to epoch, "" if it does not; and what it assigns in training."""
    if isinstance(step, Node):
        learned = [x.symbol.variable for x in step.inputs if x is not None and x.symbol is not None]
        trained = [v.path for v in learned if v is not None and v.trainable]
        drawn = "draws at random" if step.primitive.name in RANDOM else ""
        return (f"trains the weight '{trained[0]}'" if trained else drawn), set()
    if step.layer.trainable_variables:
        return f"trains the weight '{step.layer.trainable_variables[0].path}'", set()
    graph, losses = traced(step, True)
    if any(node.primitive.name in RANDOM for node in graph.nodes):
        return "draws at random", set(graph.assigns)
    if graph.assigns:
        return f"changes '{next(iter(graph.assigns)).path}' while it trains", set(graph.assigns)
    if losses:
        return "adds to the loss", set()
    return "" if alike(graph, traced(step, False)[0]) else "computes something else in training", set()


def traced(call: LayerCall, training: bool) -> tuple[Graph, list[Any]]:
    """What a layer's call computes and assigns in one of the modes, and its terms of the loss."""
    context = CallContext(training, [])
    with Trace() as effects:
        contexts.stack.append(context)
        try:
            outputs = call.layer(*call.args, **call.kwargs)
        finally:
            contexts.stack.pop()
    leaves = [x.read() if isinstance(x, Variable) else x for x in tree.flatten(outputs)]
    return Graph(call.input_tensors(), [x for x in leaves if isinstance(x, Tensor)], effects.assigned), context.losses


def alike(one: Graph, other: Graph) -> bool:
    """Whether two graphs apply the same operations to the same values."""
    if len(one.nodes) != len(other.nodes):
        return False
    twins = {id(x): id(y) for x, y in zip(one.inputs, other.inputs, strict=True)}
    for a, b in zip(one.nodes, other.nodes, strict=True):
        if a.primitive is not b.primitive or len(a.inputs) != len(b.inputs) or not same_attributes(a, b):
            return False
        for x, y in zip(a.inputs, b.inputs, strict=True):
            if twins.get(id(x), id(x)) != id(y) and not same_constants(x, y):
                return False
        twins.update((id(x), id(y)) for x, y in zip(a.outputs, b.outputs, strict=True))
    return [twins.get(id(x), id(x)) for x in one.results] == [id(x) for x in other.results]


def same_constants(x: Tensor | None, y: Tensor | None) -> bool:
    """Whether two tensors are constants of the same value."""
    a, b = (None if tensor is None else tensor.array for tensor in (x, y))
    return (
        a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    )


def same_attributes(a: Node, b: Node) -> bool:
    """Whether two nodes have equal attributes, bodies included; sizes, which each trace names anew, do not count."""
    if a.attributes.keys() != b.attributes.keys():
        return False
    for name, value in a.attributes.items():
        other = b.attributes[name]
        if isinstance(value, Graph) and isinstance(other, Graph):
            if not alike(value, other):
                return False
        elif isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
            if not np.array_equal(value, other):
                return False
        elif not contains_dim((value,)) and str(value) != str(other):
            return False
    return True


def is_computed(x: Tensor) -> bool:
    """Whether a tensor comes from an input or a step; constants and weights do not."""
    return x.array is None and (x.symbol is None or x.symbol.variable is None)


def sources_of(step: Step) -> list[Tensor]:
    """Tensors that a step takes."""
    return step.input_tensors() if isinstance(step, LayerCall) else [x for x in step.inputs if x is not None]


def results_of(step: Step) -> Sequence[Tensor]:
    """Tensors that a step makes."""
    return step.output_tensors() if isinstance(step, LayerCall) else step.outputs


def variables_of(step: Step) -> set[Variable]:
    """Variables that a step reads."""
    if isinstance(step, LayerCall):
        return set(step.layer.variables)
    return {v for x in step.inputs if x is not None and x.symbol is not None and (v := x.symbol.variable) is not None}


def name_of(step: Step) -> str:
    """A step in a message."""
    if isinstance(step, LayerCall):
        return f"layer '{step.layer.name}' ({type(step.layer).__name__})"
    return f"the operation {step.primitive.name}"
