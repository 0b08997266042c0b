"""Saved models open in a process without their classes, and are the same models there."""

import copy
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recorded_models as own
from recorded_models import CASES, ROWS, Block, Chain, Free, Nested, Several, prepare, random, traced
from without_classes import facts, outputs

import sardonyx as sx
from sardonyx.builder import layers as L
from sardonyx.builder.loading import load_model, model_from_json
from sardonyx.trainer import ops

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """All models of the table: what holds for the original, and in a process that has none of their classes."""
    folder = tmp_path_factory.mktemp("opened")
    expected, arguments = {}, {}
    for name in CASES:
        model, x, y = prepare(name)
        model.save(folder / f"{name}.onnx")
        np.savez(folder / f"{name}.npz", **dict(enumerate_arrays(x, y)))
        arguments[name] = sx.tree.map_structure(lambda _: None, [x, y])
        expected[name] = facts(model, x, y, folder)
    (folder / "structures.json").write_text(json.dumps(arguments))
    script = ROOT / "tests" / "support" / "without_classes.py"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "found.json").read_text())
    return {name: (expected[name], found[name]) for name in CASES}


def enumerate_arrays(x: Any, y: Any) -> list[tuple[str, np.ndarray]]:
    """Leaves of inputs and targets by number."""
    return [(str(i), np.asarray(v)) for i, v in enumerate(sx.tree.flatten([x, y]))]


ALIKE = ("summary", "weights", "paths", "trainable", "inputs", "outputs", "tensors", "constraints")
CLOSE = ("inference", "predicted", "cut", "exported", "training", "history")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", ALIKE)
def test_it_looks_the_same(opened: Any, name: str, what: str):
    expected, found = opened[name]
    assert found[what] == expected[what]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", CLOSE)
