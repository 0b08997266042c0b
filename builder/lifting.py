"""Nodes of an ONNX file that together are a layer, as that layer: Dense, Conv2D, LSTM, with names of its maker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..exporters.fragments import Entry, Fragment, is_symbolic
from ..exporters.imported import Importer
from ..exporters.lifting import Found, Source, brought, find_layers, path_of, put_back, sharing_key
from ..exporters.node_reading import ReadNode
from ..exporters.source import same_bits
from ..trainer.core.errors import DtypeError, ShapeError
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import symbolic_input
from ..trainer.core.variable import Variable
from .layer import Layer
from .layers.registry import LAYERS
from .lifted_parts import parts_of
from .model_registry import MODELS

UNFIT = (ShapeError, DtypeError, ValueError, TypeError)
"""What a layer raises that does not take the tensors of the file; the nodes stay by themselves then."""


class Lifted:
    """What a layer knows of the file that it came from.

    inputs: names of the tensors that it is called on
    names: of its nodes, and of what they make
    fragment: its nodes as a piece of the file
    weights: by the layer's variables, where each comes from, and the file's value
    again: inputs and nodes of the layer's other calls
    """

    def __init__(
        self, layer: Layer, group: Found, nodes: Sequence[Any], fragment: Fragment,
        weights: Mapping[Variable, tuple[Source, np.ndarray]],
    ) -> None:  # fmt: skip
        self.inputs = tuple(dict.fromkeys(group.inputs))
        self.names = {name for node in nodes for name in (node.name, *node.output) if name}
        self.fragment = fragment
        self.first_name = layer.name
        self.config = _plain_config(layer)
        self.crowded = group.crowded
        self.weights = dict(weights)
        self.again: list[tuple[tuple[str, ...], Fragment]] = []

    def is_as_read(self, layer: Layer) -> bool:
        """Whether the layer still does what the nodes do, or would with its weights of now.

        A weight that something else in the file reads, too, cannot have another value there.
        """
        return _plain_config(layer) == self.config and not (self.crowded and self._has_changed(self.crowded))

    def _has_changed(self, names: Sequence[str]) -> bool:
        return any(
            source.name in names and not same_bits(brought(stored, source.steps), variable.array)
            for variable, (source, stored) in self.weights.items()
        )

    def values(self) -> dict[str, np.ndarray]:
        """The file's weights with the values of now, by their names in the file."""
        found: dict[str, np.ndarray] = {}
        for variable, (source, stored) in self.weights.items():
            before = found.get(source.name, stored)
            then, now = brought(stored, source.steps), variable.array
            found[source.name] = before if same_bits(then, now) else put_back(before, source.steps, now)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Lifted:
        twin = object.__new__(Lifted)
        vars(twin).update(vars(self))
        twin.weights = {memo.get(id(v), v): place for v, place in self.weights.items()}
        return twin


def _plain_config(layer: Layer) -> Any:
    return _without_names(layer.get_config())


def _without_names(value: Any) -> Any:
    """A configuration without what does not change results: names, and whether weights are trained."""
    if isinstance(value, dict):
        return {key: _without_names(x) for key, x in value.items() if key not in ("name", "trainable")}
    return [_without_names(x) for x in value] if isinstance(value, (list, tuple)) else value


