"""Configurations of symbolic models: layers, their calls, inputs and outputs, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..trainer.core import tree
from ..trainer.core.dtypes import floatx
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from ..trainer.custom_objects import custom_object_scope
from ..trainer.serialization import deserialize_object, plain_values, serialize_object
from . import later
from .call import LayerCall
from .configuration import revive
from .graph_config import GraphReader, GraphWriter, Tagged
from .model_names import give_names, given_names
from .sharing import is_writing, read_layer, reading, write_layer, writing

if TYPE_CHECKING:
    from .functional import Functional
    from .model import Model
    from .sequential import Sequential


def has_own_constructor(cls: type) -> bool:
    """Whether a model class of the user's own replaces the constructor of the library's classes."""
    return cls.__init__.__module__.rpartition(".")[0] != __package__


def _base_config(model: Model) -> dict[str, Any]:
    config: dict[str, Any] = {"name": model.name, "trainable": model.trainable}
    if model.dtype != floatx():
        config["dtype"] = model.dtype
    return config


def functional_config(model: Functional) -> dict[str, Any]:
    """What `Functional.get_config` returns: `layers`, `calls` in order, `input_layers` and `output_layers`.

    Inputs are the first layers. A call is of a layer (by its place in `layers`) or of an operation (by name); tensors
    are references [step, output], where the inputs are the first steps.
    """
    if has_own_constructor(type(model)):
        return later.own_config(model)
    with writing(None if is_writing() else later.Recordings(model, everywhere=False)):
        return {**_base_config(model), **_FunctionalWriter(model).config()}


class _FunctionalWriter:
    """The configuration of one functional model while it is written."""

    def __init__(self, model: Functional) -> None:
        self.model = model
        self.plan = model.plan
        self.layers = self.plan.layers()
        self.places = {id(layer): i for i, layer in enumerate(self.layers)}
        self.owners: dict[Variable, tuple[int, int]] = {}
        self.variables: list[Tagged] = []
        self.known: dict[Variable, Tagged] = {}
        self.called: set[int] = set()
        self.graph = GraphWriter(model.name, self.variable)

    def config(self) -> dict[str, Any]:
        """Layers, calls, variables, inputs and outputs."""
        inputs = []
        names, tensors = self.model.input_names, self.plan.input_tensors
        for layer, name, x in zip(self.model._input_layers, names, tensors, strict=True):
            entry = serialize_object(layer)
            entry["config"]["name"] = name
            inputs.append({"name": name, **entry})
            self.graph.add([x])
        calls = [self._layer_call(s) if isinstance(s, LayerCall) else self.graph.operation(s) for s in self.plan.steps]
        config = {
            "layers": [*inputs, *[write_layer(layer) for layer in self.layers]],
            "calls": calls,
            "input_layers": tree.map_structure(self._reference, self.plan.inputs),
            "output_layers": tree.map_structure(self._reference, self.plan.outputs),
        }
        for key in ("input_layers", "output_layers"):
            config[key] = serialize_object(config[key])
        names_of_outputs = given_names(self.plan.outputs)
        if any(names_of_outputs):
            config["output_names"] = names_of_outputs
        return {**config, "variables": self.variables} if self.variables else config

    def _reference(self, x: Any) -> Any:
        return None if x is None else self.graph.value(x)

    def _layer_call(self, call: LayerCall) -> Tagged:
        place = len(self.plan.input_tensors) + self.places[id(call.layer)]
        try:
            entry = {
                "layer": place,
                "name": call.layer.name,
                "arguments": [self.graph.value(x) for x in call.args],
                "keywords": {key: self.graph.value(x) for key, x in call.kwargs.items()},
            }
        except TypeError as error:
            raise TypeError(
                f"model '{self.model.name}': an argument in the call of layer '{call.layer.name}' cannot be written "
                f"into a configuration ({error})"
            ) from None
        self.graph.add(tree.flatten(call.outputs))
        self.called.add(id(call.layer))
        return entry

    def variable(self, variable: Variable) -> Tagged:
        """A reference to a variable: a weight of a layer called before, or one of the model's own."""
        if variable not in self.known:
            inner = self._weight_of_layer(variable)
            if inner is None:
                inner = {"own": len(self.variables)}
                self.variables.append(variable_config(variable))
            self.known[variable] = {"class_name": "__variable__", "config": inner}
        return self.known[variable]

    def _weight_of_layer(self, variable: Variable) -> Tagged | None:
        if not self.owners:
            for i, layer in enumerate(self.layers):
                for j, weight in enumerate(layer.weights):
                    self.owners.setdefault(weight, (i, j))
        if variable not in self.owners:
            return None
        i, j = self.owners[variable]
        layer = self.layers[i]
        if id(layer) not in self.called:
            raise ValueError(
                f"model '{self.model.name}': an operation reads '{variable.path}' before layer "
                f"'{layer.name}', which owns it, is called; such a model has no configuration. "
                "Call the layer first, or put the operation into the call() of a layer of your own"
            )
        return {"layer": len(self.plan.input_tensors) + i, "weight": j}