def test_it_computes_the_same(opened: Any, name: str, what: str):
    expected, found = opened[name]
    for a, b in zip(expected[what], found[what], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_it_is_saved_again_cloned_and_told(opened: Any, name: str):
    expected, found = opened[name]
    for a, b in zip(expected["inference"], found["again"], strict=True):
        np.testing.assert_array_equal(b, a)
    assert found["json"] == found["clone"] > 0
    model_class = {"functional": "Functional", "sequential": "Sequential"}.get(name, "RecordedModel")
    assert found["kind"] == model_class
    assert len(found["told"]) == 1 and " not here" in found["told"][0] and "custom_objects" in found["told"][0]


def saved(folder: Path, model: Any, **kwargs: Any) -> Path:
    model.save(folder / "m.onnx", **kwargs)
    return folder / "m.onnx"


def load_quietly(path: Path, **kwargs: Any) -> Any:
    with pytest.warns(UserWarning, match="not here|not known here"):
        return load_model(path, **kwargs)


class Plain(sx.Model):
    """A class whose arguments have a form."""

    def __init__(self, width: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.dense = width, L.Dense(width)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.dense(x) * (2.0 if training else 1.0)


def plain() -> Any:
    return Plain(name="plain").trace(ROWS)


def test_with_its_class_it_is_of_its_class(tmp_path: Path):
    twin = load_model(saved(tmp_path, plain()), custom_objects={"Plain": Plain})
    assert type(twin) is Plain and twin.width == 3
    once = load_quietly(saved(tmp_path, plain()))
    back = load_model(saved(tmp_path, once), custom_objects={"Plain": Plain})
    assert type(back) is Plain


def test_a_class_that_cannot_be_made_again_is_told_why(tmp_path: Path):
    path = saved(tmp_path, traced(Chain, ROWS)())
    with pytest.warns(UserWarning, match="(?s)Chain: its constructor's arguments are not in the file: .*'free'"):
        twin = load_model(path, custom_objects={"Chain": Chain, "Block": Block})
    assert isinstance(twin, sx.RecordedModel)

    class Changed(Plain):
        def __init__(self, width: int, more: int) -> None:
            raise RuntimeError("no more such models")

    with pytest.warns(UserWarning, match="Plain: .*more"):
        twin = load_model(saved(tmp_path, plain()), custom_objects={"Plain": Changed})
    assert isinstance(twin, sx.RecordedModel)


def test_attributes_are_found_under_their_names(tmp_path: Path):
    twin = load_quietly(saved(tmp_path, traced(Chain, ROWS)()))
    assert twin.blocks[1].conv.kernel is twin.get_layer("block_1/conv").kernel
    assert twin.tools["norm"].name == "norm" and twin.get_layer("block_0/conv").output.shape[-1] == 4
    assert repr(twin) == "<RecordedModel name=chain, class Chain is not here>"
    with pytest.raises(AttributeError, match="no attribute 'free': its class Chain is not here.*custom_objects"):
        _ = twin.free


REFUSED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("another size", lambda m: m(np.ones((2, 5), "float32")),
     r"recorded for \(x: \(batch, 4\) float32\).*got \(x: \(2, 5"),
    ("another structure", lambda m: m([np.ones((2, 4), "float32")]), r"class Chain is not here.*got \(x: \["),
    ("another argument", lambda m: m(np.ones((2, 4), "float32"), depth=3), r"got \(.*depth: 3\)"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "act", "message"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_was_not_recorded_is_refused(what: str, act: Callable[[Any], Any], message: str, tmp_path: Path):
    twin = load_quietly(saved(tmp_path, traced(Chain, ROWS)()))
    with pytest.raises(sx.ShapeError, match=f"(?s){message}.*custom_objects={{'Chain': Chain}}"):
        act(twin)


def test_arguments_that_are_as_by_default_count_as_not_given(tmp_path: Path):
    model = traced(Several, own.PAIR)()
    twin, x = load_quietly(saved(tmp_path, model)), CASES["several"][1]
    np.testing.assert_array_equal(np.asarray(twin(x, scale=2.0)["sum"]), np.asarray(model(x)["sum"]))
    with pytest.raises(sx.ShapeError, match=r"scale: 3\.0"):
        twin(x, scale=3.0)


class NoTraining(Plain):
    """Refuses to be trained."""

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            raise RuntimeError("not to be trained")
        return self.dense(x)


def test_where_training_cannot_be_recorded_inference_is(tmp_path: Path):
    model = NoTraining(name="still").trace(ROWS)
    path = saved(tmp_path, model)
    with pytest.warns(UserWarning, match="layer 'still': training was not recorded .RuntimeError: not to be trained"):
        twin = load_model(path)
    np.testing.assert_array_equal(outputs(twin, random(2, 4), False), outputs(model, random(2, 4), False))
    with pytest.raises(sx.ShapeError, match="training mode could not be recorded .RuntimeError: not to be trained"):
        twin(random(2, 4), training=True)


class OwnStep(Plain):
    """Trains in its own way."""

    def train_step(self, data: Any) -> dict[str, Any]:
        return {"loss": 0.0}


def test_a_step_of_its_own_is_told_to_be_lost(tmp_path: Path):
    path = saved(tmp_path, OwnStep(name="stepper").trace(ROWS))
    with pytest.warns(UserWarning, match="layer 'stepper': the class's own train_step is replaced"):
        load_model(path)


@sx.saving.register_keras_serializable("tests")
def own_loss(y: Any, p: Any) -> Any:
    return ops.mean(ops.square(y - p), axis=-1)


COMPILED: list[tuple[str, dict[str, Any], str, bool]] = [
    ("a loss", {"optimizer": "adam", "loss": own_loss}, "not compiled, because its loss is not known", False),
    ("a metric", {"optimizer": "adam", "loss": "mse", "metrics": ["mae", own_loss]}, "a metric is left out", True),
]


@pytest.mark.parametrize(("what", "options", "message", "stays"), COMPILED, ids=[c[0] for c in COMPILED])
def test_unknown_losses_and_metrics_are_told(
    what: str, options: dict[str, Any], message: str, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = sx.Sequential([L.Input((4,)), L.Dense(2)])
    model.compile(**options)
    model.fit(random(4, 4), random(4, 2), verbose=0)
    path = saved(tmp_path, model)
    monkeypatch.delitem(sx.saving.get_custom_objects(), "tests>own_loss")
    with pytest.warns(UserWarning, match=message):
        twin = load_model(path)
    assert twin.compiled is stays
    if stays:
        assert set(twin.evaluate(random(4, 4), random(4, 2), verbose=0, return_dict=True)) == {"loss", "mae"}


def test_the_file_holds_weights_and_constants_once(tmp_path: Path):
    class Wide(sx.Model):
        def __init__(self, free: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense, self.table = L.Dense(300), random(300, 300)

        def call(self, x: Any) -> Any:
            return ops.matmul(self.dense(x), self.table)

    path = saved(tmp_path, Wide(Free(), name="wide").trace(sx.TensorSpec(("batch", 300))))
    assert path.stat().st_size < 1.05 * (2 * 300 * 300 + 300) * 4
    assert load_quietly(path)(random(2, 300)).shape == (2, 300)


def test_a_configuration_without_arguments_is_the_recorded_computation():
    model = traced(Nested, ROWS)()
    config = json.loads(json.dumps(model.get_config()))
    assert "recorded_model" in config
    twin = Nested.from_config(config)
    assert isinstance(twin, sx.RecordedModel) and list(twin.weight_names().values()) == list(
        model.weight_names().values()
    )
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(twin, random(2, 4), False), outputs(model, random(2, 4), False))
    with pytest.raises(TypeError, match="build the model first"):
        Nested(Free()).get_config()


def test_json_is_read_without_the_class():
    model = own.functional()
    with pytest.warns(UserWarning, match="classes Block, Lambda, Chain are not here"):
        twin = model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    for a, b in zip(outputs(model, random(2, 4), False), outputs(twin, random(2, 4), False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_clone_is_of_the_same_class_and_independent():
    model = traced(Nested, ROWS)()
    twin = sx.models.clone_model(model)
    assert type(twin) is Nested and not {id(v) for v in twin.variables} & {id(v) for v in model.variables}
    assert len(twin.weights) == len(model.weights) and not np.array_equal(twin.get_weights()[2], model.get_weights()[2])
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(twin, random(2, 4), False), outputs(model, random(2, 4), False))


def test_a_clone_whose_constructor_refuses_is_what_was_recorded():
    class Once(Plain):
        made = 0

        def __init__(self, free: Any, **kwargs: Any) -> None:
            if Once.made:
                raise RuntimeError("only once")
            Once.made = 1
            super().__init__(3, **kwargs)

    model = Once(Free(), name="once").trace(ROWS)
    twin = sx.models.clone_model(model)
    assert isinstance(twin, sx.RecordedModel) and twin.count_params() == model.count_params()


def wider(layer: Any) -> Any:
    return L.Dense(9, name=layer.name) if layer.name == "head" else type(layer).from_config(layer.get_config())


def test_functions_of_a_clone_make_and_call_its_layers():
    class Row(sx.Model):
        def __init__(self, free: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.first, self.head = L.Dense(4, name="first"), L.Dense(2, name="head")

        def call(self, x: Any) -> Any:
            return self.head(self.first(x))

    called: list[str] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(layer.name)
        return layer(*args, **kwargs)

    twin = sx.models.clone_model(Row(Free(), name="row").trace(ROWS), clone_function=wider, call_function=call)
    assert twin.output_shape == (None, 9) and called[:2] == ["first", "head"]


def test_a_deep_copy_has_everything_but_shares_nothing():
    model, x, y = prepare("nested")
    model.note, model.lock = {"a": [1]}, threading.Lock()
    twin = copy.deepcopy(model)
    assert type(twin) is Nested and twin.note == model.note and twin.note is not model.note
    first, second = (m.fit(x, y, epochs=2, shuffle=False, verbose=0).history for m in (model, twin))
    assert first == second
    recorded = sx.models.clone_model(model, clone_function=lambda layer: layer)
    again = copy.deepcopy(recorded)
    assert not {id(v) for v in again.variables} & {id(v) for v in recorded.variables}
    np.testing.assert_array_equal(outputs(again, x, True), outputs(recorded, x, True))


def test_models_are_not_pickled():
    with pytest.raises(TypeError, match=r"'plain' is not pickled.*model.save\(path\)"):
        plain().__reduce_ex__(4)  # what pickle calls
    assert copy.copy(plain()).name == "plain"


def test_what_the_page_on_saving_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "saving.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    names: dict[str, Any] = {"__name__": "page"}
    with pytest.warns(UserWarning, match="classes Net, Scaled are not here"):
        exec(compile("\n".join(blocks), "saving.md", "exec"), names)  # noqa: S102 - the page's own code
    assert isinstance(names["again"], sx.RecordedModel) and (tmp_path / "again.onnx").exists()


def test_a_model_without_its_class_is_frozen_and_drawn_as_the_original(tmp_path: Path):
    model = traced(Nested, ROWS)()
    twin = load_quietly(saved(tmp_path, model))
    for one in (model, twin):
        one.get_layer("encoder").trainable = False
    assert [v.path for v in twin.trainable_variables] == [v.path for v in model.trainable_variables] != []
    pictures = []
    for i, one in enumerate((model, twin)):
        sx.utils.plot_model(one, tmp_path / f"{i}.svg", expand_nested=True)
        pictures.append(re.sub(r"\d{9,}", "", (tmp_path / f"{i}.svg").read_text()))  # numbers of objects
    assert pictures[0] == pictures[1]
