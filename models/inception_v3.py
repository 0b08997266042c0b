"""Inception V3: convolutions of several sizes side by side (Szegedy et al. 2015, arXiv:1512.00567)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

FILES = Pretrained(
    f"{STORE}inception_v3/inception_v3", "md5:9a0d58056eeedaa3f26cb7ebd46da564", "md5:bcbd6486424b2319ff4ef7d526e38f63"
)

# A convolution: filters and kernel, and, if not 1 and "same", stride and padding.
Step = tuple[Any, ...]


def convolved(
    x: Tensor, filters: int, kernel: Any, stride: int = 1, padding: str = "same", name: str | None = None
) -> Tensor:
    """A convolution without a bias, batch normalisation without a scale, and ReLU."""
    x = layers.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(axis=-1, scale=False, name=f"{name}_bn" if name else None)(x)
    return layers.Activation("relu", name=f"{name}_ac" if name else None)(x)


def branch(x: Tensor, *steps: Step) -> Tensor:
    """Convolutions one after the other."""
    for step in steps:
        x = convolved(x, *step)
    return x


def pooled_branch(x: Tensor, filters: int) -> Tensor:
    """Averages of 3×3 points, then a 1×1 convolution."""
    return convolved(layers.AveragePooling2D(3, strides=1, padding="same")(x), filters, 1)


def mixed(branches: Sequence[Tensor], name: str | None = None) -> Tensor:
    """The channels of all branches."""
    return layers.Concatenate(axis=-1, name=name)(list(branches))


def stem(x: Tensor) -> Tensor:
    """The first convolutions, which reduce the image to an eighth."""
    x = branch(x, (32, 3, 2, "valid"), (32, 3, 1, "valid"), (64, 3))
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = branch(x, (80, 1, 1, "valid"), (192, 3, 1, "valid"))
    return layers.MaxPooling2D(3, strides=2)(x)


def small_kernels(x: Tensor, pool: int, name: str) -> Tensor:
    """1×1, 5×5 and two 3×3 convolutions side by side."""
    parts = [
        branch(x, (64, 1)), branch(x, (48, 1), (64, 5)), branch(x, (64, 1), (96, 3), (96, 3)), pooled_branch(x, pool)
    ]  # fmt: skip
    return mixed(parts, name)


def long_kernels(x: Tensor, width: int, name: str) -> Tensor:
    """7×7 convolutions as pairs of 1×7 and 7×1."""
    row, column = (1, 7), (7, 1)
    twice = branch(x, (192, 1)), branch(x, (width, 1), (width, row), (192, column))
    four = branch(x, (width, 1), (width, column), (width, row), (width, column), (192, row))
    return mixed([*twice, four, pooled_branch(x, 192)], name)


def spread_kernels(x: Tensor, name: str, inner: str) -> Tensor:
    """3×3 convolutions that end in 1×3 and 3×1 side by side."""
    single = branch(x, (320, 1))
    x3 = branch(x, (384, 1))
    first = mixed([convolved(x3, 384, (1, 3)), convolved(x3, 384, (3, 1))], inner)
    x33 = branch(x, (448, 1), (384, 3))
    second = mixed([convolved(x33, 384, (1, 3)), convolved(x33, 384, (3, 1))])
    return mixed([single, first, second, pooled_branch(x, 192)], name)


@network(common, "inception_v3", size=299, smallest=75)
def InceptionV3(settings: ImageModel) -> Model:
    """Inception V3, for images prepared by `inception_v3.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.InceptionV3(weights=None, classes=10, input_shape=(75, 75, 3)).output_shape
    (None, 10)
    """
    inputs = settings.images()
    x = stem(inputs)
    for i, pool in enumerate((32, 64, 64)):
        x = small_kernels(x, pool, f"mixed{i}")
    parts = [branch(x, (384, 3, 2, "valid")), branch(x, (64, 1), (96, 3), (96, 3, 2, "valid"))]
    x = mixed([*parts, layers.MaxPooling2D(3, strides=2)(x)], "mixed3")
    for i, width in enumerate((128, 160, 160, 192), 4):
        x = long_kernels(x, width, f"mixed{i}")
    parts = [
        branch(x, (192, 1), (320, 3, 2, "valid")),
        branch(x, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2, "valid")),
    ]
    x = mixed([*parts, layers.MaxPooling2D(3, strides=2)(x)], "mixed8")
    for i in range(2):
        x = spread_kernels(x, f"mixed{9 + i}", f"mixed9_{i}")
    x = settings.head(x) if settings.include_top else settings.pooled(x, None, None)
    return settings.finish(inputs, x, FILES)
