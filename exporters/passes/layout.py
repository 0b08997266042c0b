"""Moves Transposes towards the outputs, so that they meet their inverse and vanish.

A value that is a transposition of another is not made: it is remembered as (base, axes), and operators that do not care
for the order of axes are applied to the base instead, their own attributes remapped. A Transpose is written only where
an operator, an output or a subgraph needs the value itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from ...trainer.core.dims import equal
from ...trainer.core.spec import TensorSpec
from ..ir import OnnxNode
from . import layout_rules
from .layout_operators import JOINING
from .scope import Scope

Axes = tuple[int, ...]


class Form(NamedTuple):
    """A value seen as a transposition: axis i of the value is axis `axes[i]` of the base."""

    base: str
    axes: Axes


class Flat(NamedTuple):
    """A value (rows, features) seen as a permutation of the features of another: these, shaped `sizes`, are the base's
    with axis i of the value's being axis `axes[i]` of the base's."""

    base: str
    sizes: tuple[int, ...]
    axes: Axes


def moved_name(name: str, axes: Axes) -> str:
    """The name of the base whose transposition by `axes` is the value `name`, so that the two can be compared."""
    return f"{name}@{'.'.join(map(str, axes))}"


def original_value(name: str) -> tuple[str, Axes] | None:
    """The value and the axes that a `moved_name` tells of; None for other names."""
    value, found, axes = name.rpartition("@")
    if not found or not all(part.isdigit() for part in axes.split(".")):
        return None
    return value, tuple(int(part) for part in axes.split("."))


def settle_layout(scope: Scope) -> bool:
    """Before: constants are folded, duplicates merged. After: there are not more Transposes than before, mostly
    far fewer; weights behind a flattening are permuted instead of the image before it."""
    graph = scope.graph
    before = sum(node.operator == "Transpose" for node in graph.nodes)
    if not before:
        return False
    kept = graph.nodes
    graph.nodes = Layout(scope).run()
    if sum(node.operator == "Transpose" for node in graph.nodes) > before:
        graph.nodes = kept
        return False
    return True


class Layout:
    """One sweep over a graph. Nodes are never changed in place, so that it can be taken back."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.shared = scope.shared
        self.forms: dict[str, Form] = {}
        self.flats: dict[str, Flat] = {}
        self.written: dict[Form, str] = {}
        self.nodes: list[OnnxNode] = []
        self.outputs = set(scope.graph.outputs)
        self.consumers: dict[str, list[OnnxNode]] = defaultdict(list)
        self.wanted: set[Form] = set()
        for node in scope.graph.nodes:
            for name in node.reads():
                self.consumers[name].append(node)
            if node.operator == "Transpose":
                self.wanted.add(Form(node.inputs[0], tuple(node.attributes["perm"])))

    def run(self) -> list[OnnxNode]:
        """The nodes after the sweep."""
        for node in self.scope.graph.nodes:
            if node.operator == "Transpose":
                self._transpose(node)
            elif not self._moved(node):
                self.keep(node)
        for name in self.scope.graph.outputs:
            if name in self.forms:
                self._write_output(name)
        return self.nodes

    def _moved(self, node: OnnxNode) -> bool:
        """Apply the operator to bases, if there are some and it has a rule."""
        if any(name in self.flats for name in node.inputs):
            return layout_rules.after_flattening(self, node)
        if not any(name in self.forms for name in node.inputs):
            return False
        if node.inputs[0] not in self.forms and node.operator not in JOINING:
            return False
        rule = layout_rules.RULES.get(node.operator)
        return rule is not None and rule(self, node)

    def _transpose(self, node: OnnxNode) -> None:
        form = self.form(node.inputs[0])
        self.forms[node.outputs[0]] = Form(form.base, tuple(form.axes[a] for a in node.attributes["perm"]))

    def form(self, name: str) -> Form:
        """A value as a transposition; of itself, if need be."""
        if name in self.forms:
            return self.forms[name]
        spec = self.spec(name)
        return Form(name, tuple(range(spec.rank if spec is not None else 0)))

    def spec(self, name: str) -> TensorSpec | None:
        """What is known of a value."""
        return self.scope.spec(name)

    def array(self, name: str) -> np.ndarray | None:
        """The array of an initializer."""
        return self.scope.array(name)

    def keep(self, node: OnnxNode) -> None:
        """Write a node as it is, and before it the transpositions that it needs."""
        inputs = [self.value(name) for name in node.inputs]
        inner = node.subgraphs()
        for graph in inner:
            captured = {name: self.value(name) for name in graph.uses() if name in self.forms}
            graph.rename({old: new for old, new in captured.items() if old != new})
        changed = inputs != node.inputs
        self.nodes.append(
            OnnxNode(node.operator, inputs, node.outputs, node.attributes, node.name, node.domain, node.source)
            if changed
            else node
        )

    def value(self, name: str) -> str:
        """The name under which a value can be read, written now if it was only remembered."""
        form = self.forms.get(name)
        if form is None:
            return name
        if form.axes == tuple(range(len(form.axes))):
            return form.base
        if form not in self.written:
            self._write(form, self.shared.unique(name) if name in self.outputs else name)
        return self.written[form]

    def _write(self, form: Form, name: str) -> None:
        path = name.rpartition("/")[0]
        title = self.shared.unique(f"{path}/Transpose" if path else "Transpose")
        base = self.spec(form.base)
        if base is not None:
            self.scope.graph.specs[name] = TensorSpec([base.shape[a] for a in form.axes], base.dtype)
        self.nodes.append(OnnxNode("Transpose", [form.base], [name], {"perm": list(form.axes)}, title))
        self.written[form] = name

    def _write_output(self, name: str) -> None:
        form = self.forms[name]
        if form not in self.written and form.axes != tuple(range(len(form.axes))):
            self._write(form, name)
        else:
            self.nodes.append(OnnxNode("Identity", [self.value(name)], [name], {}, self.shared.unique("Identity")))

    def emit(self, node: OnnxNode, inputs: list[str], order: Axes, **attributes: object) -> None:
        """Write a node on bases: each of its outputs is remembered as a transposition by `order` of what this makes."""
        sources = [self.value(name) for name in inputs]
        outputs: list[str] = []
        for name in node.outputs:
            base = self.shared.unique(moved_name(name, order)) if name else ""
            outputs.append(base)
            spec = self.spec(name) if name else None
            if spec is not None and len(order) == spec.rank:
                shape = [spec.shape[order.index(i)] for i in range(spec.rank)]
                self.scope.graph.specs[base] = TensorSpec(shape, spec.dtype)
            if name:
                self.forms[name] = Form(base, order)
        changed = {**node.attributes, **attributes}
        self.nodes.append(OnnxNode(node.operator, sources, outputs, changed, node.name, node.domain, node.source))

    def other_form(self, name: str, axes: Axes) -> str | None:
        """The base of which a value would be the transposition by `axes`, where that costs no Transpose."""
        form = self.forms.get(name)
        if form is not None and form.axes == axes:
            return form.base
        array, spec = self.array(name), self.spec(name)
        if spec is None or spec.rank > len(axes):
            return None
        if all(equal(size, 1) is True for size in spec.shape):
            return self.value(name)
        back = tuple(axes.index(i) for i in range(len(axes)))
        if array is not None:
            wide = self.shared.derive(name, "reshape", (1,) * (len(axes) - array.ndim) + array.shape)
            return self.shared.derive(wide, "transpose", back)
        if spec.rank < len(axes):
            return None
        return self._without_moving(name, spec, back)

    def _without_moving(self, name: str, spec: TensorSpec, axes: Axes) -> str | None:
        """The transposition of a value by `axes` where it exists, or is a mere reshape because it moves sizes of 1."""
        form = self.form(name)
        total = Form(form.base, tuple(form.axes[a] for a in axes))
        if total in self.written:
            return self.written[total]
        moved = [a for a in axes if equal(spec.shape[a], 1) is not True]
        shape = [spec.shape[a] for a in axes]
        unknown = sum(not isinstance(size, int) for size in shape)
        if moved != sorted(moved) or unknown > 1:
            return None
        target = self.shared.constant([size if isinstance(size, int) else -1 for size in shape], np.int64)
        result = self.shared.unique(f"{name}:reshaped")
        self.scope.graph.specs[result] = TensorSpec(shape, spec.dtype)
        self.nodes.append(OnnxNode("Reshape", [self.value(name), target], [result], {}, self.shared.unique("Reshape")))
        self.written[total] = result
        return result

    def is_wanted(self, name: str, axes: Axes) -> bool:
        """Whether the base of which a value is the transposition by `axes` is made anyway."""
        return self._inverse(name, axes) in self.wanted

    def forced_form(self, name: str, axes: Axes) -> str:
        """The base of which a value is the transposition by `axes`, written if it has not been."""
        form = self._inverse(name, axes)
        if form not in self.written:
            self._write(form, self.shared.unique(name))
        return self.written[form]

    def _inverse(self, name: str, axes: Axes) -> Form:
        form = self.form(name)
        return Form(form.base, tuple(form.axes[axes.index(i)] for i in range(len(axes))))

    def remember_flat(self, name: str, base: str, sizes: tuple[int, ...], axes: Axes) -> None:
        """A flattened value whose features are those of `base` in another order."""
        self.flats[name] = Flat(base, sizes, axes)
