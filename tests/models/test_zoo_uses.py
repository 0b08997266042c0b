"""What one does with a network of the zoo: look at it, cut it, save it, feed it images of any size, export it."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from zoo import SMALLEST_SIZES, agree, images, randomize

import sardonyx as sx

# One of each family; the first for every change.
FAMILIES = (
    "MobileNetV3Small", "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2",
    "InceptionV3", "MobileNet", "MobileNetV2", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "Xception",
)  # fmt: skip
ROWS = [FAMILIES[0], *(pytest.param(name, marks=pytest.mark.nightly) for name in FAMILIES[1:])]


def made(architecture: str, **given: Any) -> Any:
    return randomize(getattr(sx.applications, architecture)(weights=None, **given), architecture)


def fully_convolutional(architecture: str, **given: Any) -> Any:
    """A network without its top that takes images of any size, if there is one."""
    size = SMALLEST_SIZES.get(architecture, 32)
    shape = (size, size, 3) if architecture.startswith("NASNet") else (None, None, 3)
    return made(architecture, include_top=False, input_shape=shape, **given)


def in_onnxruntime(path: Path, batch: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def same(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert np.abs(np.asarray(actual) - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("architecture", ROWS)
def test_images_of_any_size_in_one_file(architecture: str, tmp_path: Path):
    model = fully_convolutional(architecture, pooling="avg", name="eyes")
    assert model.name == "eyes"
    model.export(tmp_path / "m.onnx")
    batch = images(architecture)
    agree(in_onnxruntime(tmp_path / "m.onnx", batch), model.predict(batch, verbose=0))
    if model.input_shape[1] is None:
        wide = np.tile(batch, (1, 2, 3, 1))[:, :, :-7]
        agree(in_onnxruntime(tmp_path / "m.onnx", wide), model.predict(wide, verbose=0))


@pytest.mark.parametrize("architecture", ROWS)
def test_features_from_the_middle(architecture: str, tmp_path: Path):
    base, batch = fully_convolutional(architecture), images(architecture)
    layer = base.layers[len(base.layers) // 2]
    cut = sx.Model(base.input, base.get_layer(layer.name).output)
    cut.export(tmp_path / "m.onnx")
    features = cut.predict(batch, verbose=0)
    assert features.std() > 0
    same(in_onnxruntime(tmp_path / "m.onnx", batch), features)


@pytest.mark.parametrize("architecture", ROWS)
def test_looked_at_saved_and_copied(architecture: str, tmp_path: Path):
    model, batch = fully_convolutional(architecture, pooling="max"), images(architecture)
    names, expected = [layer.name for layer in model.layers], model.predict(batch, verbose=0)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert f"{model.count_params():,}" in text
    sx.utils.plot_model(model, tmp_path / "m.svg")
    assert (tmp_path / "m.svg").stat().st_size > 1000
    model.save(tmp_path / "m.onnx")
    loaded = sx.models.load_model(tmp_path / "m.onnx")
    assert [layer.name for layer in loaded.layers] == names
    np.testing.assert_array_equal(loaded.predict(batch, verbose=0), expected)
    copy = sx.models.clone_model(model)
    assert [layer.name for layer in copy.layers] == names
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(batch, verbose=0), expected)


@pytest.mark.parametrize("architecture", ROWS)
def test_classifiers(architecture: str):
    size = SMALLEST_SIZES.get(architecture, 32)
    given = {"classes": 5, "input_tensor": sx.Input((size, size, 3), name="photo")}
    probabilities = made(architecture, **given)
    assert [x.name for x in probabilities.inputs] == ["photo"]
    logits = made(architecture, **given, classifier_activation=None)
    batch = images(architecture)
    expected = sx.ops.softmax(logits.predict(batch, verbose=0))
    np.testing.assert_allclose(probabilities.predict(batch, verbose=0), expected, rtol=1e-4, atol=1e-6)


# Architecture, nodes and Transposes in its file at most.
SIZES = [
    ("ConvNeXtTiny", 217, 41), ("DenseNet121", 370, 1), ("EfficientNetB0", 243, 1), ("EfficientNetV2B0", 271, 1),
    ("InceptionResNetV2", 618, 1), ("InceptionV3", 220, 1), ("MobileNet", 86, 1), ("MobileNetV2", 136, 1),
    ("MobileNetV3Small", 153, 1), ("NASNetMobile", 656, 1), ("ResNet50", 124, 1), ("ResNet50V2", 144, 1),
    ("VGG16", 39, 1), ("Xception", 129, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "nodes", "transposes"),
    [row if row[0] == FAMILIES[0] else pytest.param(*row, marks=pytest.mark.nightly) for row in SIZES],
    ids=[row[0] for row in SIZES],
)
def test_files_hold_no_needless_nodes(architecture: str, nodes: int, transposes: int, tmp_path: Path):
    given = {"input_shape": (224, 224, 3)} if architecture == "MobileNetV3Small" else {}
    getattr(sx.applications, architecture)(weights=None, **given).export(tmp_path / "m.onnx")
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "m.onnx", load_external_data=False).graph.node)
    assert counts.total() <= nodes and counts["Transpose"] <= transposes, counts


def test_half_precision(tmp_path: Path):
    given = {"alpha": 0.25, "include_top": False, "input_shape": (32, 32, 3), "pooling": "avg"}
    full, batch = made("MobileNet", **given), images("MobileNet")
    expected = full.predict(batch, verbose=0)
    sx.config.set_floatx("float16")
    try:
        half = sx.applications.MobileNet(weights=None, **given)
    finally:
        sx.config.set_floatx("float32")
    half.set_weights(full.get_weights())
    answer = half.predict(batch.astype(np.float16), verbose=0)
    assert answer.dtype == np.float16
    np.testing.assert_allclose(answer, expected, atol=0.02 * np.abs(expected).max())
    half.export(tmp_path / "m.onnx")
    there = in_onnxruntime(tmp_path / "m.onnx", batch.astype(np.float16))
    np.testing.assert_allclose(there, expected, atol=0.02 * np.abs(expected).max())
