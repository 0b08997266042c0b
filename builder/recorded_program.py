"""A recorded computation made runnable: its steps call layers and apply operations, eagerly or on symbolic tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer import ops
from ..trainer.core import tree
from ..trainer.core.dims import Dim, contains_dim, equal, names, substitute
from ..trainer.core.graph import Graph
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from ..trainer.ops.bodies import size_names
from ..trainer.serialization import plain_values
from .graph_config import GraphReader, find_operation
from .layer_call import without_recording
from .plan import bind

Made = list[list[Any]]
Sizes = dict[str, Any]


class Reference:
    """A result of a step, or with `mask` the mask that it carries."""

    __slots__ = ("mask", "output", "step")

    def __init__(self, step: int, output: int, mask: bool) -> None:
        self.step, self.output, self.mask = step, output, mask

    def get(self, made: Made) -> Any:
        """The tensor of the moment."""
        value = made[self.step][self.output]
        return value.mask if self.mask else value


class VariableReference:
    """A variable, looked up when first needed: the layer that owns it may have to be built before."""

    __slots__ = ("find", "found", "place")

    def __init__(self, place: Any, find: Callable[[Any], Any]) -> None:
        self.place, self.find = place, find
        self.found: Any = None

    def get(self, made: Made) -> Any:
        """The variable."""
        if self.found is None:
            self.found = self.find(self.place)
        return self.found


class ProgramReader(GraphReader):
    """Reads values of a program: results of steps stay references."""

    def __init__(self, variable: Callable[[Any], Any], arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(variable)
        self.arrays = arrays

    def value(self, config: Any) -> Any:
        """One argument, attribute, or structure of them."""
        if isinstance(config, Mapping) and "config" in config:
            kind, inner = config.get("class_name"), config["config"]
            if kind in ("__value__", "__mask__"):
                return Reference(inner[0], inner[1], kind == "__mask__")
            if kind == "__variable__":
                return VariableReference(inner, self.variable)
            if kind == "__stored__":
                return Tensor(self.arrays[inner])
        return super().value(config)

    def _graph(self, config: Mapping[str, Any]) -> Any:
        return Body(config, self.variable, self.arrays)


class Body:
    """The body of a loop or branch, made for the sizes of the moment: the sizes inside are those outside."""

    def __init__(self, config: Mapping[str, Any], variable: Callable[[Any], Any], arrays: Mapping[str, Any]) -> None:
        self.config, self.variable, self.arrays = config, variable, arrays
        self.made: dict[Any, Graph] = {}

    def graph(self, sizes: Sizes) -> Graph:
        """The graph, with these sizes in the place of the recorded ones."""
        key = tuple(sorted((name, str(size)) for name, size in sizes.items()))
        if key not in self.made:
            with without_recording():
                self.made[key] = _BodyReader(self.variable, self.arrays, sizes)._graph(self.config)
        return self.made[key]


class _BodyReader(GraphReader):
    """Reads the bodies of loops and branches."""

    def __init__(self, variable: Callable[[Any], Any], arrays: Mapping[str, np.ndarray], sizes: Sizes) -> None:
        super().__init__(variable)
        self.arrays = arrays
        self.sizes = sizes

    def inner(self) -> GraphReader:
        return _BodyReader(self.variable, self.arrays, self.sizes)

    def value(self, config: Any) -> Any:
        if isinstance(config, Mapping) and config.get("class_name") == "__stored__":
            return Tensor(self.arrays[config["config"]])
        if isinstance(config, (Dim, slice)):
            return fill(config, [], self.sizes)
        return super().value(config)

    def spec(self, shape: Any, dtype: Any, name: Any) -> TensorSpec:
        spec = TensorSpec(shape, dtype, name)
        return TensorSpec([fill(size, [], self.sizes) for size in spec.shape], dtype, name)


class Program:
    """One computation of a layer: for arguments of these specs, in this mode (None: in both)."""

    def __init__(
        self,
        config: Mapping[str, Any],
        find: Callable[[int], Any],
        variable: Callable[[Any], Any],
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        plain: Any = plain_values(config)
        reader = ProgramReader(variable, arrays)
        self.find = find
        self.uses_sizes = False
        self.training: bool | None = plain["training"]
        self.specs = [TensorSpec(shape, dtype) for shape, dtype, _ in plain["inputs"]]
        self.masked = [masked for _, _, masked in plain["inputs"]]
        self.arguments: dict[str, Any] = {name: reader.value(x) for name, x in plain["arguments"].items()}
        self.steps = [self._step(entry, reader) for entry in plain["steps"]]
        self.outputs = reader.value(plain["outputs"])
        self.masks = [reader.value(mask) for mask in plain.get("masks", ())]
        shapes = [size for spec in self.specs for size in spec.shape]
        self.composed = [size for size in shapes if isinstance(size, Dim) and names(size) != {str(size)}]
        self.uses_sizes = self.uses_sizes or _has_sizes(self.outputs)

    def run(self, layer: Any, tensors: Sequence[Any], call: Callable[..., Any] | None) -> Any:
        """The results for input tensors in the order of `specs`; `call(layer, ...)` stands for layers' calls."""
        made: Made = [[x] for x in tensors]
        sizes = self._sizes(tensors) if self.uses_sizes else {}
        for step in self.steps:
            step(layer, made, sizes, call)
        results = fill(self.outputs, made, sizes)
        for x, mask in zip(tree.flatten(results), self.masks, strict=False):
            if isinstance(x, Tensor) and mask is not None:
                x.mask = fill(mask, made, sizes)
        return results

    def _sizes(self, tensors: Sequence[Any]) -> Sizes:
        inputs: Any = self.specs  # of which only the shapes are asked for
        sizes: Sizes = bind(inputs, tensors)
        for spec, x in zip(self.specs, tensors, strict=True):
            pairs = zip(spec.shape, x.shape, strict=True)
            sizes.update({str(size): actual for size, actual in pairs if size in self.composed})
        return sizes

    def match(self, given: Mapping[str, Any], takes_masks: bool) -> list[Any] | None:
        """The input tensors among arguments by name; None if they are not those that were recorded."""
        if set(given) != set(self.arguments):
            return None
        found: dict[int, Any] = {}
        for name, pattern in self.arguments.items():
            if not self._match(pattern, given[name], found):
                return None
        tensors = [found[i] for i in range(len(self.specs))]
        for x, spec, masked in zip(tensors, self.specs, self.masked, strict=True):
            if not _fits(x, spec) or (masked != (x.mask is not None) and (masked or takes_masks)):
                return None
        return [x if x.dtype == s.dtype else ops.cast(x, s.dtype) for x, s in zip(tensors, self.specs, strict=True)]

    def _match(self, pattern: Any, given: Any, found: dict[int, Any]) -> bool:
        if isinstance(pattern, Reference):
            if isinstance(given, (np.ndarray, np.generic)) or type(given) in (int, float):
                given = ops.convert_to_tensor(given)
            return isinstance(given, Tensor) and found.setdefault(pattern.step, given) is given
        if isinstance(pattern, dict):
            return isinstance(given, dict) and set(given) == set(pattern) and all(
                self._match(pattern[key], given[key], found) for key in pattern
            )  # fmt: skip
        if isinstance(pattern, (list, tuple)):
            return isinstance(given, (list, tuple)) and len(given) == len(pattern) and all(
                self._match(a, b, found) for a, b in zip(pattern, given, strict=True)
            )  # fmt: skip
        return _is_equal(pattern, given)

    def _step(self, entry: Mapping[str, Any], reader: ProgramReader) -> Callable[..., None]:
        if "operation" in entry:
            return self._operation(entry, reader)
        if "layer" in entry:
            return self._layer(entry, reader)
        if "read" in entry:
            source = entry["read"]
            return lambda layer, made, sizes, call: made.append([reader.variable(source).read()])
        if "assign" in entry:
            target, value = entry["assign"], reader.value(entry["value"])

            def assign(layer: Any, made: Made, sizes: Sizes, call: Any) -> None:
                reader.variable(target).assign(fill(value, made, sizes))
                made.append([])

            return assign
        term = reader.value(entry["loss"])

        def add_loss(layer: Any, made: Made, sizes: Sizes, call: Any) -> None:
            layer.add_loss(fill(term, made, sizes))
            made.append([])

        return add_loss

    def _operation(self, entry: Mapping[str, Any], reader: ProgramReader) -> Callable[..., None]:
        primitive = find_operation(entry["operation"])
        inputs = [_source(reader.value(x)) for x in entry["inputs"]]
        attributes = {key: reader.value(x) for key, x in entry.get("attributes", {}).items()}
        has_bodies = any(isinstance(x, Body) for x in attributes.values())
        has_sizes, shapes = has_bodies or _has_sizes(attributes), entry.get("shapes")
        self.uses_sizes = self.uses_sizes or has_sizes or shapes is not None

        def apply(layer: Any, made: Made, sizes: Sizes, call: Any) -> None:
            options = {key: fill(x, made, sizes) for key, x in attributes.items()} if has_sizes else attributes
            values = [x if get is None else get(made) for get, x in inputs]
            if has_bodies:
                with_bodies(options, sizes, any(getattr(x, "array", None) is None for x in values))
            results = primitive(*values, **options)
            made.append(list(results) if type(results) is tuple else [results])
            if shapes is not None:
                learn_sizes(shapes, made[-1], sizes)

        return apply

    def _layer(self, entry: Mapping[str, Any], reader: ProgramReader) -> Callable[..., None]:
        number, shapes = entry["layer"], entry.get("shapes")
        arguments = [reader.value(x) for x in entry["arguments"]]
        keywords = {key: reader.value(x) for key, x in entry.get("keywords", {}).items()}
        self.uses_sizes = self.uses_sizes or _has_sizes([arguments, keywords]) or shapes is not None

        def run(layer: Any, made: Made, sizes: Sizes, call: Any) -> None:
            target = self.find(number)
            args = [fill(x, made, sizes) for x in arguments]
            options = {key: fill(x, made, sizes) for key, x in keywords.items()}
            results = target(*args, **options) if call is None else call(target, *args, **options)
            made.append(tree.flatten(results))
            if shapes is not None:
                learn_sizes(shapes, made[-1], sizes)

        return run


