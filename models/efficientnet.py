"""EfficientNet: one network scaled in width, depth and resolution (Tan and Le 2019, arXiv:1905.11946)."""

from __future__ import annotations

import math
from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import Pretrained
from .scaling import divisible, padding_before_stride

__all__ = [
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7",
    "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing(None)

URL = "https://storage.googleapis.com/keras-applications/efficientnet"
CHECKSUMS = {
    "b0": ("md5:902e53a9f72be733fc0bcb005b3ebbac", "md5:50bc09e76180e00e4465e1a485ddc09d"),
    "b1": ("md5:1d254153d4ab51201f1646940f018540", "md5:74c4e6b3e1f6a1eea24c589628592432"),
    "b2": ("md5:b15cce36ff4dcbd00b6dd88e7857a6ad", "md5:111f8e2ac8aa800a7a99e3239f7bfb39"),
    "b3": ("md5:ffd1fdc53d0ce67064dc6a9c7960ede0", "md5:af6d107764bb5b1abb91932881670226"),
    "b4": ("md5:18c95ad55216b8f92d7e70b3a046e2fc", "md5:ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "b5": ("md5:ace28f2a6363774853a83a0b21b9421a", "md5:38879255a25d3c92d5e44e04ae6cec6f"),
    "b6": ("md5:165f6e37dce68623721b423839de8be5", "md5:9ecce42647a20130c1f39a5d4cb75743"),
    "b7": ("md5:8c03f828fec3ef71311cd463b6759d99", "md5:cbcfe4450ddf6f3ad90b1b398090fe4a"),
}

# Of each stage: kernel size, blocks, filters, expansion, stride of the first block.
STAGES = (
    (3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1), (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)  # fmt: skip
DROP_RATE = 0.2
DEVIATIONS = (0.229, 0.224, 0.225)


def spread(kind: str = "truncated_normal", scale: float = 2.0) -> dict[str, Any]:
    """Configuration of the initial values of kernels: random, of variance `scale` over the number of outputs."""
    settings = {"scale": scale, "mode": "fan_out", "distribution": kind}
    return {"class_name": "VarianceScaling", "config": settings}


def swished(x: Tensor, name: str) -> Tensor:
    """Batch normalisation and swish."""
    x = layers.BatchNormalization(axis=-1, name=f"{name}bn")(x)
    return layers.Activation("swish", name=f"{name}activation")(x)


def excited(x: Tensor, squeezed: int, name: str) -> Tensor:
    """Channels weighed by what is seen in the whole image: squeeze and excitation."""
    width = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    gate = layers.Reshape((1, 1, width), name=f"{name}se_reshape")(gate)
    for filters, activation, step in ((squeezed, "swish", "reduce"), (width, "sigmoid", "expand")):
        gate = layers.Conv2D(
            filters, 1, padding="same", activation=activation, kernel_initializer=spread(), name=f"{name}se_{step}"
        )(gate)
    return layers.Multiply(name=f"{name}se_excite")([x, gate])


def shortcut(x: Tensor, source: Tensor, drop_rate: float, name: str) -> Tensor:
    """A residual branch, left out at random for whole images while training, added to where it began."""
    if drop_rate > 0:
        x = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return layers.Add(name=f"{name}add")([x, source])


def block(x: Tensor, kernel: int, filters: int, expansion: int, stride: int, drop_rate: float, name: str) -> Tensor:
    """Widen, convolve each channel, excite, narrow; around a shortcut where the shapes allow one."""
    source, width = x, x.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(
            expansion * width, 1, padding="same", use_bias=False, kernel_initializer=spread(),
            name=f"{name}expand_conv",
        )(x)  # fmt: skip
        x = swished(x, f"{name}expand_")
    if stride > 1:
        x = layers.ZeroPadding2D(padding_before_stride(x, kernel), name=f"{name}dwconv_pad")(x)
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="valid" if stride > 1 else "same", use_bias=False,
        depthwise_initializer=spread(), name=f"{name}dwconv",
    )(x)  # fmt: skip
    x = excited(swished(x, name), max(1, width // 4), name)
    x = layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer=spread(), name=f"{name}project_conv"
    )(x)
    x = layers.BatchNormalization(axis=-1, name=f"{name}project_bn")(x)
    return shortcut(x, source, drop_rate, name) if stride == 1 and filters == width else x


def stem(x: Tensor, settings: ImageModel, filters: int) -> Tensor:
    """Normalisation and a first convolution."""
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(axis=-1)(x)
    if settings.weights == "imagenet":
        # The published file holds deviations where variances belong; their root is still to divide by.
        x = layers.Rescaling([1 / math.sqrt(deviation) for deviation in DEVIATIONS])(x)
    x = layers.ZeroPadding2D(padding_before_stride(x, 3), name="stem_conv_pad")(x)
    x = layers.Conv2D(filters, 3, strides=2, use_bias=False, kernel_initializer=spread(), name="stem_conv")(x)
    return swished(x, "stem_")


def efficientnet(settings: ImageModel, variant: str, width: float, depth: float, dropout: float) -> Model:
    """An EfficientNet whose widths and depths are those of B0 times the given factors."""
    inputs = settings.images()
    x = stem(inputs, settings, divisible(32 * width))
    total = sum(math.ceil(depth * stage[1]) for stage in STAGES)
    count = 0
    for i, (kernel, repeats, filters, expansion, stride) in enumerate(STAGES, 1):
        for j in range(math.ceil(depth * repeats)):
            letters = f"block{i}{chr(ord('a') + j)}_"
            rate = DROP_RATE * count / total
            x = block(x, kernel, divisible(filters * width), expansion, stride if j == 0 else 1, rate, letters)
            count += 1
    x = layers.Conv2D(
        divisible(1280 * width), 1, padding="same", use_bias=False, kernel_initializer=spread(), name="top_conv"
    )(x)
    x = settings.head(swished(x, "top_"), dropout, kernel_initializer=spread("uniform", 1 / 3))
    published = Pretrained(URL + variant, *CHECKSUMS[variant], ".h5", "_notop.h5")
    return settings.finish(inputs, x, published)


@network(common, "efficientnetb0")
def EfficientNetB0(settings: ImageModel) -> Model:
    """EfficientNet-B0, for images with values 0 ... 255.

    >>> import sardonyx as sx
    >>> sx.models.EfficientNetB0(weights=None, classes=10, input_shape=(32, 32, 3)).output_shape
    (None, 10)
    """
    return efficientnet(settings, "b0", 1.0, 1.0, 0.2)


@network(common, "efficientnetb1", size=240)
def EfficientNetB1(settings: ImageModel) -> Model:
    """EfficientNet-B1, for images with values 0 ... 255."""
    return efficientnet(settings, "b1", 1.0, 1.1, 0.2)


@network(common, "efficientnetb2", size=260)
def EfficientNetB2(settings: ImageModel) -> Model:
    """EfficientNet-B2, for images with values 0 ... 255."""
    return efficientnet(settings, "b2", 1.1, 1.2, 0.3)


@network(common, "efficientnetb3", size=300)
def EfficientNetB3(settings: ImageModel) -> Model:
    """EfficientNet-B3, for images with values 0 ... 255."""
    return efficientnet(settings, "b3", 1.2, 1.4, 0.3)


@network(common, "efficientnetb4", size=380)
def EfficientNetB4(settings: ImageModel) -> Model:
    """EfficientNet-B4, for images with values 0 ... 255."""
    return efficientnet(settings, "b4", 1.4, 1.8, 0.4)


@network(common, "efficientnetb5", size=456)
def EfficientNetB5(settings: ImageModel) -> Model:
    """EfficientNet-B5, for images with values 0 ... 255."""
    return efficientnet(settings, "b5", 1.6, 2.2, 0.4)


@network(common, "efficientnetb6", size=528)
def EfficientNetB6(settings: ImageModel) -> Model:
    """EfficientNet-B6, for images with values 0 ... 255."""
    return efficientnet(settings, "b6", 1.8, 2.6, 0.5)


@network(common, "efficientnetb7", size=600)
def EfficientNetB7(settings: ImageModel) -> Model:
    """EfficientNet-B7, for images with values 0 ... 255."""
    return efficientnet(settings, "b7", 2.0, 3.1, 0.5)
