"""Models as pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from small_models import STYLES, Net

from sardonyx.builder import layers as L
from sardonyx.builder.call_tree import CallTree
from sardonyx.builder.functional import Functional
from sardonyx.builder.plot import Picture, family, plot_model
from sardonyx.builder.sequential import Sequential


def texts(model: Any, folder: Path, **options: Any) -> list[str]:
    root = ET.parse(plot_model(model, folder / "m.svg", **options)).getroot()
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


SHOWN: list[tuple[str, Callable[[], Any], dict[str, Any], list[str], list[str]]] = [
    ("classes", STYLES["sequential"], {}, ["Conv2D", "Dense", "input_layer"], ["conv2d", "(batch, 4)"]),
    ("names", STYLES["sequential"], {"show_layer_names": True}, ["conv2d", "Conv2D"], ["(batch, 4)"]),
    ("shapes", STYLES["functional"], {"show_shapes": True}, ["(batch, 4, 4, 3)", "in", "out", "multiply"], ["float32"]),
    ("dtypes", STYLES["subclassed"], {"show_dtype": True}, ["dtype", "float32"], ["trainable"]),
    ("activations", STYLES["sequential"], {"show_layer_activations": True}, ["activation", "relu"], ["linear"]),
    ("what is trained", STYLES["sequential"], {"show_trainable": True}, ["trainable", "yes"], ["no"]),
    ("a nested model closed", STYLES["functional"], {"show_layer_names": True}, ["sequential"], ["tanh", "dense"]),
    ("a nested model open", STYLES["functional"], {"show_layer_names": True, "expand_nested": True},
     ["sequential", "dense_1"], []),
    ("to the right", STYLES["functional"], {"rankdir": "LR"}, ["Flatten"], []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "options", "there", "absent"), SHOWN, ids=[s[0] for s in SHOWN])
def test_what_a_picture_shows(
    what: str, make: Callable[[], Any], options: dict[str, Any], there: list[str], absent: list[str], tmp_path: Path
):
    found = texts(make(), tmp_path, **options)
    assert all(part in found for part in there) and not any(part in found for part in absent), found


def drawn(model: Any, expand: bool) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    picture = Picture(False, False, True, False, False)
    picture.add(CallTree(model, expand).entries, None)
    names = {node.id: node.title for node in picture.nodes}
    frames = {cluster.title: [names[m] for m in cluster.members] for cluster in picture.clusters}
    return [(names[edge.source], names[edge.target]) for edge in picture.edges], frames


def nested() -> Any:
    inner = Sequential([L.Input((4,)), L.Dense(4, name="a"), L.Dense(4, name="b")], name="inner")
    x = L.Input((4,), name="x")
    return Functional(x, L.Add(name="sum")([inner(x), inner(L.ReLU(name="r")(x))]))


ARROWS = [
    (False, [("x", "inner"), ("r", "inner"), ("x", "r"), ("inner", "sum")], {}),
    (True, [("x", "a"), ("r", "a"), ("a", "b"), ("x", "r"), ("b", "sum")], {"inner": ["a", "b"]}),
]


@pytest.mark.parametrize(("expand", "arrows", "frames"), ARROWS)
def test_arrows_follow_the_tensors(expand: bool, arrows: list[tuple[str, str]], frames: dict[str, list[str]]):
    found, inside = drawn(nested(), expand)
    assert sorted(found) == sorted(arrows) and inside == frames


FAMILIES = [
    (L.Conv2D(1, 1), (4, 4, 1), "convolution"), (L.DepthwiseConv2D(1), (4, 4, 1), "convolution"),
    (L.Dense(1), (4,), "dense"),
    (L.Embedding(3, 2), (4,), "embedding"), (L.LayerNormalization(), (4,), "normalization"),
    (L.MaxPooling2D(), (4, 4, 1), "pooling"), (L.Dropout(0.1), (4,), "regularization"), (L.Flatten(), (4,), "reshape"),
    (L.ReLU(), (4,), "activation"), (Sequential([L.Dense(1)]), (4,), "model"), (L.Add(), (4,), "merge"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "expected"), FAMILIES, ids=[type(f[0]).__name__ for f in FAMILIES])
def test_colours_follow_the_family(layer: Any, shape: tuple[int, ...], expected: str):
    x = L.Input(shape)
    model = Functional(x, layer([x, x] if isinstance(layer, L.Add) else x))
    assert [family(entry) for entry in CallTree(model, False).entries] == ["input", expected]


def test_a_png_has_the_asked_resolution(tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    sizes = []
    for dpi in (96, 192):
        with image.open(plot_model(nested(), tmp_path / "m.png", dpi=dpi)) as picture:
            sizes.append(picture.size)
    assert abs(sizes[1][0] - 2 * sizes[0][0]) <= 2 and [p.name for p in tmp_path.iterdir()] == ["m.png"]


BAD: list[tuple[Callable[[], Any], dict[str, Any], type[Exception], str]] = [
    (nested, {"to_file": "m.pdf"}, ValueError, "written as .svg or .png"),
    (nested, {"to_file": "none/m.svg"}, FileNotFoundError, "does not exist"),
    (nested, {"rankdir": "BT"}, ValueError, "rankdir must be 'TB'"),
    (nested, {"dpi": 0}, ValueError, "dpi must be a positive number, got 0"),
    (Net, {}, ValueError, "does not know the shapes of its inputs"),
]


@pytest.mark.parametrize(("make", "options", "kind", "message"), BAD)
def test_what_cannot_be_drawn_is_told(
    make: Callable[[], Any], options: dict[str, Any], kind: type[Exception], message: str, tmp_path: Path
):
    options = {**options, "to_file": tmp_path / options.get("to_file", "m.svg")}
    with pytest.raises(kind, match=message):
        plot_model(make(), **options)
    assert not list(tmp_path.iterdir())
