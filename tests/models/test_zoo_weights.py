"""Weights of the zoo from files: those that Keras writes, ours, and what stands for a download."""

import hashlib
import http.server
import json
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.models import pretrained

h5py = pytest.importorskip("h5py")


def small(**given: Any) -> Any:
    """A small network with every kind of weight: depthwise and plain kernels, scales, statistics."""
    return sx.applications.MobileNet((32, 32, 3), **{"alpha": 0.25, "weights": None, "classes": 5, **given})


def nested() -> Any:
    """A network with layers inside of layers."""
    inner = sx.Sequential([sx.layers.Dense(3), sx.layers.BatchNormalization()], name="inner")
    inputs = sx.Input((4,))
    states = sx.layers.LSTM(3)(sx.layers.Reshape((2, 2))(inputs))
    return sx.Model(inputs, sx.layers.Dense(2)(sx.layers.Concatenate()([inner(inputs), states])))


def randomize(model: Any) -> Any:
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def ordered(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def write_by_place(model: Any, path: Path, whole: bool = False) -> None:
    """The layout of Keras 1 and 2."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        root.attrs["layer_names"] = [f"their_{layer.name}".encode() for layer in model.layers]
        for layer in model.layers:
            group = root.create_group(f"their_{layer.name}")
            names = [f"{layer.name}/{i}:0" for i in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, variable in zip(names, ordered(layer), strict=True):
                group[name] = variable.numpy()


def write_layer(group: Any, layer: Any) -> None:
    own = group.create_group("vars")
    for i, variable in enumerate(layer.own_variables()):
        own[str(i)] = variable.numpy()
    if isinstance(layer, sx.layers.LSTM):
        write_layer(group.create_group("cell"), layer.cell)
    if isinstance(layer, sx.Model):
        write_by_class(layer, group)


def write_by_class(model: Any, group: Any) -> None:
    """The layout of Keras 3."""
    counts: dict[str, int] = {}
    for layer in model.layers:
        base = {"InputLayer": "input_layer", "LSTM": "lstm"}.get(type(layer).__name__)
        base = base or sx.trainer.registry.snake_case(type(layer).__name__)
        number = counts.get(base, 0)
        counts[base] = number + 1
        write_layer(group.create_group(f"layers/{base}_{number}" if number else f"layers/{base}"), layer)


def write_keras_3(model: Any, path: Path) -> None:
    with h5py.File(path, "w") as file:
        write_by_class(model, file)


def write_archive(model: Any, path: Path) -> None:
    write_keras_3(model, path.with_suffix(".h5"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(path.with_suffix(".h5"), "model.weights.h5")


WRITERS = [
    ("old.h5", write_by_place),
    ("whole.h5", lambda model, path: write_by_place(model, path, whole=True)),
    ("new.weights.h5", write_keras_3),
    ("new.keras", write_archive),
]
OWN = [
    ("own.npz", lambda model, path: model.save_weights(path)),
    ("own.safetensors", lambda model, path: model.save_weights(path)),
    ("own.onnx", lambda model, path: model.save(path)),
]


def same(a: Any, b: Any) -> None:
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("name", "write"), [*WRITERS, *OWN], ids=lambda x: x if isinstance(x, str) else "")
def test_weights_from_a_file(name: str, write: Any, tmp_path: Path):
    model = randomize(small())
    write(model, tmp_path / name)
    same(small(weights=tmp_path / name), model)
    same(small(weights=str(tmp_path / name)), model)


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=lambda x: x if isinstance(x, str) else "")
def test_load_weights_of_any_model(name: str, write: Any, tmp_path: Path):
    model = randomize(nested())
    write(model, tmp_path / name)
    other = nested()
    other.load_weights(tmp_path / name)
    same(other, model)


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=lambda x: x if isinstance(x, str) else "")
def test_other_shapes(name: str, write: Any, tmp_path: Path):
    write(randomize(small(classes=6)), tmp_path / name)
    model = small()
    before = model.get_weights()
    with pytest.raises(sx.ShapeError, match=r"shapes differ for .*expected \(5,\), got \(6,\); nothing was loaded"):
        model.load_weights(tmp_path / name)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.warns(UserWarning, match="was loaded in part: shapes differ for"):
        model.load_weights(tmp_path / name, skip_mismatch=True)


def test_damaged_files(tmp_path: Path):
    write_archive(small(), tmp_path / "a.keras")
    for name, whole in (("a.h5", tmp_path / "a.h5"), ("b.keras", tmp_path / "a.keras")):
        data = whole.read_bytes()
        for part in (b"", b"no such file", data[: len(data) // 2]):
            (tmp_path / f"cut{Path(name).suffix}").write_bytes(part)
            with pytest.raises(ValueError, match=r"is no whole (HDF5 file|\.keras archive).*get it again"):
                small(weights=tmp_path / f"cut{Path(name).suffix}")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"is no whole \.keras archive with model\.weights\.h5"):
        small(weights=tmp_path / "empty.keras")


# Who writes a file for the network without its top, and what is said with it.
MISFITS = [
    (write_by_place, "has weights for 54 layers, model .* has 55 layers with weights"),
    (write_keras_3, "has no weights for layer 'conv_preds'.*layers/conv2d_14 is missing"),
]


@pytest.mark.parametrize(("write", "message"), MISFITS, ids=["place", "class"])
def test_files_of_other_networks(write: Any, message: str, tmp_path: Path):
    write(small(include_top=False), tmp_path / "w.h5")
    with pytest.raises(ValueError, match=message):
        small(weights=tmp_path / "w.h5")


def test_too_few_weights(tmp_path: Path):
    inputs = sx.Input((3,))
    write_by_place(sx.Model(inputs, sx.layers.Dense(2, use_bias=False)(inputs)), tmp_path / "w.h5")
    model = sx.Model(inputs, sx.layers.Dense(2, name="answer")(inputs))
    with pytest.raises(ValueError, match=r"has 1 weights for layer 'their_dense', layer 'answer' \(Dense\) has 2"):
        model.load_weights(tmp_path / "w.h5")


def from_elsewhere(file: Any, folder: Path) -> None:
    (folder / "raw").write_bytes(bytes(5 * 4))
    file.create_dataset("layers/conv2d_14/vars/1", (5,), "f4", external=[(folder / "raw", 0, 20)])


def virtual(file: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((5,), "f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "a", (5,))
    file["layers/conv2d_14/vars"].create_virtual_dataset("1", layout)


# What is written in place of the last bias, the kind of error, and what it says.
HOSTILE: list[tuple[Any, type[Exception], str]] = [
    (from_elsewhere, ValueError, "takes /layers/conv2d_14/vars/1 from another file; only data within it are read"),
    (virtual, ValueError, "takes /layers/conv2d_14/vars/1 from another file"),
    (lambda file, _: file.create_dataset("layers/conv2d_14/vars/1", (1 << 40,), "f4", chunks=(99,)), sx.ShapeError,
     r"'conv_preds/bias \(/layers/conv2d_14/vars/1 in the file\)': expected \(5,\), got \(1099511627776,\)"),
    (lambda file, _: file.create_dataset("layers/conv2d_14/vars/1", data=[b"a"] * 5), ValueError,
     "has no numbers in /layers/conv2d_14/vars/1, but "),
    (lambda file, _: file.create_group("layers/conv2d_14/vars/1"), ValueError, "is no whole HDF5 file"),
    (lambda file, _: file.update({"layers/conv2d_14/vars/1": h5py.SoftLink("/layers/conv2d_14/vars/1")}), ValueError,
     "is no whole HDF5 file"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "kind", "message"), HOSTILE, ids=["raw", "virtual", "huge", "text", "group", "loop"])
def test_hostile_files(write: Any, kind: type[Exception], message: str, tmp_path: Path):
    write_keras_3(small(), tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        del file["layers/conv2d_14/vars/1"]
        write(file, tmp_path)
    with pytest.raises(kind, match=message):
        small(weights=tmp_path / "w.h5")


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "w.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(1 << 27))
    with pytest.raises(ValueError, match=r"model.weights.h5 in '.*w.keras' claims to unpack to 134217728 bytes"):
        small(weights=tmp_path / "w.keras")


def test_inner_layer_without_a_group(tmp_path: Path):
    model = nested()
    write_keras_3(model, tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        del file["layers/lstm/cell"]
    with pytest.raises(ValueError, match="has no group in /layers/lstm for the inner layers 'lstm_cell'"):
        model.load_weights(tmp_path / "w.h5")


def test_onnx_of_another_network(tmp_path: Path):
    small(include_top=False).save(tmp_path / "w.onnx")
    with pytest.raises(ValueError, match="does not fit model .*it lacks conv_preds/kernel, conv_preds/bias"):
        small(weights=tmp_path / "w.onnx")


def test_onnx_for_inference(tmp_path: Path):
    """What is exported has no batch normalisation any more, unless every weight is to stay."""
    model = small()
    model.export(tmp_path / "all.onnx", keep_weights=True)
    same(small(weights=tmp_path / "all.onnx"), model)
    model.export(tmp_path / "w.onnx")
    with pytest.raises(ValueError, match=r"it lacks .*; files written by save\(\), or by export\(keep_weights=True\)"):
        small(weights=tmp_path / "w.onnx")


# -- what stands for a download ------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which downloads are found, so that none is made."""
    pytest.importorskip("pooch")
    monkeypatch.setenv(pretrained.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def test_published_weights(cache: Path):
    model = randomize(small(classes=1000))
    write_by_place(model, cache / "mobilenet_2_5_224_tf.h5")
    same(sx.applications.MobileNet((224, 224, 3), alpha=0.25), model)


def test_published_weights_without_the_top(cache: Path):
    model = randomize(small(include_top=False))
    write_by_place(model, cache / "mobilenet_2_5_224_tf_no_top.h5")
    same(sx.applications.MobileNet(alpha=0.25, include_top=False), model)


def test_a_checksum_is_verified(cache: Path, monkeypatch: pytest.MonkeyPatch):
    model = randomize(sx.applications.MobileNetV3Small((32, 32, 3), include_top=False, weights=None))
    path = cache / "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    write_by_place(model, path)
    known = "md5:" + hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(sx.applications.mobilenet_v3.CHECKSUMS, "small_224_1.0_float", (None, known))
    same(sx.applications.MobileNetV3Small((32, 32, 3), include_top=False), model)


@pytest.mark.parametrize("package", ["pooch", "h5py"])
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_by_place(small(), tmp_path / "w.h5")
    monkeypatch.setitem(sys.modules, package, None)
    weights = "imagenet" if package == "pooch" else tmp_path / "w.h5"
    with pytest.raises(ImportError, match=f"need the packages? .*{package}.*pip install"):
        small(weights=weights, include_top=False)


class Server(http.server.BaseHTTPRequestHandler):
    """Answers in turn as told: with an error's number, with other bytes, or with the file."""

    answers: ClassVar[list[int | bytes]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(self.path)
        self.send_response(answer if isinstance(answer, int) else 200)
        self.end_headers()
        self.wfile.write(b"" if isinstance(answer, int) else answer)

    def log_message(self, format: str, *args: Any):
        pass


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pretrained, "WAIT", 0.0)
    Server.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}/"
        made.shutdown()
        thread.join()


GOOD, OTHER = b"weights", b"other bytes"
CHECKSUM = "md5:" + hashlib.md5(GOOD, usedforsecurity=False).hexdigest()
# What the server answers, how often it is asked, the kind of error, and what it says.
DOWNLOADS: list[tuple[list[int | bytes], int, type[Exception] | None, str]] = [
    ([GOOD], 1, None, ""),
    ([503, OTHER, GOOD], 3, None, ""),
    ([404], 3, ConnectionError, "could not fetch http.*404.* or fetch http.* yourself and put it there as '.*w.h5'"),
    ([OTHER], 3, ValueError, "w.h5 came with another checksum than published: .*Try again later, or fetch"),
]


@pytest.mark.parametrize(("answers", "asked", "kind", "message"), DOWNLOADS, ids=["good", "third", "none", "other"])
def test_downloads(
    answers: list[int | bytes], asked: int, kind: type[Exception] | None, message: str, server: str, cache: Path
):
    Server.answers[:] = answers
    if kind is None:
        for _ in range(2):  # the second time it is there
            path = pretrained.fetch(f"{server}w.h5", CHECKSUM)
            assert path == cache / "w.h5" and path.read_bytes() == GOOD
    else:
        with pytest.raises(kind, match=message):
            pretrained.fetch(f"{server}w.h5", CHECKSUM)
        assert not list(cache.iterdir())
    assert Server.asked == ["/w.h5"] * asked


def test_a_damaged_file_in_the_cache_is_fetched_again(server: str, cache: Path):
    Server.answers[:] = [GOOD]
    (cache / "w.h5").write_bytes(OTHER)
    assert pretrained.fetch(f"{server}w.h5", CHECKSUM).read_bytes() == GOOD


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the connection that was refused
@pytest.mark.parametrize("what", ["weights", "names"])
def test_without_a_network(what: str, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pretrained, "WAIT", 0.0)
    nowhere = "http://127.0.0.1:9/"
    monkeypatch.setattr(sx.applications.imagenet_utils, "CLASS_INDEX_URL", f"{nowhere}names.json")
    monkeypatch.setattr(sx.applications.mobilenet, "STORE", nowhere)
    asks = {
        "weights": lambda: sx.applications.MobileNet((128, 128, 3), alpha=0.25),
        "names": lambda: sx.applications.vgg16.decode_predictions(np.zeros((1, 1000))),
    }[what]
    with pytest.raises(ConnectionError, match=r"could not fetch http://127.0.0.1:9/.* yourself and put it there as "):
        asks()


def test_decode_predictions(cache: Path, monkeypatch: pytest.MonkeyPatch):
    names = {str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}
    text = json.dumps(names).encode()
    (cache / "imagenet_class_index.json").write_bytes(text)
    known = "md5:" + hashlib.md5(text, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(sx.applications.imagenet_utils, "CLASS_INDEX_CHECKSUM", known)
    scores = np.zeros((2, 1000), np.float32)
    scores[0, [7, 3]] = 0.5, 0.25
    scores[1, 999] = 1
    first, second = sx.applications.vgg16.decode_predictions(scores, top=2)
    assert first == [("n00000007", "thing_7", 0.5), ("n00000003", "thing_3", 0.25)]
    assert second[0] == ("n00000999", "thing_999", 1.0)
