"""BatchNormalization folded into the layer before it, and put behind a layer again."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import activations
from ...trainer.core import tree
from ..call import LayerCall
from ..layers.activation import Activation
from ..layers.convolution import Convolution, SpatialLayer
from ..layers.dense import Dense
from ..layers.depthwise import DepthwiseConvolution
from ..layers.normalization import BatchNormalization
from .draft import Draft
from .outputs import extract
from .places import Place, results_of, sources_of


def fold_batch_normalization(model: Any) -> Any:
    """A model in which each BatchNormalization right behind a convolution or Dense layer is part of that layer.

    What it computes in inference is the same up to rounding. The layers that take one in get weights of their own; all
    others share theirs. A layer with an activation of its own, or used several times, stays as it is.

    >>> import sardonyx as sx
    >>> layers = [sx.layers.Conv2D(4, 3, name="c"), sx.layers.BatchNormalization(), sx.layers.ReLU(name="r")]
    >>> model = sx.Sequential([sx.Input((8, 8, 3)), *layers])
    >>> [layer.name for layer in sx.editing.fold_batch_normalization(model).layers[1:]]
    ['c', 'r']
    """
    draft = Draft(model, "editing.fold_batch_normalization(model)")
    count = 0
    for step in draft.plan.layer_calls():
        before = _layer_before(draft, step)
        if before is None:
            continue
        folded = _folded(before.layer, step.layer, len(results_of(before)[0].shape))
        if folded is not None:
            draft.substitute([before, step], lambda *values, layer=folded: layer(*values))
            count += 1
    if not count:
        raise ValueError(
            f"{draft.task}: model '{model.name}' has no BatchNormalization right behind a convolution or Dense layer "
            "without an activation of its own"
        )
    return draft.build()


def _layer_before(draft: Draft, step: LayerCall) -> LayerCall | None:
    """The only call of a layer whose only use is a call of BatchNormalization; None if it is not so."""
    if not isinstance(step.layer, BatchNormalization) or len(draft.places.calls(step.layer.name)) != 1:
        return None
    sources = [x for x in step.input_tensors() if x.array is None]
    if len(sources) != 1:
        return None
    found = [c for c in draft.plan.layer_calls() if any(x is sources[0] for x in results_of(c))]
    uses = sum(any(x is sources[0] for x in sources_of(other)) for other in draft.plan.steps)
    is_output = any(x is sources[0] for x in draft.plan.output_tensors)
    if not found or uses != 1 or is_output or len(draft.places.calls(found[0].layer.name)) != 1:
        return None
    return found[0]


def _folded(layer: Any, norm: Any, rank: int) -> Any:
    """The layer with the normalization in its weights; None for a layer that cannot take it in."""
    if not _has_kernel(layer) or layer.activation is not activations.linear:
        return None
    axis = layer.channel_axis if isinstance(layer, SpatialLayer) else -1
    kernel, bias = getattr(layer, "kernel", None), getattr(layer, "bias", None)
    if kernel is None or norm.axis % rank != axis % rank or getattr(layer, "lora_rank", None):
        return None
    mean, variance = norm.moving_mean.numpy().astype("float64"), norm.moving_variance.numpy().astype("float64")
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * norm.gamma.numpy()
    shift = -mean * scale if norm.beta is None else norm.beta.numpy() - mean * scale
    made = type(layer).from_config({**layer.get_config(), "use_bias": True})
    made.build(tuple(results_shape(layer)))
    old = kernel.numpy()
    moved = shift if bias is None else bias.numpy() * scale + shift
    made.kernel.assign((old * _along_kernel(layer, scale, old.shape)).astype(old.dtype))
    made.bias.assign(moved.astype(old.dtype))
    made.built = True
    made._trainable = layer.trainable
    return made


def _has_kernel(layer: Any) -> bool:
    return isinstance(layer, (SpatialLayer, Dense))


def results_shape(layer: Any) -> list[Any]:
    """The shape of a layer's input, sizes without a number None, as `build` takes it."""
    source = layer.calls[-1].input_tensors()[0]
    return [size if isinstance(size, int) else None for size in source.shape]


def _along_kernel(layer: Any, scale: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One factor an output channel, in the shape of the kernel's axes."""
    if isinstance(layer, DepthwiseConvolution):
        return scale.reshape(shape[-2:])
    is_plain = isinstance(layer, (Convolution, Dense))
    return scale if is_plain else scale[:, None]


def separate_batch_normalization(
    model: Any, layer: Place, *, data: Any = None, name: str | None = None, copy: bool = False
) -> Any:
    """A model with a BatchNormalization between a convolution or Dense layer and its activation: alive in training.

    The model computes what it did in inference: scale and shift undo the statistics at first.

    data: samples for the model, of which the statistics are taken; without, they are mean 0 and variance 1
    name: of the new layer

    Raises `ValueError` for a layer of another kind.

    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(8, activation="relu", name="d")])
    >>> [layer.name for layer in sx.editing.separate_batch_normalization(model, "d").layers[1:]]
    ['d', 'd_normalization', 'd_activation']
    """
    task = f"editing.separate_batch_normalization(model, {layer!r})"
    draft = Draft(model, task, copy)
    steps = draft.places.steps(layer)
    owner = steps[0].layer if isinstance(steps[0], LayerCall) else None
    if not isinstance(owner, (SpatialLayer, Dense)):
        raise ValueError(f"{task}: a convolution or Dense layer is meant, got {type(owner or steps[0]).__name__}")
    twin = draft.twins.layer(owner)
    activation, twin.activation = twin.activation, activations.linear
    axis = owner.channel_axis if isinstance(owner, SpatialLayer) else -1
    norm = BatchNormalization(axis=axis, name=name or f"{owner.name}_normalization")
    after = Activation(activation, name=f"{owner.name}_activation")

    def call(step: Any) -> Any:
        arguments, keywords = draft.arguments(step)
        y = norm(twin(*arguments, **keywords))
        return y if activation is activations.linear else after(y)

    for step in steps:
        draft.substitute([step], lambda *_, step=step: call(step))
    made = draft.build()
    _settle(norm, *(_moments(made, norm, axis, data) if data is not None else (0.0, 1.0)))
    return made


def _moments(model: Any, norm: Any, axis: int, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of what enters the normalization, by channel."""
    inner = extract(model, [call.input_tensors()[0] for call in norm.calls])
    results = tree.flatten(inner.predict(data, verbose=0))
    flat = [np.moveaxis(np.asarray(x), axis, -1).astype("float64") for x in results]
    rows = np.concatenate([x.reshape(-1, x.shape[-1]) for x in flat])
    return rows.mean(axis=0), rows.var(axis=0)


def _settle(norm: BatchNormalization, mean: Any, variance: Any) -> None:
    """Give a normalization statistics, and the scale and shift that undo them."""
    shape, dtype = norm.moving_mean.shape, norm.moving_mean.dtype
    norm.moving_mean.assign(np.broadcast_to(mean, shape).astype(dtype))
    norm.moving_variance.assign(np.broadcast_to(variance, shape).astype(dtype))
    own = norm.moving_variance.numpy().astype("float64")
    norm.gamma.assign(np.sqrt(own + norm.epsilon).astype(dtype))
    norm.beta.assign(norm.moving_mean.numpy())
