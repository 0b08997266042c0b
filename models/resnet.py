"""Residual networks (He et al. 2015, arXiv:1512.03385)."""

from __future__ import annotations

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")

FILES = {
    "resnet50": Pretrained(
        f"{STORE}resnet/resnet50",
        "md5:2cb95161c43110f7111970584f804107",
        "md5:4d473c1dd8becc155b73f8504c6f6626",
    ),
    "resnet101": Pretrained(
        f"{STORE}resnet/resnet101",
        "md5:f1aeb4b969a6efcfb50fad2f0c20cfc5",
        "md5:88cf7a10940856eca736dc7b7e228a21",
    ),
    "resnet152": Pretrained(
        f"{STORE}resnet/resnet152",
        "md5:100835be76be38e30d865e96f2aaae62",
        "md5:ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
}

# Of the batch normalisations of both versions.
EPSILON = 1.001e-5


def normalized(x: Tensor, name: str, activation: str | None = "relu") -> Tensor:
    """Batch normalisation, then ReLU unless there is to be none."""
    x = layers.BatchNormalization(axis=-1, epsilon=EPSILON, name=f"{name}_bn")(x)
    return layers.Activation(activation, name=f"{name}_relu")(x) if activation else x


def stem(x: Tensor, normalizes: bool) -> Tensor:
    """A 7×7 convolution and a pooling, each halving height and width."""
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = normalized(x, "conv1") if normalizes else x
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def bottleneck(x: Tensor, width: int, name: str, stride: int, projects: bool) -> Tensor:
    """1×1, 3×3 and 1×1 convolutions around a shortcut, which a 1×1 convolution widens if `projects`."""
    shortcut = x
    if projects:
        shortcut = layers.Conv2D(4 * width, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = normalized(shortcut, f"{name}_0", activation=None)
    x = normalized(layers.Conv2D(width, 1, strides=stride, name=f"{name}_1_conv")(x), f"{name}_1")
    x = normalized(layers.Conv2D(width, 3, padding="same", name=f"{name}_2_conv")(x), f"{name}_2")
    x = normalized(layers.Conv2D(4 * width, 1, name=f"{name}_3_conv")(x), f"{name}_3", activation=None)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def resnet(settings: ImageModel, depths: tuple[int, ...], published: Pretrained) -> Model:
    """A residual network with the given number of bottlenecks in each of its four stages."""
    inputs = settings.images()
    x = stem(inputs, normalizes=True)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            stride = 2 if stage > 0 and i == 0 else 1
            x = bottleneck(x, 64 * 2**stage, f"conv{stage + 2}_block{i + 1}", stride, projects=i == 0)
    return settings.finish(inputs, settings.head(x), published)


@network(common, "resnet50")
def ResNet50(settings: ImageModel) -> Model:
    """ResNet-50, for images prepared by `resnet.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.ResNet50(weights=None, classes=10, input_shape=(32, 32, 3)).output_shape
    (None, 10)
    """
    return resnet(settings, (3, 4, 6, 3), FILES["resnet50"])


@network(common, "resnet101")
def ResNet101(settings: ImageModel) -> Model:
    """ResNet-101, for images prepared by `resnet.preprocess_input`."""
    return resnet(settings, (3, 4, 23, 3), FILES["resnet101"])


@network(common, "resnet152")
def ResNet152(settings: ImageModel) -> Model:
    """ResNet-152, for images prepared by `resnet.preprocess_input`."""
    return resnet(settings, (3, 8, 36, 3), FILES["resnet152"])
