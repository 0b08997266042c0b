"""The plan of a model: its layer calls in order, found by walking back from the outputs.

Nothing more than that is kept of a model. Running the plan calls each layer again, so that modes, masks, random draws
and weights are those of the moment.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core import tree
from ..trainer.core.constants import owner_of
from ..trainer.core.dims import Dim, UndecidableSize, contains_dim, dim, names, solve, substitute, substitute_tree
from ..trainer.core.errors import ShapeError
from ..trainer.core.graph import Node
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .call import LayerCall
from .plan_order import order_by_depth

Step = LayerCall | Node


def _step_sources(step: Step) -> list[Tensor]:
    return step.input_tensors() if isinstance(step, LayerCall) else [x for x in step.inputs if x is not None]


def _step_results(step: Step) -> list[Tensor]:
    return step.output_tensors() if isinstance(step, LayerCall) else list(step.outputs)


class Plan:
    """Inputs, steps (layer calls, and operations applied outside of layers) and outputs, in the user's structures."""

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.input_tensors: list[Tensor] = [x for x in tree.flatten(inputs) if x is not None]
        self.output_tensors: list[Tensor] = [x for x in tree.flatten(outputs) if x is not None]
        self.steps = find_steps(self.input_tensors, self.output_tensors)
        refuse_frozen_weights(self.steps)
        refuse_names_used_twice(self.steps)
        self._programs = [_program(step) for step in self.steps]
        self._layers: list[Any] | None = None
        self._needs_sizes = any(isinstance(s, Node) and contains_dim(tuple(s.attributes.values())) for s in self.steps)

    def going_on(self, outputs: Any) -> Plan:
        """The plan that leads on from its outputs to others by layer calls; what is before is not looked at again.

        Layers of the same name are not looked for.
        """
        longer = copy.copy(self)
        longer.outputs = outputs
        longer.output_tensors = [x for x in tree.flatten(outputs) if x is not None]
        added = find_steps(self.output_tensors, longer.output_tensors)
        longer.steps = [*self.steps, *added]
        longer._programs = [*self._programs, *[_program(step) for step in added]]
        longer._layers = None
        return longer

    def layer_calls(self) -> list[LayerCall]:
        """The steps that are layer calls."""
        return [step for step in self.steps if isinstance(step, LayerCall)]

    def layers(self) -> list[Any]:
        """Layers by depth, as in Keras, so that weights come in the order in which a Keras model has them."""
        if self._layers is None:
            ordered = order_by_depth(self.steps, self.output_tensors, _step_sources, _step_results)
            self._layers = list({id(s.layer): s.layer for s in ordered if isinstance(s, LayerCall)}.values())
        return list(self._layers)

    def variables(self) -> list[Variable]:
        """Variables read by operations outside of layers."""
        nodes = [step for step in self.steps if isinstance(step, Node)]
        leaves = [x.symbol.variable for node in nodes for x in node.inputs if x is not None and x.symbol is not None]
        return list(dict.fromkeys(v for v in leaves if v is not None))

    def run(self, values: Sequence[Any]) -> Any:
        """The outputs for input tensors given in the order of `input_tensors`."""
        known: dict[int, Any] = {id(x): v for x, v in zip(self.input_tensors, values, strict=True)}
        sizes = bind(self.input_tensors, values) if self._needs_sizes else {}
        for program in self._programs:
            program(known, sizes)
        return tree.map_structure(lambda x: known.get(id(x), x), self.outputs)


def find_steps(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Step]:
    """Layer calls and loose operations that lead from the inputs to the outputs, in order of creation.

    A call is opened, its inner calls taken instead, when a tensor from inside it is asked for.
    Raises `ShapeError` when an output does not depend on the inputs alone, naming what is missing.
    """
    opened: set[LayerCall] = set()
    for x in inputs:
        opened.update(_calls_around(x))
    while True:
        before = len(opened)
        steps = _collect(inputs, outputs, opened)
        if len(opened) == before:
            return sorted(steps, key=lambda step: step.index)


