"""A model as a picture: layers as boxes, tensors as arrows, nested models as frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..trainer.core import tree
from ..trainer.core.tensor import Tensor
from . import drawing
from .call_tree import CallTree, Entry, knows_graph, leaf_shapes

FAMILIES = {
    "convolution": "convolution",
    "depthwise": "convolution",
    "dense": "dense",
    "merging": "merge",
    "normalization": "normalization",
    "pooling": "pooling",
    "regularization": "regularization",
    "reshaping": "reshape",
    "activation": "activation",
    "attention": "attention",
    "recurrent": "recurrent",
    "rnn": "recurrent",
    "cells": "recurrent",
    "wrappers": "recurrent",
}
"""Colours by the file in which a layer's class stands."""
PIXELS_PER_INCH = 96


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Path:
    """Draw a model to an .svg or .png file and return its path (Keras name: `utils.plot_model`).

    rankdir: "TB" leads from top to bottom, "LR" from left to right
    expand_nested: whether nested models show their layers, in a frame
    dpi: pixels per inch of a .png

    Raises `ValueError` for another ending or direction and for a model that does not know its inputs' shapes yet,
    `OSError`s for what cannot be written, `ImportError` for .png without Pillow. Nothing but the file's own folder is
    needed: no Graphviz.

    >>> import tempfile, pathlib, sardonyx as sx
    >>> from sardonyx.builder.plot import plot_model
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot_model(model, pathlib.Path(folder) / "m.svg", show_shapes=True).name
    'm.svg'
    """
    target = drawing.check_path(to_file)
    if not isinstance(dpi, (int, float)) or isinstance(dpi, bool) or dpi <= 0:
        raise ValueError(f"plot_model: dpi must be a positive number, got {dpi!r}")
    if not knows_graph(model):
        raise ValueError(
            f"plot_model: model '{model.name}' does not know the shapes of its inputs yet; call it on data, or "
            "build(input_shape), first"
        )
    picture = Picture(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    picture.add(CallTree(model, expand_nested).entries, None)
    scene = drawing.model_diagram(picture.nodes, picture.edges, picture.clusters, rankdir, model.name)
    return drawing.write(target, scene, dpi / PIXELS_PER_INCH)


class Picture:
    """Boxes, arrows and frames while they are collected."""

    def __init__(self, shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool) -> None:
        self.shapes = shapes
        self.dtype = dtype
        self.names = names
        self.activations = activations
        self.trainable = trainable
        self.nodes: list[drawing.DiagramNode] = []
        self.edges: list[drawing.DiagramEdge] = []
        self.clusters: list[drawing.DiagramCluster] = []

    def add(self, entries: Sequence[Entry], cluster: str | None) -> list[str]:
        """Draw entries and what is inside them; returns the ids of the boxes drawn directly."""
        direct = []
        for entry in entries:
            key = f"entry {id(entry)}"
            if entry.children:
                place = len(self.clusters)
                members = self.add(entry.children, key)
                title, subtitle = (entry.name, entry.kind) if self.names else (entry.kind, "")
                self.clusters.insert(place, drawing.DiagramCluster(key, title, tuple(members), cluster, subtitle))
                continue
            direct.append(key)
            self.nodes.append(self.box(entry, key))
            sources = dict.fromkeys(f"entry {id(source)}" for source, _ in entry.sources)
            self.edges += [drawing.DiagramEdge(source, key) for source in sources]
        return direct

    def box(self, entry: Entry, key: str) -> drawing.DiagramNode:
        """The box of a layer, an input or an operation."""
        rows: list[tuple[str, str]] = []
        if self.activations and (name := activation_name(entry.layer)):
            rows.append(("activation", name))
        if self.shapes:
            given = ", ".join(dict.fromkeys(leaf_shapes(x) for x in entry.inputs))
            rows += [("in", given)] if given else []
            rows.append(("out", leaf_shapes(entry.output_structure()) or "?"))
        if self.dtype:
            found = [x.dtype.name for x in tree.flatten(entry.output_structure()) if isinstance(x, Tensor)]
            rows.append(("dtype", ", ".join(dict.fromkeys(found)) or "?"))
        if self.trainable and entry.layer is not None and entry.layer.weights:
            rows.append(("trainable", "yes" if entry.layer.trainable else "no"))
        kind = "operation" if entry.kind == "operation" else entry.kind
        is_named = self.names or entry.kind in ("operation", "InputLayer")
        title, subtitle = (entry.name, kind) if is_named else (kind, "")
        return drawing.DiagramNode(key, title, subtitle, tuple(rows), family(entry))


def activation_name(layer: Any) -> str | None:
    """The name of a layer's activation, when it has one that does something."""
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None) or (type(activation).__name__ if activation is not None else None)
    return None if name == "linear" else name


def family(entry: Entry) -> str:
    """The colour of an entry."""
    if entry.kind == "InputLayer":
        return "input"
    if entry.is_model:
        return "model"
    if entry.kind == "Embedding":
        return "embedding"
    for kind in type(entry.layer).__mro__ if entry.layer is not None else ():
        folder, _, file = kind.__module__.rpartition(".")
        found = next((name for part, name in FAMILIES.items() if file.startswith(part)), None)
        if found is not None and folder == f"{__package__}.layers":
            return found
    return "other"
