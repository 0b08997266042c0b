"""What all image networks of the zoo share: the checks of their arguments, their input, their head, their weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..builder import later, layers
from ..builder.input import Input
from ..builder.model import Model
from ..builder.weight_matching import assign_all, listed, match
from ..trainer.core.dims import Dim
from ..trainer.core.errors import ShapeError, describe_received, format_shape
from ..trainer.core.tensor import Tensor
from .pretrained import Pretrained, check_packages, download

IMAGENET_CLASSES = 1000


@dataclass
class ImageModel:
    """The arguments that every image network takes, checked.

    size: height and width for which the published weights of the classifier were trained
    smallest: least height and width after which something is left of an image
    sized: when height and width must be known: "top" (with the classifier), "always" or "never"
    exact: whether the published classifier is for images of `size` alone
    """

    kind: str
    include_top: bool
    weights: str | os.PathLike[str] | None
    input_tensor: Any
    input_shape: Sequence[int | None] | None
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str | None
    size: int = 224
    smallest: int = 32
    sized: str = "top"
    exact: bool = True

    def __post_init__(self) -> None:
        who = self.kind
        if self.pooling not in (None, "avg", "max"):
            raise ValueError(f"{who}: pooling must be None, 'avg' or 'max', got {self.pooling!r}")
        if not isinstance(self.classes, int) or isinstance(self.classes, bool) or self.classes < 1:
            raise ValueError(f"{who}: classes must be a positive integer, got {describe_received(self.classes)}")
        if self.weights == "imagenet":
            self._check_published()
        elif self.weights is not None:
            self._check_path()

    def _check_published(self) -> None:
        if self.include_top and self.classes != IMAGENET_CLASSES:
            raise ValueError(
                f"{self.kind}: weights='imagenet' with the top has {IMAGENET_CLASSES} classes, got "
                f"classes={self.classes}; "
                "pass include_top=False and add your own Dense layer, or weights=None"
            )
        if self.include_top and self.classifier_activation not in (None, "softmax"):
            raise ValueError(
                f"{self.kind}: the published classifier ends in 'softmax' (or None, for logits), got "
                f"classifier_activation={self.classifier_activation!r}"
            )
        check_packages()

    def _check_path(self) -> None:
        if not isinstance(self.weights, (str, os.PathLike)):
            raise TypeError(
                f"{self.kind}: weights must be None, 'imagenet' or a path, got {describe_received(self.weights)}"
            )
        if not Path(self.weights).is_file():
            raise ValueError(
                f"{self.kind}: weights must be None (random), 'imagenet' or the path of a file; there is no file "
                f"{str(self.weights)!r}"
            )

    @property
    def needs_sizes(self) -> bool:
        """Whether height and width must be known."""
        return self.sized == "always" or (self.sized == "top" and self.include_top)

    def shape(self) -> tuple[int | None, ...]:
        """Height, width and channels. Raises `ShapeError` for what the network cannot take."""
        default = (self.size, self.size, 3)
        published = self.weights == "imagenet"
        if self.input_shape is None:
            return default if self.needs_sizes else (None, None, 3)
        shape = tuple(self.input_shape)
        who = f"{self.kind}: input_shape {format_shape(shape)}"
        if len(shape) != 3:
            raise ShapeError(f"{who} must be three sizes, height, width and channels, such as {default}")
        if published and shape[2] != 3:
            raise ShapeError(f"{who} has {shape[2]} channels, weights='imagenet' needs 3; or pass weights=None")
        if shape[2] is None:
            raise ShapeError(f"{who}: the number of channels must be known")
        if published and self.include_top and self.exact and shape != default:
            raise ShapeError(
                f"{who}: the published classifier was trained for {default}; pass include_top=False for other sizes"
            )
        if any(size is not None and size < self.smallest for size in shape[:2]):
            raise ShapeError(f"{who} is too small: height and width must be at least {self.smallest}")
        if self.needs_sizes and None in shape[:2]:
            raise ShapeError(
                f"{who}: height and width must be known here; give sizes such as {default}"
                + (", or pass include_top=False" if self.sized == "top" else "")
            )
        return shape

    def images(self) -> Tensor:
        """The tensor of images to start from."""
        x = self.input_tensor
        if x is None:
            return Input(self.shape())
        if not isinstance(x, Tensor) or x.array is not None:
            raise TypeError(
                f"{self.kind}: input_tensor must be symbolic, such as Input((224, 224, 3)), got {describe_received(x)}"
            )
        if len(x.shape) != 4:
            raise ShapeError(f"{self.kind}: input_tensor must have rank 4 (batch, height, width, channels), got {x!r}")
        sizes = [None if isinstance(size, Dim) else size for size in x.shape[1:]]
        ImageModel(**{**vars(self), "input_shape": sizes, "input_tensor": None}).shape()
        return x

    def pooled(self, x: Tensor, average: str | None = "avg_pool", largest: str | None = "max_pool") -> Tensor:
        """Features without the top, pooled over height and width if that was asked for."""
        if self.pooling == "avg":
            return layers.GlobalAveragePooling2D(name=average)(x)
        return layers.GlobalMaxPooling2D(name=largest)(x) if self.pooling == "max" else x

    def head(self, x: Tensor, dropout: float = 0.0, **dense: Any) -> Tensor:
        """Average over height and width, then the classifier; or what `pooling` asks for, without the top."""
        if not self.include_top:
            return self.pooled(x)
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(dropout, name="top_dropout")(x) if dropout > 0 else x
        return self.predictions(x, **dense)

    def predictions(self, x: Tensor, name: str = "predictions", **dense: Any) -> Tensor:
        """The classifier: a dense layer with the activation that was asked for."""
        return layers.Dense(self.classes, activation=self.classifier_activation, name=name, **dense)(x)

    def finish(self, x: Tensor, outputs: Tensor, published: Pretrained | None = None) -> Model:
        """The model from the inputs behind `x` to the outputs, with its weights loaded."""
        sources = [x] if self.input_tensor is None else sources_of(x)
        model = Model(sources[0] if len(sources) == 1 else sources, outputs, name=self.name)
        if self.weights == "imagenet":
            if published is None:
                raise ValueError(f"{self.kind}: no weights are published for these arguments; pass weights=None")
            model.load_weights(download(published, self.include_top))
        elif self.weights is not None:
            load_from(model, Path(self.weights))
        return model


def sources_of(x: Tensor) -> list[Tensor]:
    """The inputs from which a symbolic tensor is computed."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    pending = [x]
    while pending:
        tensor = pending.pop()
        if id(tensor) in seen or tensor.symbol is None or tensor.symbol.variable is not None:
            continue
        seen.add(id(tensor))
        if tensor.symbol.node is None:
            found[id(tensor)] = tensor
        else:
            pending.extend(source for source in tensor.symbol.node.inputs if source is not None)
    return list(found.values())


def load_from(model: Model, path: Path) -> None:
    """Weights from a file of weights, or from a saved model of the same architecture (`.onnx`)."""
    if path.suffix.lower() != ".onnx":
        model.load_weights(path)
        return
    stored = {name: variable for variable, name in later.load_model(path).weight_names().items()}
    names = model.weight_names()
    matched, missing, unexpected = match(names, stored)
    if missing or unexpected:
        lacks = [f"it lacks {listed(missing)}"] if missing else []
        extra = [f"the model has no {listed(unexpected)}"] if unexpected else []
        raise ValueError(
            f"{str(path)!r} does not fit model '{model.name}': {'; '.join(lacks + extra)}. Build the model that the "
            "file was written for; files written by save(), or by export(keep_weights=True), hold every weight by name"
        )
    pairs = [(variable, name, stored[name].array) for variable, name in matched.items()]
    assign_all(pairs, f"{str(path)!r} does not fit model '{model.name}'")
