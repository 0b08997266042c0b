"""What a user may ask of one style, they may ask of all three and of their mixtures, with the same answer."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from style_mixtures import STYLES, WIDTH, Encoder, EncoderLayer, Network

import sardonyx as sx
from sardonyx import layers as L
from sardonyx.builder.call_tree import CallTree, Entry

random = np.random.default_rng(0)
X = random.standard_normal((32, WIDTH)).astype(np.float32)
Y = random.integers(0, 3, 32)
CLASSES = {"Encoder": Encoder, "EncoderLayer": EncoderLayer, "Network": Network}
PATHS = ["encoder", "encoder/hidden", "encoder/norm", "drop", "head"]


def values() -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.uniform(0.1, 1, v.shape).astype(np.float32) for v in STYLES["functional"]().weights]


def make(style: str) -> Any:
    model = STYLES[style]()
    by_name = {name: v for v, name in model.weight_names().items()}
    for name, value in zip(NAMES, values(), strict=True):
        by_name[name].assign(value)
    return model


NAMES = [
    "encoder/hidden/kernel", "encoder/hidden/bias", "encoder/norm/gamma", "encoder/norm/beta",
    "encoder/norm/moving_mean", "encoder/norm/moving_variance", "head/kernel", "head/bias",
]  # fmt: skip


def predict(model: Any) -> np.ndarray:
    return model.predict(X, verbose=0)


def compiled(model: Any) -> Any:
    model.compile(optimizer=sx.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def losses(model: Any) -> list[float]:
    return model.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0).history["loss"]


# -- one function an ability: what it gives is the same for every style ------------------------------------------------


def summary(model: Any, _: Path) -> Any:
    lines: list[str] = []
    model.summary(expand_nested=True, show_trainable=True, print_fn=lines.append)
    text = [line for entry in lines for line in entry.splitlines()]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text if line.startswith("│")]
    kinds = {"Encoder", "EncoderLayer", "Sequential", "Functional"}
    rows = [
        [f"{r[0].split(' (')[0]} (…)" if any(f"({kind})" in r[0] for kind in kinds) else r[0], *r[1:]] for r in rows
    ]
    return rows, [line for line in text if "params" in line]


def plot(model: Any, folder: Path) -> Any:
    file = sx.utils.plot_model(model, folder / "model.svg", show_shapes=True, expand_nested=True, show_layer_names=True)
    assert file.stat().st_size > 2000
    return arrows(CallTree(model, True).entries)


def arrows(entries: list[Entry]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        found += [(source.name, entry.name) for source, _ in entry.sources]
        found += [[entry.name, arrows(entry.children)]] if entry.children else []
    return found


def structure(model: Any, _: Path) -> Any:
    return (
        [layer.name for layer in model.layers if not isinstance(layer, L.InputLayer)],
        [model.get_layer(path).output.shape[1] for path in PATHS],
        [str(size) for size in model.input.shape], model.output_shape, sorted(model.weight_names().values()),
        [name.split("/")[:-1] for name in model.tensors()],
    )  # fmt: skip


def cut(model: Any, _: Path) -> Any:
    inner = sx.Model(model.input, [model.get_layer(path).output for path in PATHS])
    return [np.asarray(x) for x in inner(X)]


def extend(model: Any, _: Path) -> Any:
    base = model.get_layer("encoder").output
    head = L.Dense(2, kernel_initializer="ones", name="new")(base)
    grown = compiled(sx.Model(model.input, sx.ops.softmax(head)))
    grown.get_layer("encoder").trainable = False
    before = np.asarray(model.get_layer("encoder/hidden").kernel)
    history = grown.fit(X, Y % 2, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_array_equal(model.get_layer("encoder/hidden").kernel, before)
    return history


def config(model: Any, _: Path) -> Any:
    with sx.saving.custom_object_scope(CLASSES):
        again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert type(again) is type(model)
    return copied(again, model)


def to_json(model: Any, _: Path) -> Any:
    again = sx.models.model_from_json(model.to_json(), custom_objects=CLASSES)
    assert type(again) is type(model)
    return copied(again, model)


def to_json_without_classes(model: Any, _: Path) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "model_from_json: class")  # says what a copy without its class cannot do
        return copied(sx.models.model_from_json(model.to_json()), model)


def clone(model: Any, _: Path) -> Any:
    return copied(sx.models.clone_model(model), model)


def copied(again: Any, model: Any) -> Any:
    """A copy has weights of its own, under the same names."""
    if not again.built:
        again.build((None, WIDTH))
    own, theirs = again.weight_names(), model.weight_names()
    assert list(own.values()) == list(theirs.values())
    assert not {id(v) for v in own} & {id(v) for v in theirs}
    again.set_weights(model.get_weights())
    return predict(again), losses(compiled(again))


def deep_copy(model: Any, _: Path) -> Any:
    again = copy.deepcopy(compiled(model))
    result = predict(again), losses(again)
    np.testing.assert_array_equal(model.get_layer("head").kernel, values()[-2])
    return result


def save(model: Any, folder: Path) -> Any:
    compiled(model).save(folder / "model.onnx")
    again = sx.models.load_model(folder / "model.onnx", custom_objects=CLASSES)
    assert type(again) is type(model)
    return predict(again), losses(again)


def train(model: Any, _: Path) -> Any:
    return losses(compiled(model)), model.evaluate(X, Y, verbose=0), predict(model)


def freeze(model: Any, _: Path) -> Any:
    before = model.get_layer("encoder").get_weights()
    model.get_layer("encoder").trainable = False
    history = losses(compiled(model))
    for a, b in zip(model.get_layer("encoder").get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    return len(model.trainable_weights), history


def export(model: Any, folder: Path) -> Any:
    model.export(folder / "model.onnx", verbose=False)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    result = session.run(None, {session.get_inputs()[0].name: X})
    names = [x.name for x in session.get_inputs()], [x.name for x in session.get_outputs()]
    graph = onnx.load(folder / "model.onnx").graph
    nodes = [(node.op_type, node.name) for node in graph.node]
    return result, names, nodes, [x.name for x in graph.initializer]


def check(model: Any, _: Path) -> Any:
    return [str(finding) for finding in compiled(model).check()]


def own_step(model: Any, _: Path) -> Any:
    optimizer, history = sx.optimizers.SGD(0.1), []
    for start in range(0, 32, 8):
        with sx.GradientTape() as tape:
            chosen = model(X[start : start + 8], training=True)
            loss = sx.ops.mean(sx.losses.sparse_categorical_crossentropy(Y[start : start + 8], chosen))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        history.append(float(loss))
    return history


ABILITIES: list[Callable[[Any, Path], Any]] = [
    summary, plot, structure, cut, extend, config, to_json, to_json_without_classes, clone, deep_copy, save, train,
    freeze, export, check, own_step,
]  # fmt: skip
_expected: dict[str, Any] = {}


def expected(ability: Callable[[Any, Path], Any], folder: Path) -> Any:
    """What the functional twin gives."""
    if ability.__name__ not in _expected:
        _expected[ability.__name__] = ability(make("functional"), folder)
    return _expected[ability.__name__]


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted), (found, wanted)
        for a, b in zip(found, wanted, strict=True):
            assert_same(a, b)
    elif isinstance(wanted, (float, np.ndarray)):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    else:
        assert found == wanted


@pytest.mark.parametrize("ability", ABILITIES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_every_ability(style: str, ability: Callable[[Any, Path], Any], tmp_path: Path):
    folder = tmp_path / "twin"
    folder.mkdir()
    assert_same(ability(make(style), tmp_path), expected(ability, folder))


BARE = """
import json, sys
import numpy as np
import sardonyx as sx

