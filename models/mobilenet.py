"""MobileNet: depthwise and pointwise convolutions in turn (Howard et al. 2017, arXiv:1704.04861)."""

from __future__ import annotations

from typing import Any

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

# Of each pair of convolutions: the filters and the stride.
PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
PUBLISHED_SIZES = (128, 160, 192, 224)
PUBLISHED_WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}


def rectified(x: Tensor, name: str) -> Tensor:
    """Batch normalisation and ReLU, cut at 6."""
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def pair(x: Tensor, filters: int, stride: int, depth_multiplier: int, i: int) -> Tensor:
    """A depthwise 3×3 and a pointwise convolution."""
    if stride > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
    x = layers.DepthwiseConv2D(
        3, strides=stride, padding="valid" if stride > 1 else "same", depth_multiplier=depth_multiplier,
        use_bias=False, name=f"conv_dw_{i}",
    )(x)  # fmt: skip
    x = rectified(x, f"conv_dw_{i}")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{i}")(x)
    return rectified(x, f"conv_pw_{i}")


def top(x: Tensor, settings: ImageModel, dropout: float) -> Tensor:
    """The classifier as a 1×1 convolution."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(settings.classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((settings.classes,), name="reshape_2")(x)
    return layers.Activation(settings.classifier_activation, name="predictions")(x)


def published_size(input_shape: Any, sizes: tuple[int, ...]) -> int:
    """The size whose published weights fit images of this shape: its own, or else 224."""
    if input_shape is None or len(input_shape) != 3 or input_shape[0] != input_shape[1]:
        return 224
    return input_shape[0] if input_shape[0] in sizes else 224


def arguments(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
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
def MobileNet(settings: ImageModel, alpha: float, depth_multiplier: int, dropout: float) -> Model:
    """MobileNet, for images prepared by `mobilenet.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=10).count_params()
    221114
    """
    size = settings.size = published_size(settings.input_shape, PUBLISHED_SIZES)
    published = None
    if settings.weights == "imagenet":
        if depth_multiplier != 1 or alpha not in PUBLISHED_WIDTHS:
            raise ValueError(
                f"MobileNet: weights are published for alpha {', '.join(map(str, PUBLISHED_WIDTHS))} and "
                f"depth_multiplier 1, got alpha={alpha} and depth_multiplier={depth_multiplier}; pass weights=None"
            )
        url = f"{STORE}mobilenet/mobilenet_{PUBLISHED_WIDTHS[alpha]}_{size}"
        published = Pretrained(url, None, None, "_tf.h5", "_tf_no_top.h5")
    inputs = settings.images()
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(inputs)
    x = rectified(x, "conv1")
    for i, (filters, stride) in enumerate(PAIRS, 1):
        x = pair(x, int(filters * alpha), stride, depth_multiplier, i)
    x = top(x, settings, dropout) if settings.include_top else settings.pooled(x, None, None)
    rows = inputs.shape[1] if isinstance(inputs.shape[1], int) else None
    settings.name = settings.name or f"mobilenet_{alpha:0.2f}_{rows}"
    return settings.finish(inputs, x, published)
