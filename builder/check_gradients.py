"""Checks of what training can reach: layers never called, results never used, weights without a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..trainer.core.graph import Node
from ..trainer.core.variable import Variable
from .call import LayerCall
from .check_report import Finding
from .check_subject import Subject, is_own, nodes_behind
from .model_training import ModelTraining


def check_gradients(subject: Subject) -> Iterator[Finding]:
    """Findings about unused layers, dead branches, frozen models and weights that nothing trains."""
    unused = list(_unused_layers(subject))
    own_step = type(subject.model).train_step is not ModelTraining.train_step
    yield from (_unused(layer, where, own_step) for layer, where in unused)
    dead = dead_calls(subject)
    yield from map(_dead_branch, dead)
    if subject.training.gradient_error is not None:
        yield Finding(
            "error", "no_gradient_rule", "", f"the gradient cannot be computed: {subject.training.gradient_error}",
            "Use operations that have a gradient, or freeze what lies before them (layer.trainable = False).",
        )  # fmt: skip
        return
    yield from _frozen(subject)
    told = [layer for layer, _ in unused] + [call.layer for call in dead]
    yield from _without_gradient(subject, {id(x) for layer in told for x in layer.walk_layers()}, own_step)


def _unused_layers(subject: Subject) -> Iterator[tuple[Any, str]]:
    """Layers held by the model or by layers of the user's own, and called in neither mode, with where they are held."""
    traces = (subject.inference, subject.training)
    used = {id(call.layer) for traced in traces for call in traced.calls}
    read = {id(v) for traced in traces for v in _variables_read(traced.nodes)}
    pending: list[tuple[Any, str]] = [(subject.model, "")]
    seen: set[int] = set()
    while pending:
        layer, path = pending.pop()
        holds_by_hand = layer is subject.model or not is_own(layer)
        for child in layer.child_layers():
            where = f"{path}/{child.name}" if path else child.name
            if id(child) in seen:
                continue
            seen.add(id(child))
            inner = [child, *child.walk_layers()]
            idle = not any(id(x) in used for x in inner) and not any(id(v) in read for v in child.weights)
            if idle and holds_by_hand:
                yield child, _attribute(layer, child) or where
            elif not idle:
                pending.append((child, where))


def _variables_read(nodes: list[Node]) -> Iterator[Variable]:
    for node in nodes:
        for x in node.inputs:
            if x is not None and x.symbol is not None and x.symbol.variable is not None:
                yield x.symbol.variable


def _attribute(owner: Any, child: Any) -> str | None:
    """How the user wrote it: `self.blocks[2]`."""
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        if value is child:
            return f"self.{name}"
        items = enumerate(value) if isinstance(value, (list, tuple)) else ()
        for key, item in value.items() if isinstance(value, dict) else items:
            if item is child:
                return f"self.{name}[{key!r}]"
    return None


def _unused(layer: Any, where: str, own_step: bool) -> Finding:
    kind = type(layer).__name__
    return Finding(
        "note" if own_step else "warning", "unused_layer", where,
        f"the layer '{layer.name}' ({kind}) is held by the model and never called"
        + (f"; its {layer.count_params():,} parameters do nothing" if layer.weights else ""),
        "Call it in call(), or remove it.",
    )  # fmt: skip


def dead_calls(subject: Subject) -> list[LayerCall]:
    """Outermost calls whose results reach neither an output nor a loss nor a kept state, in neither mode."""
    alive: set[int] = set()
    for traced in (subject.inference, subject.training):
        for node in traced.nodes:
            if isinstance(node.scope, LayerCall):
                alive.update(id(call.layer) for call in node.scope.ancestors())
    dead: list[LayerCall] = []
    for call in sorted(subject.training.calls, key=lambda call: call.index):
        results = call.output_tensors()
        is_constant = all(x.symbol is None or x.symbol.node is None for x in results)
        around = list(call.ancestors())[1:]
        is_inner = bool(around) and is_own(around[0].layer)
        is_told = is_inner or any(outer is other for outer in around for other in dead)
        if id(call.layer) not in alive and not is_constant and not is_told:
            dead.append(call)
    return dead


