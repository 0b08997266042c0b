"""MobileNetV3: inverted residuals with squeeze and excitation (Howard et al. 2019, arXiv:1905.02244)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .scaling import divisible, padding_before_stride

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing(None)

CHECKSUMS = {
    "large_224_0.75_float": (
        "md5:765b44a33ad4005b3ac83185abf1d0eb",
        "md5:40af19a13ebea4e2ee0c676887f69a2e",
    ),
    "large_224_1.0_float": (
        "md5:59e551e166be033d707958cf9e29a6a7",
        "md5:07fb09a5933dd0c8eaafa16978110389",
    ),
    "large_minimalistic_224_1.0_float": (
        "md5:675e7b876c45c57e9e63e6d90a36599c",
        "md5:ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75_float": (
        "md5:cb65d4e5be93758266aa0a7f2c6708b7",
        "md5:ebdb5cc8e0b497cd13a7c275d475c819",
    ),
    "small_224_1.0_float": (
        "md5:8768d4c2e7dee89b9d02b2d03d65d862",
        "md5:d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    "small_minimalistic_224_1.0_float": (
        "md5:99cd97fb2fcdad2bf028eb838de69e37",
        "md5:cde8136e733e811080d9fcd8a252f7e4",
    ),
}


@dataclass(frozen=True)
class Block:
    """An inverted residual: expansion, filters, kernel size, stride, whether it excites, whether it uses hard swish."""

    expansion: float
    filters: int
    kernel: int
    stride: int
    excites: bool
    swishes: bool


LARGE = (
    Block(1, 16, 3, 1, False, False),
    Block(4, 24, 3, 2, False, False),
    Block(3, 24, 3, 1, False, False),
    Block(3, 40, 5, 2, True, False),
    Block(3, 40, 5, 1, True, False),
    Block(3, 40, 5, 1, True, False),
    Block(6, 80, 3, 2, False, True),
    Block(2.5, 80, 3, 1, False, True),
    Block(2.3, 80, 3, 1, False, True),
    Block(2.3, 80, 3, 1, False, True),
    Block(6, 112, 3, 1, True, True),
    Block(6, 112, 3, 1, True, True),
    Block(6, 160, 5, 2, True, True),
    Block(6, 160, 5, 1, True, True),
    Block(6, 160, 5, 1, True, True),
)
SMALL = (
    Block(1, 16, 3, 2, True, False),
    Block(72 / 16, 24, 3, 2, False, False),
    Block(88 / 24, 24, 3, 1, False, False),
    Block(4, 40, 5, 2, True, True),
    Block(6, 40, 5, 1, True, True),
    Block(6, 40, 5, 1, True, True),
    Block(3, 48, 5, 1, True, True),
    Block(3, 48, 5, 1, True, True),
    Block(6, 96, 5, 2, True, True),
    Block(6, 96, 5, 1, True, True),
    Block(6, 96, 5, 1, True, True),
)

Activation = Callable[[Tensor], Tensor]


def relu(x: Tensor) -> Tensor:
    """ReLU."""
    return layers.ReLU()(x)


def hard_swish(x: Tensor) -> Tensor:
    """The input times a piecewise linear sigmoid of it."""
    return layers.Activation("hard_swish")(x)


def normalized(x: Tensor, name: str) -> Tensor:
    """Batch normalisation with slow statistics."""
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def excited(x: Tensor, name: str) -> Tensor:
    """Channels weighed by what is seen in the whole image: squeeze and excitation, with a piecewise linear sigmoid."""
    width = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(x)
    gate = layers.Conv2D(divisible(width * 0.25), 1, padding="same", name=f"{name}_conv")(gate)
    gate = layers.ReLU(name=f"{name}_relu")(gate)
    gate = layers.Conv2D(width, 1, padding="same", name=f"{name}_conv_1")(gate)
    gate = layers.ReLU(6.0)(gate + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{name}_mul")([x, gate])


def inverted_residual(x: Tensor, block: Block, filters: int, act: Activation, minimalistic: bool, i: int) -> Tensor:
    """Widen, convolve each channel, excite, narrow; around a shortcut where the shapes allow one."""
    name = f"expanded_conv_{i}" if i else "expanded_conv"
    kernel = 3 if minimalistic else block.kernel
    shortcut, width = x, x.shape[-1]
    if i:
        expanded = divisible(width * block.expansion)
        x = layers.Conv2D(expanded, 1, padding="same", use_bias=False, name=f"{name}_expand")(x)
        x = act(normalized(x, f"{name}_expand_bn"))
    if block.stride > 1:
        x = layers.ZeroPadding2D(padding_before_stride(x, kernel), name=f"{name}_depthwise_pad")(x)
    x = layers.DepthwiseConv2D(
        kernel, strides=block.stride, padding="valid" if block.stride > 1 else "same", use_bias=False,
        name=f"{name}_depthwise",
    )(x)  # fmt: skip
    x = act(normalized(x, f"{name}_depthwise_bn"))
    x = excited(x, f"{name}_squeeze_excite") if block.excites and not minimalistic else x
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = normalized(x, f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([shortcut, x]) if block.stride == 1 and width == filters else x


def top(x: Tensor, settings: ImageModel, width: int, act: Activation, dropout_rate: float) -> Tensor:
    """The classifier as two 1×1 convolutions."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = act(layers.Conv2D(width, 1, padding="same", name="conv_2")(x))
    x = layers.Dropout(dropout_rate)(x) if dropout_rate > 0 else x
    x = layers.Conv2D(settings.classes, 1, padding="same", name="logits")(x)
    return layers.Activation(settings.classifier_activation, name="predictions")(layers.Flatten()(x))


