"""The recorded computations of all layers of a model that need one, out of one traced run."""

from __future__ import annotations

import json
from typing import Any

from ..trainer.core import tree
from ..trainer.core.graph import Node
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .call import LayerCall
from .call_style import call_style
from .recorder import Effect, TracedMode
from .recording_layout import Layout, is_container
from .recording_writer import ProgramWriter

Program = dict[str, Any]


class _Open(Exception):
    """A layer's call must be written as the steps inside it, because tensors leave or enter it otherwise."""

    def __init__(self, call: LayerCall) -> None:
        super().__init__(call.path)
        self.call = call


class Unrecordable(Exception):
    """Why a computation cannot be written."""


class ModeEncoder:
    """Encodes one traced run; calls that cannot stand by themselves are opened, as few as possible."""

    def __init__(self, traced: TracedMode, layout: Layout) -> None:
        self.traced = traced
        self.layout = layout
        self.nodes = traced.nodes()
        self.makers = {id(x): node for node in self.nodes for x in node.outputs}
        self.opened = {call for call in traced.calls if id(call.layer) not in layout.layers}
        self.read_too_early: set[int] = set()
        self.problems: dict[int, str] = {}

    def programs(self) -> list[tuple[Any, Program]]:
        """Layers with what each of their calls computes."""
        while True:
            try:
                return self._all()
            except _Open as request:
                self.opened.add(request.call)

    def called(self) -> set[int]:
        """Layers, by identity, that some recorded computation or container calls."""
        return {id(call.layer) for call in self.traced.calls if call not in self.opened}

    def _all(self) -> list[tuple[Any, Program]]:
        steps = self._steps()
        scopes: list[LayerCall | None] = [c for c in self.traced.calls if self._is_recorded(c)]
        if id(self.traced.model) in self.layout.recorded:
            scopes.insert(0, None)
        self.problems = {}
        found: list[tuple[Any, Program]] = []
        contents: dict[str, Any] = {}
        for scope in scopes:
            layer = self.traced.model if scope is None else scope.layer
            try:
                program = self._program(scope, layer, steps.get(scope, []))
            except Unrecordable as error:
                self.problems[id(layer)] = str(error)
                continue
            key = json.dumps([id(layer), program["training"], program["arguments"], program["inputs"]])
            if scope is not None and contents.setdefault(key, program["steps"]) != program["steps"]:
                raise _Open(scope)
            found.append((layer, program))
        return found

    def _is_recorded(self, call: LayerCall) -> bool:
        return call not in self.opened and id(call.layer) in self.layout.recorded

    def _scope(self, scope: Any) -> LayerCall | None:
        """The innermost call, itself or around it, that is not opened."""
        while isinstance(scope, LayerCall) and scope in self.opened:
            scope = scope.parent
        return scope if isinstance(scope, LayerCall) else None

    def _steps(self) -> dict[LayerCall | None, list[Any]]:
        """Operations, calls and effects by the call inside which they stand, in order."""
        found: dict[LayerCall | None, list[Any]] = {}
        calls = [call for call in self.traced.calls if call not in self.opened]
        for item in sorted([*self.nodes, *calls, *self.traced.effects], key=lambda item: item.index):
            scope = item.parent if isinstance(item, LayerCall) else item.scope
            found.setdefault(self._scope(scope), []).append(item)
        return found

    def _mode(self, call: LayerCall | None) -> bool:
        while call is not None:
            given = call_style(call.layer).arguments(call.args, call.kwargs)[1]
            if given is not None:
                return given
            call = call.parent
        return self.traced.training

    def _program(self, scope: LayerCall | None, layer: Any, items: list[Any]) -> Program:
        args, kwargs = (self.traced.args, self.traced.kwargs) if scope is None else (scope.args, scope.kwargs)
        outputs = self.traced.outputs if scope is None else scope.outputs
        training = self._mode(scope)
        writer = ProgramWriter(layer.name, self._variable(scope), lambda x: self._unreachable(scope, x))
        arguments, _ = call_style(layer).arguments(args, kwargs)
        leaves = [x for value in arguments.values() for x in tree.flatten(value)]
        if scope is not None and any(isinstance(x, Variable) for x in leaves):
            raise _Open(scope)
        inputs = [x for x in {id(x): x for x in leaves}.values() if isinstance(x, Tensor) and x.array is None]
        described = [writer.input(x) for x in inputs]
        try:
            program: Program = {
                "training": training, "arguments": {name: writer.value(x) for name, x in arguments.items()},
                "inputs": described,
            }  # fmt: skip
        except TypeError as error:
            if scope is not None:
                raise _Open(scope) from None
            raise Unrecordable(f"an argument of its call cannot be written: {error}") from None
        try:
            program["steps"] = [e for item in items if (e := self._step(writer, item, training)) is not None]
            program["outputs"] = writer.value(outputs)
            masks = [writer.value(getattr(x, "mask", None)) for x in tree.flatten(outputs)]
        except (TypeError, ValueError) as error:
            raise Unrecordable(str(error)) from None
        if scope is not None and writer.unknown_sizes():
            raise _Open(scope)
        return {**program, "masks": masks} if any(m is not None for m in masks) else program

    def _step(self, writer: ProgramWriter, item: Any, training: bool) -> dict[str, Any] | None:
        if isinstance(item, LayerCall):
            return writer.call(item)
        if isinstance(item, Effect):
            return writer.effect(item)
        read = self.traced.reads.get(id(item.outputs[0]))
        return writer.node(item, training) if read is None else writer.read(read[1], item.outputs[0])

    def _variable(self, scope: LayerCall | None) -> Any:
        """References to variables; layers of which a weight is read before they are called are noted."""

        def refer(variable: Variable) -> dict[str, Any]:
            owner = self.layout.owner(variable)
            if owner is not None and id(owner) not in self.layout.recorded and not is_container(owner):
                before = [c for c in self.traced.calls if c.layer is owner and c not in self.opened]
                uses = [n.index for n in self.nodes if any(_is_variable(x, variable) for x in n.inputs)]
                first_use = min((i for i in uses), default=0)
                own_use = [n.index for n in self.nodes if self._belongs(n, owner)]
                reading = min((i for i in uses if i not in own_use), default=first_use)
                if not before or before[0].index > reading:
                    self.read_too_early.add(id(owner))
            return self.layout.reference(variable)

        return refer

    def _belongs(self, node: Node, layer: Any) -> bool:
        return isinstance(node.scope, LayerCall) and any(call.layer is layer for call in node.scope.ancestors())

    def _unreachable(self, scope: LayerCall | None, x: Tensor) -> dict[str, Any]:
        """Open the call out of which the tensor comes, or else this one, which it enters from outside."""
        node = self.makers.get(id(x))
        chain = [] if node is None or not isinstance(node.scope, LayerCall) else list(node.scope.ancestors())
        chain = [call for call in chain if call not in self.opened]
        if node is not None and (scope is None or scope in chain):
            inside = chain if scope is None else chain[: chain.index(scope)]
            if inside:
                raise _Open(inside[-1])
        if scope is not None:
            raise _Open(scope)
        raise Unrecordable(f"{x!r} comes from outside of the model")


def _is_variable(x: Tensor | None, variable: Variable) -> bool:
    return x is not None and x.symbol is not None and x.symbol.variable is variable
