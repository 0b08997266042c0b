"""Data enters models as it comes and leaves them as it is wanted; models are joined; what cannot be done says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edited_models import DRAW, arrays, check_edited, close
from fixed_files import FILES, write
from styles import STYLES

import sardonyx as sx

layers, editing, ops = sx.layers, sx.editing, sx.ops
PIXELS = DRAW.integers(0, 256, (2, 6, 6, 3)).astype("uint8")
MEAN, STD = np.float32([0.4, 0.5, 0.6]), np.float32([0.2, 0.3, 0.4])


def images_first() -> Any:
    x = sx.Input((3, 6, 6), name="image")
    y = layers.Conv2D(4, 3, data_format="channels_first", name="conv")(x)
    return sx.Model(x, layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(y), name="net")


def first(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, -1, 1).astype("float32")


SMALL = DRAW.integers(0, 256, (2, 3, 3, 3)).astype("uint8")

# What is done before the model, the raw data, and what the model should see of it.
PREPARED: dict[str, tuple[dict[str, Any], np.ndarray, np.ndarray]] = {
    "bytes": ({"dtype": "uint8"}, np.moveaxis(PIXELS, -1, 1), first(PIXELS)),
    "channels last": ({"dtype": "uint8", "data_format": "channels_last"}, PIXELS, first(PIXELS)),
    "scale": ({"scale": 1 / 255}, first(PIXELS), first(PIXELS) / 255),
    "statistics": (
        {"dtype": "uint8", "scale": 1 / 255, "mean": MEAN, "std": STD, "data_format": "channels_last"}, PIXELS,
        first((PIXELS / 255 - MEAN) / STD),
    ),
    "statistics, channels first": (
        {"mean": MEAN, "std": STD}, first(PIXELS), first((PIXELS - MEAN) / STD),
    ),
    "swapped": (
        {"dtype": "uint8", "swap_channels": True, "mean": MEAN, "data_format": "channels_last"}, PIXELS,
        first(PIXELS[..., ::-1] - MEAN),
    ),
    "resized": (
        {"dtype": "uint8", "resize": "nearest", "data_format": "channels_last"}, SMALL,
        first(SMALL.repeat(2, axis=1).repeat(2, axis=2)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PREPARED)
def test_preprocessing(name: str, tmp_path: Path):
    options, raw, seen = PREPARED[name]
    model = images_first()
    prepared = editing.add_preprocessing(model, **options)
    assert prepared.inputs[0].dtype == raw.dtype
    check_edited(prepared, [raw], model(seen), tmp_path)


def test_layout_of_inputs_and_outputs(tmp_path: Path):
    model = editing.extract(images_first(), "conv")
    turned = editing.change_layout(model, "channels_last", outputs="conv")
    assert (turned.input_shape, turned.output_shape) == ((None, 6, 6, 3), (None, 4, 4, 4))
    x = PIXELS.astype("float32")
    check_edited(turned, [x], np.moveaxis(np.asarray(model(first(x))), 1, -1), tmp_path)


def test_element_types(tmp_path: Path):
    model = editing.change_dtypes(images_first(), {"image": "float64", "pool": "float16"})
    x = np.moveaxis(PIXELS, -1, 1).astype("float64")
    assert [x.dtype.name for x in (model.inputs[0], model.outputs[0])] == ["float64", "float16"]
    close(arrays(model(x)), [np.asarray(images_first_like(model)(x.astype("float32"))).astype("float16")], 1e-2)
    model.export(tmp_path / "m.onnx")
    assert onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE


def images_first_like(model: Any) -> Any:
    """The model without the casts: between the tensors around its layers."""
    return editing.extract(model, "pool", {"image": model.get_layer("conv").input})


SCORES = DRAW.normal(size=(4, 5)).astype("float32")


def softmax(x: np.ndarray) -> np.ndarray:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


FINISHED: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "softmax": ({"softmax": True}, softmax(SCORES), ["probabilities"]),
    "sigmoid": ({"sigmoid": True}, 1 / (1 + np.exp(-SCORES)), ["probabilities"]),
    "class": ({"argmax": True}, SCORES.argmax(-1).astype("int32"), ["class"]),
    "best": (
        {"softmax": True, "top_k": 2},
        {
            "top_classes": np.argsort(-SCORES, -1)[:, :2].astype("int32"),
            "top_scores": -np.sort(-softmax(SCORES), -1)[:, :2],
        },
        ["top_classes", "top_scores"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FINISHED)
def test_postprocessing(name: str, tmp_path: Path):
    options, expected, names = FINISHED[name]
    x = sx.Input((5,), name="x")
    model = editing.add_postprocessing(sx.Model(x, layers.Rescaling(1.0, name="scores")(x)), **options)
    assert model.output_names == names
    check_edited(model, [SCORES], expected, tmp_path)


def test_other_outputs_stay(tmp_path: Path):
    x = sx.Input((5,), name="x")
    model = sx.Model(x, [layers.Rescaling(1.0, name="scores")(x), layers.Rescaling(2.0, name="features")(x)])
    done = editing.add_postprocessing(model, output="scores", argmax=True)
    check_edited(done, [SCORES], {"class": SCORES.argmax(-1).astype("int32"), "features": 2 * SCORES}, tmp_path)


def test_labels_are_in_the_metadata_of_files(tmp_path: Path):
    x = sx.Input((2,), name="x")
    model = editing.add_postprocessing(sx.Model(x, layers.Dense(2)(x)), softmax=True, labels=["cat", "dog"])
    edited = editing.add_metadata(editing.rename(model, name="pets"), {"licence": "MIT"})
    edited.export(tmp_path / "e.onnx")
    edited.save(tmp_path / "s.onnx")
    for name in ("e", "s"):
        props = {p.key: p.value for p in onnx.load(tmp_path / f"{name}.onnx").metadata_props}
        assert (json.loads(props["labels"]), props["licence"]) == (["cat", "dog"], "MIT")
    assert editing.metadata(sx.models.load_model(tmp_path / "s.onnx"))["licence"] == "MIT"


def dense(name: str, units: int, size: int, **names: str) -> Any:
    return sx.Sequential([sx.Input((size,), name=names.get("x", "x")), layers.Dense(units, name=name)], name=name)


def test_joined_by_name(tmp_path: Path):
    x = sx.Input((4,), name="x")
    front = sx.Model(x, {"a": layers.Dense(3, name="d")(x), "b": layers.Dense(2, name="e")(x)}, name="front")
    p, q = sx.Input((3,), name="p"), sx.Input((5,), name="x")
    back = sx.Model([p, q], layers.Dense(2, name="d")(layers.Concatenate(name="c")([p, q])), name="back")
    both = editing.join(front, back, {"p": "a"})
    assert (both.input_names, both.output_names) == (["x", "x_1"], ["d_1", "e"])
    a, b = SCORES[:, :4], SCORES
    given = front(a)
    check_edited(both, [a, b], [back([given["a"], b]), given["b"]], tmp_path)
    inner = editing.join(front, dense("last", 1, 4), {"x": front.get_layer("d").input})
    assert len(inner.outputs) == 3


def test_two_files_are_joined(tmp_path: Path):
    front = sx.models.load_model(FILES["upsampling"](tmp_path / "a.onnx"))
    back = sx.models.load_model(FILES["classifier"](tmp_path / "b.onnx"))
    both = editing.join(editing.insert(front, lambda y: y[:, :3, :6, :6], after="y"), back)
    x = DRAW.normal(size=(1, 3, 8, 8)).astype("float32")
    check_edited(both, [x], back(np.asarray(front(x))[:, :3, :6, :6]), tmp_path)


def test_side_by_side(tmp_path: Path):
    a, b = dense("d", 3, 4), dense("d", 2, 4)
    shared = editing.side_by_side(a, b, share_inputs=True)
    check_edited(shared, [SCORES[:, :4]], {"d": a(SCORES[:, :4]), "d_1": b(SCORES[:, :4])}, tmp_path)
    apart = editing.side_by_side(a, dense("e", 2, 5))
    assert (apart.input_names, list(apart.output_shape)) == (["x", "x_1"], ["d", "e"])
    assert apart.inputs[0].shape[0] == apart.inputs[1].shape[0]


STACK = (
    lambda: layers.Dense(8, name="a"), lambda: layers.BatchNormalization(name="bn"), lambda: layers.Dense(2, name="b"),
)  # fmt: skip


def net() -> Any:
    return STYLES["functional"](STACK, (4,))


def twice() -> Any:
    x = sx.Input((4,), name="x")
    d = layers.Dense(4, name="d")
    return sx.Model(x, layers.Add(name="add")([d(x), d(d(x))]))


def two_outputs() -> Any:
    x = sx.Input((4,), name="x")
    return sx.Model(x, [layers.Dense(3, name="a")(x), layers.Dense(2, name="b")(x)])


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: editing.replace(net(), "c", layers.ReLU()), ValueError, "has no layer or tensor 'c'.* It has: a, bn, b"),
    (lambda: editing.replace(net(), "a:1", layers.ReLU()), ValueError,
     "'a' of model .* is called 1 time, there is no call 1"),
    (lambda: editing.replace(net(), "a", 3), TypeError, "expected a layer, a model or a function of tensors, got int"),
    (lambda: editing.replace(net(), "a", layers.Dense(9, name="new")), sx.ShapeError,
     r"'bn' does not fit here: .*expected size 8 .*got shape \(batch, 9\).*Replace 'bn' as well.*result of 'a'"),
    (lambda: editing.replace(net(), layers.Dense(2, name="z"), layers.ReLU()), ValueError,
     "'z' is not made by a step of m"),
    (lambda: editing.replace(twice(), "d:0", layers.Dense(4, name="d")), ValueError,
     "is named 'd' like the one that stays"),
    (lambda: editing.replace(net(), "b", lambda x: [x, x]), ValueError, "'b' gives 2 tensors, and 1 are used"),
    (lambda: editing.remove(twice(), "add"), ValueError,
     "'add' has 2 inputs and 1 results .* only a layer with one of each"),
    (lambda: editing.remove(net(), "a"), sx.ShapeError, "'bn' does not fit here"),
    (lambda: editing.insert(net(), layers.ReLU()), ValueError, "say where with one of after=, before=, between="),
    (lambda: editing.insert(twice(), layers.ReLU(), before="add"), ValueError,
     r"takes 2 tensors; name the edge: between="),
    (lambda: editing.insert(net(), layers.ReLU(), between=("a", "b")), ValueError,
     "'b' does not take the result of 'a'; it .*'bn'"),
    (lambda: editing.extract(twice(), "d"), ValueError,
     "'d' is called 3 times; say which call is meant: 'd:0', 'd:1', 'd:2'"),
    (lambda: editing.extract(net(), "b", inputs=sx.Input((3,), name="q")), sx.ShapeError,
     "outputs depend on .*Add it to inputs="),
    (lambda: editing.merge(net(), ["a", "b"], "block"), ValueError,
     "'bn' takes from these layers and gives back to them"),
    (lambda: editing.split(net(), "a"), ValueError, "there are no layers inside of it"),
    (lambda: editing.split(sx.Sequential([sx.Input((3, 4)), layers.Bidirectional(layers.LSTM(2), name="two")]), "two"),
     ValueError, "'two' is a Bidirectional, a layer whose class decides"),
    (lambda: editing.rename(net(), {"c": "d"}), ValueError, "has no layer 'c'; it has: a, bn, b"),
    (lambda: editing.rename(net(), {"a": "b"}), ValueError, "two layers of the model are named 'b'"),
    (lambda: editing.rename(two_outputs(), outputs={"a": "b"}), ValueError,
     "two outputs would have the same name: b, b"),
    (lambda: editing.add_outputs(net(), {"b": "a"}), ValueError, "has an output named 'b' already"),
    (lambda: editing.drop_outputs(net(), "z"), ValueError, "there is no output 'z'; there are: b"),
    (lambda: editing.drop_outputs(net(), "b"), ValueError, "no output would be left"),
    (lambda: editing.join(net(), twice()), sx.ShapeError, "the first model does not fit input 'x': expected shape"),
    (lambda: editing.join(two_outputs(), twice()), ValueError,
     "has 2 outputs .* has 1 inputs .* say which goes where: connect="),
    (lambda: editing.join(net(), twice(), {"q": "b"}), ValueError, "connect names inputs of .* which are x; got 'q'"),
    (lambda: editing.join(images_first(), images_first()), sx.ShapeError, "input 'image' of the second takes"),
    (lambda: editing.side_by_side(net()), ValueError, "give two models or more"),
    (lambda: editing.side_by_side(net(), images_first(), share_inputs=True), ValueError,
     "takes .* the one that it shares is"),
    (lambda: editing.fold_batch_normalization(twice()), ValueError, "no BatchNormalization right behind a convolution"),
    (lambda: editing.separate_batch_normalization(net(), "bn"), ValueError,
     "a convolution or Dense layer is meant, got Batch"),
    (lambda: editing.change_layout(images_first(), "NHWC"), ValueError, "expected 'channels_last' or 'channels_first'"),
    (lambda: editing.change_layout(images_first(), "channels_first"), ValueError, "has its channels there already"),
    (lambda: editing.change_layout(net(), "channels_last"), ValueError, "no input has two axes of space"),
    (lambda: editing.change_dtypes(net(), {"z": "int8"}), ValueError, "there is no input or output 'z'"),
    (lambda: editing.add_preprocessing(images_first()), ValueError, "there is nothing to do; give dtype, resize"),
    (lambda: editing.add_preprocessing(images_first(), mean=(1, 2)), ValueError,
     "mean is a number, or one for each of 3 channels"),
    (lambda: editing.add_preprocessing(images_first(), std=0.0), ValueError, "std is above 0, got 0.0"),
    (lambda: editing.add_preprocessing(images_first(), scale=1, data_format="last"), ValueError,
     "data_format is 'channels_last'"),
    (lambda: editing.add_preprocessing(net(), resize=True), ValueError,
     "only images of a fixed height and width are resized"),
    (lambda: editing.add_postprocessing(net()), ValueError, "ask for softmax, sigmoid, argmax, top_k or labels"),
    (lambda: editing.add_postprocessing(net(), softmax=True, sigmoid=True), ValueError, "softmax or sigmoid, not both"),
    (lambda: editing.add_postprocessing(net(), labels=["a"]), ValueError, "1 labels for 2 classes of output 'b'"),
    (lambda: editing.add_postprocessing(net(), top_k=3), ValueError, "top_k=3 of 2 classes"),
    (lambda: editing.add_postprocessing(two_outputs(), argmax=True), ValueError,
     "say which output is meant: output='a'"),
    (lambda: editing.add_metadata(net(), {"a": 1}), TypeError, "entries are texts, got 'a': 1"),
    (lambda: editing.add_metadata(net(), {"sardonyx.x": "1"}), ValueError,
     "names that begin with 'sardonyx.' are the library's"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "kind", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused_edits_say_why(edit: Callable[[], Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=f"(?s)(editing\\.[a-z_]+).*{message}"):
        edit()


def test_an_opened_file_is_edited_by_its_own_names(tmp_path: Path):
    model = sx.models.load_model(FILES["classifier"](tmp_path / "c.onnx"))
    model.unfreeze()
    x = DRAW.normal(size=(1, 3, 6, 6)).astype("float32")
    relu = np.maximum(np.asarray(editing.extract(model, "c")(x)), 0)
    part = editing.extract(model, "r")
    check_edited(part, [x], relu, tmp_path)
    assert part.output_names == ["r"]
    head = editing.replace(editing.free_sizes(model), model.layers[-1].name, layers.Dense(2, name="head"))
    assert (head.output_names, head.output_shape) == (["y"], (None, 2))
    renamed = editing.rename(model, inputs={"x": "image"}, outputs={"y": "scores/0"})
    check_edited(renamed, [x], model(x), tmp_path)
    saved = {p.name for p in onnx.load(tmp_path / "edited.onnx").graph.initializer}
    assert {"k", "w", "b"} <= saved


def test_outputs_have_their_names_though_nodes_and_values_inside_have_them_too(tmp_path: Path):
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w"], ["inner"], name="y"),
        onnx.helper.make_node("Sin", ["inner"], ["y"], name="z"),
    ]
    weights = {"w": DRAW.normal(size=(5, 5)).astype("float32")}
    model = sx.models.load_model(write(tmp_path / "alike.onnx", (None, 5), nodes, weights, (None, 5)))
    fixed = editing.fix_sizes(model, {"x": (4, 5)})
    assert fixed.output_names == ["y"]
    check_edited(fixed, [SCORES], np.sin(SCORES @ weights["w"]), tmp_path)
    last = editing.insert(model, lambda v: 2 * v, after="z")
    check_edited(last, [SCORES], 2 * np.sin(SCORES @ weights["w"]), tmp_path)
    assert last.output_names == ["y"]
    both = editing.rename(editing.add_outputs(last, ["inner"]), outputs={"y": "inner", "inner": "y"})
    check_edited(both, [SCORES], [2 * np.sin(SCORES @ weights["w"]), SCORES @ weights["w"]], tmp_path)


def test_an_edit_between_layers_of_a_nested_model(tmp_path: Path):
    inner = sx.Sequential([sx.Input((5,)), layers.Dense(4, name="a"), layers.Dense(2, name="b")], name="inner")
    model = sx.Sequential([sx.Input((5,), name="x"), inner])
    edited = editing.insert(model, lambda v: 2 * v, between=("inner/a", "inner/b"))
    check_edited(edited, [SCORES], inner.get_layer("b")(2 * inner.get_layer("a")(SCORES)), tmp_path)
    with pytest.raises(ValueError, match="both ends of an edge lie in the same nested model"):
        editing.insert(model, lambda v: v, between=("inner/a", "b"))
