"""MobileNetV2: inverted residuals (Sandler et al. 2018, arXiv:1801.04381)."""

from __future__ import annotations

from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import network
from .imagenet_utils import decode_predictions, preprocessing
from .mobilenet import published_size
from .pretrained import STORE, Pretrained
from .scaling import divisible, padding_before_stride

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# Of each stage: the expansion, the filters, the number of blocks and the stride of the first.
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
)  # fmt: skip
PUBLISHED_SIZES = (96, 128, 160, 192, 224)
PUBLISHED_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def normalized(x: Tensor, name: str) -> Tensor:
    """Batch normalisation with slow statistics."""
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def inverted_residual(x: Tensor, expansion: int, filters: int, stride: int, name: str) -> Tensor:
    """Widen, convolve each channel, narrow; around a shortcut where the shapes allow one."""
    shortcut, width = x, x.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(expansion * width, 1, padding="same", use_bias=False, name=f"{name}_expand")(x)
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(normalized(x, f"{name}_expand_BN"))
    if stride > 1:
        x = layers.ZeroPadding2D(padding_before_stride(x, 3), name=f"{name}_pad")(x)
    padding = "valid" if stride > 1 else "same"
    x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(normalized(x, f"{name}_depthwise_BN"))
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = normalized(x, f"{name}_project_BN")
    return layers.Add(name=f"{name}_add")([shortcut, x]) if stride == 1 and filters == width else x


def arguments(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> None:
    """The arguments of this network, in Keras's order."""


@network(arguments, None)
def MobileNetV2(settings: ImageModel, alpha: float) -> Model:
    """MobileNetV2, for images prepared by `mobilenet_v2.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10).count_params()
    423018
    """
    size = settings.size = published_size(settings.input_shape, PUBLISHED_SIZES)
    if settings.weights == "imagenet" and alpha not in PUBLISHED_WIDTHS:
        raise ValueError(
            f"MobileNetV2: weights are published for alpha {', '.join(map(str, PUBLISHED_WIDTHS))}, got alpha={alpha}; "
            "pass weights=None"
        )
    endings = (f"_{float(alpha)}_{size}.h5", f"_{float(alpha)}_{size}_no_top.h5")
    url = f"{STORE}mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
    inputs = settings.images()
    x = layers.Conv2D(divisible(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1")(inputs)
    x = layers.ReLU(6.0, name="Conv1_relu")(normalized(x, "bn_Conv1"))
    count = 0
    for expansion, filters, depth, stride in STAGES:
        for i in range(depth):
            block = f"block_{count}" if count else "expanded_conv"
            x = inverted_residual(x, expansion, divisible(int(filters * alpha)), stride if i == 0 else 1, block)
            count += 1
    x = layers.Conv2D(divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    x = layers.ReLU(6.0, name="out_relu")(normalized(x, "Conv_1_bn"))
    if settings.include_top:
        x = settings.predictions(layers.GlobalAveragePooling2D()(x))
    else:
        x = settings.pooled(x, None, None)
    rows = inputs.shape[1] if isinstance(inputs.shape[1], int) else None
    settings.name = settings.name or f"mobilenetv2_{alpha:0.2f}_{rows}"
    return settings.finish(inputs, x, Pretrained(url, None, None, *endings))