def mobilenet_v3(
    settings: ImageModel, size: str, blocks: Sequence[Block], width: int, alpha: float, minimalistic: bool,
    dropout_rate: float, include_preprocessing: bool,
) -> Model:  # fmt: skip
    """A MobileNetV3 of these blocks with a classifier of this width."""
    key = f"{size}{'_minimalistic' if minimalistic else ''}_224_{float(alpha)}_float"
    if settings.weights == "imagenet" and key not in CHECKSUMS:
        raise ValueError(
            f"{settings.kind}: weights are published for alpha 0.75 and 1.0, minimalistic ones for 1.0, got "
            f"alpha={alpha} and minimalistic={minimalistic}; pass weights=None"
        )
    act = relu if minimalistic else hard_swish
    inputs = x = settings.images()
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(x) if include_preprocessing else x
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = act(normalized(x, "conv_bn"))
    for i, block in enumerate(blocks):
        filters = divisible(block.filters * alpha)
        x = inverted_residual(x, block, filters, act if block.swishes else relu, minimalistic, i)
    x = layers.Conv2D(divisible(x.shape[-1] * 6), 1, padding="same", use_bias=False, name="conv_1")(x)
    x = act(normalized(x, "conv_1_bn"))
    if settings.include_top:
        x = top(x, settings, divisible(width * alpha) if alpha > 1.0 else width, act, dropout_rate)
    else:
        x = settings.pooled(x)
    url = f"{STORE}mobilenet_v3/weights_mobilenet_v3_{key}"
    checksums = CHECKSUMS.get(key, (None, None))
    return settings.finish(inputs, x, Pretrained(url, *checksums, ".h5", "_no_top_v2.h5"))


def arguments(
    input_shape: Any = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = None,
) -> None:
    """The arguments of these networks, in Keras's order."""


@network(arguments, "MobileNetV3Large", sized="never", exact=False)
def MobileNetV3Large(settings: ImageModel, **options: Any) -> Model:
    """MobileNetV3, large form, for images with values 0 ... 255."""
    return mobilenet_v3(settings, "large", LARGE, 1280, **options)


@network(arguments, "MobileNetV3Small", sized="never", exact=False)
def MobileNetV3Small(settings: ImageModel, **options: Any) -> Model:
    """MobileNetV3, small form, for images with values 0 ... 255.

    >>> import sardonyx as sx
    >>> sx.models.MobileNetV3Small((32, 32, 3), weights=None, classes=10).output_shape
    (None, 10)
    """
    return mobilenet_v3(settings, "small", SMALL, 1024, **options)