def refuse_names_used_twice(steps: Sequence[Step]) -> None:
    """Raise `ValueError` for two layers of one name side by side: `get_layer`, files and ONNX nodes go by names."""
    known: dict[str, Any] = {}
    for layer in [step.layer for step in steps if isinstance(step, LayerCall) and step.parent is None]:
        other = known.setdefault(layer.name, layer)
        if other is not layer:
            raise ValueError(
                f"two layers of the model are named '{layer.name}' ({type(other).__name__} and "
                f"{type(layer).__name__}); give each a name of its own, or call one twice to share weights"
            )


def refuse_frozen_weights(steps: Sequence[Step]) -> None:
    """Raise `ValueError` for a constant that is a weight's value, or a view of it: it would stay as it is now.

    Such are `layer.kernel.value` and `ops.transpose(layer.kernel)` outside of any layer: eager, because nothing in them
    is symbolic.
    """
    constants = [
        (step, x.array) for step in steps if isinstance(step, Node) for x in step.inputs
        if x is not None and x.array is not None and (x.array.ndim or owner_of(x.array) is not None)
    ]  # fmt: skip
    if not constants:
        return
    weights = [v for step in steps if isinstance(step, LayerCall) for v in step.layer.variables]
    for node, array in constants:
        memory = owner_of(array)
        same = [v for v in weights if v.array is array or (memory is not None and np.shares_memory(v.array, memory))]
        owner = same[0] if same else None
        if owner is not None:
            raise ValueError(
                f"{node.primitive.name}: an operand was computed from the weight '{owner.path}' outside of any "
                f"layer, so it is a "
                "constant that would not follow training. Compute it inside the call() of a layer, or pass the "
                "weight itself "
                f"to an operation that also takes a symbolic tensor.\n  {node.source or ''}"
            )


def _calls_around(x: Tensor) -> list[LayerCall]:
    """Calls of which the tensor is an inner result."""
    node = x.symbol.node if x.symbol is not None else None
    if node is None or not isinstance(node.scope, LayerCall):
        return []
    return [call for call in node.scope.ancestors() if all(x is not out for out in call.output_tensors())]


def _collect(inputs: Sequence[Tensor], outputs: Sequence[Tensor], opened: set[LayerCall]) -> list[Step]:
    known = {id(x) for x in inputs}
    steps: dict[int, Step] = {}
    pending = list(outputs)
    while pending:
        tensor = pending.pop()
        symbol = tensor.symbol
        if symbol is None or id(tensor) in known or symbol.variable is not None:
            continue
        known.add(id(tensor))
        if symbol.node is None:
            raise ShapeError(
                f"the outputs depend on {tensor!r}, which is not among the inputs of the model; "
                f"given inputs: {', '.join(repr(x.name or x) for x in inputs)}"
            )
        step = _step_of(tensor, symbol.node, opened)
        if id(step) in steps:
            continue
        steps[id(step)] = step
        sources = step.input_tensors() if isinstance(step, LayerCall) else [x for x in step.inputs if x is not None]
        pending.extend(sources)
    return list(steps.values())


def _step_of(tensor: Tensor, node: Node, opened: set[LayerCall]) -> Step:
    """The outermost call not opened that made the tensor; calls of which it is only an inner result are opened."""
    scope = node.scope
    if not isinstance(scope, LayerCall):
        return node
    for call in reversed(list(scope.ancestors())):
        if call in opened:
            continue
        if any(tensor is out for out in call.output_tensors()):
            return call
        opened.add(call)
    return node


def _program(step: Step) -> Callable[[dict[int, Any], Mapping[str, Any]], None]:
    """What running a step means: a function that reads and writes tensors by identity."""
    return _layer_program(step) if isinstance(step, LayerCall) else _node_program(step)


def _layer_program(call: LayerCall) -> Callable[[dict[int, Any], Mapping[str, Any]], None]:
    layer, outputs = call.layer, call.outputs
    if len(call.args) == 1 and not call.kwargs and isinstance(call.args[0], Tensor) and isinstance(outputs, Tensor):
        source, target = id(call.args[0]), id(outputs)

        def run_simple(known: dict[int, Any], sizes: Mapping[str, Any]) -> None:
            known[target] = layer(known[source])

        return run_simple if call.args[0].array is None else _general_program(call)
    return _general_program(call)


