"""Which engine predicts: onnxruntime where the model can be exported, NumPy otherwise or on request."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..exporters.runtime import session
from ..trainer.core import tree
from ..trainer.core.device import asked_device
from ..trainer.core.dims import is_fresh
from ..trainer.core.errors import SymbolicValueError
from ..trainer.core.tensor import Tensor
from ..trainer.data.structure import arrays_of, unpack_x_y_sample_weight
from .inference import InferenceSession
from .matching import match_inputs

RUNTIMES = ("auto", "onnxruntime", "numpy")
BATCH_BYTES = 4 * 2**20


def prediction_step(model: Any, runtime: str, device: str, providers: list[str] | None) -> Callable[[Any], Any]:
    """A function from a batch to predictions; raises `ValueError` for a runtime that does not exist.

    With "auto", a model that cannot be exported predicts on NumPy, after one warning that says why.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"predict: runtime must be one of {', '.join(map(repr, RUNTIMES))}; got {runtime!r}")
    own_step = model.predict_step
    if runtime == "numpy" or not _steps_by_default(model):
        return own_step

    def step(data: Any) -> Any:
        x, _, _ = unpack_x_y_sample_weight(data)
        if not model.built:
            return own_step(data)
        try:
            running = inference_session(model, device, providers)
        except (NotImplementedError, SymbolicValueError) as error:
            if runtime == "onnxruntime":
                raise
            if not model._sessions.get("warned"):
                model._sessions["warned"] = True
                warnings.warn(f"model '{model.name}' predicts on NumPy: {error}", stacklevel=2)
            return own_step(data)
        values: list[Any] = [v.array if isinstance(v, Tensor) else v for v in match_inputs(model.plan, x, None)]
        if any(0 in np.shape(v) for v in values):
            return own_step(data)  # onnxruntime ends the process where a recurrent layer gets an empty batch
        try:
            results = running(values)
        except Exception:
            own_step(data)  # where NumPy refuses the values too, its error names the layer and what it expects
            raise
        running.accept(x, values)
        return results

    return step


def runs_whole(model: Any, x: Any) -> bool:
    """Whether arrays are one batch that must not be cut: the model's inputs share no axis of samples.

    A file may take a single number, or a state whose first axis is the layer, beside its batch; or give a result that
    holds something else than a row for each sample.
    """
    plan = getattr(model, "_plan", None)
    if plan is None or not _steps_by_default(model):
        return False
    inputs, outputs = plan.input_tensors, plan.output_tensors
    given = tree.flatten(x)
    if len(given) != len(inputs) or not all(_is_in_memory(value) for value in given):
        return False
    first: list[Any] = [tensor.shape[0] if tensor.shape else None for tensor in inputs]
    if None in first:
        return True
    lengths = {np.shape(value)[:1] for value in given}
    if all(isinstance(size, int) for size in first):
        return len(set(first)) > 1 or lengths == {(first[0],)}
    if len(set(first)) > 1:
        return len(lengths) > 1 or not all(is_fresh(size) for size in first)
    return any(not tensor.shape or tensor.shape[0] != first[0] for tensor in outputs)


def _is_in_memory(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, Tensor, int, float))


def predict_whole(step: Callable[[Any], Any], x: Any) -> Any:
    """The prediction for arrays as they are, as one batch."""
    return tree.map_structure(np.asarray, step((arrays_of(x, "x"),)))


def predict_at_once(model: Any, x: Any, batch_size: int | None, device: str, providers: list[str] | None) -> Any:
    """The prediction for an array like one that was predicted before; None where the long way is to be taken.

    It is for requests of one batch, where the checks and the loop of the long way take longer than the model.
    """
    if type(x) is not np.ndarray or not x.shape or not _steps_by_default(model):
        return None
    size = largest_batch(x) if batch_size is None else batch_size
    running = model._sessions.get((asked_device(device), tuple(providers or ())))
    if running is None or type(size) is not int or x.shape[0] > size:
        return None
    return running.run_accepted(x)


def largest_batch(x: Any) -> int:
    """Samples that onnxruntime predicts at once where the user does not say: 256, fewer of large ones, 32 at least.

    Fewer calls cost less; the memory for what lies between layers grows with the samples and their size.
    """
    return max(32, min(256, BATCH_BYTES * len(x) // max(x.nbytes, 1)))


def batch_size_for(model: Any, x: Any, runtime: str, device: str, providers: list[str] | None) -> int | None:
    """The batch size of a prediction for which the user gave none; None leaves it to the loop."""
    if runtime == "numpy" or type(x) is not np.ndarray or not x.shape or not _steps_by_default(model):
        return None
    return largest_batch(x) if model.built and _can_run(model, device, providers) else None


def _can_run(model: Any, device: str, providers: list[str] | None) -> bool:
    try:
        inference_session(model, device, providers)
    except (NotImplementedError, SymbolicValueError):
        return False
    return True


def _steps_by_default(model: Any) -> bool:
    return type(model).predict_step is DEFAULT_STEP["predict_step"] and "predict_step" not in vars(model)


DEFAULT_STEP: dict[str, Any] = {}
"""The library's own `predict_step`: a model that overrides it is run as it is written."""


def inference_session(model: Any, device: str = "auto", providers: list[str] | None = None) -> InferenceSession:
    """The cached session of a model for a device, up to date with its weights."""
    device = asked_device(device)
    key = (device, tuple(providers or ()))
    running = model._sessions.get(key)
    if running is None:
        running = model._sessions[key] = InferenceSession(model, device, providers)
    running.refresh()
    return running


def run_file(path: Any, *inputs: Any, device: str = "auto") -> list[Any]:
    """Run an ONNX file in onnxruntime: outputs, as arrays, for inputs in the order of the file's."""
    running = session(str(path), device=asked_device(device))
    return running.run(None, {x.name: value for x, value in zip(running.get_inputs(), inputs, strict=True)})
