"""The calls of a model as a tree, with what each is connected to: what summaries and pictures show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..trainer.core import tree
from ..trainer.core.graph import Node
from ..trainer.core.tensor import Tensor
from .call import LayerCall
from .plan import Plan, Step


@dataclass(slots=True)
class Entry:
    """A layer, an input or a loose operation: its outputs, its sources, and the entries inside it."""

    key: Any
    name: str
    kind: str
    layer: Any = None
    outputs: list[Any] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    sources: list[tuple[Entry, Tensor]] = field(default_factory=list)
    children: list[Entry] = field(default_factory=list)
    is_model: bool = False
    calls: int = 0
    parent: Entry | None = None

    def ancestors(self) -> list[Entry]:
        """The entries around this one, innermost first."""
        found, entry = [], self.parent
        while entry is not None:
            found.append(entry)
            entry = entry.parent
        return found

    def beside(self, other: Entry) -> Entry:
        """This entry, or the one around it that stands beside the other or beside one around the other."""
        around = {id(entry) for entry in other.ancestors()}
        entry = self
        while entry.parent is not None and id(entry.parent) not in around:
            entry = entry.parent
        return entry

    def output_structure(self) -> Any:
        """What the first call returned."""
        return self.outputs[0] if self.outputs else None


class CallTree:
    """Entries of a plan in order of first use; a layer called several times is one entry."""

    def __init__(self, model: Any, expand: bool) -> None:
        plan: Plan = model.plan
        self.names = dict(zip(map(id, plan.input_tensors), model.input_names, strict=True))
        self.made: dict[int, Entry] = {}
        self.inner = _steps_inside(plan) if expand else {}
        self.expand = expand
        self.entries: list[Entry] = []
        for x in plan.input_tensors:
            entry = Entry(id(x), self.names[id(x)], "InputLayer", outputs=[x], calls=1)
            self.made[id(x)] = entry
            self.entries.append(entry)
        self.entries += self._level(plan.steps)
        self.outputs = [(self.made[id(x)], x) for x in plan.output_tensors if id(x) in self.made]

    def _level(self, steps: Iterable[Step], parent: Entry | None = None) -> list[Entry]:
        """Entries of the steps inside one call (or of the model); those of an earlier call are met again."""
        found = {entry.key: entry for entry in parent.children} if parent is not None else {}
        counts: Counter[str] = Counter()
        for step in steps:
            if isinstance(step, Node) and step.primitive.name == "identity":
                self._alias(step)
                continue
            if isinstance(step, LayerCall):
                key: Any = id(step.layer)
                entry = found.get(key) or self._of_layer(step.layer)
            else:
                name = step.primitive.name
                key = (name, counts[name])
                counts[name] += 1
                entry = found.get(key) or Entry(key, name, "operation")
            entry.parent = parent
            found[key] = entry
            self._connect(entry, step)
        return list(found.values())

    def _of_layer(self, layer: Any) -> Entry:
        return Entry(id(layer), layer.name, kind_of(layer), layer, is_model=hasattr(layer, "plan"))

    def _connect(self, entry: Entry, step: Step) -> None:
        """Take in one call: where its inputs come from, what it makes, and, if wanted, what is inside."""
        inputs = step.input_tensors() if isinstance(step, LayerCall) else [x for x in step.inputs if x is not None]
        outputs = step.output_tensors() if isinstance(step, LayerCall) else list(step.outputs)
        entry.calls += 1
        entry.inputs.extend(x for x in inputs if entry.calls == 1 and x.array is None)
        entry.outputs.append(step.outputs)
        entry.sources += [(self.made[id(x)], x) for x in inputs if id(x) in self.made]
        inside = self.inner.get(id(step), ())
        entry.is_model = entry.is_model or any(isinstance(inner, LayerCall) for inner in inside)
        if self.expand and entry.is_model:
            entry.children = self._level(inside, entry)
        for x in outputs:
            self.made.setdefault(id(x), entry)

    def _alias(self, step: Node) -> None:
        """An operation that only gives its input another name is not shown."""
        for x, y in zip(step.inputs, step.outputs, strict=False):
            if id(x) in self.made:
                self.made[id(y)] = self.made[id(x)]


def _steps_inside(plan: Plan) -> dict[int, list[Step]]:
    """Direct steps inside each call: calls, and operations made by its layer itself."""
    found: dict[int, dict[int, Step]] = {}
    pending: list[Tensor] = list(plan.output_tensors)
    ends = {id(x) for x in plan.input_tensors}
    seen: set[int] = set()
    while pending:
        x = pending.pop()
        node = x.symbol.node if x.symbol is not None else None
        if node is None or id(node) in seen or id(x) in ends:
            continue
        seen.add(id(node))
        inner: Step = node
        scope = node.scope
        while isinstance(scope, LayerCall):
            found.setdefault(id(scope), {})[inner.index] = inner
            inner, scope = scope, scope.parent
        pending.extend(s for s in node.inputs if s is not None)
    return {call: [steps[i] for i in sorted(steps)] for call, steps in found.items()}


def kind_of(layer: Any) -> str:
    """Name of a layer's class; where the class is not here, of the class that was recorded."""
    return getattr(layer, "recorded_class", None) or type(layer).__name__


def plain_entries(model: Any) -> list[Entry]:
    """Entries of a model that does not know its graph yet: its layers as they are held."""
    layers = [layer for layer in model.layers if hasattr(layer, "walk_layers")]
    return [Entry(id(layer), layer.name, kind_of(layer), layer) for layer in layers]


def knows_graph(model: Any) -> bool:
    """Whether the model's graph can be shown."""
    return model._plan is not None or model._signature is not None


def leaf_shapes(structure: Any) -> str:
    """Shapes of the tensors of a structure, sizes not known as their names."""
    shapes = [shape_text(x) for x in tree.flatten(structure) if isinstance(x, Tensor)]
    return ", ".join(shapes)


def shape_text(x: Tensor) -> str:
    """A shape as `(batch, 28, 28, 1)`."""
    sizes = ", ".join(str(size) for size in x.shape)
    return f"({sizes},)" if len(x.shape) == 1 else f"({sizes})"
