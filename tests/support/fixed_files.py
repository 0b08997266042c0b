"""ONNX files, made by hand, that hard-code a batch of one and the size of their images as exporters write them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DRAW = np.random.default_rng(3)


def weight(*shape: int) -> np.ndarray:
    return DRAW.normal(size=shape).astype("float32")


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, "int64")


def write(
    path: Path, shape: Sequence[Any], nodes: Sequence[Any], constants: dict[str, np.ndarray], output: Sequence[Any]
) -> Path:
    """A file of one input `x` and one output `y`."""
    graph = helper.make_graph(
        list(nodes), "fixed", [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(output))],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), [output], name=f"/{output}/{operator}", **attributes)


def classifier(path: Path) -> Path:
    """Convolution, a Reshape to (1, 64) and Gemm: only the batch can be freed."""
    nodes = [node("Conv", "x k", "c"), node("Relu", "c", "r"), node("Reshape", "r s", "f"), node("Gemm", "f w b", "y")]
    constants = {"k": weight(4, 3, 3, 3), "s": ints(1, 64), "w": weight(64, 5), "b": weight(5)}
    return write(path, (1, 3, 6, 6), nodes, constants, (1, 5))


def attention(path: Path) -> Path:
    """Heads split and joined by Reshapes with all sizes written out, (1, 6, 8) in and out."""
    nodes = [
        node("MatMul", "x w", "q"), node("Reshape", "q apart", "p"), node("Transpose", "p", "h", perm=[0, 2, 1, 3]),
        node("Reshape", "h flat", "g"), node("Transpose", "g", "t", perm=[0, 2, 1]), node("MatMul", "g t", "s"),
        node("Softmax", "s", "a", axis=-1), node("MatMul", "a g", "v"), node("Reshape", "v back", "u"),
        node("Transpose", "u", "o", perm=[0, 2, 1, 3]), node("Reshape", "o whole", "y"),
    ]  # fmt: skip
    constants = {
        "w": weight(8, 8), "apart": ints(1, 6, 2, 4), "flat": ints(2, 6, 4), "back": ints(1, 2, 6, 4),
        "whole": ints(1, 6, 8),
    }  # fmt: skip
    return write(path, (1, 6, 8), nodes, constants, (1, 6, 8))


def upsampling(path: Path) -> Path:
    """Half the size and back to (8, 8) by a Resize with sizes, joined with the image; a Slice that ends at 8."""
    nodes = [
        node("MaxPool", "x", "m", kernel_shape=[2, 2], strides=[2, 2]), node("Conv", "m k", "c", pads=[1, 1, 1, 1]),
        helper.make_node("Resize", ["c", "", "", "size"], ["u"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        node("Concat", "x u", "j", axis=1), node("Slice", "j from to axes", "y"),
    ]  # fmt: skip
    constants = {"k": weight(2, 3, 3, 3), "size": ints(1, 2, 8, 8), "from": ints(1), "to": ints(8), "axes": ints(2)}
    return write(path, (1, 3, 8, 8), nodes, constants, (1, 5, 7, 8))


def patches(path: Path) -> Path:
    """Patches as tokens behind a token that is expanded to the batch: how a vision transformer begins."""
    nodes = [
        node("Conv", "x k", "c", strides=[2, 2]), node("Reshape", "c s", "f"),
        node("Transpose", "f", "t", perm=[0, 2, 1]), node("Expand", "token e", "w"),
        node("Concat", "w t", "j", axis=1), node("ReduceMean", "j", "y", axes=[1], keepdims=0),
    ]  # fmt: skip
    constants = {"k": weight(4, 3, 2, 2), "s": ints(1, 4, 16), "token": weight(1, 1, 4), "e": ints(1, 1, 4)}
    return write(path, (1, 3, 8, 8), nodes, constants, (1, 4))


def recurrent(path: Path) -> Path:
    """An LSTM that begins in states of zeros for a batch of one."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r", "b", "", "h", "c"], ["s", "last"], hidden_size=3, name="lstm"),
        node("Reshape", "last f", "y"),
    ]
    constants = {
        "w": weight(1, 12, 4), "r": weight(1, 12, 3), "b": weight(1, 24), "h": np.zeros((1, 1, 3), "float32"),
        "c": np.zeros((1, 1, 3), "float32"), "f": ints(1, 3),
    }  # fmt: skip
    return write(path, (1, 5, 4), nodes, constants, (1, 3))


def turned(path: Path) -> Path:
    """Time before the batch, both in one axis for a product and taken apart again, as in PyTorch's attention."""
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Reshape", "t flat", "f"),
        node("MatMul", "f w", "m"),
        node("Reshape", "m apart", "a"),
        node("Transpose", "a", "b", perm=[1, 0, 2]),
        node("Add", "b x", "y"),
    ]
    constants = {"flat": ints(6, 8), "w": weight(8, 8), "apart": ints(6, 1, 8)}
    return write(path, (1, 6, 8), nodes, constants, (1, 6, 8))


def interpolated(path: Path) -> Path:
    """Twice the size by linear interpolation."""
    nodes = [
        node("Conv", "x k", "c"),
        helper.make_node("Resize", ["c", "", "twice"], ["y"], mode="linear", name="resize"),
    ]
    constants = {"k": weight(2, 3, 1, 1), "twice": np.float32([1, 1, 2, 2])}
    return write(path, (1, 3, 6, 6), nodes, constants, (1, 2, 12, 12))


FILES: dict[str, Callable[[Path], Path]] = {
    f.__name__: f for f in (classifier, attention, upsampling, patches, recurrent, turned, interpolated)
}  # fmt: skip
