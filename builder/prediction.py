"""Which engine predicts: onnxruntime where the model can be exported, NumPy otherwise or on request."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..exporters.runtime import session
from ..trainer.core.errors import SymbolicValueError
from ..trainer.core.tensor import Tensor
from ..trainer.data.structure import unpack_x_y_sample_weight
from .inference import InferenceSession
from .matching import match_inputs

RUNTIMES = ("auto", "onnxruntime", "numpy")


def prediction_step(model: Any, runtime: str, device: str, providers: list[str] | None) -> Callable[[Any], Any]:
    """A function from a batch to predictions; raises `ValueError` for a runtime that does not exist.

    With "auto", a model that cannot be exported predicts on NumPy, after one warning that says why.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"predict: runtime must be one of {', '.join(map(repr, RUNTIMES))}; got {runtime!r}")
    own_step = model.predict_step
    is_default = getattr(type(own_step.__self__), "predict_step", None) is DEFAULT_STEP.get("predict_step")
    if runtime == "numpy" or not is_default:
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
        values = [v.array if isinstance(v, Tensor) else v for v in match_inputs(model.plan, x, None)]
        if any(0 in np.shape(v) for v in values):
            return own_step(data)  # onnxruntime ends the process where a recurrent layer gets an empty batch
        try:
            return running(values)
        except Exception:
            own_step(data)  # where NumPy refuses the values too, its error names the layer and what it expects
            raise

    return step


DEFAULT_STEP: dict[str, Any] = {}
"""The library's own `predict_step`: a model that overrides it is run as it is written."""


def inference_session(model: Any, device: str = "auto", providers: list[str] | None = None) -> InferenceSession:
    """The cached session of a model for a device, up to date with its weights."""
    key = (device, tuple(providers or ()))
    running = model._sessions.get(key)
    if running is None:
        running = model._sessions[key] = InferenceSession(model, device, providers)
    running.refresh()
    return running


def run_file(path: Any, *inputs: Any, device: str = "auto") -> list[Any]:
    """Run an ONNX file in onnxruntime: outputs, as arrays, for inputs in the order of the file's."""
    running = session(str(path), device=device)
    return running.run(None, {x.name: value for x, value in zip(running.get_inputs(), inputs, strict=True)})