X, Y = np.load(sys.argv[1]), np.load(sys.argv[2])
found = {}
for file in sys.argv[3:]:
    model = sx.models.load_model(file)
    lines = []
    model.summary(expand_nested=True, print_fn=lines.append)
    inner = sx.Model(model.input, model.get_layer("encoder/norm").output)
    model.get_layer("encoder").trainable = True
    result = {
        "predictions": model.predict(X, verbose=0).tolist(),
        "inner": np.asarray(inner(X)).tolist(),
        "names": sorted(model.weight_names().values()),
        "findings": [str(finding) for finding in model.check()],
        "summary": "\\n".join(lines).count("│"),
    }
    model.export(file + ".again.onnx", verbose=False)
    history = model.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0).history
    found[file] = {**result, "losses": history["loss"]}
print(json.dumps(found))
"""


def test_files_open_in_a_process_that_has_none_of_the_classes(tmp_path: Path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    files = {style: tmp_path / f"{style.replace(' ', '_')}.onnx" for style in STYLES}
    for style, file in files.items():
        compiled(make(style)).save(file)
    program = tmp_path / "bare.py"
    program.write_text(BARE)
    command = [sys.executable, "-W", "ignore", program, tmp_path / "x.npy", tmp_path / "y.npy", *files.values()]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    twin = make("functional")
    wanted = {
        "predictions": predict(twin).tolist(),
        "inner": np.asarray(sx.Model(twin.input, twin.get_layer("encoder/norm").output)(X)).tolist(),
        "names": sorted(twin.weight_names().values()),
        "findings": [str(finding) for finding in compiled(twin).check()],
        "losses": losses(twin),
    }
    for style, file in files.items():
        for key, value in wanted.items():
            assert_same(found[str(file)][key], value)
        again = onnxruntime.InferenceSession(f"{file}.again.onnx")
        np.testing.assert_allclose(again.run(None, {"features": X})[0], wanted["predictions"], atol=1e-5, err_msg=style)