class LiftingImporter(Importer):
    """Reads a file as layers of ours where runs of nodes are one, as nodes elsewhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = find_layers(self.source.frame, self.weights)
        self.groups = {i: layer for layer in found for i in layer.nodes}
        self.layers: dict[str, Layer] = {}

    def read(self, i: int, node: ReadNode) -> None:
        """One node: part of a layer, which is made at its last node, or a layer by itself."""
        group = self.groups.get(i)
        if group is None:
            super().read(i, node)
        elif i == max(group.nodes):
            results = self._lifted(group)
            if results is None:
                for k in sorted(group.nodes):
                    super().read(k, ReadNode(self.pieces.nodes[k], self.program.opsets))
                return
            for name, x in results.items():
                self.entries[name] = Entry(x, True, tensors=(name,))

    def _lifted(self, group: Found) -> dict[str, Tensor] | None:
        """The results of a layer by their names in the file; None where the nodes are not that layer after all."""
        if not self._is_ready(group):
            return None
        inputs = [self.entries[name].value for name in group.inputs]
        more = {} if group.settle is None else group.settle(inputs, *[self.value(name) for name in group.extra])
        if more is None:
            return None
        try:
            return self._called(group, more, inputs)
        except UNFIT:
            return None

    def free_name(self, name: str) -> str:
        """A name for a layer, with a number where it is taken; paths of modules as their maker wrote them."""
        return super().free_name(".".join(x for x in path_of(name) if x) if name.startswith("/") else name)

    def _is_ready(self, group: Found) -> bool:
        """Whether all that enters is symbolic tensors."""
        given = [self.entries.get(name) for name in group.inputs]
        return all(x is not None and x.is_tensor and is_symbolic(x.value) for x in given) and all(
            name in self.entries for name in group.extra
        )

    def _fragment(self, group: Found) -> Fragment:
        """The nodes as a piece of the file; tensors of which only sizes are needed come after the layer's inputs."""
        nodes = [self.pieces.nodes[i] for i in sorted(group.nodes)]
        made = {name for node in nodes for name in node.output}
        read = [name for node in nodes for name in node.input if name and name not in made]
        entries = [self.entries[name] for name in dict.fromkeys((*group.inputs, *read))]
        others = [name for entry in entries for name in entry.tensors]
        places = frozenset(group.nodes).union(*[entry.nodes for entry in entries])
        leaves = tuple(dict.fromkeys(name for entry in entries for name in entry.leaves))
        whole = Entry(None, False, places, tuple(dict.fromkeys((*group.inputs, *others))), leaves)
        owned, self.pieces.owned = self.pieces.owned, set()  # the layer's weights are its own, and not the file's
        fragment, _ = self.pieces.cut(whole, [name for name in group.outputs if name])
        self.pieces.owned = owned
        return fragment

    def _called(self, group: Found, more: dict[str, Any], inputs: list[Tensor]) -> dict[str, Tensor]:
        config = {**group.config, **more}
        kind, shapes = config.pop("kind", group.kind), config.pop("shapes", {})
        sources = {k: _shaped(s, shapes.get(k)) for k, s in group.weights.items()}
        arrays = {k: brought(self.weights[s.name].array, s.steps) for k, s in sources.items()}
        key = sharing_key(group)
        layer, is_first = self.layers.get(key), key not in self.layers
        if layer is None:
            layer = self._made(kind, config, group.name, _dtype_of(inputs, list(arrays.values())))
        inner = layer
        with _given_weights(layer, arrays):
            if group.apply is not None:
                layer = _wrapped(group, layer, inputs)
            results = layer(inputs) if group.as_list or (group.apply and len(inputs) > 1) else layer(*inputs)
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        names = [name for name in group.outputs if name]
        for name, x in zip(names, results, strict=True):
            x.symbol.name = name
        if is_first:
            self.names.add(layer.name)
            self.layers[key] = layer if group.apply is None else inner
            layer.lifted = self._origin(layer, group, sources, arrays)
        elif group.apply is None:
            layer.lifted.again.append((tuple(dict.fromkeys(group.inputs)), self._fragment(group)))
        return dict(zip(names, results, strict=True))

    def _made(self, kind: str, config: dict[str, Any], name: str, dtype: str) -> Layer:
        name = self.free_name(name)
        if kind == "Bidirectional":
            inner, options = config["inner"]
            return LAYERS.find(kind)(LAYERS.find(inner)(**options, dtype=dtype), name=name, dtype=dtype)
        return LAYERS.find(kind)(**config, name=name, dtype=dtype)

    def _origin(
        self, layer: Layer, group: Found, sources: Mapping[str, Source], arrays: Mapping[str, np.ndarray]
    ) -> Lifted:
        variables = {f"{prefix}{v.name}": v for part, prefix in parts_of(layer) for v in part._weights}
        weights: dict[Variable, tuple[Source, np.ndarray]] = {}
        for key, source in sources.items():
            variables[key].path = source.name
            if variables[key].array is not arrays[key]:  # of a part that the layer made while it was built
                variables[key].renew(arrays[key])
            weights[variables[key]] = source, self.weights[source.name].array
        nodes = [self.pieces.nodes[i] for i in sorted(group.nodes)]
        return Lifted(layer, group, nodes, self._fragment(group), weights)


def _shaped(source: Source, shape: tuple[int, ...] | None) -> Source:
    return source if shape is None else Source(source.name, (*source.steps, ("reshape", shape)))


def _wrapped(group: Found, layer: Layer, inputs: list[Tensor]) -> Layer:
    """A layer as a model from the tensors of the file to those of the file, where more than its call lies between."""
    own = [symbolic_input(x.spec, f"input_{i}") for i, x in enumerate(inputs)]
    made = group.apply(layer, own)  # pyright: ignore[reportOptionalCall]
    results = [x for x, name in zip(made, group.outputs, strict=True) if name]
    return MODELS.entries["Functional"](
        own[0] if len(own) == 1 else own, results[0] if len(results) == 1 else results, name=layer.name
    )


def _dtype_of(inputs: Sequence[Tensor], arrays: Sequence[np.ndarray]) -> str:
    """The one floating-point type of weights and inputs. Raises `DtypeError` where they have several."""
    kinds = {x.dtype for x in (*arrays, *inputs) if x.dtype.kind == "f"}
    if len(kinds) > 1:
        raise DtypeError(f"expected weights and inputs of one type, got {sorted(str(k) for k in kinds)}")
    return kinds.pop().name if kinds else "float32"


@contextmanager
def _given_weights(layer: Layer, arrays: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Within this, the layer takes its weights from the file instead of drawing them."""
    parts = [] if layer.built else parts_of(layer)
    for part, prefix in parts:
        vars(part)["add_weight"] = partial(_taken, part, arrays, prefix)
    try:
        yield
    finally:
        for part, _ in parts:
            del vars(part)["add_weight"]


def _taken(
    layer: Layer, arrays: Mapping[str, np.ndarray], prefix: str, shape: Any = None, initializer: Any = None,
    dtype: Any = None, trainable: bool = True, name: str | None = None, **options: Any,
) -> Variable:  # fmt: skip
    """A weight as `Layer.add_weight` makes it, with the file's value. Raises `ShapeError` where it does not fit."""
    array = arrays[f"{prefix}{name}"]
    if tuple(shape) != array.shape:
        raise ShapeError(f"layer '{layer.name}': the weight '{name}' has shape {array.shape} in the file, not {shape}")
    variable = Variable.holding(array, trainable, name)
    layer._weights.append(variable)
    return variable
