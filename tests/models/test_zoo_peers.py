"""Keras builds each network with random weights and statistics and saves them; read here, the outputs are equal."""

from pathlib import Path

import onnxruntime
import pytest
from zoo import ARCHITECTURES, agree, arguments, images, keras_twin

import sardonyx as sx

keras = pytest.importorskip("keras")
pytestmark = [pytest.mark.peers, pytest.mark.slow]

# One of each family, which must give the same in onnxruntime.
EXPORTED = (
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "VGG19",
    "Xception",
)  # fmt: skip
QUICK = ("MobileNet", "MobileNetV2", "MobileNetV3Small", "ConvNeXtTiny")

# The kind of file differs from one to the next: all three are read.
ENDINGS = (".weights.h5", ".h5", ".keras")
ROWS = [
    pytest.param(name, ENDINGS[i % 3], marks=() if name in QUICK else pytest.mark.nightly, id=name)
    for i, name in enumerate(ARCHITECTURES)
]


def save(twin, path: Path) -> None:
    (twin.save_weights if path.name.endswith(".weights.h5") else twin.save)(path)


@pytest.mark.parametrize(("architecture", "ending"), ROWS)
def test_same_as_keras(architecture: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = arguments(architecture)
    if not architecture.startswith("NASNet"):
        given["classifier_activation"] = None  # logits say more than probabilities
    else:
        given |= {"include_top": False, "pooling": "avg"}  # Keras refuses small images with the top
    batch = images(architecture)
    twin = keras_twin(monkeypatch, architecture, **given)
    path = tmp_path / f"weights{ending}"
    save(twin, path)
    expected = keras.ops.convert_to_numpy(twin(batch, training=False))
    names, count = [layer.name for layer in twin.layers], twin.count_params()
    del twin
    model = getattr(sx.applications, architecture)(**{**given, "weights": path})
    path.unlink()
    assert [layer.name for layer in model.layers] == names
    assert model.count_params() == count
    agree(model.predict(batch, verbose=0), expected)
    if architecture in EXPORTED:
        file = tmp_path / "model.onnx"
        model.export(file)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        agree(session.run(None, {session.get_inputs()[0].name: batch})[0], expected)
