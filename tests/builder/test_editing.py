"""Models are edited in the same way in whichever style they were written; what comes out is a model like any other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited_models import DRAW, arrays, check_edited, close, trains
from styles import STYLES

import sardonyx as sx

layers, editing = sx.layers, sx.editing
IMAGES = DRAW.normal(size=(2, 6, 6, 3)).astype("float32")

STACK = (
    lambda: layers.Conv2D(4, 3, padding="same", name="conv"),
    lambda: layers.BatchNormalization(name="bn", moving_mean_initializer=sx.initializers.RandomNormal(seed=1)),
    lambda: layers.ReLU(name="relu"),
    lambda: layers.GlobalAveragePooling2D(name="pool"),
    lambda: layers.Dense(3, name="head"),
)


def through(model: Any, *names: str, x: Any = IMAGES) -> Any:
    """What layers of the old model give one after the other; functions among the names are applied."""
    for name in names:
        x = (name if callable(name) else model.get_layer(name))(sx.ops.convert_to_tensor(x))
    return x


def new_head() -> Any:
    return layers.Dense(2, kernel_initializer="ones", name="new_head")


def double(x: Any) -> Any:
    return 2 * x


# What is done, and what the result computes in terms of the old model's layers.
EDITS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "cut by layer": (lambda m: editing.extract(m, "relu"), lambda m: through(m, "conv", "bn", "relu")),
    "cut by tensor": (
        lambda m: editing.extract(m, m.get_layer("bn").output), lambda m: through(m, "conv", "bn"),
    ),
    "new head": (
        lambda m: editing.replace(m, "head", new_head()),
        lambda m: np.repeat(np.asarray(through(m, "conv", "bn", "relu", "pool")).sum(-1, keepdims=True), 2, -1),
    ),
    "replaced by a function": (
        lambda m: editing.replace(m, "bn", double), lambda m: through(m, "conv", double, "relu", "pool", "head"),
    ),
    "run replaced": (
        lambda m: editing.replace(m, ["bn", "relu"], layers.ELU(name="elu")),
        lambda m: through(m, "conv", layers.ELU(), "pool", "head"),
    ),
    "replaced by a model": (
        lambda m: editing.replace(m, "relu", sx.Sequential([sx.Input((6, 6, 4)), layers.ELU()], name="inner")),
        lambda m: through(m, "conv", "bn", layers.ELU(), "pool", "head"),
    ),
    "removed": (lambda m: editing.remove(m, "bn"), lambda m: through(m, "conv", "relu", "pool", "head")),
    "two removed": (lambda m: editing.remove(m, ["bn", "relu"]), lambda m: through(m, "conv", "pool", "head")),
    "inserted after": (
        lambda m: editing.insert(m, layers.Rescaling(2.0, name="new"), after="relu"),
        lambda m: through(m, "conv", "bn", "relu", double, "pool", "head"),
    ),
    "inserted before": (
        lambda m: editing.insert(m, layers.Rescaling(2.0, name="new"), before="conv"),
        lambda m: through(m, double, "conv", "bn", "relu", "pool", "head"),
    ),
    "inserted after the input": (
        lambda m: editing.insert(m, double, after=m.input_names[0]),
        lambda m: through(m, double, "conv", "bn", "relu", "pool", "head"),
    ),
    "inserted between": (
        lambda m: editing.insert(m, double, between=("bn", "relu")),
        lambda m: through(m, "conv", "bn", double, "relu", "pool", "head"),
    ),
    "renamed": (
        lambda m: editing.rename(m, {"conv": "first"}, inputs={m.input_names[0]: "image"}, outputs={"head": "a/b"}),
        lambda m: m(IMAGES),
    ),
    "merged": (lambda m: editing.merge(m, ["conv", "bn", "relu"], "block"), lambda m: m(IMAGES)),
    "merged and split": (
        lambda m: editing.split(editing.merge(m, ["conv", "bn", "relu"], "block"), "block"), lambda m: m(IMAGES),
    ),
    "edited inside": (
        lambda m: editing.remove(editing.merge(m, ["conv", "bn", "relu"], "block"), "block/bn"),
        lambda m: through(m, "conv", "relu", "pool", "head"),
    ),
    "one more output": (
        lambda m: editing.add_outputs(m, ["pool"]), lambda m: [m(IMAGES), through(m, "conv", "bn", "relu", "pool")],
    ),
    "named outputs": (
        lambda m: editing.add_outputs(m, {"features": "pool"}),
        lambda m: {"head": m(IMAGES), "features": through(m, "conv", "bn", "relu", "pool")},
    ),
    "an output dropped": (
        lambda m: editing.drop_outputs(editing.add_outputs(m, ["pool"]), "head"),
        lambda m: through(m, "conv", "bn", "relu", "pool"),
    ),
    "normalization folded": (editing.fold_batch_normalization, lambda m: m(IMAGES)),
    "normalization separated": (
        lambda m: editing.separate_batch_normalization(m, "head", data=IMAGES), lambda m: m(IMAGES),
    ),
    "layout": (
        lambda m: editing.change_layout(editing.change_layout(m, "channels_first"), "channels_last"),
        lambda m: m(IMAGES),
    ),
    "postprocessed": (
        lambda m: editing.add_postprocessing(m, softmax=True), lambda m: sx.ops.softmax(m(IMAGES)),
    ),
    "joined": (
        lambda m: editing.join(m, sx.Sequential([sx.Input((3,)), layers.Rescaling(2.0)])),
        lambda m: 2 * m(IMAGES),
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("style", STYLES)
def test_every_edit_in_every_style(style: str, edit: str, tmp_path: Path):
    model = STYLES[style](STACK, (6, 6, 3))
    before = np.asarray(model(IMAGES))
    change, expected = EDITS[edit]
    edited = change(model)
    check_edited(edited, [IMAGES], expected(model), tmp_path, whole=style == "functional")
    assert np.array_equal(np.asarray(model(IMAGES)), before)
    assert edited.get_layer(index=-1).output is not None
    if edit != "normalization folded":
        assert {id(v) for v in edited.weights} & {id(v) for v in model.weights}
    if style == "functional":
        trains(edited, [IMAGES])


@pytest.mark.parametrize("style", STYLES)
def test_an_edit_shares_weights_or_copies_them(style: str):
    model = STYLES[style](STACK, (6, 6, 3))
    shared, apart = editing.remove(model, "bn"), editing.remove(model, "bn", copy=True)
    before = np.asarray(apart(IMAGES))
    assert shared.get_layer("conv").kernel is model.get_layer("conv").kernel
    model.get_layer("conv").kernel.assign(model.get_layer("conv").kernel * 2)
    assert np.array_equal(np.asarray(apart(IMAGES)), before)
    assert not np.array_equal(np.asarray(shared(IMAGES)), before)


def test_layers_of_the_edited_model_are_its_own():
    model = STYLES["functional"](STACK, (6, 6, 3))
    model.get_layer("conv").trainable = False
    edited = editing.replace(model, "head", new_head())
    assert not edited.get_layer("conv").trainable
    edited.get_layer("conv").trainable = True
    assert not model.get_layer("conv").trainable
    assert model.get_layer("relu").output is not edited.get_layer("relu").output
    again = editing.insert(edited, layers.Dropout(0.5, name="drop"), after="pool")
    assert sx.Model(again.input, again.get_layer("drop").output).output_shape == (None, 4)


@pytest.mark.parametrize("style", STYLES)
def test_a_new_head_is_trained_on_a_frozen_base(style: str):
    model = STYLES[style](STACK, (6, 6, 3))
    model.trainable = False
    edited = editing.replace(model, "head", new_head())
    assert [v.path for v in edited.trainable_variables] == ["new_head/kernel", "new_head/bias"]
    trains(edited, [IMAGES])


class Moody(sx.Model):
    """Passes its mode on to one layer, a fixed one to another."""

    def __init__(self) -> None:
        super().__init__()
        self.follows = layers.Dropout(0.5, seed=1, name="follows")
        self.never = layers.Dropout(0.5, seed=2, name="never")
        self.head = layers.Dense(2, name="head")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.head(self.never(self.follows(x, training=training), training=False))


class Otherwise(sx.Model):
    """Calls other layers in training."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.noise = layers.Dense(2, name="head"), layers.GaussianNoise(0.1)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.head(self.noise(x) if training else x)


