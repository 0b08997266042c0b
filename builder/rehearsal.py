"""The first step of a training on specs alone: what does not fit is told before any weight or statistic changes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..trainer import losses
from ..trainer.core import tree
from ..trainer.core.errors import DtypeError, ShapeError, user_line
from ..trainer.core.spec import TensorSpec
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.data.structure import unpack_x_y_sample_weight
from ..trainer.loop.outputs import flatten_outputs, match_targets, names_of_outputs
from .check_subject import nodes_behind, origin
from .freezing import refuse_all_frozen
from .function import signature_of
from .layer_call import build_layer
from .signature import call_signature
from .step_runner import python_state

OUR_ROOMS = ("sardonyx.trainer.loop", "sardonyx.trainer.losses", "sardonyx.builder.matching")
"""Where errors about data are raised; others are left to the batch itself, which may be of a kind that runs only so."""
CLASSES = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
HANDLES_NAN = frozenset({"isnan", "isfinite", "not_equal", "nan_to_num"})


def rehearse(model: Any, batch: Any, whole: Any, validation: Any, class_weight: Any = None) -> None:
    """Trace forward pass, loss and metrics for a batch, then for validation data, and look at all data in memory.

    whole, validation: (x, y, sample_weight) of all samples, where they are arrays in memory; else None
    """
    x, y, sample_weight = unpack_x_y_sample_weight(batch)
    traced = _trace_step(model, x, y, sample_weight, True)
    if traced is None:
        return
    inputs, y_pred, calls = traced
    refuse_layers_made_in_call(model, calls)
    refuse_all_frozen(model)
    _check_class_weight(model, y_pred, class_weight)
    if whole is not None:
        _check_values(model, whole, inputs, y_pred, calls, "")
    if validation is not None:
        x, y, sample_weight = _rows(validation)
        if _trace_step(model, x, y, sample_weight, False) is not None:
            _check_values(model, validation, inputs, y_pred, calls, "validation_data: ")


def _rows(data: Any) -> list[Any]:
    """A few rows, which stand for the batches to come."""
    return [tree.map_structure(lambda a: None if a is None else a[:32], part) for part in data]


def _trace_step(model: Any, x: Any, y: Any, sample_weight: Any, training: bool) -> tuple[Any, Any, Any] | None:
    """Symbolic inputs, predictions and layer calls of one step; None where the model cannot be traced.

    What was traced before serves again while data and model are of the same kind.
    """
    key = (training, signature_of(tree.flatten([x, y, sample_weight])), python_state(model))
    known = model._rehearsals.get(training)
    if known is None or known[0] != key:
        found = _traced_step(model, x, y, sample_weight, training)
        known = model._rehearsals[training] = ((*key[:2], python_state(model)), found)
    return known[1]


def _traced_step(model: Any, x: Any, y: Any, sample_weight: Any, training: bool) -> tuple[Any, Any, Any] | None:
    inputs = tree.map_structure(_placeholder, x)
    targets, weights = tree.map_structure(_placeholder, y), tree.map_structure(_placeholder, sample_weight)
    kept = model._call_losses, model._untracked_loss
    try:
        if not model.built:  # as a first call does, so that inputs and weights get the names they have then
            build_layer(model, call_signature(type(model)), (inputs,), {})
            _ = model.plan
        with Trace() as trace:
            y_pred = model(inputs, training=training)
            model.compute_loss(x=inputs, y=targets, y_pred=y_pred, sample_weight=weights, training=training)
        _trace_metrics(model, targets, y_pred, weights)
    except (ShapeError, DtypeError):
        raise
    except Exception as error:
        if _is_about_data(error):
            raise
        return None
    finally:
        model._call_losses, model._untracked_loss = kept
    return inputs, y_pred, trace.calls


def _trace_metrics(model: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
    compiled = model._compiled_metrics
    if compiled is None or y is None:
        return
    if not compiled.built:
        compiled.build(model._ready(y_pred).names, y, y_pred)
    with Trace():
        compiled.update_state(y, y_pred, sample_weight)


def _placeholder(leaf: Any) -> Any:
    is_array = isinstance(leaf, (np.ndarray, Tensor))
    return symbolic_input(TensorSpec(leaf.shape, leaf.dtype)) if is_array else leaf


def _is_about_data(error: Exception) -> bool:
    """Whether the library itself refused the data, as it would with the values."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "") if traceback is not None else ""
    return type(error) in (ValueError, TypeError) and module.startswith(OUR_ROOMS)


