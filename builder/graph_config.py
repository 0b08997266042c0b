"""What stands between the layers of a model, as JSON: references to tensors, operations, their attributes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ..exporters import standing
from ..trainer import ops
from ..trainer.core import tree
from ..trainer.core.dtypes import as_dtype, dtype_name
from ..trainer.core.graph import Graph, Node
from ..trainer.core.primitive import Primitive
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import symbolic_input
from ..trainer.core.variable import Variable
from ..trainer.custom_objects import get_registered_object
from ..trainer.serialization import deserialize_object, serialize_object

Tagged = dict[str, Any]


@lru_cache(maxsize=1)
def operations() -> dict[str, Primitive]:
    """The library's primitives by name; where two share one, by name and variable."""
    found: dict[str, dict[Primitive, str]] = {}
    # not vars(ops): there the function `softmax` hides the module of its name
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith(f"{ops.__name__}.")]
    for module in modules:
        for variable, value in vars(module).items():
            if isinstance(value, Primitive):
                found.setdefault(value.name, {}).setdefault(value, variable)
    named: dict[str, Primitive] = {}
    for name, entries in found.items():
        alone = len(entries) == 1
        named.update({name if alone else f"{name}.{variable}": primitive for primitive, variable in entries.items()})
    return {**named, **standing.PRIMITIVES}


@lru_cache(maxsize=1)
def _operation_names() -> dict[Primitive, str]:
    return {primitive: name for name, primitive in operations().items()}


def operation_name(primitive: Primitive) -> str:
    """The name under which `find_operation` finds a primitive; the user's own must be given when the model is read."""
    return _operation_names().get(primitive, primitive.name)


def find_operation(name: str) -> Primitive:
    """The primitive of a name. Raises `ValueError` for an unknown one."""
    found = operations().get(name) or get_registered_object(name)
    if not isinstance(found, Primitive):
        raise ValueError(
            f"configuration: the operation {name!r} is not known here. If it is a primitive of your own, pass "
            f"custom_objects={{{name!r}: your_primitive}}"
        )
    return found


class GraphWriter:
    """Writes values, arguments and operations; tensors become references to the step that makes them."""

    def __init__(self, model_name: str, variable: Callable[[Variable], Tagged]) -> None:
        self.model_name = model_name
        self.variable = variable
        self.places: dict[int, tuple[int, int]] = {}
        self.steps = 0

    def add(self, outputs: list[Any]) -> None:
        """Number the outputs of the next step."""
        for i, x in enumerate(outputs):
            self.places.setdefault(id(x), (self.steps, i))
        self.steps += 1

    def value(self, x: Any) -> Any:
        """One argument, attribute, or structure of them. Raises `TypeError` for what JSON cannot hold."""
        if isinstance(x, Variable):
            return self.variable(x)
        if isinstance(x, Tensor) and x.array is None:
            return self._symbolic(x)
        if isinstance(x, tuple):
            return {"class_name": "__tuple__", "config": [self.value(v) for v in x]}
        if isinstance(x, list):
            return [self.value(v) for v in x]
        if isinstance(x, Mapping):
            return {key: self.value(v) for key, v in x.items()}
        if isinstance(x, np.dtype):
            return {"class_name": "__dtype__", "config": dtype_name(x)}
        if isinstance(x, float) and not math.isfinite(x):
            return {"class_name": "__float__", "config": str(x)}
        if isinstance(x, Graph):
            return self._graph(x)
        return serialize_object(x)

    def _symbolic(self, x: Tensor) -> Tagged:
        if id(x) in self.places:  # first: inside a body, a variable that it reads is one of its inputs
            return {"class_name": "__value__", "config": list(self.places[id(x)])}
        if x.symbol is not None and x.symbol.variable is not None:
            return self.variable(x.symbol.variable)
        return self.missing(x)

    def missing(self, x: Tensor) -> Tagged:
        """What stands for a tensor that no step makes: nothing can."""
        raise ValueError(f"model '{self.model_name}': {x!r} is an argument, but no step of the model makes it")

    def inner(self) -> GraphWriter:
        """The writer of a body."""
        return GraphWriter(self.model_name, self.variable)

    def _graph(self, graph: Graph) -> Tagged:
        """The body of a loop or branch: steps numbered for itself."""
        inner = self.inner()
        specs = []
        for x in graph.inputs:
            specs.append([[s if isinstance(s, int) else str(s) for s in x.shape], dtype_name(x.dtype), x.name])
            inner.add([x])
        nodes = [inner.operation(node) for node in graph.nodes]
        results = [inner.value(x) for x in tree.flatten(graph.outputs)]
        return {"class_name": "__graph__", "config": {"inputs": specs, "operations": nodes, "outputs": results}}

    def operation(self, node: Node) -> Tagged:
        """One operation outside of layers."""
        try:
            entry = {
                "operation": operation_name(node.primitive),
                "inputs": [self.value(x) for x in node.inputs],
                "attributes": {key: self.value(x) for key, x in node.attributes.items()},
            }
        except TypeError as error:
            raise TypeError(
                f"model '{self.model_name}': the operation '{node.primitive.name}'"
                f"{f' ({node.source})' if node.source else ''} cannot be written into a configuration ({error}); put "
                "it into the call() of a layer of your own"
            ) from None
        self.add(list(node.outputs))
        return entry


class GraphReader:
    """Reads what `GraphWriter` wrote, its special values already made plain."""

    def __init__(self, variable: Callable[[Any], Any]) -> None:
        self.variable = variable
        self.made: list[list[Any]] = []

    def value(self, config: Any) -> Any:
        """One argument, attribute, or structure of them."""
        if isinstance(config, (list, tuple)):
            return type(config)([self.value(v) for v in config])
        if not isinstance(config, Mapping):
            return config
        if "class_name" not in config or "config" not in config:
            return {key: self.value(v) for key, v in config.items()}
        kind, inner = config["class_name"], config["config"]
        if kind == "__value__":
            step, output = inner
            return self.made[step][output]
        if kind == "__variable__":
            return self.variable(inner)
        if kind == "__dtype__":
            return as_dtype(inner)
        if kind == "__float__":
            return float(inner)
        return self._graph(inner) if kind == "__graph__" else deserialize_object(config)

    def inner(self) -> GraphReader:
        """The reader of a body."""
        return GraphReader(self.variable)

    def spec(self, shape: Any, dtype: Any, name: Any) -> TensorSpec:
        """What is known of an input of a body."""
        return TensorSpec(shape, dtype, name)

    def _graph(self, config: Mapping[str, Any]) -> Graph:
        inner = self.inner()
        inputs = [symbolic_input(self.spec(shape, dtype, name)) for shape, dtype, name in config["inputs"]]
        inner.made.extend([x] for x in inputs)
        for entry in config["operations"]:
            inner.operation(entry)
        return Graph(inputs, [inner.value(x) for x in config["outputs"]])

    def operation(self, config: Mapping[str, Any]) -> None:
        """Apply one operation."""
        primitive = find_operation(config["operation"])
        inputs = [self.value(x) for x in config["inputs"]]
        results = primitive(*inputs, **{key: self.value(x) for key, x in config["attributes"].items()})
        self.made.append(list(results) if type(results) is tuple else [results])
