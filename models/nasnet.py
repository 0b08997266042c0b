"""NASNet: cells found by a search (Zoph et al. 2017, arXiv:1707.07012)."""

from __future__ import annotations

from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .scaling import padding_before_stride

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

LARGE_FILES = Pretrained(
    f"{STORE}nasnet/NASNet-large", "md5:11577c9a518f0070763c2b964a382f17", "md5:d81d89dc07e6e56530c4e77faddd61b5",
    ".h5", "-no-top.h5",
)  # fmt: skip
MOBILE_FILES = Pretrained(
    f"{STORE}nasnet/NASNet-mobile", "md5:020fb642bf7360b370c678b08e0adf61", "md5:1ed92395b5b598bdda52abe5c0dbfd63",
    ".h5", "-no-top.h5",
)  # fmt: skip


def normalized(x: Tensor, name: str) -> Tensor:
    """Batch normalisation with very slow statistics."""
    return layers.BatchNormalization(axis=-1, momentum=0.9997, epsilon=1e-3, name=name)(x)


def pointwise(x: Tensor, filters: int, name: str) -> Tensor:
    """A 1×1 convolution without a bias."""
    return layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)  # fmt: skip


def relu(x: Tensor, name: str | None = None) -> Tensor:
    """ReLU."""
    return layers.Activation("relu", name=name)(x)


def separable(x: Tensor, filters: int, kernel: int, name: str, stride: int = 1) -> Tensor:
    """Twice: ReLU, a separable convolution, batch normalisation; the first with the stride."""
    x = relu(x)
    padding = "same"
    if stride > 1:
        x = layers.ZeroPadding2D(padding_before_stride(x, kernel), name=f"separable_conv_1_pad_{name}")(x)
        padding = "valid"
    x = layers.SeparableConv2D(
        filters, kernel, strides=stride, padding=padding, use_bias=False, name=f"separable_conv_1_{name}"
    )(x)
    x = relu(normalized(x, f"separable_conv_1_bn_{name}"))
    x = layers.SeparableConv2D(filters, kernel, padding="same", use_bias=False, name=f"separable_conv_2_{name}")(x)
    return normalized(x, f"separable_conv_2_bn_{name}")


def averaged(x: Tensor, name: str) -> Tensor:
    """Averages of 3×3 points."""
    return layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)


