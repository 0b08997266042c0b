"""Small networks to begin with, one of each kind: they train in minutes on NumPy."""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import layers
from ..builder.input import Input
from ..builder.model import Model
from ..trainer.core.errors import ShapeError
from ..trainer.core.tensor import Tensor

__all__ = ["LeNet", "TemporalConvNet", "TextTransformer", "UNet", "VisionTransformer"]


def LeNet(
    input_shape: Sequence[int] = (28, 28, 1), classes: int = 10, activation: str = "tanh", name: str = "lenet"
) -> Model:
    """LeNet-5 for small images: two convolutions, two poolings, three dense layers (LeCun et al. 1998).

    input_shape: height, width and channels; at least 12×12
    activation: after each convolution and dense layer but the last

    >>> import sardonyx as sx
    >>> sx.models.LeNet().count_params()
    61706
    """
    images = Input(input_shape, name="image")
    x = layers.Conv2D(6, 5, padding="same", activation=activation, name="conv1")(images)
    x = layers.AveragePooling2D(2, name="pool1")(x)
    x = layers.Conv2D(16, 5, activation=activation, name="conv2")(x)
    x = layers.AveragePooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation=activation, name="fc1")(x)
    x = layers.Dense(84, activation=activation, name="fc2")(x)
    return Model(images, layers.Dense(classes, activation="softmax", name="predictions")(x), name=name)