def variable_config(variable: Variable) -> Tagged:
    """A variable read by operations outside of layers, with its value."""
    return {
        "name": variable.name,
        "trainable": variable.trainable,
        "value": serialize_object(variable),
        "regularizer": serialize_object(variable.regularizer),
        "constraint": serialize_object(variable.constraint),
        **({"frozen": True} if variable.frozen else {}),
    }


def variable_from_config(config: Mapping[str, Any]) -> Variable:
    """The variable that `variable_config` described."""
    value = config["value"]
    variable = Variable(value, dtype=value.dtype, trainable=config["trainable"], name=config["name"])
    variable.frozen = bool(config.get("frozen", False))
    variable.regularizer = deserialize_object(config["regularizer"])
    variable.constraint = deserialize_object(config["constraint"])
    return variable


def functional_from_config(cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None) -> Any:
    """What `Functional.from_config` does."""
    with custom_object_scope(custom_objects or {}), reading():
        if "recorded_model" in config:
            return later.recorded_from_config(config)
        if "calls" not in config and has_own_constructor(cls):
            return cls(**{name: revive(value) for name, value in config.items()})
        try:
            inputs, outputs = _read_graph(plain_values(config))
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"configuration of the model {config.get('name')!r} is incomplete or damaged: {error!r} is missing"
            ) from error
        return cls(inputs, outputs, **{key: config[key] for key in ("name", "trainable", "dtype") if key in config})


def _read_graph(config: Mapping[str, Any]) -> tuple[Any, Any]:
    layers = [read_layer(entry) for entry in config["layers"]]
    own = [variable_from_config(entry) for entry in config.get("variables", ())]

    def variable(place: Mapping[str, Any]) -> Variable:
        return own[place["own"]] if "own" in place else layers[place["layer"]].weights[place["weight"]]

    graph = GraphReader(variable)
    graph.made.extend([layer.tensor] for layer in layers[: len(_leaves(config["input_layers"]))])
    with Trace(records=True):
        for entry in config["calls"]:
            if "operation" in entry:
                graph.operation(entry)
                continue
            arguments = [graph.value(x) for x in entry["arguments"]]
            keywords = {key: graph.value(x) for key, x in entry["keywords"].items()}
            graph.made.append(tree.flatten(layers[entry["layer"]](*arguments, **keywords)))
    outputs = graph.value(config["output_layers"])
    if "output_names" in config:
        give_names(outputs, config["output_names"])
    return graph.value(config["input_layers"]), outputs


def _leaves(config: Any) -> list[Any]:
    """References in a structure of them, in order."""
    if isinstance(config, Mapping) and config.get("class_name") == "__value__":
        return [config["config"]]
    if isinstance(config, Mapping):
        return [leaf for value in config.values() for leaf in _leaves(value)]
    return [leaf for value in config for leaf in _leaves(value)] if isinstance(config, (list, tuple)) else []


def sequential_config(model: Sequential) -> dict[str, Any]:
    """What `Sequential.get_config` returns: the layers in order, the input first if it is known."""
    if has_own_constructor(type(model)):
        return later.own_config(model)
    with writing(None if is_writing() else later.Recordings(model, everywhere=False)):
        inputs = [serialize_object(layer) for layer in model._input_layers]
        layers = [*[{"name": x["config"]["name"], **x} for x in inputs], *[write_layer(x) for x in model._stack]]
        return {**_base_config(model), "layers": layers}


def sequential_from_config(cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None) -> Any:
    """What `Sequential.from_config` does."""
    with custom_object_scope(custom_objects or {}), reading():
        if "recorded_model" in config:
            return later.recorded_from_config(config)
        if "layers" not in config or has_own_constructor(cls):
            return cls(**{name: revive(value) for name, value in config.items()})
        layers = [read_layer(entry) for entry in plain_values(config["layers"])]
        return cls(layers, **{key: config[key] for key in ("name", "trainable") if key in config})