def adjusted(earlier: Tensor | None, x: Tensor, filters: int, name: str) -> Tensor:
    """What came before, in the height and width of `x` and with `filters` channels; `x` where nothing came."""
    if earlier is None:
        return x
    if earlier.shape[1:3] != x.shape[1:3]:
        earlier = relu(earlier, f"adjust_relu_1_{name}")
        even = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_1_{name}")(earlier)
        even = pointwise(even, filters // 2, f"adjust_conv_1_{name}")
        odd = layers.ZeroPadding2D(((0, 1), (0, 1)))(earlier)
        odd = layers.Cropping2D(((1, 0), (1, 0)))(odd)
        odd = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_2_{name}")(odd)
        odd = pointwise(odd, filters // 2, f"adjust_conv_2_{name}")
        return normalized(layers.Concatenate(axis=-1)([even, odd]), f"adjust_bn_{name}")
    if earlier.shape[-1] != filters:
        earlier = pointwise(relu(earlier), filters, f"adjust_conv_projection_{name}")
        return normalized(earlier, f"adjust_bn_{name}")
    return earlier


def normal_cell(x: Tensor, earlier: Tensor | None, filters: int, name: str) -> Tensor:
    """A cell that keeps height and width."""
    p = adjusted(earlier, x, filters, name)
    h = normalized(pointwise(relu(x), filters, f"normal_conv_1_{name}"), f"normal_bn_1_{name}")
    pairs = [
        (separable(h, filters, 5, f"normal_left1_{name}"), separable(p, filters, 3, f"normal_right1_{name}")),
        (separable(p, filters, 5, f"normal_left2_{name}"), separable(p, filters, 3, f"normal_right2_{name}")),
        (averaged(h, f"normal_left3_{name}"), p),
        (averaged(p, f"normal_left4_{name}"), averaged(p, f"normal_right4_{name}")),
        (separable(h, filters, 3, f"normal_left5_{name}"), h),
    ]
    sums = [layers.Add(name=f"normal_add_{i}_{name}")(list(pair)) for i, pair in enumerate(pairs, 1)]
    return layers.Concatenate(axis=-1, name=f"normal_concat_{name}")([p, *sums])


def reduction_cell(x: Tensor, earlier: Tensor | None, filters: int, name: str) -> Tensor:
    """A cell that halves height and width."""
    p = adjusted(earlier, x, filters, name)
    h = normalized(pointwise(relu(x), filters, f"reduction_conv_1_{name}"), f"reduction_bn_1_{name}")
    padded = layers.ZeroPadding2D(padding_before_stride(h, 3), name=f"reduction_pad_1_{name}")(h)
    left = separable(h, filters, 5, f"reduction_left1_{name}", 2)
    right = separable(p, filters, 7, f"reduction_right1_{name}", 2)
    first = layers.Add(name=f"reduction_add_1_{name}")([left, right])
    left = layers.MaxPooling2D(3, strides=2, name=f"reduction_left2_{name}")(padded)
    right = separable(p, filters, 7, f"reduction_right2_{name}", 2)
    second = layers.Add(name=f"reduction_add_2_{name}")([left, right])
    left = layers.AveragePooling2D(3, strides=2, name=f"reduction_left3_{name}")(padded)
    right = separable(p, filters, 5, f"reduction_right3_{name}", 2)
    third = layers.Add(name=f"reduction_add3_{name}")([left, right])
    fourth = layers.Add()([second, averaged(first, f"reduction_left4_{name}")])
    left = separable(first, filters, 3, f"reduction_left4_{name}")
    right = layers.MaxPooling2D(3, strides=2, name=f"reduction_right5_{name}")(padded)
    fifth = layers.Add(name=f"reduction_add4_{name}")([left, right])
    return layers.Concatenate(axis=-1, name=f"reduction_concat_{name}")([second, third, fourth, fifth])


def nasnet(settings: ImageModel, filters: int, depth: int, stem: int, skips: bool, published: Pretrained) -> Model:
    """Three runs of `depth` normal cells with reductions between them.

    filters: channels of a path in the first run, doubled at each reduction
    skips: whether a reduction's input is left out of what the cell after it sees
    """
    inputs = settings.images()
    x = layers.Conv2D(
        stem, 3, strides=2, padding="valid", use_bias=False, kernel_initializer="he_normal", name="stem_conv1"
    )(inputs)
    x, earlier = normalized(x, "stem_bn1"), None
    for i, part in enumerate((4, 2), 1):
        x, earlier = reduction_cell(x, earlier, filters // part, f"stem_{i}"), x
    for run in range(3):
        width, first = filters * 2**run, run * depth + min(run, 1)
        if run:
            reduced = reduction_cell(x, earlier, width, f"reduce_{run * depth}")
            x, earlier = reduced, earlier if skips else x
        for i in range(depth):
            x, earlier = normal_cell(x, earlier, width, f"{first + i}"), x
    x = relu(x)
    if settings.include_top:
        x = settings.predictions(layers.GlobalAveragePooling2D()(x))
    else:
        x = settings.pooled(x, None, None)
    return settings.finish(inputs, x, published)


def arguments(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> None:
    """The arguments of these networks, in Keras's order."""


@network(arguments, "nasnet_large", size=331, sized="always")
def NASNetLarge(settings: ImageModel) -> Model:
    """NASNet-A, large form, for images prepared by `nasnet.preprocess_input`."""
    return nasnet(settings, 168, 6, 96, True, LARGE_FILES)


@network(arguments, "nasnet_mobile", sized="always")
def NASNetMobile(settings: ImageModel) -> Model:
    """NASNet-A, mobile form, for images prepared by `nasnet.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.NASNetMobile((32, 32, 3), weights=None, include_top=False, pooling="avg").output_shape
    (None, 1056)
    """
    return nasnet(settings, 44, 4, 32, False, MOBILE_FILES)
