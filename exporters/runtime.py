"""onnxruntime sessions: the only place that imports onnxruntime."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core.device import canonical_device
from ..trainer.core.later import LazyModule

onnxruntime: Any = LazyModule("onnxruntime")

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
NO_START = "onnxruntime has the CUDA provider, but could not start it (driver, CUDA or cuDNN)"
ONLY = "the installed onnxruntime has only {}"


def session(
    model: bytes | str,
    providers: Sequence[Any] | None = None,
    optimize: bool = True,
    threads: int = 0,
    device: str = "auto",
    weights: Mapping[str, np.ndarray] | None = None,
    plan_memory: bool = True,
) -> Any:
    """An onnxruntime session for a serialized model or a file.

    device: `"auto"` takes a GPU where onnxruntime can use one, `"cuda"` demands it
    providers: onnxruntime's own names, or pairs of name and options; they decide instead of `device`
    optimize: let onnxruntime's passes over the graph run, which for thousands of nodes take seconds
    threads: of one operator; 0 leaves it to onnxruntime
    weights: of initializers that the model says lie elsewhere; the session reads them where they are, without a copy
    plan_memory: one block for all values, laid out after the first run, whose own memory is kept beside it; without,
        only the latter: about 0.6 of the memory of a training step, at the same speed

    Raises `ValueError` for an unknown device or provider, `RuntimeError` where a demanded GPU is not to be had.
    """
    device = canonical_device(device)
    wanted = _providers(device, providers)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = plan_memory
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    running = onnxruntime.InferenceSession(model, options, providers=wanted)
    running.shared_weights = list((weights or {}).values())  # their memory must live as long as the session
    if device == "cuda" and providers is None and CUDA not in running.get_providers():
        raise RuntimeError(_no_gpu(NO_START))
    return running


def device_value(array: Any, device: str) -> Any:
    """onnxruntime's value of an array: on the CPU the same memory, else a copy on the device."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array, device)


def loads(model: bytes) -> bool:
    """Whether the installed onnxruntime accepts a model."""
    try:
        session(model, optimize=False, device="cpu")
    except Exception:  # onnxruntime's classes of errors have no common name
        return False
    return True


def explain(error: Exception, sources: Mapping[str, str]) -> RuntimeError:
    """An error of onnxruntime with the node it speaks of: its path in the model and the user's line that made it.

    sources: for nodes by name, the line they come from
    """
    text = str(error)
    found = re.search(r"running (\w+) node\. Name:'([^']*)'", text) or re.search(r"Node \(([^)]*)\) Op \((\w+)\)", text)
    if found is None:
        return RuntimeError(f"onnxruntime: {text}")
    operator, name = found.groups() if "running" in found.group() else reversed(found.groups())
    line = sources.get(name, "")
    where = f"\n  made by {line}" if line else ""
    reason = text.rsplit("Status Message:", maxsplit=1)[-1].strip()
    return RuntimeError(f"onnxruntime: operator {operator} at '{name}' failed: {reason}{where}")


def session_device(running: Any) -> str:
    """Where a session runs: "cuda" or "cpu"."""
    return "cuda" if CUDA in running.get_providers() else "cpu"


def engine_device(device: str) -> str:
    """ "cpu" or "cuda" for a device as `session` takes it: with "auto" a GPU where onnxruntime can use one.

    Raises `RuntimeError` where a demanded GPU is not to be had.
    """
    asked = canonical_device(device)
    if asked == "cuda" and not _has_gpu():
        available = onnxruntime.get_available_providers()
        raise RuntimeError(_no_gpu(NO_START if CUDA in available else ONLY.format(", ".join(available))))
    return ("cuda" if _has_gpu() else "cpu") if asked == "auto" else asked


@functools.cache
def _has_gpu() -> bool:
    """Whether the provider for CUDA starts; that it is installed does not say that a driver and a GPU are there."""
    if CUDA not in onnxruntime.get_available_providers():
        return False
    try:
        device_value(np.zeros(1, "float32"), "cuda")
    except RuntimeError:
        return False
    return True


def _providers(device: str, providers: Sequence[Any] | None) -> list[Any]:
    available = onnxruntime.get_available_providers()
    if providers is not None:
        unknown = [p for p in providers if (p if isinstance(p, str) else p[0]) not in available]
        if unknown:
            raise ValueError(
                f"providers: {unknown[0]!r} is not in the installed onnxruntime; it has {', '.join(available)}"
            )
        return list(providers)
    if device == "cuda" and CUDA not in available:
        raise RuntimeError(_no_gpu(ONLY.format(", ".join(available))))
    # a GPU's default of multiplying with 10 bits of precision would make its results differ in the fourth digit
    return [(CUDA, {"use_tf32": "0"}), CPU] if device == "cuda" or (device == "auto" and _has_gpu()) else [CPU]


def _no_gpu(reason: str) -> str:
    return (
        f'device="cuda": the model cannot run on a GPU here: {reason}. Install GPU support with '
        '`pip install "sardonyx[gpu]"`, or use device="auto" to run where it is possible.'
    )
