"""VGG19 (Keras: applications.vgg19)."""

from __future__ import annotations

from ..builder.model import Model
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .pretrained import STORE, Pretrained
from .vgg import vgg

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")

FILES = Pretrained(
    f"{STORE}vgg19/vgg19", "md5:cbe5617147190e668d6c5d5026f83318", "md5:253f8cb515780f3b799900260a226db6"
)


@network(common, "vgg19")
def VGG19(settings: ImageModel) -> Model:
    """VGG19: 16 convolutions and 3 dense layers, for images prepared by `vgg19.preprocess_input`.

    >>> import sardonyx as sx
    >>> model = sx.models.VGG19(weights=None, include_top=False, input_shape=(32, 32, 3))
    >>> model.get_layer("block4_pool").output.shape[1:]
    (2, 2, 512)
    """
    return vgg(settings, (2, 2, 4, 4, 4), FILES)
