"""Training on kept features: `fit(cache_features=...)`, and predictions that are computed once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from ..trainer.callbacks import Progbar
from ..trainer.core import tree
from ..trainer.core.graph import Graph
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from ..trainer.data.structure import arrays_of, check_same_length
from .call import CallContext, LayerCall, contexts
from .feature_store import FeatureStore, key_of
from .features import Split
from .functional import Functional
from .inference import model_proto
from .prediction import largest_batch

OWN_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")


class Shared:
    """An attribute that a head has in common with the whole model."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, head: Any, owner: type) -> Any:
        return self if head is None else getattr(head.whole, self.name)

    def __set__(self, head: Any, value: Any) -> None:
        setattr(head.whole, self.name, value)


class Head(Functional):
    """What is trained of a model, from the features on; losses, metrics, optimizer and callbacks are the model's."""

    UNTRACKED: ClassVar[frozenset[str]] = Functional.UNTRACKED | {"whole", "learned"}
    optimizer: Any = Shared()
    stop_training: Any = Shared()
    history: Any = Shared()
    _compile_arguments: Any = Shared()
    _compiled_loss: Any = Shared()
    _compiled_metrics: Any = Shared()
    _loss_tracker: Any = Shared()

    def __init__(self, whole: Any, split: Split) -> None:
        self.whole = whole
        self.learned: list[Variable] = list(whole.trainable_variables)
        super().__init__(split.features, split.plan.outputs, name=whole.name)

    @property
    def metrics(self) -> list[Any]:
        """The model's metrics."""
        return self.whole.metrics

    def find_trainable_variables(self) -> list[Variable]:
        """The model's, in its order."""
        return list(self.learned)

    def reset_metrics(self) -> None:
        """Before each epoch: raise `ValueError` when a callback has frozen or freed something."""
        now = self.whole.trainable_variables
        if list(map(id, now)) != list(map(id, self.learned)):
            raise ValueError(
                f"model '{self.name}': layers were frozen or freed while it trains on kept features, which were made "
                "for those frozen at first; end this fit, and call fit again (without cache_features, if nothing "
                "before the head is frozen)"
            )
        super().reset_metrics()


def cached_predict(model: Any, x: Any, folder: str | os.PathLike[str], verbose: Any = 0) -> Any:
    """`model.predict(x)`, computed on onnxruntime once and kept on disk: arrays mapped into memory, not to be changed.

    x: arrays in memory, in the structure of the model's input
    folder: where the results are kept, in files whose names tell weights, graph and data; what has changed is computed
        anew, what is damaged too. `clear_features(folder)` deletes them.
    verbose: 1 shows how far it is

    >>> import numpy as np, sardonyx as sx
    >>> base = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3)])
    >>> sx.utils.cached_predict(base, np.ones((8, 4)), "features").shape
    (8, 3)
    """
    data = arrays_of(x, "x")
    samples = check_same_length(x=data)
    specs = [tensor.spec for tensor in model.plan.output_tensors]
    key = key_of(model_proto(model).SerializeToString(deterministic=True), tree.flatten(data))
    arrays = FeatureStore(folder).get(key, specs, samples, lambda: batches_of(model, data, samples, verbose))
    outputs = model.plan.outputs
    if not tree.is_nested(outputs):
        return arrays[0]
    remaining = iter(arrays)
    return tree.map_structure(lambda leaf: None if leaf is None else next(remaining), outputs)


def batches_of(model: Any, x: Any, samples: int, verbose: Any) -> Iterator[list[np.ndarray]]:
    """The outputs of a model, flat, for some samples at a time."""
    leaves = tree.flatten(x)
    fixed = [tensor.shape[0] for tensor in model.plan.input_tensors if tensor.shape]
    size = next((n for n in fixed if isinstance(n, int)), largest_batch(max(leaves, key=lambda array: array.nbytes)))
    bar = Progbar(samples, verbose=0 if verbose == 0 else 1, unit_name="sample", label="features ")
    for start in range(0, samples, size):
        part = tree.map_structure(lambda array, at=start: array[at : at + size], x)
        yield tree.flatten(model.predict(part, batch_size=size, verbose=0))
        bar.update(min(start + size, samples))


