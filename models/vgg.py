"""VGG networks: stacks of 3×3 convolutions (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from __future__ import annotations

from ..builder import layers
from ..builder.model import Model
from .image_model import ImageModel
from .pretrained import Pretrained

WIDTHS = (64, 128, 256, 512, 512)


def vgg(settings: ImageModel, depths: tuple[int, ...], published: Pretrained) -> Model:
    """A VGG network with the given number of convolutions in each of its five blocks."""
    inputs = x = settings.images()
    for block, (depth, width) in enumerate(zip(depths, WIDTHS, strict=True), 1):
        for i in range(1, depth + 1):
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"block{block}_conv{i}")(x)
        x = layers.MaxPooling2D(2, 2, name=f"block{block}_pool")(x)
    if settings.include_top:
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(4096, activation="relu", name="fc1")(x)
        x = layers.Dense(4096, activation="relu", name="fc2")(x)
        x = settings.predictions(x)
    else:
        x = settings.pooled(x, None, None)
    return settings.finish(inputs, x, published)