def test_layers_that_followed_the_mode_go_on_doing_so():
    model = Moody().trace(sx.TensorSpec((None, 64)))
    edited = editing.replace(model, "head", lambda x: x)
    ones = np.ones((1, 64), "float32")
    assert np.array_equal(np.asarray(edited(ones)), ones)
    trained = np.asarray(edited(ones, training=True))
    assert 0.2 < (trained == 0).mean() < 0.8
    assert set(np.unique(trained)) == {0.0, 2.0}


def test_what_is_done_in_training_only_is_told():
    model = Otherwise().trace(sx.TensorSpec((None, 4)))
    with pytest.warns(UserWarning, match="'otherwise' \\(Otherwise\\) calls other layers in training"):
        editing.rename(model, {"head": "new"})


def shared() -> Any:
    a, b = sx.Input((4,), name="a"), sx.Input((4,), name="b")
    dense = layers.Dense(4, name="dense")
    return sx.Model([a, b], layers.Add(name="add")([dense(a), dense(dense(b))]), name="shared")


PAIR = [DRAW.normal(size=(3, 4)).astype("float32") for _ in range(2)]
OF_SHARED: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any, Any], Any]]] = {
    "all calls": (lambda m: editing.replace(m, "dense", layers.Rescaling(3.0)), lambda d, a, b: 3 * a + 9 * b),
    "one call": (
        lambda m: editing.replace(m, "dense:0", layers.Rescaling(3.0)), lambda d, a, b: 3 * a + d(d(b)),
    ),
    "one call removed": (lambda m: editing.remove(m, "dense:2"), lambda d, a, b: d(a) + d(b)),
    "inserted at all": (lambda m: editing.insert(m, double, after="dense"), lambda d, a, b: 2 * d(a) + 2 * d(2 * d(b))),
    "inserted before one": (lambda m: editing.insert(m, double, before="dense:1"), lambda d, a, b: d(a) + d(d(2 * b))),
    "on an edge": (
        lambda m: editing.insert(m, double, between=("dense:0", "add")), lambda d, a, b: 2 * d(a) + d(d(b)),
    ),
    "cut at one": (lambda m: editing.extract(m, "dense:1", inputs="b"), lambda d, a, b: d(b)),
    "another merge layer": (
        lambda m: editing.replace(m, "add", layers.Multiply(name="times")), lambda d, a, b: d(a) * d(d(b)),
    ),
    "merged": (lambda m: editing.merge(m, ["dense", "add"], "block"), lambda d, a, b: d(a) + d(d(b))),
}  # fmt: skip