def refuse_layers_made_in_call(model: Any, calls: Sequence[Any]) -> None:
    """Raise `ValueError` for layers with weights that belong to no attribute: every call would make new ones."""
    held = {id(layer) for layer in model.walk_layers()}
    for call in calls:
        if id(call.layer) in held or not call.layer.own_variables():
            continue
        lines = [node.source for node in nodes_behind(call.output_tensors()) if node.scope is call and node.source]
        raise ValueError(
            f"layer '{call.path}' ({type(call.layer).__name__}) is made inside call(), so every call has new weights "
            "and none of them learns. Make it in __init__ (self.dense = ...) and use it in call()."
            + (f"\n  at {lines[0]}" if lines else "")
        )


def _losses(model: Any, y: Any, y_pred: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Loss, targets and predictions of each output with a loss."""
    compiled = model._compiled_loss
    if compiled is None or not compiled.built or y is None:
        return
    names = compiled.names or names_of_outputs(y_pred, None)
    rows = zip(compiled.losses, match_targets(y, y_pred, names), flatten_outputs(y_pred, names), strict=True)
    yield from (row for row in rows if row[0] is not None and row[1] is not None)


def _check_class_weight(model: Any, y_pred: Any, class_weight: Any) -> None:
    compiled = model._compiled_loss
    if not class_weight or compiled is None or len(compiled.losses) != 1:
        return
    kind = getattr(getattr(compiled.losses[0], "fn", None), "__name__", "")
    units = tree.flatten(y_pred)[0].shape[-1]
    if "categorical" in kind and isinstance(units, int) and max(class_weight) >= units:
        raise ValueError(
            f"class_weight: class {max(class_weight)} does not exist, the model tells {units} classes apart, 0 to "
            f"{units - 1}. Leave that key out, or end the model with {max(class_weight) + 1} units."
        )


def _check_values(model: Any, data: Any, inputs: Any, y_pred: Any, calls: Sequence[Any], name: str) -> None:
    """All samples: token numbers, class numbers, and NaN."""
    x, y, _ = data
    arrays = dict(zip(map(id, tree.flatten(inputs)), tree.flatten(x), strict=False))
    for call in calls:
        sources = call.input_tensors()
        if type(call.layer).__name__ == "Embedding" and sources and id(origin(sources[0])) in arrays:
            _check_tokens(call, np.asarray(arrays[id(origin(sources[0]))]), name)
    for loss, target, prediction in _losses(model, y, y_pred):
        kind = getattr(getattr(loss, "fn", None), "__name__", "")
        labels = np.asarray(target)
        if kind in CLASSES and labels.size:
            ignored = loss.options.get("ignore_class")
            labels = labels if ignored is None else labels[labels != ignored]
            axis = loss.options.get("axis", -1)
            losses.check_class_numbers(f"{name}{kind}", Tensor(labels.astype(np.int64)), prediction.shape[axis])
    nodes = nodes_behind([x for x in tree.flatten(y_pred) if isinstance(x, Tensor)])
    if not any(node.primitive.name in HANDLES_NAN for node in nodes):
        _warn_of_nan("x", x, name)
    _warn_of_nan("y", y, name)


def _check_tokens(call: Any, tokens: np.ndarray, name: str) -> None:
    if not tokens.size:
        return
    rows, low, high = call.layer.input_dim, tokens.min(), tokens.max()
    where = f"{name}layer '{call.path}' (Embedding)"
    if tokens.dtype.kind == "f" and (tokens != np.floor(tokens)).any():
        raise ValueError(
            f"{where}: expected token numbers, whole numbers from 0 to {rows - 1}; got fractions such as "
            f"{tokens[tokens != np.floor(tokens)][0]:.4g}. Pass token numbers, or use Dense for measured values."
        )
    if low < 0 or high >= rows:
        raise IndexError(
            f"{where}: expected token numbers from 0 to {rows - 1} (input_dim={rows}), got {int(low)} to {int(high)}. "
            + (f"Give Embedding(input_dim={int(high) + 1}, ...) or more." if low >= 0 else "Token numbers start at 0.")
        )


def _warn_of_nan(what: str, values: Any, name: str) -> None:
    """One pass over the data: a sum is NaN where any value is."""
    for array in tree.flatten(values):
        if getattr(getattr(array, "dtype", None), "kind", "") != "f":
            continue
        with np.errstate(all="ignore"):
            is_fine = not np.isnan(np.asarray(array).sum())
        count = 0 if is_fine else int(np.isnan(np.asarray(array)).sum())
        if count:
            warnings.warn(
                f"{name}{what} holds {count:,} NaN, and training on them makes every weight NaN. Fill them "
                f"(np.nan_to_num), or leave those samples out.\n  at {user_line()}",
                stacklevel=2,
            )
