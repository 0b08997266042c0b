"""EfficientNetV2: EfficientNet with fused blocks in the early stages (Tan and Le 2021, arXiv:2104.00298)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .efficientnet import excited, shortcut, spread
from .image_model import ImageModel
from .image_network import network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained

__all__ = [
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "decode_predictions",
    "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing(None)

CHECKSUMS = {
    "b0": ("md5:21ecbf6da12460d5c40bb2f29ceb2188", "md5:893217f2bb855e2983157299931e43ff"),
    "b1": ("md5:069f0534ff22adf035c89e2d9547a9dc", "md5:0e80663031ca32d657f9caa404b6ec37"),
    "b2": ("md5:424e49f28180edbde1e94797771950a7", "md5:1dfe2e7a5d45b6632553a8961ea609eb"),
    "b3": ("md5:1f1fc43bd98a6e4fd8fdfd551e02c7a0", "md5:f6abf7b5849ac99a89b50dd3fd532856"),
    "s": ("md5:e1d88a8495beba45748fedd0cecbe016", "md5:af0682fb74e8c54910f2d4393339c070"),
    "m": ("md5:a3bf6aa3276309f4fc6a34aa114c95cd", "md5:1b8dc055df72dde80d614482840fe342"),
    "l": ("md5:27e6d408b53c7ebc868fefa357689935", "md5:b0b66b5c863aef5b46e8608fe1711615"),
}
DROP_RATE = 0.2
MEAN = (0.485, 0.456, 0.406)
VARIANCE = (0.229**2, 0.224**2, 0.225**2)


@dataclass(frozen=True)
class Stage:
    """Blocks of one width: how many, filters, expansion, stride of the first; fused ones do not squeeze and excite."""

    repeats: int
    filters: int
    expansion: int
    stride: int
    fused: bool = False


BASE = (
    Stage(1, 16, 1, 1, True), Stage(2, 32, 4, 2, True), Stage(2, 48, 4, 2, True), Stage(3, 96, 4, 2),
    Stage(5, 112, 6, 1), Stage(8, 192, 6, 2),
)  # fmt: skip
SMALL = (
    Stage(2, 24, 1, 1, True), Stage(4, 48, 4, 2, True), Stage(4, 64, 4, 2, True), Stage(6, 128, 4, 2),
    Stage(9, 160, 6, 1), Stage(15, 256, 6, 2),
)  # fmt: skip
MEDIUM = (
    Stage(3, 24, 1, 1, True), Stage(5, 48, 4, 2, True), Stage(5, 80, 4, 2, True), Stage(7, 160, 4, 2),
    Stage(14, 176, 6, 1), Stage(18, 304, 6, 2), Stage(5, 512, 6, 1),
)  # fmt: skip
LARGE = (
    Stage(4, 32, 1, 1, True), Stage(7, 64, 4, 2, True), Stage(7, 96, 4, 2, True), Stage(10, 192, 4, 2),
    Stage(19, 224, 6, 1), Stage(25, 384, 6, 2), Stage(7, 640, 6, 1),
)  # fmt: skip


def rounded(width: float) -> int:
    """The multiple of 8 nearest to a width."""
    return max(8, int(width + 4) // 8 * 8)


def convolved(x: Tensor, filters: int, kernel: int, stride: int, name: str) -> Tensor:
    """A convolution without a bias."""
    return layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer=spread(), name=name
    )(x)


def normalized(x: Tensor, name: str, swishes: bool = True) -> Tensor:
    """Batch normalisation, and swish where wanted."""
    x = layers.BatchNormalization(axis=-1, momentum=0.9, name=f"{name}bn")(x)
    return layers.Activation("swish", name=f"{name}activation")(x) if swishes else x


def block(x: Tensor, stage: Stage, filters: int, stride: int, drop_rate: float, name: str) -> Tensor:
    """Widen, convolve, narrow; around a shortcut where the shapes allow one.

    A fused block widens by a 3×3 convolution; others by a 1×1 one, then convolve each channel and excite.
    """
    source, width = x, x.shape[-1]
    wide = width * stage.expansion
    if stage.fused:
        if stage.expansion > 1:
            x = normalized(convolved(x, wide, 3, stride, f"{name}expand_conv"), f"{name}expand_")
    else:
        x = normalized(convolved(x, wide, 1, 1, f"{name}expand_conv"), f"{name}expand_")
        x = layers.DepthwiseConv2D(
            3, strides=stride, padding="same", use_bias=False, depthwise_initializer=spread(), name=f"{name}dwconv2"
        )(x)
        x = excited(normalized(x, name), max(1, width // 4), name)
    kernel, last_stride = (1, 1) if stage.expansion > 1 else (3, stride)
    x = convolved(x, filters, kernel, last_stride, f"{name}project_conv")
    x = normalized(x, f"{name}project_", swishes=stage.expansion == 1)
    return shortcut(x, source, drop_rate, name) if stride == 1 and filters == width else x


def prepared(x: Tensor, variant: str) -> Tensor:
    """Values 0 ... 255 as the network was trained on them."""
    if not variant.startswith("b"):
        return layers.Rescaling(1 / 128, offset=-1)(x)
    x = layers.Rescaling(1 / 255)(x)
    return layers.Normalization(mean=MEAN, variance=VARIANCE, axis=-1)(x)


def efficientnet_v2(
    settings: ImageModel, variant: str, stages: Sequence[Stage], width: float, depth: float,
    include_preprocessing: bool,
) -> Model:  # fmt: skip
    """An EfficientNetV2 of these stages, their widths and depths multiplied by the given factors."""
    inputs = settings.images()
    x = prepared(inputs, variant) if include_preprocessing else inputs
    first = {"m": 24, "s": 24}.get(variant, 32)
    x = normalized(convolved(x, rounded(first * width), 3, 2, "stem_conv"), "stem_")
    total = sum(math.ceil(depth * stage.repeats) for stage in stages)
    count = 0
    for i, stage in enumerate(stages, 1):
        for j in range(math.ceil(depth * stage.repeats)):
            stride = stage.stride if j == 0 else 1
            letters = f"block{i}{chr(ord('a') + j)}_"
            x = block(x, stage, rounded(stage.filters * width), stride, DROP_RATE * count / total, letters)
            count += 1
    x = normalized(convolved(x, rounded(1280 * width), 1, 1, "top_conv"), "top_")
    x = settings.head(x, 0.2, kernel_initializer=spread("uniform", 1 / 3))
    url = f"{STORE}efficientnet_v2/efficientnetv2-{variant}"
    return settings.finish(inputs, x, Pretrained(url, *CHECKSUMS[variant], ".h5", "_notop.h5"))


def arguments(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = None,
) -> None:
    """The arguments of these networks, in Keras's order."""