def transformer_block(x: Tensor, heads: int, hidden: int, dropout: float, name: str) -> Tensor:
    """Attention and two dense layers, each after a normalisation and around a shortcut (arXiv:2002.04745)."""
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(heads, width // heads, dropout=dropout, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(hidden, activation="gelu", name=f"{name}_dense1")(y)
    y = layers.Dense(width, name=f"{name}_dense2")(y)
    y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return layers.Add(name=f"{name}_add2")([x, y])


def VisionTransformer(
    input_shape: Sequence[int] = (32, 32, 3), classes: int = 10, patch: int = 4, width: int = 64, depth: int = 4,
    heads: int = 4, dropout: float = 0.0, pooling: str = "avg", name: str = "vit",
) -> Model:  # fmt: skip
    """A small vision transformer: patches as tokens (Dosovitskiy et al. 2020, arXiv:2010.11929).

    input_shape: height, width and channels
    patch: height and width of a patch; both must divide the image's
    width, depth, heads: features of a token, blocks, attention heads
    dropout: share of attention weights and of features left out in each block while training
    pooling: what stands for the image: "avg", the mean of its tokens, or "token", a learned one before them

    Raises `ShapeError` for images that do not divide into patches, `ValueError` for a width that heads do not divide
    and for another pooling.

    >>> import sardonyx as sx
    >>> sx.models.VisionTransformer((16, 16, 1), classes=3).output_shape
    (None, 3)
    """
    rows, columns, _ = input_shape
    if rows % patch or columns % patch:
        raise ShapeError(f"VisionTransformer: images of {rows}×{columns} do not divide into patches of {patch}×{patch}")
    if width % heads:
        raise ValueError(f"VisionTransformer: heads={heads} does not divide width={width}")
    if pooling not in ("avg", "token"):
        raise ValueError(f"VisionTransformer: pooling must be 'avg' or 'token', got {pooling!r}")
    images = Input(input_shape, name="image")
    x = layers.Conv2D(width, patch, strides=patch, name="patches")(images)
    tokens = (rows // patch) * (columns // patch)
    x = layers.Reshape((tokens, width), name="tokens")(x)
    if pooling == "token":
        x = layers.ClassToken(name="class_token")(x)
    x = layers.PositionEmbedding(x.shape[1], name="positions")(x)
    for i in range(1, depth + 1):
        x = transformer_block(x, heads, 2 * width, dropout, f"block{i}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = x[:, 0] if pooling == "token" else layers.GlobalAveragePooling1D(name="mean")(x)
    return Model(images, layers.Dense(classes, activation="softmax", name="predictions")(x), name=name)


def _twice(x: Tensor, filters: int, name: str) -> Tensor:
    for i in (1, 2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv{i}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn{i}")(x)
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
    return x


def UNet(
    input_shape: Sequence[int | None] = (64, 64, 1),
    classes: int = 1,
    width: int = 16,
    depth: int = 3,
    name: str = "unet",
) -> Model:
    """A U-Net: a mask of the image's size, from what is seen at every resolution (Ronneberger et al. 2015).

    classes: 1 gives a probability for each point, more give a softmax over them
    input_shape: height, width and channels; None for a height or width that is to vary, in multiples of 2**depth
    width, depth: filters of the first level, doubled at each of `depth` halvings of height and width

    Raises `ShapeError` for a height or width that cannot be halved that often.

    >>> import sardonyx as sx
    >>> sx.models.UNet((32, 32, 3), classes=4, width=4).output_shape
    (None, 32, 32, 4)
    """
    if any(size is not None and size % 2**depth for size in input_shape[:2]):
        raise ShapeError(
            f"UNet: height and width must be multiples of {2**depth} (depth={depth}), got input_shape "
            f"{tuple(input_shape)}"
        )
    # A size that varies is known to be a multiple, or what was halved and doubled would not fit what was not.
    sizes = [f"{2**depth}*{name}" if size is None else size for size, name in zip(input_shape, "hwc", strict=True)]
    x = images = Input(sizes, name="image")
    skipped = []
    for level in range(depth):
        x = _twice(x, width * 2**level, f"down{level}")
        skipped.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    x = _twice(x, width * 2**depth, "bottom")
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(width * 2**level, 2, strides=2, name=f"up{level}_grow")(x)
        x = layers.Concatenate(name=f"up{level}_concat")([skipped[level], x])
        x = _twice(x, width * 2**level, f"up{level}")
    activation = "sigmoid" if classes == 1 else "softmax"
    return Model(images, layers.Conv2D(classes, 1, activation=activation, name="mask")(x), name=name)


def TextTransformer(
    vocabulary: int, classes: int, length: int = 128, width: int = 64, depth: int = 2, heads: int = 4,
    dropout: float = 0.1, name: str = "text_transformer",
) -> Model:  # fmt: skip
    """A transformer that classifies texts given as token numbers, 0 standing for no token (Vaswani et al. 2017).

    vocabulary: how many token numbers there are; length: the most tokens of a text, which may be shorter
    width, depth, heads: features of a token, blocks, attention heads
    dropout: share of attention weights and of features left out in each block while training

    Raises `ValueError` for a width that heads do not divide.

    >>> import numpy as np, sardonyx as sx
    >>> model = sx.models.TextTransformer(vocabulary=50, classes=2, length=12)
    >>> model.predict(np.array([[4, 7, 9, 0, 0]]), verbose=0).shape
    (1, 2)
    """
    if width % heads:
        raise ValueError(f"TextTransformer: heads={heads} does not divide width={width}")
    tokens = Input(("tokens",), dtype="int32", name="tokens")
    x = layers.Embedding(vocabulary, width, mask_zero=True, name="embedding")(tokens)
    x = layers.PositionEmbedding(length, name="positions")(x)
    for i in range(1, depth + 1):
        x = transformer_block(x, heads, 4 * width, dropout, f"block{i}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return Model(tokens, layers.Dense(classes, activation="softmax", name="predictions")(x), name=name)


def TemporalConvNet(
    features: int, outputs: int = 1, filters: int = 32, kernel: int = 3, depth: int = 4, dropout: float = 0.0,
    name: str = "tcn",
) -> Model:  # fmt: skip
    """A temporal convolutional network: at each time, a forecast from the past alone (Bai et al. 2018, 1803.01271).

    features, outputs: numbers that go in and come out at each time
    filters, kernel: of each convolution; dropout: share of its channels left out while training

    Takes (batch, time, features), gives (batch, time, outputs). Each of `depth` blocks looks twice as far back as the
    one before: 1 + 2 * (kernel - 1) * (2**depth - 1) steps in all.

    >>> import sardonyx as sx
    >>> sx.models.TemporalConvNet(features=2).output_shape
    (None, None, 1)
    """
    x = series = Input(("time", features), name="series")
    for level in range(depth):
        y = x
        for i in (1, 2):
            y = layers.Conv1D(
                filters, kernel, padding="causal", dilation_rate=2**level, activation="relu",
                name=f"block{level}_conv{i}",
            )(y)  # fmt: skip
            y = layers.SpatialDropout1D(dropout, name=f"block{level}_dropout{i}")(y)
        if x.shape[-1] != filters:
            x = layers.Conv1D(filters, 1, name=f"block{level}_shortcut")(x)
        x = layers.ReLU(name=f"block{level}_relu")(layers.Add(name=f"block{level}_add")([x, y]))
    return Model(series, layers.Dense(outputs, name="forecast")(x), name=name)
