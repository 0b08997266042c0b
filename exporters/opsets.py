"""Which versions of ONNX's operators can be written."""

from __future__ import annotations

from functools import cache

from .lazy import onnx
from .runtime import loads

OLDEST = 17
"""The first with LayerNormalization."""

ALWAYS = 21
"""Run by the oldest onnxruntime that the library installs with."""


def check_opset(opset: int) -> int:
    """The opset itself. Raises `ValueError` naming the range that can be written and run here."""
    if isinstance(opset, bool) or not isinstance(opset, int):
        raise ValueError(f"opset: expected a whole number from {OLDEST} to {newest_opset()}, got {opset!r}")
    if OLDEST <= opset <= ALWAYS or ALWAYS < opset <= newest_opset():
        return opset
    raise ValueError(
        f"opset: expected {OLDEST} to {newest_opset()} (the newest that onnx and onnxruntime know here), got {opset}"
    )


@cache
def newest_opset() -> int:
    """The newest opset that the installed onnx writes and the installed onnxruntime loads."""
    for opset in range(onnx.defs.onnx_opset_version(), ALWAYS, -1):
        if loads(_smallest_model(opset)):
            return opset
    return ALWAYS


def _smallest_model(opset: int) -> bytes:
    helper = onnx.helper
    value = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", value[:1], value[1:])
    imports = [helper.make_opsetid("", opset)]
    version = helper.find_min_ir_version_for(imports)
    return helper.make_model(graph, opset_imports=imports, ir_version=version).SerializeToString()
