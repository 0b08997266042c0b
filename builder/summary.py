"""A model as a table: layers, shapes, parameters, connections."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..trainer.core.later import LazyModule
from ..trainer.core.variable import Variable
from .call_tree import CallTree, Entry, kind_of, knows_graph, leaf_shapes, plain_entries
from .recorded_notes import summary_lines
from .table import Table

shutil: Any = LazyModule("shutil")

NARROWEST, WIDEST = 60, 120


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """What `Model.summary` does."""
    tree = CallTree(model, expand_nested) if knows_graph(model) else None
    entries = in_range(tree.entries if tree is not None else plain_entries(model), layer_range, model.name)
    connected = tree is not None and not is_chain(tree.entries)
    columns: int = shutil.get_terminal_size((100, 24)).columns
    width = min(max(columns, NARROWEST), WIDEST) if line_length is None else line_length
    headers = ["Layer (type)", "Output shape", "Param #"]
    headers += ["Connected to"] if connected else []
    headers += ["Trainable"] if show_trainable else []
    table = Table(headers, right=[2], centre=[len(headers) - 1] if show_trainable else [])
    for entry, mark in walk(entries):
        table.row(cells(entry, mark, connected, show_trainable))
    text = "\n".join([title(model), *table.lines(width, positions), *totals(model), *summary_lines(model), ""])
    (print_fn or print)(text)


def title(model: Any) -> str:
    """The line above the table."""
    return f'Model: "{model.name}" ({kind_of(model)})'


def walk(entries: Sequence[Entry], mark: str | None = None) -> list[tuple[Entry, str]]:
    """Entries with those inside them, each with the branch of the tree that leads to it."""
    found = []
    for entry in entries:
        is_last = entry is entries[-1]
        branch = "" if mark is None else mark + ("└─ " if is_last else "├─ ")
        found.append((entry, branch))
        found += walk(entry.children, "" if mark is None else mark + ("   " if is_last else "│  "))
    return found


def answer(trainable: bool, weights: list[Variable]) -> str:
    """Whether a layer is trained: also where some of its weights are frozen by name."""
    held = [v.frozen for v in weights if v.trainable or v.frozen]
    return "no" if not trainable or (held and all(held)) else "partly" if any(held) else "yes"


def cells(entry: Entry, mark: str, connected: bool, show_trainable: bool) -> list[str]:
    """The cells of a row."""
    shapes = leaf_shapes(entry.output_structure()) or "?"
    row = [f"{mark}{entry.name} ({entry.kind})", shapes, parameters(entry)]
    if connected:
        row.append(", ".join(dict.fromkeys(source_name(source.beside(entry), x) for source, x in entry.sources)) or "-")
    if show_trainable:
        layer = entry.layer
        weights = [] if layer is None else layer.weights
        row.append("-" if layer is None or not weights else answer(layer.trainable, weights))
    return row


def parameters(entry: Entry) -> str:
    """The number of a layer's parameters."""
    layer = entry.layer
    if layer is None or layer.weights or layer.built:
        return f"{layer.count_params() if layer is not None else 0:,}"
    return "0 (not built)"


def source_name(source: Entry, x: Any) -> str:
    """What a layer is connected to: a name, with the output's number where there are several."""
    outputs = [y for structure in source.outputs for y in _flat(structure)]
    if len(outputs) < 2:
        return source.name
    return f"{source.name}[{next((i for i, y in enumerate(outputs) if y is x), 0)}]"


def _flat(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        structure = list(structure.values())
    return [y for v in structure for y in _flat(v)] if isinstance(structure, (list, tuple)) else [structure]


def is_chain(entries: Sequence[Entry]) -> bool:
    """Whether each entry follows the one before it, so that connections need no column."""
    for before, entry in zip([None, *entries], entries, strict=False):
        sources = {source.beside(entry).key for source, _ in entry.sources}
        follows = sources == (set() if before is None else {before.key}) and len(entry.sources) < 2
        if not follows or entry.calls > 1 or not is_chain_inside(entry):
            return False
    return True


def is_chain_inside(entry: Entry) -> bool:
    """Whether the entries inside one follow each other."""
    pairs = zip(entry.children, entry.children[1:], strict=False)
    return all([s.beside(b).key for s, _ in b.sources] == [a.key] for a, b in pairs)


def in_range(entries: list[Entry], layer_range: Sequence[str] | None, name: str) -> list[Entry]:
    """The entries from one name to another, both included; names may be regular expressions."""
    if layer_range is None:
        return entries
    if isinstance(layer_range, str) or len(layer_range) != 2:
        raise ValueError(f"layer_range must hold two names, the first layer and the last; got {layer_range!r}")
    places = []
    for wanted in layer_range:
        matching = [i for i, e in enumerate(entries) if e.name == wanted or re.fullmatch(wanted, e.name)]
        if not matching:
            known = ", ".join(e.name for e in entries[:20])
            raise ValueError(f"layer_range: model '{name}' has no layer {wanted!r}; it has {known}")
        places.append(matching)
    first, last = min(places[0]), max(places[1])
    return entries[min(first, last) : max(first, last) + 1]


def totals(model: Any) -> list[str]:
    """The lines below the table."""
    trainable = [v for v in model.trainable_variables if v.dtype.kind in "fc"]
    weights = model.weights
    chosen = {id(v) for v in trainable}
    lines = [
        ("Total params", weights),
        ("Trainable params", [v for v in weights if id(v) in chosen]),
        ("Non-trainable params", [v for v in weights if id(v) not in chosen]),
    ]
    if getattr(model, "optimizer", None) is not None and model.optimizer.built:
        lines.append(("Optimizer params", model.optimizer.variables))
        lines[0] = ("Total params", [*weights, *model.optimizer.variables])
    return [f" {label}: {count(variables):,} ({size_text(variables)})" for label, variables in lines]


def count(variables: Sequence[Variable]) -> int:
    """Number of elements."""
    return sum(v.array.size for v in variables)


def size_text(variables: Sequence[Variable]) -> str:
    """Bytes in the largest unit that leaves at least one."""
    size = float(sum(v.array.nbytes for v in variables))
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError("the last unit returns")
