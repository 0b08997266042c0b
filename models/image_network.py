"""Makes functions with Keras's arguments out of the networks of the zoo; what they share is said and checked once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ParamSpec

from ..builder.model import Model
from .image_model import ImageModel

P = ParamSpec("P")

MEANINGS = {
    "include_top": "whether the classifier is part of the network",
    "include_preprocessing": "whether the network itself brings values 0 ... 255 to those it was trained on",
    "weights": "'imagenet' (published ones, downloaded once), the path of a file, or None (random)",
    "input_tensor": "a symbolic tensor of images to start from, instead of a new input",
    "input_shape": "height, width and channels; a size may be None where the top does not need it",
    "pooling": "'avg' or 'max' over height and width, or None; without the top only",
    "classes": "how many the classifier tells apart",
    "classifier_activation": "of the last layer; None gives logits",
    "alpha": "factor of all widths",
    "depth_multiplier": "channels that a depthwise convolution makes of each channel",
    "minimalistic": "without squeeze and excitation, hard swish and 5×5 convolutions",
    "dropout": "share of features left out before the classifier while training",
    "dropout_rate": "share of features left out before the classifier while training",
    "name": "name of the model",
}
"""What the arguments of all networks mean."""

RAISES = (
    "Raises `ValueError` for arguments that do not go together and for files of other networks, `ShapeError` for\n"
    "images that the network cannot take, `ImportError` where a package for fetching or reading weights is missing."
)


def common(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> None:
    """The arguments of most networks, in Keras's order; others are listed beside their networks."""


def network(
    arguments: Callable[P, None], name: str | None, **limits: Any
) -> Callable[[Callable[..., Model]], Callable[P, Model]]:
    """A decorator for a function that builds a network of an `ImageModel` and of those arguments that are not in it.

    arguments: a function whose parameters the network shall have
    name: the model's name unless another is given; limits: of the images, see `ImageModel`
    """

    def decorate(build: Callable[..., Model]) -> Callable[P, Model]:
        given = inspect.signature(arguments)
        renamed = [p.replace(default=name) if p.name == "name" else p for p in given.parameters.values()]
        signature = given.replace(parameters=renamed, return_annotation=Model)

        @functools.wraps(build)
        def built(*args: P.args, **kwargs: P.kwargs) -> Model:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{build.__name__}: {error}") from None
            bound.apply_defaults()
            own = {key: value for key, value in bound.arguments.items() if key not in SETTINGS}
            shared = {key: value for key, value in bound.arguments.items() if key in SETTINGS}
            return build(ImageModel(build.__name__, **shared, **limits), **own)

        vars(built)["__signature__"] = signature
        built.__doc__ = documented(build.__doc__ or "", list(signature.parameters), limits)
        return built

    return decorate


SETTINGS = {field.name for field in fields(ImageModel)}


def documented(text: str, names: list[str], limits: dict[str, Any]) -> str:
    """A network's docstring with what is true of all: its images, its arguments, its errors; then its example."""
    indent = "\n    "
    first, _, rest = inspect.cleandoc(text).partition("\n\n")
    size, smallest = limits.get("size", ImageModel.size), limits.get("smallest", ImageModel.smallest)
    images = f"Images are {size}×{size} unless `input_shape` says otherwise, and at least {smallest}×{smallest}."
    parts = [first, images, "\n".join(f"{name}: {MEANINGS[name]}" for name in names), RAISES, rest]
    return indent.join("\n\n".join(part for part in parts if part).split("\n")) + indent