def _general_program(call: LayerCall) -> Callable[[dict[int, Any], Mapping[str, Any]], None]:
    targets = [id(x) for x in tree.flatten(call.outputs)]

    def run(known: dict[int, Any], sizes: Mapping[str, Any]) -> None:
        def fill(x: Any) -> Any:
            return known.get(id(x), x) if isinstance(x, Tensor) else substitute_tree(x, sizes)

        args = tree.map_structure(fill, list(call.args))
        results = call.layer(*args, **tree.map_structure(fill, call.kwargs))
        known.update(zip(targets, tree.flatten(results), strict=True))

    return run


def _node_program(node: Node) -> Callable[[dict[int, Any], Mapping[str, Any]], None]:
    targets = [id(x) for x in node.outputs]
    sources = [(id(x), _leaf(x)) for x in node.inputs]
    has_dims = contains_dim(tuple(node.attributes.values()))

    def run(known: dict[int, Any], sizes: Mapping[str, Any]) -> None:
        attributes = node.attributes
        if has_dims:
            attributes = {name: substitute_tree(value, sizes) for name, value in attributes.items()}
        results = node.primitive(*[known.get(key, leaf) for key, leaf in sources], **attributes)
        known.update(zip(targets, results if type(results) is tuple else (results,), strict=True))

    return run


def _leaf(x: Tensor | None) -> Any:
    """What stands in the place of an operation's input that no step makes: a constant, or a variable."""
    if x is not None and x.symbol is not None and x.symbol.variable is not None:
        return x.symbol.variable
    return x


def bind(inputs: Sequence[Tensor], values: Sequence[Any]) -> dict[str, Any]:
    """Sizes of the moment for the names in the inputs' shapes: numbers, or symbolic sizes while tracing."""
    sizes: dict[str, Any] = {}
    given = [(x, v) for x, v in zip(inputs, values, strict=True) if v is not None]
    pairs = [pair for x, v in given for pair in zip(x.shape, v.shape, strict=True)]
    undecided: list[tuple[Dim, int]] = []
    for size, actual in sorted(pairs, key=lambda pair: len(str(pair[0]))):
        if isinstance(size, int):
            continue
        if isinstance(actual, Dim):
            _bind_symbolic(size, actual, sizes)
            continue
        try:
            solve(size, actual, sizes)
        except UndecidableSize:
            undecided.append((size, actual))
    if undecided:
        sizes.update(_any_fitting(undecided, sizes))
    return sizes


def _bind_symbolic(size: Dim, actual: Dim, sizes: dict[str, Any]) -> None:
    """Bind the name that a size depends on where another symbolic size, in the same place, determines it."""
    if size == actual:
        for name in names(size):
            sizes.setdefault(name, dim(name))
        return
    open_names = names(size) - sizes.keys()
    if len(open_names) != 1:
        return
    (name,) = open_names
    at_0, at_1, at_2 = (substitute(size, {**sizes, name: i}) for i in range(3))
    slope = at_1 - at_0
    if at_2 - at_1 == slope and slope != 0 and (found := (actual - at_0) // slope) * slope + at_0 == actual:
        sizes[name] = found


def _any_fitting(pairs: Sequence[tuple[Dim, int]], sizes: dict[str, Any]) -> dict[str, int]:
    """Values of names for which `width//2`, `batch*time` and their like are the actual sizes.

    All sizes inside of a plan are computed from those of its inputs, so any values that fit give the same.
    """
    unknown = sorted({name for size, _ in pairs for name in names(size) - sizes.keys()})
    largest = max(actual for _, actual in pairs)
    choices: list[Sequence[int]] = []
    for name in unknown:
        own = [(size, actual) for size, actual in pairs if names(size) - sizes.keys() == {name}]
        limit = 64 * (largest + 1) if own or len(unknown) < 2 else largest + 2
        fitting = [n for n in range(limit) if all(substitute(size, {**sizes, name: n}) == a for size, a in own)]
        choices.append(fitting[:64] if own else fitting)
    for values in itertools.islice(itertools.product(*choices), 100_000):
        found = dict(zip(unknown, values, strict=True))
        if all(substitute(size, {**sizes, **found}) == actual for size, actual in pairs):
            return found
    raise UndecidableSize(
        f"cannot find {' and '.join(map(repr, unknown))} from "
        f"{', '.join(f'{size} = {actual}' for size, actual in pairs)}; give each as a dimension of its own, or name "
        "the size itself in Input(shape=...)"
    )
