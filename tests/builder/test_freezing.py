"""Freezing by name patterns: which weights are left, in every style, nested, over files and copies; what is refused."""

import copy
from fnmatch import fnmatchcase

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(12, 2)).astype(np.float32)
WEIGHTS = ["block1/kernel", "block1/bias", "norm/gamma", "norm/beta", "block2/kernel", "block2/bias", "head/kernel",
           "head/bias"]  # fmt: skip


def parts():
    return [
        layers.Dense(3, name="block1"), layers.BatchNormalization(name="norm"), layers.Dense(3, name="block2"),
        layers.Dense(2, name="head"),
    ]  # fmt: skip


def sequential():
    return sx.Sequential([sx.Input((4,)), *parts()], name="net")


def functional():
    x = h = sx.Input((4,))
    for layer in parts():
        h = layer(h)
    return sx.Model(x, h, name="net")


class Subclassed(sx.Model):
    def __init__(self, name="net"):
        super().__init__(name=name)
        self.parts = parts()

    def call(self, inputs):
        for layer in self.parts:
            inputs = layer(inputs)
        return inputs


def subclassed():
    model = Subclassed()
    model.build((None, 4))
    return model


STYLES = [sequential, functional, subclassed]
CASES = [
    # what is frozen, what is freed after that, what is trained then
    (["block*"], [], ["norm/*", "head/*"]),
    (["block1", "norm"], [], ["block2/*", "head/*"]),
    (["*"], [], []),
    (["*"], ["head"], ["head/*"]),
    (["*"], ["block[2]*", "head"], ["block2/*", "head/*"]),
    (["*/kernel"], [], ["*/bias", "norm/*"]),
    (["*"], ["*/bias"], ["*/bias"]),
    (["block1"], ["*"], ["*"]),
    (["block?/kernel", "block1"], ["block1/kernel"], ["block1/kernel", "*/bias", "norm/*", "head/*"]),
]


def names_of(model):
    return {name for v, name in model.weight_names().items() if any(v is t for t in model.trainable_variables)}


def expected(patterns):
    return {name for name in WEIGHTS if any(fnmatchcase(name, p) for p in patterns)}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
@pytest.mark.parametrize(("frozen", "freed", "trained"), CASES, ids=str)
def test_what_is_trained(style, frozen, freed, trained):
    model = style()
    model.freeze(*frozen)
    if freed:
        model.unfreeze(*freed)
    left = expected(trained)
    if frozen == ["block?/kernel", "block1"]:
        left -= {"block1/bias"}
    assert names_of(model) == left
    before = {name: v.numpy() for v, name in model.weight_names().items()}
    model.compile("sgd", "mse")
    if left:
        model.fit(X, Y, verbose=0)
    changed = {name for v, name in model.weight_names().items() if not np.array_equal(before[name], v.numpy())}
    alive = model.get_layer("norm").trainable
    assert changed == left | ({"norm/moving_mean", "norm/moving_variance"} if alive and left else set())
    model.unfreeze()
    assert names_of(model) == set(WEIGHTS)


def test_without_patterns_all_is_meant_and_the_order_of_weights_stays():
    model = functional()
    order = [v.path for v in model.weights]
    model.freeze()
    assert model.trainable_variables == []
    model.unfreeze("norm/beta")
    assert [v.path for v in model.weights] == order
    assert [v.path for v in model.trainable_variables] == ["norm/beta"]
    model.trainable = True
    assert names_of(model) == set(WEIGHTS)


def test_nested_models_by_path():
    inner = functional()
    x = sx.Input((4,))
    outer = sx.Model(x, layers.Dense(1, name="top")(inner(x)))
    outer.freeze("net")
    assert [v.path for v in outer.trainable_variables] == ["top/kernel", "top/bias"]
    outer.unfreeze("net/block2")
    assert {v.path.split("/")[-2] for v in outer.trainable_variables} == {"block2", "top"}
    outer.freeze("*")
    outer.unfreeze("net/*/bias")
    assert {v.path.split("/")[-1] for v in outer.trainable_variables} == {"bias"}
    assert len(outer.trainable_variables) == 3


