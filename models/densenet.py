"""Densely connected networks (Huang et al. 2016, arXiv:1608.06993)."""

from __future__ import annotations

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .resnet import EPSILON, normalized

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("torch")

FILES = {
    "121": Pretrained(
        f"{STORE}densenet/densenet121",
        "md5:9d60b8095a5708f2dcce2bca79d332c7",
        "md5:30ee3e1110167f948a6b9946edeeb738",
    ),
    "169": Pretrained(
        f"{STORE}densenet/densenet169",
        "md5:d699b8f76981ab1b30698df4c175e90b",
        "md5:b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    "201": Pretrained(
        f"{STORE}densenet/densenet201",
        "md5:1ceb130c1ea1b78c3bf6114dbdfd8807",
        "md5:c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
}

GROWTH = 32


def dense_layer(x: Tensor, name: str) -> Tensor:
    """What came in, and 32 new channels made of it."""
    new = normalized(x, f"{name}_0")
    new = layers.Conv2D(4 * GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = normalized(new, f"{name}_1")
    new = layers.Conv2D(GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return layers.Concatenate(axis=-1, name=f"{name}_concat")([x, new])


def transition(x: Tensor, name: str) -> Tensor:
    """Half the channels, half the height and width."""
    x = normalized(x, name)
    x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def densenet(settings: ImageModel, depths: tuple[int, ...], published: Pretrained) -> Model:
    """A densely connected network with the given number of layers in each of its four blocks."""
    inputs = settings.images()
    x = layers.ZeroPadding2D(3)(inputs)
    x = normalized(layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x), "conv1")
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for block, depth in enumerate(depths, 2):
        for i in range(1, depth + 1):
            x = dense_layer(x, f"conv{block}_block{i}")
        x = transition(x, f"pool{block}") if block < 5 else x
    x = layers.BatchNormalization(axis=-1, epsilon=EPSILON, name="bn")(x)
    x = layers.Activation("relu", name="relu")(x)
    return settings.finish(inputs, settings.head(x), published)


@network(common, "densenet121")
def DenseNet121(settings: ImageModel) -> Model:
    """DenseNet-121, for images prepared by `densenet.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.DenseNet121(weights=None, classes=10, input_shape=(32, 32, 3)).output_shape
    (None, 10)
    """
    return densenet(settings, (6, 12, 24, 16), FILES["121"])


@network(common, "densenet169")
def DenseNet169(settings: ImageModel) -> Model:
    """DenseNet-169, for images prepared by `densenet.preprocess_input`."""
    return densenet(settings, (6, 12, 32, 32), FILES["169"])


@network(common, "densenet201")
def DenseNet201(settings: ImageModel) -> Model:
    """DenseNet-201, for images prepared by `densenet.preprocess_input`."""
    return densenet(settings, (6, 12, 48, 32), FILES["201"])