def _dead_branch(call: LayerCall) -> Finding:
    lines = [x.source for x in nodes_behind(call.output_tensors()) if x.scope is call and x.source is not None]
    return Finding(
        "warning", "dead_branch", call.path,
        f"the result of '{call.layer.name}' ({type(call.layer).__name__}) is used by no output of the model",
        "Use the result, return it as an output, or remove the call.", lines[0] if lines else None,
    )  # fmt: skip


def _frozen(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    if model.weights and not model.trainable_variables and model.compiled:
        frozen = [layer.name for layer in model.walk_layers() if layer.weights and not layer.trainable]
        yield Finding(
            "warning", "everything_frozen", "",
            f"nothing is trainable, so fit() would change no weight; frozen: {', '.join(frozen[:5])}"
            + (", ..." if len(frozen) > 5 else ""),
            "Set layer.trainable = True for what shall learn, then compile() again.",
        )  # fmt: skip


def _without_gradient(subject: Subject, unused: set[int], own_step: bool) -> Iterator[Finding]:
    """Trainable weights that no minimised output depends on in a way that can be differentiated."""
    model, reached = subject.model, subject.training.reached
    missing: dict[int, tuple[Any, list[Variable]]] = {}
    for layer in model.walk_layers():
        if id(layer) in unused or not layer.trainable:
            continue
        lost = [v for v in layer.own_variables() if v.trainable and v.dtype.kind == "f" and v not in reached]
        if lost:
            missing[id(layer)] = (layer, lost)
    names = model.weight_names()
    wanted = [v for v in model.trainable_variables if v.dtype.kind == "f"]
    hopeless = bool(missing) and not reached & set(wanted)
    for layer, lost in missing.values():
        blocker = _blocker(subject, lost)
        yield Finding(
            "note" if own_step else "error" if hopeless else "warning", "no_gradient",
            ", ".join(names.get(v, v.name) for v in lost),
            f"{'weights' if len(lost) > 1 else 'the weight'} of '{layer.name}' ({type(layer).__name__}) "
            f"get{'' if len(lost) > 1 else 's'} no gradient: {_reason(subject, lost, blocker)}",
            _remedy(blocker), subject.line_of(layer) if blocker is None else blocker.source,
        )  # fmt: skip


def _blocker(subject: Subject, lost: list[Variable]) -> Node | None:
    """The first operation without a gradient on the way from a weight to the outputs."""
    wanted = set(lost)
    touched: set[int] = set()
    for node in subject.training.nodes:
        inputs = [x for x in node.inputs if x is not None]
        reads = any(x.symbol is not None and x.symbol.variable in wanted for x in inputs)
        if not reads and not any(id(x) in touched for x in inputs):
            continue
        stops = node.primitive.vjp is None and node.primitive.joint_vjp is None
        if stops or (node.primitive.name == "cast" and node.specs[0].dtype.kind != "f"):
            return node
        touched.update(id(x) for x in node.outputs)
    return None


def _reason(subject: Subject, lost: list[Variable], blocker: Node | None) -> str:
    if blocker is not None:
        return f"`{blocker.primitive.name}` on the way to the output cannot be differentiated"
    if not set(lost) & set(_variables_read(subject.training.nodes)):
        known = set(_variables_read(subject.inference.nodes))
        read = "the computation of training mode does not depend on" if set(lost) & known else "call() never reads"
        return f"{read} {'them' if len(lost) > 1 else 'it'}"
    return "they lead only to outputs without a loss" if len(lost) > 1 else "it leads only to outputs without a loss"


def _remedy(blocker: Node | None) -> str:
    if blocker is None:
        return "Give the output a loss in compile(), use the weight in call(), or freeze it (trainable=False)."
    if blocker.primitive.name == "stop_gradient":
        return "Remove ops.stop_gradient, or freeze the layer (layer.trainable = False) if it shall not learn."
    return (
        "Use a smooth form (softmax for argmax, sigmoid for a comparison), pass the gradient straight through "
        "(x + ops.stop_gradient(hard - x)), or freeze the layer (layer.trainable = False)."
    )
