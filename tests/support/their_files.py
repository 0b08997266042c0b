"""Files as the exporters of others write them, made by hand: idiom by idiom."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import sardonyx as sx

FLOAT, HALF, INT8, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT64
node = helper.make_node


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed + len(shape)).normal(size=shape).astype(np.float32)


def value(name: str, shape: list, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(
    nodes: list, inputs: list, outputs: list, weights: dict[str, Any] | None = None, opset: int = 17, ir: int = 8,
    **options: Any,
) -> onnx.ModelProto:  # fmt: skip
    """A model with texts in all the places where ONNX has them."""
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "their graph", inputs, outputs, initializers, doc_string="what it is for")
    graph.output[0].doc_string = "what comes out"
    imports = [helper.make_opsetid("", opset), *options.pop("imports", [])]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir, producer_name="theirs", **options)
    helper.set_model_props(model, {"names": "cat,dog"})
    model.model_version = 3
    return model


def dense(weights: dict[str, Any], *first: Any, **options: Any) -> onnx.ModelProto:
    nodes = [*first, node("MatMul", ["x", "w"], ["h"], "/fc/MatMul"), node("Add", ["h", "b"], ["y"], "/fc/Add")]
    return model_of(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], weights, **options)


def packed(opset: int, block: int = 0, axis: int | None = None) -> onnx.ModelProto:
    """A weight of eight bits behind DequantizeLinear: of one scale, one a column, or one a block of rows."""
    scale = np.float32(0.05) if axis is None else np.abs(draw(3)) / 50 + np.float32(0.01)
    zero: Any = np.int8(3) if axis is None else np.asarray([1, -2, 0], np.int8)
    if block:
        scale, zero = np.abs(draw(2, 3)) / 50 + np.float32(0.01), np.zeros((2, 3), np.int8)
    weights = {"q": np.clip(draw(4, 3) * 40, -127, 127).astype(np.int8), "s": scale, "z": zero, "b": draw(3)}
    options = {} if axis is None else {"axis": axis}
    if block:
        options["block_size"] = block
    first = node("DequantizeLinear", ["q", "s", "z"], ["w"], "dq", **options)
    return dense(weights, first, opset=opset, ir=10 if opset > 18 else 8)


def in_constants() -> onnx.ModelProto:
    made = [node("Constant", [], [k], value=numpy_helper.from_array(a)) for k, a in (("w", draw(4, 3)), ("b", draw(3)))]
    return dense({}, *made)


def in_half() -> onnx.ModelProto:
    weights = {"w16": draw(4, 3).astype(np.float16), "b": draw(3)}
    return dense(weights, node("Cast", ["w16"], ["w"], "unpack", to=FLOAT))


def as_inputs() -> onnx.ModelProto:
    model = dense({"w": draw(4, 3), "b": draw(3)}, ir=3, opset=8)
    model.graph.input.extend([value("w", [4, 3]), value("b", [3])])
    return model


def channels_last() -> onnx.ModelProto:
    nodes = [
        node("Transpose", ["x:0"], ["t1"], "model/conv/Transpose__1", perm=[0, 3, 1, 2]),
        node("Conv", ["t1", "k", "b"], ["c"], "model/conv/Conv2D", pads=[1, 1, 1, 1]),
        node("Tanh", ["c"], ["r"], "model/act/Tanh"),
        node("Transpose", ["r"], ["Identity:0"], "model/out__2", perm=[0, 2, 3, 1]),
    ]
    shapes = [value("x:0", ["unk__1", 6, 5, 2])], [value("Identity:0", ["unk__1", 6, 5, 3])]
    return model_of(nodes, *shapes, {"k": draw(3, 2, 3, 3), "b": draw(3)})


def odd_names() -> onnx.ModelProto:
    nodes = [
        node("Gemm", ["a b/c:0", "w/1", ""], ["/x/"], "same"), node("Tanh", ["/x/"], ["ü"], "/same/"),
        node("Gemm", ["ü", "w.1"], ["out/0"]), node("Sigmoid", ["out/0"], ["out/0/1"], ""),
    ]  # fmt: skip
    shapes = [value("a b/c:0", ["dim 0", 4])], [value("out/0/1", ["dim 0", 2])]
    return model_of(nodes, *shapes, {"w/1": draw(4, 3), "w.1": draw(3, 2)})


def scalars() -> onnx.ModelProto:
    nodes = [node("Mul", ["x", "factor"], ["m"]), node("Add", ["m", "w"], ["y"])]
    return model_of(nodes, [value("x", ["N", 3]), value("factor", [])], [value("y", ["N", 3])], {"w": draw(3)})


def empty_inputs() -> onnx.ModelProto:
    nodes = [
        node("Resize", ["x", "", "scales"], ["big"], "grow", mode="nearest"),
        node("Clip", ["big", "", "most"], ["low"]), node("ReduceMean", ["low"], ["mean"], axes=[2, 3], keepdims=0),
        node("Gemm", ["mean", "w"], ["y"]),
    ]  # fmt: skip
    weights = {"scales": np.float32([1, 1, 2, 2]), "most": np.float32(0.7), "w": draw(2, 3)}
    return model_of(nodes, [value("x", ["N", 2, 3, 3])], [value("y", ["N", 3])], weights)


def tied() -> onnx.ModelProto:
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "down"), node("Identity", ["w"], ["w2"], "same_weight"),
        node("Transpose", ["w2"], ["wt"], perm=[1, 0]), node("Tanh", ["h"], ["t"]),
        node("MatMul", ["t", "wt"], ["y"], "up"),
    ]  # fmt: skip
    return model_of(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], {"w": draw(4, 3)})


def with_function() -> onnx.ModelProto:
    body = [node("MatMul", ["a", "m"], ["ab"]), node("Tanh", ["ab"], ["c"])]
    function = helper.make_function("their.own", "Block", ["a", "m"], ["c"], body, [helper.make_opsetid("", 17)])
    nodes = [node("Block", ["x", "w"], ["h"], "block", domain="their.own"), node("Gemm", ["h", "v"], ["y"], "head")]
    shapes = [value("x", ["N", 4])], [value("y", ["N", 2])]
    weights = {"w": draw(4, 3), "v": draw(3, 2)}
    return model_of(nodes, *shapes, weights, imports=[helper.make_opsetid("their.own", 1)], functions=[function])


def branches() -> onnx.ModelProto:
    def branch(operator: str, name: str) -> Any:
        return helper.make_graph([node(operator, ["h", "v"], [name], name)], name, [], [value(name, ["N", 3])])

    nodes = [
        node("MatMul", ["x", "w"], ["h"]), node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["c"]),
        node("If", ["c"], ["y"], "choice", then_branch=branch("Add", "then"), else_branch=branch("Mul", "else")),
    ]  # fmt: skip
    weights = {"w": draw(4, 3), "v": draw(3), "zero": np.float32(0)}
    return model_of(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], weights)


def stacking_loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Identity", ["going"], ["on"]), node("MatMul", ["state", "w"], ["m"]), node("Tanh", ["m"], ["next"]),
         node("Identity", ["next"], ["kept"])],
        "body", [value("i", [], INT64), value("going", [], TensorProto.BOOL), value("state", ["N", 3])],
        [value("on", [], TensorProto.BOOL), value("next", ["N", 3]), value("kept", ["N", 3])],
    )  # fmt: skip
    nodes = [node("Loop", ["steps", "", "x"], ["last", "all"], "loop", body=body), node("Add", ["all", "b"], ["y"])]
    weights = {"steps": np.int64(4), "w": draw(3, 3), "b": draw(3)}
    return model_of(nodes, [value("x", ["N", 3])], [value("y", [4, "N", 3]), value("last", ["N", 3])], weights)


def sequences() -> onnx.ModelProto:
    nodes = [
        node("SplitToSequence", ["x", "two"], ["parts"], axis=1), node("SequenceAt", ["parts", "one"], ["second"]),
        node("SequenceAt", ["parts", "zero"], ["first"]), node("Mul", ["second", "w"], ["scaled"]),
        node("SequenceConstruct", ["scaled", "first"], ["joined"]),
        node("ConcatFromSequence", ["joined"], ["y"], axis=1),
    ]  # fmt: skip
    weights = {"two": np.int64(2), "one": np.int64(1), "zero": np.int64(0), "w": draw(2)}
    return model_of(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], weights)


def computed_shape() -> onnx.ModelProto:
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["shape"], axis=0), node("Reshape", ["x", "shape"], ["r"], "view"),
        node("MatMul", ["r", "w"], ["y"]),
    ]  # fmt: skip
    weights = {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([2, 3]), "w": draw(3, 2)}
    return model_of(nodes, [value("x", ["N", 6])], [value("y", ["N", 2, 2])], weights)


def slopes() -> onnx.ModelProto:
    nodes = [node("Conv", ["x", "k"], ["c"], "conv"), node("PRelu", ["c", "slope"], ["y"], "prelu")]
    weights = {"k": draw(3, 2, 1, 1), "slope": np.abs(draw(3, 1, 1))}
    return model_of(nodes, [value("x", ["N", 2, 3, 3])], [value("y", ["N", 3, 3, 3])], weights)


def masked() -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Where", ["m", "h", "low"], ["z"]), node("Softmax", ["z"], ["y"])]
    weights = {"w": draw(4, 3), "m": np.asarray([True, True, False]), "low": np.float32([-np.inf] * 3)}
    return model_of(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], weights)


def old_softmax() -> onnx.ModelProto:
    nodes = [node("Conv", ["x", "k"], ["c"]), node("Softmax", ["c"], ["y"], "flat")]
    return model_of(nodes, [value("x", ["N", 2, 2, 2])], [value("y", ["N", 3, 2, 2])], {"k": draw(3, 2, 1, 1)}, 9)


FILES: dict[str, tuple[Callable[[], onnx.ModelProto], int]] = {
    "plain": (lambda: dense({"w": draw(4, 3), "b": draw(3)}), 2),
    "weights in Constant nodes": (in_constants, 2),
    "float16 behind Cast": (in_half, 2),
    "int8, one scale": (lambda: packed(17), 2),
    "int8, a scale a column": (lambda: packed(17, axis=1), 2),
    "int8, a scale a block": (lambda: packed(21, 2, 0), 2),
    "initializers as inputs": (as_inputs, 2),
    "channels last": (channels_last, 2),
    "odd names": (odd_names, 2),
    "scalar input": (scalars, 1),
    "inputs left out": (empty_inputs, 1),
    "tied weights": (tied, 1),
    "a function of its own": (with_function, 2),
    "If": (branches, 2),
    "Loop that stacks": (stacking_loop, 2),
    "sequences": (sequences, 1),
    "a computed shape": (computed_shape, 1),
    "PRelu": (slopes, 2),
    "a mask": (masked, 1),
    "Softmax before 13": (old_softmax, 1),
}
"""By name: what makes the file, and how many weights it has that can be trained."""


def write(folder: Path, name: str) -> Path:
    (folder / "theirs.onnx").write_bytes(FILES[name][0]().SerializeToString())
    return folder / "theirs.onnx"


def in_runtime(path: Path, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()  # optimized, it would compute with eight bits what stands in eight bits
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feed)


def data(path: Path) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return {x.name: draw(*[d if isinstance(d, int) else 2 for d in x.shape], seed=7) for x in session.get_inputs()}


def called(model: Any, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    values = list(feed.values())
    return [np.asarray(x) for x in sx.tree.flatten(model(values[0] if len(values) == 1 else values))]


def close(found: list, expected: list) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def names_of(model: Any) -> set[str]:
    return {x.name for x in model.graph.node if x.name} | {x.name for x in model.graph.initializer}
