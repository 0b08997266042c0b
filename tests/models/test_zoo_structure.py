"""Every architecture has the layers, in name and order, and the number of parameters that Keras gives it."""

from typing import Any

import pytest
from zoo import ARCHITECTURES, FACTS, SMALLEST_SIZES, arguments, checksum

import sardonyx as sx
from sardonyx.trainer.initializers import VarianceScaling

KERAS_MODULES = {
    "convnext", "densenet", "efficientnet", "efficientnet_v2", "imagenet_utils", "inception_resnet_v2", "inception_v3",
    "mobilenet", "mobilenet_v2", "mobilenet_v3", "nasnet", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19",
    "xception",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_draws(monkeypatch: pytest.MonkeyPatch):
    """Structure needs no random values, which are most of the time that building takes."""
    monkeypatch.setattr(VarianceScaling, "__call__", lambda self, shape, dtype=None, **_: sx.ops.zeros(shape, dtype))


def test_the_zoo_is_complete():
    assert len(ARCHITECTURES) == 40
    assert sorted(sx.models.NETWORKS) == ARCHITECTURES
    assert sorted(sx.applications.__all__) == sorted({*ARCHITECTURES, *KERAS_MODULES})
    assert all(getattr(sx.models, name) is getattr(sx.applications, name) for name in ARCHITECTURES)


ROWS = [pytest.param(key, marks=() if key.endswith("/top") else pytest.mark.nightly) for key in FACTS]


@pytest.mark.parametrize("key", ROWS)
def test_structure(key: str):
    architecture, variant = key.split("/")
    model = getattr(sx.applications, architecture)(**arguments(architecture, variant))
    names = [layer.name for layer in model.layers]
    assert {
        "name": model.name, "parameters": model.count_params(), "layers": len(names), "names": checksum(names)
    } == FACTS[key]  # fmt: skip
    if variant == "top":
        assert model.output_shape == (None, 10)


@pytest.mark.parametrize("family", sorted(KERAS_MODULES))
def test_families(family: str):
    module = getattr(sx.applications, family)
    assert callable(module.preprocess_input) and callable(module.decode_predictions)
    assert all(getattr(module, name) is getattr(sx.models, name) for name in ARCHITECTURES if name in dir(module))


# Arguments, and the number of parameters that Keras 3.15 counts.
SPECIAL: list[tuple[str, dict[str, Any], int]] = [
    ("MobileNet", {"alpha": 0.5, "depth_multiplier": 2, "dropout": 0.2}, 1651802),
    ("MobileNetV2", {"alpha": 1.4}, 4381642),
    ("MobileNetV3Large", {"alpha": 1.25}, 6701770),
    ("MobileNetV3Small", {"minimalistic": True, "include_preprocessing": False}, 1042098),
    ("EfficientNetV2B0", {"include_preprocessing": False}, 5932122),
    ("ConvNeXtTiny", {"include_preprocessing": False}, 27827818),
]


@pytest.mark.parametrize(("architecture", "given", "parameters"), SPECIAL, ids=[row[0] for row in SPECIAL])
def test_special_arguments(architecture: str, given: dict[str, Any], parameters: int):
    model = getattr(sx.applications, architecture)(**arguments(architecture), **given)
    assert model.count_params() == parameters


def test_without_the_top_images_may_have_any_size():
    model = sx.applications.MobileNet(weights=None, alpha=0.25, include_top=False)
    assert model.output_shape == (None, None, None, 256)
    assert model(sx.ops.zeros((1, 64, 96, 3))).shape == (1, 2, 3, 256)


def test_one_channel():
    assert sx.applications.MobileNet((32, 32, 1), alpha=0.25, weights=None).input_shape == (None, 32, 32, 1)


def test_input_tensor():
    given = sx.Input((40, 40, 3), name="photo")
    scaled = sx.layers.Rescaling(1 / 255)(given)
    model = sx.applications.MobileNet(weights=None, alpha=0.25, input_tensor=scaled, include_top=False)
    assert model.inputs[0] is given and model.layers[1].name == "rescaling"


def test_names_of_your_own():
    assert sx.applications.VGG16(weights=None, include_top=False, name="eyes").name == "eyes"


def test_smallest_sizes_are_the_smallest():
    for architecture in ("InceptionV3", "MobileNet"):
        size = SMALLEST_SIZES.get(architecture, 32)
        with pytest.raises(ValueError, match=f"too small: height and width must be at least {size}"):
            getattr(sx.applications, architecture)(weights=None, input_shape=(size, size - 1, 3))
