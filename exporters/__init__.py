"""Graphs to ONNX files and back, and the onnxruntime sessions that run them."""

from .compare import Comparison, compare
from .convert import DEFAULT_OPSET, run_graph, to_onnx, write_onnx
from .opsets import newest_opset
from .runtime import session

__all__ = ["DEFAULT_OPSET", "Comparison", "compare", "newest_opset", "run_graph", "session", "to_onnx", "write_onnx"]
