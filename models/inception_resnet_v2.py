"""Inception-ResNet V2: Inception blocks around shortcuts (Szegedy et al. 2016, arXiv:1602.07261)."""

from __future__ import annotations

from ..builder import layers
from ..builder.model import Model
from ..trainer.core.tensor import Tensor
from .image_model import ImageModel
from .image_network import common, network
from .imagenet_utils import decode_predictions, preprocessing
from .inception_v3 import Step, branch, convolved, mixed, pooled_branch, stem
from .pretrained import STORE, Pretrained

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

FILES = Pretrained(
    f"{STORE}inception_resnet_v2/inception_resnet_v2",
    "md5:e693bd0210a403b3192acc6073ad2e96",
    "md5:d19885ff4a710c122648d3b5c3b684e4",
)

# The convolutions side by side in the blocks of each of three resolutions.
BLOCK35: tuple[tuple[Step, ...], ...] = (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
BLOCK17: tuple[tuple[Step, ...], ...] = (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))
BLOCK8: tuple[tuple[Step, ...], ...] = (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))


def residual(
    x: Tensor, branches: tuple[tuple[Step, ...], ...], scale: float, name: str, rectifies: bool = True
) -> Tensor:
    """Branches side by side, brought back to the input's channels, scaled and added to it."""
    parts = mixed([branch(x, *steps) for steps in branches], f"{name}_mixed")
    parts = layers.Conv2D(x.shape[-1], 1, padding="same", name=f"{name}_conv")(parts)
    x = layers.CustomScaleLayer(scale)([x, parts])
    return layers.Activation("relu", name=f"{name}_ac")(x) if rectifies else x


@network(common, "inception_resnet_v2", size=299, smallest=75)
def InceptionResNetV2(settings: ImageModel) -> Model:
    """Inception-ResNet V2, for images prepared by `inception_resnet_v2.preprocess_input`.

    >>> import sardonyx as sx
    >>> model = sx.models.InceptionResNetV2(weights=None, include_top=False, input_shape=(75, 75, 3), pooling="avg")
    >>> model.output_shape
    (None, 1536)
    """
    inputs = settings.images()
    x = stem(inputs)
    parts = [branch(x, (96, 1)), branch(x, (48, 1), (64, 5)), branch(x, (64, 1), (96, 3), (96, 3))]
    x = mixed([*parts, pooled_branch(x, 64)], "mixed_5b")
    for i in range(1, 11):
        x = residual(x, BLOCK35, 0.17, f"block35_{i}")
    parts = [branch(x, (384, 3, 2, "valid")), branch(x, (256, 1), (256, 3), (384, 3, 2, "valid"))]
    x = mixed([*parts, layers.MaxPooling2D(3, strides=2)(x)], "mixed_6a")
    for i in range(1, 21):
        x = residual(x, BLOCK17, 0.1, f"block17_{i}")
    parts = [
        branch(x, (256, 1), (384, 3, 2, "valid")),
        branch(x, (256, 1), (288, 3, 2, "valid")),
        branch(x, (256, 1), (288, 3), (320, 3, 2, "valid")),
    ]
    x = mixed([*parts, layers.MaxPooling2D(3, strides=2)(x)], "mixed_7a")
    for i in range(1, 10):
        x = residual(x, BLOCK8, 0.2, f"block8_{i}")
    x = residual(x, BLOCK8, 1.0, "block8_10", rectifies=False)
    x = convolved(x, 1536, 1, name="conv_7b")
    x = settings.head(x) if settings.include_top else settings.pooled(x, None, None)
    return settings.finish(inputs, x, FILES)
