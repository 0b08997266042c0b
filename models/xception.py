"""Xception: depthwise separable convolutions throughout (Chollet 2016, arXiv:1610.02357)."""

from __future__ import annotations

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

FILES = Pretrained(
    f"{STORE}xception/xception", "md5:0a58e3b7378bc2990ea3b43d5981f1f6", "md5:b0042744bf5b25fce3cb969f33bebb97"
)


def separable(x: Tensor, filters: int, name: str) -> Tensor:
    """A separable 3×3 convolution and its batch normalisation."""
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def active(x: Tensor, name: str) -> Tensor:
    """ReLU."""
    return layers.Activation("relu", name=f"{name}_act")(x)


def reducing_block(x: Tensor, widths: tuple[int, int], name: str, begins_active: bool = True) -> Tensor:
    """Two separable convolutions and a pooling that halves the image, around a 1×1 shortcut."""
    shortcut = layers.Conv2D(widths[1], 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = layers.BatchNormalization()(shortcut)
    for i, width in enumerate(widths, 1):
        x = active(x, f"{name}_sepconv{i}") if i > 1 or begins_active else x
        x = separable(x, width, f"{name}_sepconv{i}")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return layers.Add()([x, shortcut])


@network(common, "xception", size=299, smallest=71)
def Xception(settings: ImageModel) -> Model:
    """Xception, for images prepared by `xception.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.Xception(weights=None, classes=10, input_shape=(71, 71, 3)).output_shape
    (None, 10)
    """
    inputs = x = settings.images()
    for i, (width, stride) in enumerate(((32, 2), (64, 1)), 1):
        x = layers.Conv2D(width, 3, strides=stride, use_bias=False, name=f"block1_conv{i}")(x)
        x = active(layers.BatchNormalization(name=f"block1_conv{i}_bn")(x), f"block1_conv{i}")
    x = reducing_block(x, (128, 128), "block2", begins_active=False)
    x = reducing_block(x, (256, 256), "block3")
    x = reducing_block(x, (728, 728), "block4")
    for block in range(5, 13):
        shortcut = x
        for i in range(1, 4):
            x = separable(active(x, f"block{block}_sepconv{i}"), 728, f"block{block}_sepconv{i}")
        x = layers.Add()([x, shortcut])
    x = reducing_block(x, (728, 1024), "block13")
    for i, width in enumerate((1536, 2048), 1):
        x = active(separable(x, width, f"block14_sepconv{i}"), f"block14_sepconv{i}")
    x = settings.head(x) if settings.include_top else settings.pooled(x, None, None)
    return settings.finish(inputs, x, FILES)