def with_bodies(options: dict[str, Any], sizes: Sizes, symbolic: bool) -> None:
    """Put graphs in the places of bodies: as recorded where arrays tell the sizes, with the present sizes elsewhere."""
    bodies = {name: x.graph(sizes if symbolic else {}) for name, x in options.items() if isinstance(x, Body)}
    if symbolic and "sizes" in options:
        options["sizes"] = size_names(*bodies.values())
    options.update(bodies)


def _has_sizes(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(_has_sizes(x) for x in value)
    return isinstance(value, Dim) or (isinstance(value, slice) and contains_dim(value))


def _source(value: Any) -> tuple[Any, Any]:
    """How an operation gets an input: from a step, or as it stands."""
    return (value.get, None) if isinstance(value, (Reference, VariableReference)) else (None, value)


def fill(value: Any, made: Made, sizes: Sizes) -> Any:
    """A structure with results of steps and sizes of the moment in their places."""
    if isinstance(value, (Reference, VariableReference)):
        return value.get(made)
    if isinstance(value, Dim):
        known = sizes.get(str(value))
        return substitute(value, {k: v for k, v in sizes.items() if k in names(value)}) if known is None else known
    if isinstance(value, slice):
        return slice(*[fill(x, made, sizes) for x in (value.start, value.stop, value.step)])
    if isinstance(value, dict):
        return {key: fill(x, made, sizes) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return tree.rebuild(value, [fill(x, made, sizes) for x in value])
    return value


def learn_sizes(shapes: Sequence[Any], results: Sequence[Any], sizes: Sizes) -> None:
    """Take in sizes that only results tell."""
    for shape, x in zip(shapes, results, strict=True):
        for size, actual in zip(shape or (), x.shape if isinstance(x, Tensor) else (), strict=True):
            if isinstance(size, str):
                sizes.setdefault(size, actual)


def _fits(x: Tensor, spec: TensorSpec) -> bool:
    shape = x.shape
    same_rank = len(shape) == len(spec.shape)
    known = same_rank and all(
        equal(a, b) is True for a, b in zip(shape, spec.shape, strict=True) if not isinstance(b, Dim)
    )
    kinds = x.dtype.kind + spec.dtype.kind
    return known and (x.dtype == spec.dtype or kinds in ("ff", "ii", "uu", "iu", "ui", "if", "uf"))


def _is_equal(pattern: Any, given: Any) -> bool:
    if isinstance(pattern, Tensor) or isinstance(given, (Tensor, np.ndarray, Variable)):
        if getattr(given, "array", given) is None or isinstance(given, Dim):
            return False
        return np.array_equal(np.asarray(pattern), np.asarray(given))
    return type(pattern) is type(given) and pattern == given
