"""VGG16 (Keras: applications.vgg16)."""

from __future__ import annotations

from typing import Any

from ..builder.model import Model
from .image_model import ImageModel
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .vgg import vgg

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")

FILES = Pretrained(
    f"{STORE}vgg16/vgg16", "md5:64373286793e3c8b2b4e3219cbf3544b", "md5:6d6bbae143d832006294945121d1f1fc"
)


def VGG16(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg16",
) -> Model:
    """VGG16, 13 convolutions and 3 dense layers; images of at least 32×32, prepared by `vgg16.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg").output_shape
    (None, 512)
    """
    settings = ImageModel(
        "VGG16", include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
    )
    return vgg(settings, (2, 2, 3, 3, 3), name, FILES)
