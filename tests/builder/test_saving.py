"""Models and weights in files: exact, whole or not at all, and clear about what cannot be read."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from small_models import STYLES, Net, data, outputs

import sardonyx as sx
from sardonyx.builder import layers as L
from sardonyx.builder.functional import Functional
from sardonyx.builder.loading import load_model
from sardonyx.builder.sequential import Sequential
from sardonyx.builder.weight_matching import canonical_names
from sardonyx.trainer.core.errors import ShapeError
from sardonyx.trainer.seed import set_random_seed

OWN = {"Net": Net}
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: "adam",
    "sgd with momentum": lambda: sx.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adamw": lambda: sx.optimizers.AdamW(0.01, weight_decay=0.1),
    "averaged": lambda: sx.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3),
    "accumulating": lambda: sx.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "scheduled": lambda: sx.optimizers.RMSprop(sx.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)),
}


def compiled(style: str, optimizer: Any = "adam") -> Any:
    model = STYLES[style]()
    model.compile(optimizer, sx.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def train(model: Any, epochs: int) -> dict[str, list[float]]:
    x, y = data()
    return model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0).history


CONTINUED = [(style, "adam") for style in STYLES] + [("sequential", name) for name in OPTIMIZERS if name != "adam"]


@pytest.mark.parametrize(("style", "optimizer"), CONTINUED)
def test_three_epochs_and_three_more_are_six(style: str, optimizer: str, tmp_path: Path):
    set_random_seed(3)
    whole = compiled(style, OPTIMIZERS[optimizer]())
    expected = train(whole, 6)
    set_random_seed(3)
    first = compiled(style, OPTIMIZERS[optimizer]())
    history = train(first, 3)
    first.save(tmp_path / "m.onnx")
    set_random_seed(99)
    second = load_model(tmp_path / "m.onnx", OWN)
    more = train(second, 3)
    assert {key: values + more[key] for key, values in history.items()} == expected
    for a, b in zip(whole.variables, second.variables, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), a.path
    for a, b in zip(whole.optimizer.variables, second.optimizer.variables, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), a.path


@pytest.mark.parametrize("style", STYLES)
def test_the_file_is_a_whole_onnx_model(style: str, tmp_path: Path):
    model = compiled(style)
    train(model, 1)
    path = tmp_path / "m.onnx"
    model.save(path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    x, _ = data(4)
    running = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    result = running.run(None, {running.get_inputs()[0].name: x})[0]
    np.testing.assert_allclose(result, outputs(model, x)[0], rtol=1e-5, atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path):
    model = compiled("functional")
    train(model, 1)
    for name in ("a.onnx", "b.onnx"):
        model.save(tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_weights_are_not_stored_twice(tmp_path: Path):
    model = Sequential([L.Input((6, 6, 3)), L.Conv2D(8, 3), L.GlobalAveragePooling2D(), L.Dense(2)])
    model.save(tmp_path / "m.onnx")
    assert not onnx.load(tmp_path / "m.onnx").training_info
    assert load_model(tmp_path / "m.onnx").get_weights()[0].shape == (3, 3, 3, 8)


def test_frozen_weights_and_decay_exceptions_are_kept(tmp_path: Path):
    model = Sequential([L.Input((3,)), L.Dense(4, name="first"), L.Dense(4, name="second")])
    model.layers[0].trainable = False
    model.get_layer("second").bias.trainable = False
    optimizer = sx.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([model.get_layer("second").kernel], ["gamma"])
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 4)), verbose=0)
    model.save(tmp_path / "m.onnx")
    twin = load_model(tmp_path / "m.onnx")
    assert [v.path for v in twin.trainable_variables] == ["second/kernel"]
    again = [m.fit(np.ones((4, 3)), np.ones((4, 4)), epochs=3, verbose=0).history for m in (model, twin)]
    assert again[0] == again[1]
    np.testing.assert_array_equal(twin.get_weights()[2], model.get_weights()[2])


def test_layers_shared_and_variables_of_the_model_are_kept(tmp_path: Path):
    x, dense = L.Input((4,)), L.Dense(4)
    scale = sx.Variable(np.full(4, 0.1), dtype="float32", name="scale")
    model = Functional(x, {"a": dense(dense(x)), "b": x * scale})
    scale.assign(np.full(4, np.pi))
    model.save(tmp_path / "m.onnx")
    twin = load_model(tmp_path / "m.onnx")
    ones = np.ones((2, 4), "float32")
    assert len(twin.weights) == 3
    np.testing.assert_array_equal(np.asarray(twin(ones)["b"]), np.asarray(model(ones)["b"]))


def test_without_the_optimizer(tmp_path: Path):
    model = STYLES["sequential"]()
    model.compile("adam", lambda y, p: sx.ops.mean(p, axis=-1))
    with pytest.raises(TypeError, match=r"argument loss of compile\(\).*lambda.*include_optimizer=False"):
        model.save(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
    model.save(tmp_path / "m.onnx", include_optimizer=False)
    assert not load_model(tmp_path / "m.onnx").compiled


def test_loading_without_compiling(tmp_path: Path):
    compiled("sequential").save(tmp_path / "m.onnx")
    assert not load_model(tmp_path / "m.onnx", compile=False).compiled


def saved(folder: Path, style: str = "sequential") -> Path:
    compiled(style).save(folder / "m.onnx")
    return folder / "m.onnx"


def with_record(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    path = saved(folder)
    proto = onnx.load(path)
    entry = next(p for p in proto.metadata_props if p.key == "sardonyx.model")
    record = json.loads(entry.value)
    change(record)
    entry.value = json.dumps(record)
    path.write_bytes(proto.SerializeToString())
    return path


def damaged(folder: Path, change: Callable[[Any], Any]) -> Path:
    path = saved(folder)
    proto = onnx.load(path)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def text(folder: Path, content: bytes, name: str = "m.onnx") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def deep(record: dict[str, Any]) -> None:
    record["values"]["sardonyx.variables/dense/kernel"]["at"] = {"initializer": "nothing"}


def other_width(record: dict[str, Any]) -> None:
    record["architecture"]["config"]["layers"][1]["config"]["filters"] = 5


UNREADABLE: list[tuple[str, Callable[[Path], Path], type[Exception], str]] = [
    ("no file", lambda f: f / "m.onnx", FileNotFoundError, "there is no file"),
    ("a folder", lambda f: (f / "m.onnx").mkdir() or f / "m.onnx", IsADirectoryError, "is a folder"),
    ("another ending", lambda f: text(f, b"", "m.keras"), ValueError, "ends in .onnx"),
    ("an empty file", lambda f: text(f, b""), ValueError, "the file is empty"),
    ("a text", lambda f: text(f, b"hello, this is a text and no model"), ValueError, "is not an ONNX file"),
    ("no arrays", lambda f: damaged(f, lambda p: p.ClearField("training_info")), ValueError, "is missing or damaged"),
    ("no weights", lambda f: damaged(f, lambda p: p.graph.ClearField("initializer")), ValueError,
     "is missing or damaged"),
    ("a damaged array", lambda f: damaged(f, lambda p: p.graph.initializer[0].ClearField("raw_data")), ValueError,
     "damaged"),
    ("an array elsewhere", lambda f: damaged(f, lambda p: setattr(p.graph.initializer[0], "data_location", 1)),
     ValueError, "external data of tensor"),
    ("no JSON", lambda f: damaged(f, lambda p: [setattr(e, "value", "{") for e in p.metadata_props]), ValueError,
     "description of the model is damaged"),
    ("no values", lambda f: with_record(f, lambda r: r.pop("values")), ValueError,
     "description of the model is damaged"),
    ("a newer format", lambda f: with_record(f, lambda r: r.update(format=99)), ValueError, "saved by a newer version"),
    ("a value nowhere", lambda f: with_record(f, deep), ValueError, "'sardonyx.variables/dense/kernel' is missing"),
    ("other code", lambda f: with_record(f, other_width), ShapeError, "shapes differ for 'conv2d/"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "kind", "message"), UNREADABLE, ids=[u[0] for u in UNREADABLE])
def test_what_cannot_be_read_is_told(
    what: str, make: Callable[[Path], Path], kind: type[Exception], message: str, tmp_path: Path
):
    path = make(tmp_path)
    with pytest.raises(kind, match=f"(?s){message}"):
        load_model(path)


def test_a_truncated_file_is_never_read(tmp_path: Path):
    content = saved(tmp_path).read_bytes()
    for length in sorted({*range(0, len(content), max(1, len(content) // 60)), len(content) - 1}):
        path = text(tmp_path, content[:length], "part.onnx")
        with pytest.raises(ValueError, match="cannot be opened"):
            load_model(path)


UNWRITABLE: list[tuple[str, Callable[[Path], Any], type[Exception], str]] = [
    ("no path", lambda f: 3, TypeError, "expected a path, got 3"),
    ("another ending", lambda f: f / "m.h5", ValueError, "expected a file name that ends in"),
    ("no folder", lambda f: f / "none" / "m.{}", FileNotFoundError, "does not exist"),
    ("a file as folder", lambda f: text(f, b"", "file") / "m.{}", NotADirectoryError, "not a folder"),
    ("a folder as file", lambda f: (f / "m.onnx").mkdir() or (f / "m.npz").mkdir() or f / "m.{}", IsADirectoryError,
     "a folder"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "kind", "message"), UNWRITABLE, ids=[u[0] for u in UNWRITABLE])
@pytest.mark.parametrize("action", ["save", "export", "save_weights"])
def test_what_cannot_be_written_is_told(
    what: str, make: Callable[[Path], Any], kind: type[Exception], message: str, action: str, tmp_path: Path
):
    path = make(tmp_path)
    target = path if isinstance(path, int) else str(path).format("npz" if action == "save_weights" else "onnx")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=message):
        getattr(STYLES["sequential"](), action)(target)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path: Path):
    path = text(tmp_path, b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        STYLES["sequential"]().save(path, overwrite=False)
    assert path.read_bytes() == b"precious"


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = text(tmp_path, b"precious")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        STYLES["sequential"]().save(path)
    assert path.read_bytes() == b"precious" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("action", ["save", "export", "save_weights"])
def test_a_model_without_weights_is_told(action: str, tmp_path: Path):
    with pytest.raises(ValueError, match=r"call it (once )?on data"):
        getattr(Net(), action)(tmp_path / ("m.npz" if action == "save_weights" else "m.onnx"))
    assert not list(tmp_path.iterdir())


ENDINGS = [".npz", ".safetensors"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_weights_come_back_exactly(style: str, ending: str, tmp_path: Path):
    model, twin = STYLES[style](), STYLES[style]()
    model.save_weights(tmp_path / f"w{ending}")
    twin.load_weights(tmp_path / f"w{ending}")
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_weights_are_readable_by_others(tmp_path: Path):
    model = Sequential([L.Input((3,)), L.Dense(2, name="d")], name="m")
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as arrays:
        np.testing.assert_array_equal(arrays["d/kernel"], model.get_weights()[0])
        assert sorted(arrays) == ["d/bias", "d/kernel"] == sorted(model.weight_names().values())
    model.save_weights(tmp_path / "w.safetensors")
    arrays = pytest.importorskip("safetensors.numpy").load_file(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(arrays["d/kernel"], model.get_weights()[0])


def two(units: int = 2, second: str = "b") -> Any:
    return Sequential([L.Input((3,)), L.Dense(4, name="a"), L.Dense(units, name=second)], name="m")


MISFITS = [
    ("missing and unexpected", lambda: two(second="c"), ValueError, "lacks c/kernel, c/bias; the model has no b/"),
    ("shapes", lambda: two(5), ValueError, r"shapes differ for 'b/kernel': expected \(4, 5\), got \(4, 2\)"),
]


@pytest.mark.parametrize(("what", "make", "kind", "message"), MISFITS, ids=[m[0] for m in MISFITS])
def test_weights_that_do_not_fit_are_named(
    what: str, make: Callable[[], Any], kind: type[Exception], message: str, tmp_path: Path
):
    model, other = two(), make()
    model.save_weights(tmp_path / "w.npz")
    before = other.get_weights()
    with pytest.raises(kind, match=message):
        other.load_weights(tmp_path / "w.npz")
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="loaded in part"):
        other.load_weights(tmp_path / "w.npz", skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], before[2])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("part", [0, 40, -8])
def test_a_damaged_weights_file_is_told(ending: str, part: int, tmp_path: Path):
    model = two()
    path = tmp_path / f"w{ending}"
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ValueError, match=f"no whole {ending} file"):
        model.load_weights(path)


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install safetensors; or use \.npz"):
        two().save_weights(tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_pickles_are_refused(tmp_path: Path):
    np.savez(tmp_path / "w.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="no whole .npz file"):
        two().load_weights(tmp_path / "w.npz")


NAMES = [
    (["dense_7/kernel", "dense_9/kernel"], ["dense/kernel", "dense_1/kernel"]),
    (["dense_9/kernel", "dense_10/kernel"], ["dense/kernel", "dense_1/kernel"]),
    (["b_3/dense_7/kernel", "b_3/conv_2/kernel", "dense_8/bias"], ["b/dense/kernel", "b/conv/kernel", "dense/bias"]),
    (["a/kernel", "a/bias"], ["a/kernel", "a/bias"]),
]


@pytest.mark.parametrize(("names", "expected"), NAMES)
def test_automatic_names_are_numbered_anew(names: list[str], expected: list[str]):
    assert list(canonical_names(names).values()) == expected


EXPORTS = [
    ("fixed batch", [sx.TensorSpec((2, 6, 6, 1), "float32")], [2, 6, 6, 1]),
    ("free height", [sx.TensorSpec(("batch", 6, 6, 1), "float32", "pixels")], ["batch", 6, 6, 1]),
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("what", "signature", "shape"), EXPORTS, ids=[e[0] for e in EXPORTS])
def test_an_export_takes_the_sizes_it_is_given(style: str, what: str, signature: Any, shape: list[Any], tmp_path: Path):
    model = STYLES[style]()
    path = tmp_path / "m.onnx"
    model.export(path, input_signature=signature)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    sizes = [d.dim_param or d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == shape and not proto.training_info
    x, _ = data(2)
    running = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    result = running.run(None, {running.get_inputs()[0].name: x})[0]
    np.testing.assert_allclose(result, outputs(model, x)[0], rtol=1e-5, atol=1e-5)
    assert model.output_shape == (None, 4)


BAD_EXPORTS = [
    ({"format": "tf_saved_model"}, ValueError, "expected format 'onnx'"),
    ({"input_signature": [3]}, TypeError, "input_signature holds a sx.TensorSpec"),
    ({"input_signature": [sx.TensorSpec((1,))] * 2}, ValueError, "has 1 inputs"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), BAD_EXPORTS)
def test_what_cannot_be_exported_is_told(
    arguments: dict[str, Any], kind: type[Exception], message: str, tmp_path: Path
):
    with pytest.raises(kind, match=message):
        STYLES["functional"]().export(tmp_path / "m.onnx", **arguments)
    assert not list(tmp_path.iterdir())
