"""onnxruntime sessions: the only place that imports onnxruntime."""

from __future__ import annotations

from typing import Any

from .lazy import LazyModule

onnxruntime: Any = LazyModule("onnxruntime")


def session(model: bytes | str, providers: list[str] | None = None, optimize: bool = True, threads: int = 0, device: str = "auto") -> Any:
    """An onnxruntime session for a serialized model or a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=providers or ["CPUExecutionProvider"])