def on_features(model: Any, where: Any, x: Any, validation_data: Any, verbose: Any) -> tuple[Any, Any, Any]:
    """What `fit(cache_features=where)` trains: the model's head, and features in the place of its data.

    where: a folder, or True for a temporary one

    Raises `ValueError` for a model that has no frozen part, or one whose results change from call to call.
    """
    refuse(model, where, x, validation_data)
    if not model.built:
        model.predict_on_batch(tree.map_structure(lambda array: array[:1], arrays_of(x, "x")))
    check_modes(model)
    split = Split(model)
    split.check()
    base = Functional(model.plan.inputs, split.features, name=model.name)
    if where is True:
        # what is mapped into memory stays there when its file has lost its name
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return Head(model, split), *_data(base, folder, x, validation_data, verbose)
    return Head(model, split), *_data(base, where, x, validation_data, verbose)


def _data(base: Any, folder: Any, x: Any, validation_data: Any, verbose: Any) -> tuple[Any, Any]:
    features = cached_predict(base, x, folder, verbose)
    check_independence(base, arrays_of(x, "x"), features)
    if validation_data is None:
        return features, None
    return features, (cached_predict(base, validation_data[0], folder, verbose), *validation_data[1:])


def check_independence(base: Any, x: Any, features: Any) -> None:
    """Raise `ValueError` unless a sample's features are its own, whatever else is in its batch."""
    if any(isinstance(tensor.shape[0], int) for tensor in base.plan.input_tensors if tensor.shape):
        return
    alone = base.predict(tree.map_structure(lambda array: array[:1], x), verbose=0)
    for one, of_batch in zip(tree.flatten(alone), tree.flatten(features), strict=True):
        largest = max(float(np.abs(one).max(initial=0)), 1e-6)
        if not np.allclose(one, of_batch[:1], rtol=1e-2, atol=1e-3 * largest, equal_nan=True):
            raise ValueError(
                f"cache_features: in model '{base.name}' the features of a sample depend on the other samples of its "
                "batch, so they differ from epoch to epoch; train without cache_features"
            )


def check_modes(model: Any) -> None:
    """Raise `ValueError` for a subclass whose `call` does other things in training, beside what its layers do."""
    if model._plan is not None:
        return
    learning, predicting = outline(model, True), outline(model, False)
    if learning != predicting or any(learning[2:]):
        raise ValueError(
            f"cache_features: call() of class {type(model).__name__} does other things in training than in inference, "
            "or adds losses or assigns variables itself; train without cache_features, or keep the features "
            "yourself: sx.utils.cached_predict(base, x, folder)"
        )


def outline(model: Any, training: bool) -> Any:
    """What a subclass's `call` does in one of the modes: the layers it calls, and operations between them."""
    args, kwargs = model.symbolic_arguments()
    context = CallContext(training, [])
    with Trace() as effects:
        contexts.stack.append(context)
        try:
            outputs = model._call_in_mode(args, kwargs, training)
        finally:
            contexts.stack.pop()
    results = [x for x in tree.flatten(outputs) if isinstance(x, Tensor)]
    loose = [node.primitive.name for node in Graph([], results).nodes if not isinstance(node.scope, LayerCall)]
    own = [v.path for v in effects.assigned if any(v is mine for mine in model.own_variables())]
    return [id(call.layer) for call in effects.calls if call.parent is None], loose, own, len(context.losses)


def refuse(model: Any, where: Any, x: Any, validation_data: Any) -> None:
    """Raise `TypeError` or `ValueError` for what cannot be trained on kept features."""
    if where is not True:
        FeatureStore(where)
    from_model = type(model)
    own = [name for name in OWN_STEPS if getattr(from_model, name) is not getattr(Functional, name)]
    if own:
        raise ValueError(
            f"cache_features: class {from_model.__name__} has a {own[0]} of its own, which expects the data and not "
            "features of it. Keep the features yourself: sx.utils.cached_predict(base, x, folder)"
        )
    held_out = validation_data[0] if isinstance(validation_data, (tuple, list)) else validation_data
    for what, data in (("x", x), ("validation_data", held_out)):
        leaves = tree.flatten(data)
        if data is not None and not all(isinstance(leaf, (np.ndarray, int, float)) for leaf in leaves):
            raise TypeError(
                f"cache_features: {what} must be arrays in memory, so that changed data is noticed; got "
                f"{type(leaves[0]).__name__}. Pass arrays, or train without cache_features"
            )
