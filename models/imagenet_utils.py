"""Images as the networks of the zoo expect them, and their answers in words (Keras: applications.imagenet_utils)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..trainer import ops
from ..trainer.core.errors import ShapeError, format_shape
from ..trainer.core.tensor import Tensor
from .pretrained import fetch

CLASS_INDEX_URL = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
CLASS_INDEX_CHECKSUM = "md5:c2c37ea517e94d9795004a39431a14cb"

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images with values 0 ... 255 as a network expects them; an array gives an array, a tensor a tensor.

    x: one image or a batch, RGB, channels last unless `data_format` is "channels_first"; half precision stays, all
        else becomes float32
    mode: "caffe" (BGR, minus the mean of ImageNet), "tf" (-1 ... 1) or "torch" (0 ... 1, normalised by ImageNet)

    Raises `ValueError` for another mode or data format, `ShapeError` unless there are three channels.

    >>> import numpy as np, sardonyx as sx
    >>> sx.applications.imagenet_utils.preprocess_input(np.full((1, 1, 3), 255.0), mode="tf")
    array([[[1., 1., 1.]]], dtype=float32)
    """
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(f"preprocess_input: mode must be 'caffe', 'tf' or 'torch', got {mode!r}")
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"preprocess_input: data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
        )
    images = x if isinstance(x, Tensor) else np.asarray(x)
    images = images if images.dtype.kind == "f" else images.astype("float32")
    if isinstance(images, np.ndarray) and images.dtype.itemsize > 4:
        images = images.astype(np.float32)
    if mode == "tf":
        return images / 127.5 - 1.0
    axis = len(images.shape) - (3 if data_format == "channels_first" else 1)
    if len(images.shape) not in (3, 4) or images.shape[axis] != 3:
        raise ShapeError(
            f"preprocess_input: mode={mode!r} needs images of rank 3 or 4 with 3 channels on axis {axis}, got shape "
            f"{format_shape(images.shape)}"
        )
    column = (3, 1, 1) if data_format == "channels_first" else (3,)
    mean, deviation, mean_bgr = (
        constant.astype(images.dtype).reshape(column) for constant in (MEAN, DEVIATION, MEAN_BGR)
    )
    if mode == "torch":
        return (images / 255.0 - mean) / deviation
    flipped = ops.flip(images, axis) if isinstance(images, Tensor) else np.flip(images, axis)
    return flipped - mean_bgr


def preprocessing(mode: str | None) -> Callable[..., Any]:
    """The `preprocess_input` of a family; None for networks that hold their preprocessing themselves."""

    def preprocess_input_of_family(x: Any, data_format: str | None = None) -> Any:
        """Images with values 0 ... 255 as this family of networks expects them (RGB, channels last by default)."""
        return x if mode is None else preprocess_input(x, data_format, mode)

    preprocess_input_of_family.__name__ = preprocess_input_of_family.__qualname__ = "preprocess_input"
    return preprocess_input_of_family


def decode_predictions(
    preds: Any, top: int = 5, *, labels: Sequence[str] | None = None
) -> list[list[tuple[str, str, float]]]:
    """The likeliest classes: for every image a list of (WordNet id, name, score), best first.

    preds: what a network with its top returns, shape (images, 1000) or, with `labels`, (images, labels)
    labels: names of your own classes, whose numbers then stand for WordNet's ids; the names of ImageNet are fetched
        once, by `pooch`

    Raises `ShapeError` for another shape, `ValueError` unless 1 <= top <= classes, `ConnectionError` where the names
    of ImageNet cannot be fetched.

    >>> import numpy as np, sardonyx as sx
    >>> scores = np.array([[0.25, 0.75]])
    >>> sx.applications.imagenet_utils.decode_predictions(scores, top=1, labels=["cat", "dog"])
    [[('1', 'dog', 0.75)]]
    """
    scores, count = np.asarray(preds), 1000 if labels is None else len(labels)
    if scores.ndim != 2 or scores.shape[1] != count:
        whose = "a network for ImageNet, shape (images, 1000)" if labels is None else f"shape (images, {count})"
        raise ShapeError(
            f"decode_predictions: expected the predictions of {whose}, got {format_shape(scores.shape)}"
            + ("; pass labels= for classes of your own" if labels is None and scores.ndim == 2 else "")
        )
    if not 1 <= top <= count:
        raise ValueError(f"decode_predictions: top must be 1 ... {count}, got {top}")
    if labels is None:
        index = json.loads(fetch(CLASS_INDEX_URL, CLASS_INDEX_CHECKSUM).read_text(encoding="utf-8"))
        names = [tuple(index[str(i)]) for i in range(count)]
    else:
        names = [(str(i), label) for i, label in enumerate(labels)]
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [
        [(names[i][0], names[i][1], float(row[i])) for i in indices] for row, indices in zip(scores, best, strict=True)
    ]
