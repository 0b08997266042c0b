"""Small ONNX graphs as exporters write them, and the layers of which they are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def draw(*shape: int) -> np.ndarray:
    """Numbers of about 1."""
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    """Numbers of about 1, none small."""
    return np.abs(draw(*shape)) + np.float32(0.5)


def ints(*values: int) -> np.ndarray:
    """Whole numbers."""
    return np.asarray(values, np.int64)


def single(value: float) -> np.ndarray:
    """A number."""
    return np.asarray(value, np.float32)


@dataclass
class Case:
    """A graph from `x` to `y` and its layers by name.

    nodes: operator, inputs, outputs, name, attributes
    shape: of `x`, the batch first; `batch` says on which axis it is
    """

    nodes: Sequence[tuple[Any, ...]]
    weights: dict[str, np.ndarray]
    shape: tuple[int, ...]
    layers: dict[str, str]
    whole_numbers: int = 0
    opset: int = 17
    batch: int = 0
    outputs: Sequence[str] = ("y",)
    left: Sequence[str] = field(default_factory=list)

    def write(self, path: Path) -> Path:
        """The file."""
        sizes: list[Any] = list(self.shape)
        sizes[self.batch] = "N"
        kind = TensorProto.INT64 if self.whole_numbers else TensorProto.FLOAT
        nodes = []
        for operator, inputs, outputs, *rest in self.nodes:
            name, attributes = rest[0] if rest else "", rest[1] if len(rest) > 1 else {}
            nodes.append(helper.make_node(operator, inputs.split(","), outputs.split(","), name, **attributes))
        graph = helper.make_graph(
            nodes, "theirs", [helper.make_tensor_value_info("x", kind, sizes)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs],
            [numpy_helper.from_array(v, k) for k, v in self.weights.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        del model.graph.value_info[:]
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())
        return path

    def data(self) -> np.ndarray:
        """A batch of three."""
        shape = [3 if i == self.batch else n for i, n in enumerate(self.shape)]
        chosen = np.random.default_rng(1)
        if self.whole_numbers:
            return chosen.integers(0, self.whole_numbers, size=shape)
        return chosen.normal(size=shape).astype(np.float32)


def of_one(operator: str, kind: str, shape: tuple[int, ...] = (1, 4), opset: int = 17, **attributes: Any) -> Case:
    """An operator that is a layer by itself."""
    return Case([(operator, "x", "y", "/act/" + operator, attributes)], {}, shape, {"act": kind}, opset=opset)


def chain(kind: str, *nodes: tuple[Any, ...], **constants: Any) -> Case:
    """Nodes that are an activation together."""
    weights = {k: np.asarray(v, np.float32) for k, v in constants.items()}
    return Case([(*n, f"/act/{n[0]}_{i}") for i, n in enumerate(nodes)], weights, (1, 4), {"act": kind})


def recurrent(operator: str, kind: str, gates: int, both: bool = False, **attributes: Any) -> Case:
    """A recurrent operator as PyTorch writes it with the batch first."""
    d = 2 if both else 1
    count = 8 if operator == "LSTM" else 6 if operator == "GRU" else 2
    weights = {"W": draw(d, gates * 3, 4), "R": draw(d, gates * 3, 3), "B": draw(d, count * 3), "sizes": ints(0, 0, -1)}
    after: list[Any] = [
        ("Squeeze", "a,one", "b", "/rnn/Squeeze"),
        ("Transpose", "b", "y", "/rnn/Transpose_1", {"perm": [1, 0, 2]}),
    ]
    if both:
        after = [
            ("Transpose", "a", "b", "/rnn/Transpose_1", {"perm": [0, 2, 1, 3]}),
            ("Reshape", "b,sizes", "c", "/rnn/Reshape"),
            ("Transpose", "c", "y", "/rnn/Transpose_2", {"perm": [1, 0, 2]}),
        ]
        attributes["direction"] = "bidirectional"
    nodes = [
        ("Transpose", "x", "t", "/rnn/Transpose", {"perm": [1, 0, 2]}),
        (operator, "t,W,R,B", "a", f"/rnn/{operator}", {"hidden_size": 3, **attributes}), *after,
    ]  # fmt: skip
    return Case(nodes, {**weights, "one": ints(1)}, (1, 5, 4), {"rnn": kind})


def attention(before: bool, use_bias: bool = True) -> Case:
    """Two heads of four numbers; scaled before or after the product."""
    weights: dict[str, np.ndarray] = {"sizes": ints(0, 0, 2, 4), "together": ints(0, 0, 8)}
    weights["scale"] = single(0.5 if before else 2.0)
    nodes: list[tuple[Any, ...]] = []
    for k in "qkv":
        weights |= {f"att.{k}.weight": draw(6, 8) + ord(k) / 100, f"att.{k}.bias": draw(8)}
        nodes.append(("MatMul", f"x,att.{k}.weight", f"{k}0", f"/att/{k}/MatMul"))
        if use_bias:
            nodes.append(("Add", f"{k}0,att.{k}.bias", f"{k}1", f"/att/{k}/Add"))
        nodes.append(("Reshape", f"{k}{int(use_bias)},sizes", f"{k}2", f"/att/Reshape_{k}"))
        turned = [0, 2, 3, 1] if k == "k" else [0, 2, 1, 3]
        nodes.append(("Transpose", f"{k}2", f"{k}3", f"/att/Transpose_{k}", {"perm": turned}))
    scaled = [("Mul", "q3,scale", "q4", "/att/Mul"), ("MatMul", "q4,k3", "s", "/att/MatMul")]
    nodes += scaled if before else [("MatMul", "q3,k3", "s0", "/att/MatMul"), ("Div", "s0,scale", "s", "/att/Div")]
    nodes += [
        ("Softmax", "s", "p", "/att/Softmax"), ("MatMul", "p,v3", "m", "/att/MatMul_1"),
        ("Transpose", "m", "t", "/att/Transpose", {"perm": [0, 2, 1, 3]}),
        ("Reshape", "t,together", "r", "/att/Reshape"),
        ("MatMul", "r,att.o.weight", "o" if use_bias else "y", "/att/o/MatMul"),
    ]  # fmt: skip
    weights |= {"att.o.weight": draw(8, 6), "att.o.bias": draw(6)}
    if use_bias:
        nodes.append(("Add", "o,att.o.bias", "y", "/att/o/Add"))
    else:
        weights = {name: w for name, w in weights.items() if not name.endswith("bias")}
    return Case(nodes, weights, (1, 5, 6), {"att": "MultiHeadAttention"})


NORM = {"bn.weight": positive(4), "bn.bias": draw(4), "bn.running_mean": draw(4), "bn.running_var": positive(4)}
LN_CONSTANTS = {"g": positive(4), "b": draw(4), "two": single(2), "eps": single(1e-5)}

CASES: dict[str, Callable[[], Case]] = {
    "MatMul and Add": lambda: Case(
        [("MatMul", "x,onnx::MatMul_7", "a", "/fc/MatMul"), ("Add", "fc.bias,a", "y", "/fc/Add")],
        {"onnx::MatMul_7": draw(4, 5), "fc.bias": draw(5)}, (1, 2, 4), {"fc": "Dense"}),
    "MatMul alone": lambda: Case(
        [("MatMul", "x,w", "y", "/proj/MatMul")], {"w": draw(4, 5)}, (1, 4), {"proj": "Dense"}),
    "MatMul of a transposed weight": lambda: Case(
        [("Transpose", "head.weight", "t", "", {"perm": [1, 0]}), ("MatMul", "x,t", "y")],
        {"head.weight": draw(5, 4)}, (1, 4), {"head": "Dense"}),
    "Gemm": lambda: Case(
        [("Gemm", "x,fc.weight,fc.bias", "y", "/fc/Gemm", {"transB": 1})],
        {"fc.weight": draw(5, 4), "fc.bias": draw(5)}, (1, 4), {"fc": "Dense"}),
    "Keras's Dense with its activation": lambda: Case(
        [("MatMul", "x,model/d1/kernel:0", "a", "model/d1/MatMul"),
         ("Add", "a,model/d1/bias:0", "b", "model/d1/BiasAdd"),
         ("Relu", "b", "c", "model/d1/Relu"), ("MatMul", "c,model/d2/kernel:0", "y", "model/d2/MatMul")],
        {"model/d1/kernel:0": draw(4, 5), "model/d1/bias:0": draw(5), "model/d2/kernel:0": draw(5, 2)}, (1, 4),
        {"model.d1": "Dense", "model.d2": "Dense"}),
    "Gemm with its activation": lambda: Case(
        [("Gemm", "x,w,b", "a", "classes/Gemm"), ("Softmax", "a", "y", "classes/Softmax", {"axis": 1})],
        {"w": draw(4, 5), "b": draw(5)}, (1, 4), {"classes": "Dense"}),
    "Conv, BatchNormalization, Relu": lambda: Case(
        [("Conv", "x,conv.weight,conv.bias", "a", "/conv/Conv", {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
         ("BatchNormalization", "a,bn.weight,bn.bias,bn.running_mean,bn.running_var", "b", "/bn/BatchNormalization"),
         ("Relu", "b", "y", "/relu/Relu")],
        {"conv.weight": draw(4, 2, 3, 3), "conv.bias": draw(4), **NORM}, (1, 2, 6, 6),
        {"conv": "Conv2D", "bn": "BatchNormalization", "relu": "ReLU"}),
    "Conv with its bias added after": lambda: Case(
        [("Conv", "x,w", "a", "Conv.0", {"pads": [1, 1, 1, 1]}), ("Reshape", "b,shape", "c", "Reshape.0"),
         ("Add", "a,c", "y", "Add.0")],
        {"w": draw(4, 2, 3, 3), "b": draw(4), "shape": ints(1, -1, 1, 1)}, (1, 2, 6, 6), {"Conv.0": "Conv2D"}),
    "depthwise": lambda: Case(
        [("Conv", "x,w", "y", "/dw/Conv", {"group": 3, "auto_pad": "SAME_UPPER"})],
        {"w": draw(6, 1, 3, 3)}, (1, 3, 5, 5), {"dw": "DepthwiseConv2D"}),
    "groups": lambda: Case(
        [("Conv", "x,w", "y", "/g/Conv", {"group": 2})], {"w": draw(6, 2, 3)}, (1, 4, 7), {"g": "Conv1D"}),
    "three axes of space": lambda: Case(
        [("Conv", "x,w", "y", "/c/Conv")], {"w": draw(2, 1, 2, 2, 2)}, (1, 1, 4, 4, 4), {"c": "Conv3D"}),
    "ConvTranspose": lambda: Case(
        [("ConvTranspose", "x,w,b", "y", "/up/ConvTranspose",
          {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})],
        {"w": draw(2, 4, 3, 3), "b": draw(4)}, (1, 2, 4, 4), {"up": "Conv2DTranspose"}),
    "LayerNormalization": lambda: Case(
        [("LayerNormalization", "x,ln.weight,ln.bias", "y", "/ln/LayerNormalization", {"axis": -1})],
        {"ln.weight": positive(4), "ln.bias": draw(4)}, (1, 3, 4), {"ln": "LayerNormalization"}),
    "LayerNormalization in parts": lambda: Case(
        [("ReduceMean", "x", "m", "/n/ReduceMean", {"axes": [-1]}), ("Sub", "x,m", "d", "/n/Sub"),
         ("Pow", "d,two", "s", "/n/Pow"), ("ReduceMean", "s", "v", "/n/ReduceMean_1", {"axes": [-1]}),
         ("Add", "v,eps", "e", "/n/Add"), ("Sqrt", "e", "r", "/n/Sqrt"), ("Div", "d,r", "q", "/n/Div"),
         ("Mul", "q,g", "p", "/n/Mul"), ("Add", "p,b", "y", "/n/Add_1")],
        LN_CONSTANTS, (1, 3, 4), {"n": "LayerNormalization"}),
    "LayerNormalization as TensorFlow has it": lambda: Case(
        [("ReduceMean", "x", "m", "n/mean", {"axes": [2]}), ("Sub", "x,m", "d", "n/sub_0"), ("Mul", "d,d", "s", "n/sq"),
         ("ReduceMean", "s", "v", "n/variance", {"axes": [2]}), ("Add", "v,eps", "e", "n/add"),
         ("Sqrt", "e", "r", "n/Sqrt"), ("Reciprocal", "r", "i", "n/Rsqrt"), ("Mul", "i,g", "k", "n/mul"),
         ("Mul", "x,k", "p", "n/mul_1"), ("Mul", "m,k", "o", "n/mul_2"), ("Sub", "b,o", "u", "n/sub"),
         ("Add", "p,u", "y", "n/add_1")],
        LN_CONSTANTS, (1, 3, 4), {"n": "LayerNormalization"}),
    "RMSNorm of language models": lambda: Case(
        [("Pow", "x,two", "s", "/n/Pow"), ("ReduceMean", "s", "v", "/n/ReduceMean", {"axes": [-1]}),
         ("Add", "v,eps", "e", "/n/Add"), ("Sqrt", "e", "r", "/n/Sqrt"), ("Div", "one,r", "i", "/n/Div"),
         ("Mul", "x,i", "q", "/n/Mul"), ("Cast", "q", "c", "/n/Cast", {"to": TensorProto.FLOAT}),
         ("Mul", "g,c", "y", "/n/Mul_1")],
        {"g": positive(4), "two": single(2), "eps": single(1e-2), "one": single(1)}, (1, 3, 4),
        {"n": "RMSNormalization"}),
    "RMSNormalization": lambda: Case(
        [("RMSNormalization", "x,n.weight", "y", "/n/RMSNormalization", {"epsilon": 1e-2})],
        {"n.weight": positive(4)}, (1, 3, 4), {"n": "RMSNormalization"}, opset=23),
    "GroupNorm of PyTorch": lambda: Case(
        [("Reshape", "x,split", "a", "/g/Reshape"),
         ("InstanceNormalization", "a,one,zero", "b", "/g/InstanceNormalization"),
         ("Shape", "x", "s", "/g/Shape"), ("Reshape", "b,s", "c", "/g/Reshape_1"), ("Mul", "c,gamma", "d", "/g/Mul"),
         ("Add", "d,beta", "y", "/g/Add")],
        {"split": ints(0, 2, -1), "one": np.ones(2, np.float32), "zero": np.zeros(2, np.float32),
         "gamma": positive(4, 1, 1), "beta": draw(4, 1, 1)}, (1, 4, 3, 3), {"g": "GroupNormalization"}),
    "InstanceNormalization": lambda: Case(
        [("InstanceNormalization", "x,g,b", "y", "/i/InstanceNormalization")],
        {"g": positive(4), "b": draw(4)}, (1, 4, 3, 3), {"i": "GroupNormalization"}),
    "Relu": lambda: of_one("Relu", "ReLU"), "LeakyRelu": lambda: of_one("LeakyRelu", "LeakyReLU", alpha=0.2),
    "Elu": lambda: of_one("Elu", "ELU"), "Sigmoid": lambda: of_one("Sigmoid", "Activation"),
    "HardSwish": lambda: of_one("HardSwish", "Activation"), "Mish": lambda: of_one("Mish", "Activation", opset=18),
    "Gelu": lambda: of_one("Gelu", "Activation", opset=20, approximate="tanh"),
    "Selu": lambda: of_one("Selu", "Activation"), "LogSoftmax": lambda: of_one("LogSoftmax", "Activation"),
    "HardSigmoid": lambda: of_one("HardSigmoid", "Activation", alpha=1 / 6),
    "Softmax": lambda: of_one("Softmax", "Softmax", (1, 3, 4), axis=1),
    "Softmax of version 12": lambda: of_one("Softmax", "Softmax", opset=12),
    "ReLU6": lambda: Case(
        [("Clip", "x,zero,six", "y", "/act/Clip")], {"zero": single(0), "six": single(6)}, (1, 4), {"act": "ReLU"}),
    "PRelu": lambda: Case(
        [("PRelu", "x,act.weight", "y", "/act/PRelu")], {"act.weight": positive(3, 1, 1)}, (1, 3, 2, 2),
        {"act": "PReLU"}),
    "GELU by erf": lambda: chain(
        "Activation", ("Div", "x,root", "a"), ("Erf", "a", "b"), ("Add", "b,one", "c"), ("Mul", "x,c", "d"),
        ("Mul", "d,half", "y"), root=2**0.5, one=1, half=0.5),
    "GELU by tanh": lambda: chain(
        "Activation", ("Pow", "x,three", "a"), ("Mul", "a,k", "b"), ("Add", "x,b", "c"), ("Mul", "c,r", "d"),
        ("Tanh", "d", "e"), ("Add", "e,one", "f"), ("Mul", "x,half", "g"), ("Mul", "g,f", "y"),
        three=3, k=0.044715, r=(2 / np.pi) ** 0.5, one=1, half=0.5),
    "SiLU": lambda: chain("Activation", ("Sigmoid", "x", "a"), ("Mul", "x,a", "y")),
    "Mish in parts": lambda: chain("Activation", ("Softplus", "x", "a"), ("Tanh", "a", "b"), ("Mul", "x,b", "y")),
    "HardSwish in parts": lambda: chain(
        "Activation", ("Add", "x,three", "a"), ("Clip", "a,zero,six", "b"), ("Div", "b,six", "c"), ("Mul", "x,c", "y"),
        three=3, zero=0, six=6),
    "Embedding": lambda: Case(
        [("Gather", "emb.weight,x", "y", "/emb/Gather")], {"emb.weight": draw(9, 3)}, (1, 4), {"emb": "Embedding"}, 9),
    "LSTM": lambda: recurrent("LSTM", "LSTM", 4),
    "LSTM in both directions": lambda: recurrent("LSTM", "Bidirectional", 4, True),
    "GRU": lambda: recurrent("GRU", "GRU", 3, linear_before_reset=1),
    "GRU, reset before": lambda: recurrent("GRU", "GRU", 3),
    "RNN": lambda: recurrent("RNN", "SimpleRNN", 1),
    "LSTM backwards, time first, both results": lambda: Case(
        [("LSTM", "x,W,R,B", "y,h", "/rnn/LSTM", {"hidden_size": 3, "direction": "reverse"})],
        {"W": draw(1, 12, 4), "R": draw(1, 12, 3), "B": draw(1, 24)}, (5, 1, 4), {"rnn": "Functional"}, batch=1,
        outputs=["y", "h"]),
    "attention, scores divided": lambda: attention(before=False),
    "attention, query scaled": lambda: attention(before=True),
    "attention without biases": lambda: attention(before=False, use_bias=False),
    "MaxPool and AveragePool": lambda: Case(
        [("MaxPool", "x", "a", "/p/MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
         ("AveragePool", "a", "y", "/q/AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]})],
        {}, (1, 2, 8, 8), {"p": "MaxPooling2D", "q": "AveragePooling2D"}),
    "global pooling": lambda: Case(
        [("GlobalAveragePool", "x", "a", "/p/GlobalAveragePool"), ("Flatten", "a", "y", "/f/Flatten")], {},
        (1, 2, 3, 3),
        {"p": "GlobalAveragePooling2D", "f": "Flatten"}),
    "a mean over space": lambda: Case(
        [("ReduceMean", "x", "y", "/p/ReduceMean", {"axes": [2, 3], "keepdims": 0})], {}, (1, 2, 3, 3),
        {"p": "GlobalAveragePooling2D"}),
    "a shape computed from the batch": lambda: Case(
        [("Shape", "x", "s"), ("Gather", "s,zero", "n", "", {"axis": 0}), ("Unsqueeze", "n,axes", "u"),
         ("Concat", "u,rest", "t", "", {"axis": 0}), ("Reshape", "x,t", "y", "/r/Reshape")],
        {"zero": np.asarray(0), "axes": ints(0), "rest": ints(3, -1)}, (1, 2, 6), {"r": "Reshape"}),
    "moved and merged": lambda: Case(
        [("Transpose", "x", "a", "/t/Transpose", {"perm": [0, 2, 1]}), ("Relu", "a", "b", "/u/Relu"),
         ("Concat", "a,b", "c", "/c/Concat", {"axis": 2}), ("Add", "a,b", "d", "/s/Add"), ("Mul", "a,d", "e", "/m/Mul"),
         ("Concat", "c,e", "y", "/e/Concat", {"axis": -1})],
        {}, (1, 2, 3),
        {"t": "Permute", "u": "ReLU", "c": "Concatenate", "s": "Add", "m": "Multiply", "e": "Concatenate"}),
    "Pad and Resize": lambda: Case(
        [("Pad", "x,pads", "a", "/p/Pad"),
         ("Resize", "a,,scales", "y", "/u/Resize",
          {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})],
        {"pads": ints(0, 0, 1, 2, 0, 0, 0, 1), "scales": np.asarray([1, 1, 2, 3], np.float32)}, (1, 2, 3, 3),
        {"p": "ZeroPadding2D", "u": "UpSampling2D"}),
    "Dropout": lambda: Case(
        [("Dropout", "x,ratio", "y", "/d/Dropout")], {"ratio": single(0.3)}, (1, 4), {"d": "Dropout"}),
    "one layer called twice": lambda: Case(
        [("MatMul", "x,w", "a", "/tied/MatMul"), ("Relu", "a", "b", "/r/Relu"),
         ("MatMul", "b,w", "y", "/tied/MatMul_1")],
        {"w": draw(4, 4)}, (1, 4), {"tied": "Dense", "r": "ReLU"}),
    "a table that is a kernel, too": lambda: Case(
        [("Gather", "w,x", "a", "/emb/Gather"), ("Transpose", "w", "t", "", {"perm": [1, 0]}),
         ("MatMul", "a,t", "y", "/out/MatMul")],
        {"w": draw(9, 3)}, (1, 4), {}, 9, left=["Gather", "MatMul"]),
    "a sum with a constant": lambda: Case(
        [("Add", "x,c", "y", "/a/Add")], {"c": draw(4)}, (1, 4), {}, left=["Add"]),
    "an average that counts the frame": lambda: Case(
        [("AveragePool", "x", "y", "/p/AveragePool",
          {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})],
        {}, (1, 2, 4, 4), {}, left=["AveragePool"]),
}  # fmt: skip
