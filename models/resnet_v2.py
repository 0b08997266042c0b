"""Residual networks with activations before the convolutions (He et al. 2016, arXiv:1603.05027)."""

from __future__ import annotations

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .resnet import normalized, stem

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

FILES = {
    "resnet50v2": Pretrained(
        f"{STORE}resnet/resnet50v2",
        "md5:3ef43a0b657b3be2300d5770ece849e0",
        "md5:fac2f116257151a9d068a22e544a4917",
    ),
    "resnet101v2": Pretrained(
        f"{STORE}resnet/resnet101v2",
        "md5:6343647c601c52e1368623803854d971",
        "md5:c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    "resnet152v2": Pretrained(
        f"{STORE}resnet/resnet152v2",
        "md5:a49b44d1979771252814e80f8ec446f9",
        "md5:ed17cf2e0169df9d443503ef94b23b33",
    ),
}


def preactivated(x: Tensor, width: int, name: str, stride: int, projects: bool) -> Tensor:
    """Normalisation and ReLU, then 1×1, 3×3 and 1×1 convolutions, around a shortcut of equal size."""
    active = normalized(x, f"{name}_preact")
    shortcut = x
    if projects:
        shortcut = layers.Conv2D(4 * width, 1, strides=stride, name=f"{name}_0_conv")(active)
    elif stride > 1:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x)
    x = normalized(layers.Conv2D(width, 1, use_bias=False, name=f"{name}_1_conv")(active), f"{name}_1")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = normalized(layers.Conv2D(width, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x), f"{name}_2")
    x = layers.Conv2D(4 * width, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([shortcut, x])


def resnet_v2(settings: ImageModel, depths: tuple[int, ...], published: Pretrained) -> Model:
    """A residual network of the second version: the last block of each stage but the fourth halves the image."""
    inputs = settings.images()
    x = stem(inputs, normalizes=False)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            stride = 2 if stage < 3 and i == depth - 1 else 1
            x = preactivated(x, 64 * 2**stage, f"conv{stage + 2}_block{i + 1}", stride, projects=i == 0)
    x = normalized(x, "post")
    return settings.finish(inputs, settings.head(x), published)


@network(common, "resnet50v2")
def ResNet50V2(settings: ImageModel) -> Model:
    """ResNet-50 V2, for images prepared by `resnet_v2.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.ResNet50V2(weights=None, classes=10, input_shape=(32, 32, 3)).output_shape
    (None, 10)
    """
    return resnet_v2(settings, (3, 4, 6, 3), FILES["resnet50v2"])


@network(common, "resnet101v2")
def ResNet101V2(settings: ImageModel) -> Model:
    """ResNet-101 V2, for images prepared by `resnet_v2.preprocess_input`."""
    return resnet_v2(settings, (3, 4, 23, 3), FILES["resnet101v2"])


@network(common, "resnet152v2")
def ResNet152V2(settings: ImageModel) -> Model:
    """ResNet-152 V2, for images prepared by `resnet_v2.preprocess_input`."""
    return resnet_v2(settings, (3, 8, 36, 3), FILES["resnet152v2"])
