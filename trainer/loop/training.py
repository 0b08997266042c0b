"""The loops of fit, evaluate and predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import callbacks as listening
from ..allocation import keep_freed_memory
from ..core import tree
from ..data.sources import arrays_in_memory, class_weighted, make_source, train_validation_split
from ..data.structure import arrays_of, check_same_length, unpack_x_y_sample_weight
from ..threads import limited_threads
from .steps import as_numbers


class Batches:
    """A source in epochs of a fixed number of steps, or of one pass; raises `RuntimeError` when data runs out early."""

    def __init__(self, source: Any, steps: int | None, what: str) -> None:
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1):
            raise ValueError(f"{what} must be a positive integer, got {steps!r}")
        self.source = source
        self.what = what
        self.steps = steps if steps is not None else source.batches
        self.limit = steps
        self.running: Iterator[Any] | None = None

    def check_epochs(self, epochs: int) -> None:
        """Raise `ValueError` when an iterator without a number of steps shall serve several epochs."""
        if epochs > 1 and self.limit is None and not getattr(self.source, "restarts", True):
            raise ValueError(
                f"an iterator gives its batches once and cannot serve {epochs} epochs: pass something that can be "
                f"iterated again (a list, a dataset, a DataLoader), or {self.what} with an endless generator"
            )

    def epoch(self) -> Iterator[Any]:
        """The batches of the next epoch."""
        if self.limit is None:
            count = 0
            for batch in self.source.epoch():
                count += 1
                yield batch
            if count == 0:
                raise RuntimeError(
                    "the data yielded no batch in this epoch: an iterator gives its batches once. Pass something that "
                    "can be iterated again (a list, a dataset, a DataLoader), or steps with an endless generator"
                )
            self.steps = count
            return
        for step in range(self.limit):
            if self.running is None:
                self.running = iter(self.source.epoch())
            batch = next(self.running, None)
            if batch is None and (self.source.batches is not None or getattr(self.source, "restarts", False)):
                self.running = iter(self.source.epoch())
                batch = next(self.running, None)
            if batch is None:
                raise RuntimeError(
                    f"the data ran out after {step} of {self.limit} steps of this epoch ({self.what}={self.limit}); "
                    "the model keeps what it has learned so far. Give more batches, fewer steps or an endless generator"
                )
            yield batch


def split_validation(
    x: Any, y: Any, sample_weight: Any, validation_data: Any, validation_split: float
) -> tuple[Any, Any, Any, Any]:
    """Training arrays and validation data, the latter split off from the former if asked."""
    if validation_split and validation_data is None:
        train, held_out = train_validation_split((x, y, sample_weight), validation_split)
        return (*train, held_out)
    return x, y, sample_weight, validation_data


def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: Any = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool | str = True,
    class_weight: dict[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: Any = 1,
) -> Any:
    """Train `model`; see `Model.fit`. Returns the History callback."""
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise ValueError(f"epochs must be a positive integer, got {epochs!r}")
    if isinstance(initial_epoch, bool) or not isinstance(initial_epoch, (int, np.integer)) or initial_epoch < 0:
        raise ValueError(f"initial_epoch must be an integer, 0 or more, got {initial_epoch!r}")
    check_frequency(validation_freq)
    x, y, sample_weight, validation_data = split_validation(x, y, sample_weight, validation_data, validation_split)
    source = make_source(x, y, sample_weight, batch_size, shuffle)
    if class_weight is not None:
        source = class_weighted(source, class_weight)
    batches = Batches(source, steps_per_epoch, "steps_per_epoch")
    batches.check_epochs(epochs - initial_epoch)
    validation = None
    if validation_data is not None:
        validation = validation_batches(validation_data, validation_batch_size or batch_size, validation_steps)
        validation.check_epochs(sum(_due(validation_freq, epoch + 1) for epoch in range(initial_epoch, epochs)))
    listeners = listening.CallbackList.of(
        callbacks, add_history=True, add_progbar=verbose != 0, model=getattr(model, "whole", model), verbose=verbose,
        epochs=epochs, steps=batches.steps,
    )  # fmt: skip
    model.stop_training = False
    keep_freed_memory()
    with limited_threads():
        rehearse = rehearsal(model, batches, validation, class_weight)
        run_epochs(model, range(initial_epoch, epochs), batches, validation, validation_freq, listeners, rehearse)
    return model.history


def rehearsal(model: Any, batches: Batches, validation: Batches | None, class_weight: Any) -> Callable[[Any], None]:
    """What is done with the first batch before it trains: see `Model.rehearse`."""
    whole = arrays_in_memory(batches.source)
    held_out = None if validation is None else arrays_in_memory(validation.source)
    return lambda batch: model.rehearse(batch, whole, held_out, class_weight)


def run_epochs(
    model: Any, epochs: range, batches: Batches, validation: Batches | None, validation_freq: Any, listeners: Any,
    rehearse: Callable[[Any], None],
) -> None:  # fmt: skip
    """Train epoch by epoch, validating where it is due."""
    listeners.on_train_begin()
    logs: dict[str, Any] = {}
    step = model.step_runner("train_step", None if batches.steps is None else batches.steps * len(epochs))
    for epoch in epochs:
        model.reset_metrics()
        listeners.on_epoch_begin(epoch)
        first = rehearse if epoch == epochs[0] else None
        begun = step.begin_epoch(is_undisturbed(batches, listeners))
        logs = run_batches(begun, batches, listeners, "train", model, first)
        if validation is not None and _due(validation_freq, epoch + 1):
            results = evaluate_batches(model, validation, listeners)
            logs = {**logs, **{f"val_{name}": value for name, value in results.items()}}
        listeners.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    step.release()
    if model.optimizer is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    listeners.on_train_end(logs)


def is_undisturbed(batches: Batches, listeners: Any) -> bool:
    """Whether nobody can change the model between the steps of an epoch: no data of the user's making, no callback."""
    return arrays_in_memory(batches.source) is not None and not listeners.may_act


