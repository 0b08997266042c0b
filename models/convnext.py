"""ConvNeXt: convolutions arranged as in transformers (Liu et al. 2022, arXiv:2201.03545)."""

from __future__ import annotations

from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..builder.sequential import Sequential
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "decode_predictions",
    "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing(None)

CHECKSUMS = {
    "tiny": (
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "small": (
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "base": (
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    "large": (
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    "xlarge": (
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
}
EPSILON = 1e-6
MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
VARIANCE = ((0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2)


def block(x: Tensor, name: str) -> Tensor:
    """A 7×7 convolution of each channel and two dense layers, around a shortcut."""
    source, width = x, x.shape[-1]
    x = layers.Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(x)
    x = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_layernorm")(x)
    x = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = layers.LayerScale(1e-6, width, name=f"{name}_layer_scale")(x)
    return source + layers.Activation("linear", name=f"{name}_identity")(x)


def downsampled(x: Tensor, width: int, name: str, i: int) -> Tensor:
    """Half the height and width."""
    steps = [
        layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_downsampling_layernorm_{i}"),
        layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{i}"),
    ]
    return Sequential(steps, name=f"{name}_downsampling_block_{i}")(x)


def convnext(
    settings: ImageModel, size: str, depths: tuple[int, ...], width: int, include_preprocessing: bool
) -> Model:
    """A ConvNeXt with the given number of blocks in each of its four stages."""
    prefix = settings.name or f"convnext_{size}"
    inputs = x = settings.images()
    if include_preprocessing:
        x = layers.Normalization(mean=MEAN, variance=VARIANCE, name=f"{prefix}_prestem_normalization")(x)
    steps = [
        layers.Conv2D(width, 4, strides=4, name=f"{prefix}_stem_conv"),
        layers.LayerNormalization(epsilon=EPSILON, name=f"{prefix}_stem_layernorm"),
    ]
    x = Sequential(steps, name=f"{prefix}_stem")(x)
    for stage, depth in enumerate(depths):
        x = downsampled(x, width * 2**stage, prefix, stage - 1) if stage else x
        for i in range(depth):
            x = block(x, f"{prefix}_stage_{stage}_block_{i}")
    if settings.include_top:
        x = layers.GlobalAveragePooling2D(name=f"{prefix}_head_gap")(x)
        x = layers.LayerNormalization(epsilon=EPSILON, name=f"{prefix}_head_layernorm")(x)
        x = settings.predictions(x, f"{prefix}_head_dense")
    else:
        x = layers.LayerNormalization(epsilon=EPSILON)(settings.pooled(x, None, None))
    url = f"{STORE}convnext/convnext_{size}"
    return settings.finish(inputs, x, Pretrained(url, *CHECKSUMS[size], ".h5", "_notop.h5"))


def arguments(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> None:
    """The arguments of these networks, in Keras's order."""


@network(arguments, "convnext_tiny")
def ConvNeXtTiny(settings: ImageModel, include_preprocessing: bool) -> Model:
    """ConvNeXt, tiny form, for images with values 0 ... 255.

    >>> import sardonyx as sx
    >>> sx.models.ConvNeXtTiny(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg").output_shape
    (None, 768)
    """
    return convnext(settings, "tiny", (3, 3, 9, 3), 96, include_preprocessing)


@network(arguments, "convnext_small")
def ConvNeXtSmall(settings: ImageModel, include_preprocessing: bool) -> Model:
    """ConvNeXt, small form, for images with values 0 ... 255."""
    return convnext(settings, "small", (3, 3, 27, 3), 96, include_preprocessing)


@network(arguments, "convnext_base")
def ConvNeXtBase(settings: ImageModel, include_preprocessing: bool) -> Model:
    """ConvNeXt, base form, for images with values 0 ... 255."""
    return convnext(settings, "base", (3, 3, 27, 3), 128, include_preprocessing)


@network(arguments, "convnext_large")
def ConvNeXtLarge(settings: ImageModel, include_preprocessing: bool) -> Model:
    """ConvNeXt, large form, for images with values 0 ... 255."""
    return convnext(settings, "large", (3, 3, 27, 3), 192, include_preprocessing)


@network(arguments, "convnext_xlarge")
def ConvNeXtXLarge(settings: ImageModel, include_preprocessing: bool) -> Model:
    """ConvNeXt, xlarge form, for images with values 0 ... 255."""
    return convnext(settings, "xlarge", (3, 3, 27, 3), 256, include_preprocessing)