@network(arguments, "efficientnetv2-b0")
def EfficientNetV2B0(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-B0, for images with values 0 ... 255.

    >>> import sardonyx as sx
    >>> sx.models.EfficientNetV2B0(weights=None, classes=10, input_shape=(32, 32, 3)).output_shape
    (None, 10)
    """
    return efficientnet_v2(settings, "b0", BASE, 1.0, 1.0, include_preprocessing)


@network(arguments, "efficientnetv2-b1", size=240)
def EfficientNetV2B1(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-B1, for images with values 0 ... 255."""
    return efficientnet_v2(settings, "b1", BASE, 1.0, 1.1, include_preprocessing)


@network(arguments, "efficientnetv2-b2", size=260)
def EfficientNetV2B2(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-B2, for images with values 0 ... 255."""
    return efficientnet_v2(settings, "b2", BASE, 1.1, 1.2, include_preprocessing)


@network(arguments, "efficientnetv2-b3", size=300)
def EfficientNetV2B3(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-B3, for images with values 0 ... 255."""
    return efficientnet_v2(settings, "b3", BASE, 1.2, 1.4, include_preprocessing)


@network(arguments, "efficientnetv2-s", size=384)
def EfficientNetV2S(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-S, for images with values 0 ... 255."""
    return efficientnet_v2(settings, "s", SMALL, 1.0, 1.0, include_preprocessing)


@network(arguments, "efficientnetv2-m", size=480)
def EfficientNetV2M(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-M, for images with values 0 ... 255."""
    return efficientnet_v2(settings, "m", MEDIUM, 1.0, 1.0, include_preprocessing)


@network(arguments, "efficientnetv2-l", size=480)
def EfficientNetV2L(settings: ImageModel, include_preprocessing: bool) -> Model:
    """EfficientNetV2-L, for images with values 0 ... 255."""
    return efficientnet_v2(settings, "l", LARGE, 1.0, 1.0, include_preprocessing)
