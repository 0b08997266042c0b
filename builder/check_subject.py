"""What a check looks at: a model traced in both modes, with the tape that shows where gradients go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..trainer.core import tree
from ..trainer.core.errors import SourceLine
from ..trainer.core.graph import Node
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.core.variable import Variable
from ..trainer.gradient import GradientTape
from .call import CallContext, LayerCall, contexts
from .plan import Plan

PASSES_VALUES_ON = frozenset(
    {"identity", "reshape", "cast", "transpose", "squeeze", "expand_dims", "get_item", "copy"}
)  # fmt: skip
"""Operations that hand on the values they are given: what is true of the values before is true of those after."""


@dataclass
class Traced:
    """One mode of a model: its outputs, the layer calls made, terms of `add_loss`, and weights that get a gradient."""

    outputs: list[Tensor]
    calls: list[LayerCall]
    losses: list[Tensor]
    assigned: list[Tensor]
    reached: set[Variable] = field(default_factory=set)
    gradient_error: Exception | None = None

    @cached_property
    def nodes(self) -> list[Node]:
        """Nodes that the outputs, losses and assignments need, in order."""
        return nodes_behind([*self.outputs, *self.losses, *self.assigned])


class Subject:
    """A model that is checked, and what several rules ask about it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.plan: Plan = model.plan
        self.inference = self._trace(False)
        self.training = self._trace(True)

    def _trace(self, training: bool) -> Traced:
        args, kwargs = self._arguments()
        context = CallContext(training, [])
        with Trace() as effects, GradientTape() as tape:
            contexts.stack.append(context)
            try:
                if self.model._plan is not None:
                    structure = self.plan.run(self.plan.input_tensors)
                else:
                    structure = self.model._call_in_mode(args, kwargs, training)
            finally:
                contexts.stack.pop()
            outputs = [_as_tensor(x) for x in tree.flatten(structure) if isinstance(x, (Tensor, Variable))]
            losses = [x for x in context.losses if isinstance(x, Tensor) and x.array is None]
            traced = Traced(outputs, effects.calls, losses, list(effects.assigned.values()))
            if training:
                self._find_gradients(traced, tape)
        return traced

    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Symbolic arguments of the `call` of a subclassed model."""

        def placeholder(leaf: Any) -> Any:
            return symbolic_input(leaf) if isinstance(leaf, TensorSpec) else leaf

        args, kwargs = self.model.signature()
        return tree.map_structure(placeholder, args), tree.map_structure(placeholder, kwargs)

    def _find_gradients(self, traced: Traced, tape: GradientTape) -> None:
        """Which weights the minimised outputs depend on in a way that the operations' rules can differentiate."""
        targets = [x for x, counts in zip(traced.outputs, self.minimised(len(traced.outputs)), strict=True) if counts]
        targets = [x for x in [*targets, *traced.losses] if x.dtype.kind == "f" and x.array is None]
        variables = [v for v in self.model.trainable_variables if v.dtype.kind == "f"]
        if not targets or not variables:
            return
        try:
            gradients = tape.gradient(targets, variables)
        except Exception as error:  # a rule of the user's own may raise anything; it is reported, not hidden
            traced.gradient_error = error
            return
        traced.reached = {v for v, g in zip(variables, gradients, strict=True) if g is not None}

    def minimised(self, count: int) -> list[bool]:
        """For each output, whether training minimises a loss of it; all, where that is not known."""
        compiled = self.model._compiled_loss
        losses = self.losses_of_outputs() if compiled is not None and compiled.given is not None else []
        return [x is not None for x in losses] if len(losses) == count else [True] * count

    def losses_of_outputs(self) -> list[Any]:
        """The loss of each output (None without one), in the order of the model's outputs; empty if not compiled."""
        compiled = self.model._compiled_loss
        if compiled is None or compiled.given is None:
            return []
        names = self.model.output_names
        if not compiled.built:
            compiled.build(names)
        by_name = dict(zip(compiled.names, compiled.losses, strict=True))
        if set(by_name) == set(names):
            return [by_name[name] for name in names]
        return list(compiled.losses) if len(compiled.losses) == len(names) else []

    @cached_property
    def nodes(self) -> list[Node]:
        """Nodes of the plan itself, which know the lines on which the user made them."""
        return nodes_behind(self.plan.output_tensors)

    @cached_property
    def uses(self) -> Counter[int]:
        """How often each tensor of the plan is used, outputs included."""
        found = Counter(id(x) for node in self.nodes for x in node.inputs if x is not None)
        found.update(id(x) for x in self.plan.output_tensors)
        return found

    @cached_property
    def _lines(self) -> dict[int, SourceLine]:
        found: dict[int, SourceLine] = {}
        for node in [*self.nodes, *self.training.nodes]:
            for layer in _layers_around(node):
                if node.source is not None:
                    found.setdefault(id(layer), node.source)
        return found

    def line_of(self, layer: Any) -> SourceLine | None:
        """The user's line that called a layer."""
        return self._lines.get(id(layer))

    @cached_property
    def plan_calls(self) -> list[LayerCall]:
        """Every layer call of the plan, inner ones included, in order."""
        calls = {id(call): call for node in self.nodes for call in _calls_around(node)}
        return sorted(calls.values(), key=lambda call: call.index)

    @cached_property
    def made_by(self) -> dict[int, LayerCall]:
        """The innermost layer call of which a tensor is an output."""
        found: dict[int, LayerCall] = {}
        for call in sorted(self.plan_calls, key=lambda call: -call.index):
            for x in call.output_tensors():
                found.setdefault(id(x), call)
        return found

    def leaf_calls(self, *kinds: str) -> Iterator[LayerCall]:
        """Calls of the library's own layers of the given class names."""
        return (call for call in self.plan_calls if type(call.layer).__name__ in kinds and is_own(call.layer))

    def layer_before(self, call: LayerCall) -> LayerCall | None:
        """The call that made the only input of a call."""
        inputs = call.input_tensors()
        return self.made_by.get(id(inputs[0])) if len(inputs) == 1 else None


