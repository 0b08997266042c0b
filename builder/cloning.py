"""Copies of models: with new weights (`clone_model`), or with their own (`copy.deepcopy`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ..trainer.core import tree
from ..trainer.core.dims import contains_dim, substitute_tree
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.core.variable import Variable
from . import later
from .call import LayerCall
from .input import InputLayer
from .layer import Layer
from .model_config import has_own_constructor
from .model_names import give_names, given_names
from .model_registry import MODELS
from .plan import Plan, bind

CloneFunction = Callable[[Any], Any]
CallFunction = Callable[..., Any]


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: CloneFunction | None = None,
    call_function: CallFunction | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same layers with new weights (Keras name: `models.clone_model`).

    input_tensors: symbolic tensors (or a structure of them) to build the copy on, instead of new inputs
    clone_function: makes the layer that stands for a given one; by default one of the same configuration
    call_function: called as `call_function(layer, *args, **kwargs)` in place of each layer's call
    recursive: whether both functions reach into nested models

    A layer used several times is cloned once. A subclassed model is made again by its class: from its configuration, or
    with the arguments it was made with, and built if it was. Where that fails, and with `clone_function` or
    `call_function`, the clone is a `RecordedModel`: its recorded computation in both modes, between new layers.

    Raises `ValueError` for `input_tensors` with a subclassed model, and for an unbuilt one that can be neither made
    again nor recorded; `TypeError` for what is no model, or a clone function that returns no layer.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
    >>> sx.models.clone_model(model).output_shape
    (None, 2)
    """
    cloner = _Cloner(clone_function, call_function, recursive)
    if _is_symbolic(model) and not has_own_constructor(type(model)):
        return cloner.model(model, input_tensors)
    if not isinstance(model, Layer):
        raise TypeError(f"clone_model: expected a model, got {model!r:.80} ({type(model).__name__})")
    if input_tensors is not None:
        raise ValueError(
            f"clone_model: input_tensors needs a Sequential or Functional model; '{model.name}' is of the class "
            f"{type(model).__name__}: clone it without them, and call the clone on the tensors"
        )
    if clone_function is not None or call_function is not None:
        return later.recorded_clone(model, cloner.layer, call_function, recursive)
    return later.made_again(model) or later.recorded_clone(model)


def _is_symbolic(model: Any) -> bool:
    return is_sequential(model) or isinstance(model, MODELS.entries["Functional"])


def is_sequential(model: Any) -> bool:
    """Whether a model is a Sequential one."""
    return isinstance(model, MODELS.entries["Sequential"])


class _Cloner:
    """Clones layers, each once."""

    def __init__(self, clone: CloneFunction | None, call: CallFunction | None, recursive: bool) -> None:
        self.clone = clone
        self.call = call
        self.recursive = recursive
        self.layers: dict[int, Any] = {}
        self.variables: dict[Variable, Variable] = {}

    def layer(self, layer: Any) -> Any:
        """The clone of a layer."""
        if id(layer) not in self.layers:
            if self.recursive and _is_symbolic(layer):
                made = self.model(layer, None)
            elif self.clone is not None:
                made = self.clone(layer)
            else:
                made = later.remade(layer)
            if not isinstance(made, Layer):
                raise TypeError(
                    f"clone_model: clone_function returned {made!r:.80} ({type(made).__name__}) for layer "
                    f"'{layer.name}'; expected a layer"
                )
            self.layers[id(layer)] = made
        return self.layers[id(layer)]

    def variable(self, variable: Variable, plan: Plan) -> Variable:
        """The clone of a variable read outside of layers: the same weight of a clone, or a copy."""
        for layer in plan.layers():
            for i, weight in enumerate(layer.weights):
                if weight is variable:
                    return self.layer(layer).weights[i]
        return self.variables.setdefault(variable, copy.deepcopy(variable))

    def model(self, model: Any, input_tensors: Any) -> Any:
        """The clone of a Sequential or Functional model."""
        base = {"name": model.name, "trainable": model.trainable}
        if is_sequential(model) and self.call is None:
            layers = [self.layer(x) for x in model._stack]
            inputs = [input_tensors] if input_tensors is not None else [clone_input(x) for x in model._input_layers]
            return type(model)([*tree.flatten(inputs), *layers], **base)
        inputs = matching_inputs(model, input_tensors)
        plan = model.plan
        outputs = replay(plan, tree.flatten(inputs), self.layer, lambda v: self.variable(v, plan), self.call)
        kind = MODELS.entries["Functional"] if is_sequential(model) else type(model)
        return kind(inputs, outputs, **base)


