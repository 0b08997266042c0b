"""VGG16 (Keras: applications.vgg16)."""

from __future__ import annotations

from ..builder.model import Model
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .vgg import vgg

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")

FILES = Pretrained(
    f"{STORE}vgg16/vgg16", "md5:64373286793e3c8b2b4e3219cbf3544b", "md5:6d6bbae143d832006294945121d1f1fc"
)


@network(common, "vgg16")
def VGG16(settings: ImageModel) -> Model:
    """VGG16: 13 convolutions and 3 dense layers, for images prepared by `vgg16.preprocess_input`.

    >>> import sardonyx as sx
    >>> sx.models.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg").output_shape
    (None, 512)
    """
    return vgg(settings, (2, 2, 3, 3, 3), FILES)