def _as_tensor(x: Any) -> Tensor:
    return x.read() if isinstance(x, Variable) else x


def is_own(layer: Any) -> bool:
    """Whether a layer's class is the library's, not the user's."""
    return type(layer).__module__.split(".")[0] == __name__.split(".")[0] and ".tests." not in type(layer).__module__


def nodes_behind(results: Iterable[Tensor]) -> list[Node]:
    """Nodes that some tensors depend on, in order of creation."""
    found: dict[int, Node] = {}
    pending = list(results)
    while pending:
        symbol = pending.pop().symbol
        if symbol is None or symbol.node is None or symbol.node.index in found:
            continue
        found[symbol.node.index] = symbol.node
        pending.extend(x for x in symbol.node.inputs if x is not None)
    return [found[index] for index in sorted(found)]


def _calls_around(node: Node) -> list[LayerCall]:
    return list(node.scope.ancestors()) if isinstance(node.scope, LayerCall) else []


def _layers_around(node: Node) -> list[Any]:
    return [call.layer for call in _calls_around(node)]


def node_of(x: Tensor) -> Node | None:
    """The node that made a tensor."""
    return x.symbol.node if x.symbol is not None else None


def origin(x: Tensor, through: frozenset[str] = PASSES_VALUES_ON) -> Tensor:
    """The tensor whose values are handed on, unchanged, to `x`."""
    node = node_of(x)
    while node is not None and node.primitive.name in through and node.inputs[0] is not None:
        x = node.inputs[0]
        node = node_of(x)
    return x


def layers_called(calls: Sequence[LayerCall]) -> set[int]:
    """Identities of the layers that some calls are of."""
    return {id(call.layer) for call in calls}