def clone_input(layer: Any) -> InputLayer:
    """A new input of the same name, shape and dtype."""
    return InputLayer.from_config({**layer.get_config(), "name": layer.name})


def matching_inputs(model: Any, given: Any) -> Any:
    """Inputs to build on, in the structure of the model's: those given, or new ones. Raises `ValueError` for others."""
    plan: Plan = model.plan
    if given is None:
        names = dict(zip(map(id, plan.input_tensors), model.input_names, strict=True))
        return tree.map_structure(lambda x: None if x is None else symbolic_input(x.spec, names[id(x)]), plan.inputs)
    tensors = tree.flatten(given)
    if len(tensors) != len(plan.input_tensors) or not all(isinstance(x, Tensor) and x.is_symbolic for x in tensors):
        raise ValueError(
            f"model '{model.name}': expected {len(plan.input_tensors)} symbolic input tensors (made with Input), got "
            f"{', '.join(type(x).__name__ for x in tensors)}"
        )
    remaining = iter(tensors)
    return tree.map_structure(lambda x: None if x is None else next(remaining), plan.inputs)


def replay(
    plan: Plan,
    inputs: list[Any],
    layer: CloneFunction,
    variable: Callable[[Variable], Variable],
    call: CallFunction | None = None,
    records: bool = True,
) -> Any:
    """The outputs of a plan on other inputs, with other layers and variables.

    With `records`, layers remember these calls.
    """
    given = [x for x in inputs if x is not None]
    known: dict[int, Any] = {id(x): y for x, y in zip(plan.input_tensors, given, strict=True)}
    sizes = bind(plan.input_tensors, given)

    def fill(x: Any) -> Any:
        if isinstance(x, Variable):
            return variable(x)
        if not isinstance(x, Tensor):
            return substitute_tree(x, sizes)
        if x.symbol is not None and x.symbol.variable is not None:
            return variable(x.symbol.variable)
        return known.get(id(x), x)

    with Trace(records=records):
        for step in plan.steps:
            if isinstance(step, LayerCall):
                run = layer(step.layer) if call is None else _bound(call, layer(step.layer))
                arguments = tree.map_structure(fill, list(step.args))
                results = tree.flatten(run(*arguments, **tree.map_structure(fill, step.kwargs)))
                made = tree.flatten(step.outputs)
            else:
                attributes = step.attributes
                if contains_dim(tuple(attributes.values())):
                    attributes = {name: substitute_tree(value, sizes) for name, value in attributes.items()}
                outputs = step.primitive(*[fill(x) for x in step.inputs], **attributes)
                results, made = outputs if type(outputs) is tuple else (outputs,), step.outputs
            known.update((id(x), y) for x, y in zip(made, results, strict=True))
    outputs = tree.map_structure(fill, plan.outputs)
    give_names(outputs, given_names(plan.outputs))
    return outputs


def _bound(call: CallFunction, layer: Any) -> CallFunction:
    return lambda *args, **kwargs: call(layer, *args, **kwargs)


def copy_graph(model: Any, twin: Any, memo: dict[int, Any]) -> None:
    """Give a copied model the graph of the original, between the copies of its layers, weights included."""
    if is_sequential(model):
        twin._input_layers = [clone_input(x) for x in model._input_layers]
        twin._rebuild()
        return
    inputs = matching_inputs(model, None)
    outputs = replay(
        model._plan, tree.flatten(inputs), lambda x: copy.deepcopy(x, memo), lambda v: copy.deepcopy(v, memo)
    )
    twin._set_plan(inputs, outputs)
