"""Arguments that a network cannot take are refused before anything is built, each with what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import sardonyx as sx

ZOO = sx.applications

# Architecture, arguments, kind of error, what it says.
REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("VGG16", {"weights": "imagnet"}, ValueError, "'imagenet' or the path of a file; there is no file 'imagnet'"),
    ("VGG16", {"weights": 3}, TypeError, "VGG16: weights must be None, 'imagenet' or a path, got 3"),
    ("VGG16", {"weights": Path("no.h5")}, ValueError, "there is no file 'no.h5'"),
    ("ResNet50", {"classes": 10}, ValueError, "with the top has 1000 classes, got classes=10; pass include_top=False"),
    ("ResNet50", {"classes": 0, "weights": None}, ValueError, "classes must be a positive integer, got 0"),
    ("ResNet50", {"classifier_activation": "relu"}, ValueError, "ends in 'softmax' .*got classifier_activation='relu'"),
    ("ResNet50", {"pooling": "mean", "weights": None}, ValueError, "pooling must be None, 'avg' or 'max', got 'mean'"),
    ("Xception", {"weights": None, "input_shape": (64, 80, 3)}, sx.ShapeError, r"\(64, 80, 3\) is too small: .* 71"),
    ("VGG19", {"weights": None, "input_shape": (32, 32)}, sx.ShapeError, "must be three sizes, height, width and"),
    ("VGG19", {"weights": None, "input_shape": (32, 32, None)}, sx.ShapeError, "the number of channels must be known"),
    ("VGG19", {"input_shape": (224, 224, 1)}, sx.ShapeError, "has 1 channels, weights='imagenet' needs 3"),
    ("VGG19", {"input_shape": (200, 200, 3)}, sx.ShapeError, r"was trained for \(224, 224, 3\); pass include_top=Fal"),
    ("VGG19", {"weights": None, "input_shape": (None, 64, 3)}, sx.ShapeError, "must be known here.*include_top=False"),
    ("NASNetMobile", {"weights": None, "include_top": False, "input_shape": (None, None, 3)}, sx.ShapeError,
     r"must be known here; give sizes such as \(224, 224, 3\)$"),
    ("VGG16", {"weights": None, "input_tensor": np.zeros((1, 32, 32, 3))}, TypeError, "input_tensor must be symbolic"),
    ("VGG16", {"weights": None, "input_tensor": sx.Input((32, 3))}, sx.ShapeError, "input_tensor must have rank 4"),
    ("VGG16", {"weights": None, "input_tensor": sx.Input((16, 16, 3))}, sx.ShapeError, "is too small"),
    ("MobileNet", {"alpha": 0.3}, ValueError, "are published for alpha 0.25, 0.5, 0.75, 1.0 and.*got alpha=0.3"),
    ("MobileNet", {"depth_multiplier": 2}, ValueError, "and depth_multiplier=2; pass weights=None"),
    ("MobileNetV2", {"alpha": 0.3}, ValueError, "MobileNetV2: weights are published for alpha 0.35.*got alpha=0.3"),
    ("MobileNetV3Small", {"alpha": 0.75, "minimalistic": True}, ValueError, "got alpha=0.75 and minimalistic=True"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "given", "kind", "message"), REFUSED, ids=[f"{row[0]}-{'-'.join(row[1])}" for row in REFUSED]
)
def test_refused(architecture: str, given: dict[str, Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        getattr(ZOO, architecture)(**given)


def test_decode_predictions_refuses():
    with pytest.raises(sx.ShapeError, match=r"shape \(images, 1000\), got \(2, 10\); pass labels= for classes of you"):
        ZOO.vgg16.decode_predictions(np.zeros((2, 10)))
    with pytest.raises(sx.ShapeError, match=r"predictions of shape \(images, 3\), got \(2, 10\)$"):
        ZOO.vgg16.decode_predictions(np.zeros((2, 10)), labels=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"top must be 1 \.\.\. 3, got 5"):
        ZOO.vgg16.decode_predictions(np.zeros((2, 3)), labels=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"top must be 1 \.\.\. 1000, got 0"):
        ZOO.vgg16.decode_predictions(np.zeros((2, 1000)), top=0)


def test_preprocess_input_refuses():
    with pytest.raises(ValueError, match="mode must be 'caffe', 'tf' or 'torch', got 'keras'"):
        ZOO.imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), mode="keras")
    with pytest.raises(ValueError, match="data_format must be .* got 'last'"):
        ZOO.imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), data_format="last")
    with pytest.raises(sx.ShapeError, match=r"with 3 channels on axis 2, got shape \(2, 3, 4\)"):
        ZOO.vgg16.preprocess_input(np.zeros((2, 3, 4)))


# Family, and one pixel of (10, 100, 200) as it leaves the preprocessing.
PIXELS = [
    ("vgg16", (200 - 103.939, 100 - 116.779, 10 - 123.68)),
    ("resnet", (200 - 103.939, 100 - 116.779, 10 - 123.68)),
    ("resnet50", (200 - 103.939, 100 - 116.779, 10 - 123.68)),
    ("densenet", ((10 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225)),
    *[
        (family, (10 / 127.5 - 1, 100 / 127.5 - 1, 200 / 127.5 - 1))
        for family in (
            "inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "nasnet", "resnet_v2", "xception"
        )
    ],
    *[(family, (10, 100, 200)) for family in ("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3")],
]  # fmt: skip


@pytest.mark.parametrize(("family", "expected"), PIXELS, ids=[row[0] for row in PIXELS])
def test_preprocess_input(family: str, expected: tuple[float, ...]):
    prepare = getattr(ZOO, family).preprocess_input
    image = np.array([10, 100, 200], np.uint8).reshape(1, 1, 1, 3)
    for images in (image, image[0], image.astype(np.float64), image.astype(np.int64)):
        given = images.copy()
        np.testing.assert_allclose(np.ravel(prepare(images)), expected, rtol=1e-5)
        np.testing.assert_array_equal(images, given)
    first = prepare(np.moveaxis(image, -1, 1), data_format="channels_first")
    assert first.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(np.ravel(first), expected, rtol=1e-5)
    np.testing.assert_allclose(np.ravel(prepare(sx.ops.convert_to_tensor(image))), expected, rtol=1e-5)


@pytest.mark.parametrize("family", ["vgg16", "densenet", "xception"])
def test_preprocess_input_of_half_precision(family: str):
    image = np.array([10, 100, 200], np.float16).reshape(1, 1, 3)
    for images in (image, sx.ops.convert_to_tensor(image)):
        prepared = getattr(ZOO, family).preprocess_input(images)
        assert prepared.dtype == np.float16
        np.testing.assert_allclose(
            np.asarray(prepared), getattr(ZOO, family).preprocess_input(image.astype(np.float32)), rtol=2e-3, atol=2e-3
        )


def test_preprocess_input_exported(tmp_path: Path):
    """One file takes bytes of an image as they are, channels first."""
    inputs = sx.Input((3, 4, 5), dtype="uint8", name="photo")
    model = sx.Model(inputs, ZOO.resnet.preprocess_input(inputs, data_format="channels_first"))
    model.export(tmp_path / "m.onnx")
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    expected = ZOO.resnet.preprocess_input(image, data_format="channels_first")
    np.testing.assert_allclose(session.run(None, {"photo": image})[0], expected, rtol=1e-5)


def test_preprocess_input_inside_a_model():
    inputs = sx.Input((2, 2, 3))
    model = sx.Model(inputs, ZOO.vgg16.preprocess_input(inputs))
    image = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    np.testing.assert_allclose(model.predict(image, verbose=0), ZOO.vgg16.preprocess_input(image), rtol=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_preprocess_input_as_keras(mode: str):
    keras = pytest.importorskip("keras")
    image = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype(np.float32)
    expected = keras.applications.imagenet_utils.preprocess_input(image.copy(), mode=mode)
    np.testing.assert_allclose(ZOO.imagenet_utils.preprocess_input(image, mode=mode), expected, rtol=1e-5, atol=1e-5)