def check_frequency(frequency: Any) -> None:
    """Raise `ValueError` unless validation is due every so many epochs, or after listed ones."""
    if isinstance(frequency, (list, tuple, set, range)):
        return
    if isinstance(frequency, bool) or not isinstance(frequency, (int, np.integer)) or frequency < 1:
        raise ValueError(
            f"validation_freq must be a positive integer or a list of epochs counted from 1, got {frequency!r}"
        )


def _due(frequency: Any, epoch: int) -> bool:
    """Whether an epoch (counted from 1) is one to validate after."""
    return epoch % frequency == 0 if isinstance(frequency, (int, np.integer)) else epoch in frequency


def validation_batches(data: Any, batch_size: int | None, steps: int | None) -> Batches:
    """Validation data, given as arrays in a tuple or as a dataset, as batches."""
    if isinstance(data, (tuple, list)):
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        return Batches(make_source(x, y, sample_weight, batch_size), steps, "validation_steps")
    return Batches(make_source(data, batch_size=batch_size), steps, "validation_steps")


def run_batches(
    step: Callable[[Any], Any], batches: Batches, listeners: Any, mode: str, model: Any,
    first: Callable[[Any], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run a step over one epoch, telling the callbacks; returns the logs of the last batch. `first` sees the first."""
    begin, end = getattr(listeners, f"on_{mode}_batch_begin"), getattr(listeners, f"on_{mode}_batch_end")
    logs: dict[str, Any] = {}
    for i, batch in enumerate(batches.epoch()):
        if first is not None and i == 0:
            first(batch if isinstance(batch, tuple) else (batch,))
        begin(i)
        results = step(batch if isinstance(batch, tuple) else (batch,))
        logs = as_numbers(results if isinstance(results, dict) else {"loss": results})
        end(i, logs)
        if mode == "train" and getattr(model, "stop_training", False):
            break
    return logs


def evaluate_batches(model: Any, batches: Batches, listeners: Any) -> dict[str, Any]:
    """Loss and metrics over one pass."""
    model.reset_metrics()
    listeners.on_test_begin()
    step = model.step_runner("test_step", batches.steps)
    logs = run_batches(step.begin_epoch(is_undisturbed(batches, listeners)), batches, listeners, "test", model)
    listeners.on_test_end(logs)
    return logs


def evaluate(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
    sample_weight: Any = None,
    steps: int | None = None,
    callbacks: Any = None,
    return_dict: bool = False,
) -> Any:
    """Loss and metrics in inference mode; see `Model.evaluate`."""
    batches = Batches(make_source(x, y, sample_weight, batch_size), steps, "steps")
    listeners = listening.CallbackList.of(
        callbacks, add_history=False, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1,
        steps=batches.steps,
    )  # fmt: skip
    with limited_threads():
        logs = evaluate_batches(model, batches, listeners)
        model.step_runner("test_step", None).release()
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def predict(
    model: Any,
    x: Any,
    batch_size: int | None = None,
    verbose: Any = "auto",
    steps: int | None = None,
    callbacks: Any = None,
    step: Callable[[Any], Any] | None = None,
) -> Any:
    """Predictions for all samples as arrays in the structure of the model's output; see `Model.predict`."""
    batches = Batches(make_source(x, batch_size=batch_size), steps, "steps")
    listeners = listening.CallbackList.of(
        callbacks, add_history=False, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1,
        steps=batches.steps,
    )  # fmt: skip
    listeners.on_predict_begin()
    collected: list[Any] = []
    run = step or model.predict_step
    for i, batch in enumerate(batches.epoch()):
        listeners.on_predict_batch_begin(i)
        outputs = tree.map_structure(np.asarray, run(batch if isinstance(batch, tuple) else (batch,)))
        collected.append(outputs)
        listeners.on_predict_batch_end(i, {"outputs": outputs})
    listeners.on_predict_end()
    first = collected[0]
    if len(collected) == 1:
        return first
    joined = [np.concatenate(parts) for parts in zip(*[tree.flatten(c) for c in collected], strict=True)]
    return tree.pack_sequence_as(first, joined)


def on_batch(
    model: Any, step: Callable[[Any], Any], x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool
) -> Any:
    """One step on one batch; returns loss and metrics as a list, a number or a dictionary."""
    samples = check_same_length(x=arrays_of(x, "x"))
    source = make_source(x, y, sample_weight, batch_size=samples)
    if class_weight is not None:
        source = class_weighted(source, class_weight)
    batch = next(iter(source.epoch()))
    logs = as_numbers(step(batch if isinstance(batch, tuple) else (batch,)))
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