def test_freeing_a_part_leaves_what_stands_beside_it_frozen():
    class Block(layers.Layer):
        def __init__(self, name):
            super().__init__(name=name)
            self.inner = layers.Dense(3, name="inner")

        def build(self, shape):
            self.scale = self.add_weight((3,), "ones", name="scale")

        def call(self, inputs):
            return self.inner(inputs) * self.scale

    model = sx.Sequential([sx.Input((4,)), Block("block"), layers.Dense(2, name="head")])
    model.get_layer("block").trainable = False
    model.unfreeze("block/inner")
    assert names_of(model) == {"block/inner/kernel", "block/inner/bias", "head/kernel", "head/bias"}
    model.unfreeze("block")
    assert "block/scale" in names_of(model)


def test_weights_outside_of_layers_stay_frozen_in_models_cut_from_theirs():
    free = sx.Variable(np.ones((4, 3), np.float32), name="theirs")
    x = sx.Input((4,))
    h = sx.ops.matmul(x, free)
    base = sx.Model(x, h)
    for freeze in (base.freeze, lambda: base.freeze("their*"), lambda: setattr(base, "trainable", False)):
        base.trainable = True
        freeze()
        model = sx.Model(x, layers.Dense(1, name="head")(h))
        assert names_of(model) == {"head/kernel", "head/bias"}
        model.unfreeze("theirs")
        assert "theirs" in names_of(model)


@pytest.mark.parametrize("style", [functional, sequential], ids=lambda style: style.__name__)
def test_what_is_frozen_stays_so_in_files_and_copies(style, tmp_path):
    model = style()
    model.freeze("block1", "head/kernel")
    model.save(tmp_path / "m.onnx")
    again = sx.models.load_model(tmp_path / "m.onnx")
    for twin in (again, copy.deepcopy(model)):
        assert names_of(twin) == names_of(model)
        twin.unfreeze()
        assert names_of(twin) == set(WEIGHTS)


def test_callbacks_may_freeze_while_it_trains():
    model = functional()

    class Gradually(sx.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                model.freeze("block*")

    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    first = model.get_layer("block1").kernel.numpy()
    model.fit(X, Y, epochs=3, initial_epoch=1, verbose=0, callbacks=[Gradually()])
    np.testing.assert_array_equal(model.get_layer("block1").kernel.numpy(), first)


def test_the_summary_says_what_is_frozen(capsys):
    model = functional()
    model.freeze("block1", "head/kernel")
    model.summary(show_trainable=True)
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│ " in line]
    rows = {cells[1].split()[0]: cells[4].strip() for cells in lines}
    assert (rows["block1"], rows["head"], rows["norm"]) == ("no", "partly", "yes")


MISTAKES = [
    (lambda m: m.freeze("blok1"), ValueError, "nothing in model 'net' is named like 'blok1'; did you mean 'block1'"),
    (lambda m: m.unfreeze("header*"), ValueError, "did you mean 'head'"),
    (lambda m: m.freeze("block1", "xyz"), ValueError, "It has: block1, norm, block2, head"),
    (lambda m: m.freeze("*moving*"), ValueError, "means only what training never changes"),
    (lambda m: m.freeze(["head"]), TypeError, "patterns are texts such as 'block4\\*', got \\['head'\\]"),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES)
def test_mistakes_are_told_and_change_nothing(mistake, kind, message):
    model = sequential()
    with pytest.raises(kind, match=message):
        mistake(model)
    assert names_of(model) == set(WEIGHTS)


def test_names_are_missing_before_weights_are_made():
    with pytest.raises(ValueError, match="Its weights get their names when it is built"):
        Subclassed().freeze("block1/kernel")
    with pytest.raises(ValueError, match="has no layers and no weights yet"):
        sx.Model(name="empty").freeze("block1")
    model = Subclassed()
    model.freeze("block*")
    model.build((None, 4))
    assert names_of(model) == expected(["norm/*", "head/*"])


def test_fitting_a_frozen_model_says_what_to_do():
    model = functional()
    model.freeze()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"fit would change nothing.*model\.unfreeze\('head/bias'\)"):
        model.fit(X, Y, verbose=0)
    model.unfreeze("head")
    model.fit(X, Y, verbose=0)


def test_fitting_a_frozen_model_that_gets_its_weights_from_the_data_says_what_to_do():
    model = sx.Sequential([sx.layers.Dense(2, trainable=False)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"fit would change nothing.*model\.unfreeze\(\)"):
        model.fit(X, Y, verbose=0)
