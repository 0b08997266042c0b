"""One run of a model on symbolic inputs in one mode, with all that its recorded computation is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..trainer.core import tree
from ..trainer.core.graph import Graph, Node, next_index
from ..trainer.core.state import state
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from ..trainer.ops.passing import pass_through
from .call import CallContext, LayerCall, contexts


@dataclass(slots=True)
class Effect:
    """An assignment to a variable, or (without one) a term that `add_loss` added."""

    scope: Any
    value: Any
    variable: Variable | None = None
    index: int = field(default_factory=next_index)


class Recorder(Trace):
    """A trace that remembers where variables were assigned, and reads of those in `changing` as steps of their own.

    So that a value read before an assignment is not mistaken for the one after it.
    """

    def __init__(self, changing: Iterable[Variable] = ()) -> None:
        super().__init__()
        self.changing = set(changing)
        self.effects: list[Effect] = []
        self.reads: dict[int, tuple[Tensor, Variable]] = {}

    def read(self, variable: Variable) -> Tensor:
        """The value at this point of the program."""
        present = super().read(variable)
        if variable not in self.changing and variable not in self.assigned:
            return present
        marked = pass_through(present)
        self.reads[id(marked)] = marked, variable
        return marked

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Note the assignment, and in which layer's call it was made."""
        super().assign(variable, value)
        self.effects.append(Effect(current_scope(), value, variable))


class _Losses(list[Any]):
    """The terms of `add_loss`, each noted with the call that added it."""

    def __init__(self, effects: list[Effect]) -> None:
        super().__init__()
        self.effects = effects

    def extend(self, values: Iterable[Any]) -> None:
        """What `Layer.add_loss` calls."""
        for value in values:
            self.effects.append(Effect(current_scope(), value))
            self.append(value)


def current_scope() -> LayerCall | None:
    """The innermost layer call that is open."""
    return next((s for s in reversed(state.scopes) if isinstance(s, LayerCall)), None)


@dataclass
class TracedMode:
    """What happened in one run: arguments, results, layer calls, effects and the operations that led to them."""

    model: Any
    training: bool
    args: list[Any]
    kwargs: dict[str, Any]
    outputs: Any
    calls: list[LayerCall]
    effects: list[Effect]
    reads: dict[int, tuple[Tensor, Variable]]

    def nodes(self) -> list[Node]:
        """All operations that anything needs, in order."""
        ends = [*tree.flatten(self.outputs), *[e.value for e in self.effects]]
        for call in self.calls:
            ends += [*call.input_tensors(), *call.output_tensors()]
        tensors = [x for x in ends if isinstance(x, Tensor)]
        tensors += [x.mask for x in tensors if isinstance(x.mask, Tensor)]
        return Graph([], tensors).nodes


def trace_mode(model: Any, training: bool) -> TracedMode:
    """Run a model once; again where its own code assigns variables, so that reads of these are noted."""
    first = _run(model, training, ())
    changing = [e.variable for e in first.effects if e.variable is not None]
    return _run(model, training, changing) if changing else first


def _run(model: Any, training: bool, changing: Iterable[Variable]) -> TracedMode:
    args, kwargs = model.symbolic_arguments()
    recorder = Recorder(changing)
    with recorder:
        contexts.stack.append(CallContext(training, _Losses(recorder.effects)))
        try:
            outputs = model._call_in_mode(args, kwargs, training)
            outputs = tree.map_structure(lambda x: x.read() if isinstance(x, Variable) else x, outputs)
        finally:
            contexts.stack.pop()
    calls = sorted(recorder.calls, key=lambda call: call.index)
    return TracedMode(model, training, args, kwargs, outputs, calls, recorder.effects, recorder.reads)