@pytest.mark.parametrize("edit", OF_SHARED)
def test_shared_layers_and_several_inputs(edit: str, tmp_path: Path):
    model = shared()
    change, expected = OF_SHARED[edit]
    edited = change(model)
    values = [x for x, name in zip(PAIR, "ab", strict=True) if name in edited.input_names]
    check_edited(edited, values, expected(model.get_layer("dense"), *map(sx.ops.convert_to_tensor, PAIR)), tmp_path)


def test_a_block_is_taken_as_several_inputs_and_outputs(tmp_path: Path):
    x = sx.Input((4,), name="x")
    a, b = layers.Dense(3, name="a")(x), layers.Dense(3, name="b")(x)
    model = sx.Model(x, [layers.Add(name="sum")([a, b]), b * 2])
    expected = model(PAIR[0])
    block = editing.merge(model, ["a", "b"], "block")
    assert [layer.name for layer in block.layers] == ["x", "block", "sum"]
    check_edited(block, PAIR[:1], expected, tmp_path)
    check_edited(editing.split(block, "block"), PAIR[:1], expected, tmp_path)


def test_names_that_are_taken_get_another(tmp_path: Path):
    inner = sx.Sequential([sx.Input((4,)), layers.Dense(4, name="d")], name="inner")
    outer = sx.Sequential([sx.Input((4,)), layers.Dense(4, name="d"), inner])
    flat = editing.split(outer, "inner")
    assert [layer.name for layer in flat.layers[1:]] == ["d", "inner_d"]
    check_edited(flat, PAIR[:1], outer(PAIR[0]), tmp_path)


def test_inner_tensors_become_inputs_with_the_names_given():
    model = STYLES["functional"](STACK, (6, 6, 3))
    part = editing.extract(model, inputs={"features": "relu"})
    assert (part.input_names, part.input_shape) == (["features"], {"features": (None, 6, 6, 4)})
    x = np.asarray(through(model, "conv", "bn", "relu"))
    close(arrays(part({"features": x})), arrays(model(IMAGES)))


def test_control_flow_and_loose_weights_are_kept(tmp_path: Path):
    x = sx.Input((4,), name="x")
    scale = sx.Variable(np.arange(4, dtype="float32"), name="scale")
    y = layers.Dense(4, name="d")(x) * scale
    y = sx.ops.cond(sx.ops.sum(y) > 0, lambda: y * 2, lambda: y - 1)
    model = sx.Model(x, layers.Dense(2, name="head")(y))
    edited = editing.replace(model, "head", lambda v: v)
    check_edited(edited, PAIR[:1], sx.Model(x, y)(PAIR[0]), tmp_path)
    assert any(v is scale for v in edited.weights)


def test_a_model_without_its_class_is_edited(tmp_path: Path):
    clone = sx.models.clone_model(STYLES["subclassed"](STACK, (6, 6, 3)), call_function=lambda f, *a, **k: f(*a, **k))
    assert isinstance(clone, sx.RecordedModel)
    edited = editing.remove(clone, "bn")
    check_edited(edited, [IMAGES], through(clone, "conv", "relu", "pool", "head"), tmp_path)
