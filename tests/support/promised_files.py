"""Files that are right for inputs of which something is true that they cannot say: written by hand, idiom by idiom."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper
from their_files import INT64, draw, model_of, node, value

BOOL = onnx.TensorProto.BOOL


class Case(NamedTuple):
    """A file, inputs that keep its promise, and inputs that do not (None: there are none)."""

    make: Callable[[], onnx.ModelProto]
    kept: dict[str, Any]
    broken: dict[str, Any] | None = None


def image(height: int, width: int) -> dict[str, Any]:
    return {"x": draw(2, 1, height, width)}


def skip() -> onnx.ModelProto:
    """Halved and doubled again: what the way around meets has the same size for even images alone."""
    weights = {"w": draw(3, 1, 3, 3), "v": draw(3, 1, 2, 2)}
    nodes = [
        node("Conv", ["x", "w"], ["a"], "down", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("ConvTranspose", ["a", "v"], ["b"], "up", strides=[2, 2]),
        node("Add", ["b", "x"], ["s"], "skip"),
        node("Concat", ["s", "b"], ["y"], "join", axis=1),
    ]
    return model_of(nodes, [value("x", ["n", 1, "h", "w"])], [value("y", ["n", 2, "h", "w"])], weights)


def like_another(operator: str = "Resize", **options: Any) -> onnx.ModelProto:
    """An image in the size of another, as feature pyramids do."""
    nodes = [node("Shape", ["z"], ["s"], "size"), node("Resize", ["x", "", "", "s"], ["y"], "resize", **options)]
    inputs = [value("x", ["n", 1, "h", "w"]), value("z", ["n", 1, "p", "q"])]
    return model_of(nodes, inputs, [value("y", ["n", 1, "p", "q"])])


def by_factor(factor: float, **options: Any) -> onnx.ModelProto:
    weights = {"f": np.asarray([1, 1, factor, factor], np.float32)}
    nodes = [node("Resize", ["x", "", "f"], ["y"], "resize", **options)]
    return model_of(nodes, [value("x", ["n", 1, "h", "w"])], [value("y", ["n", 1, None, None])], weights)


def squeezed() -> onnx.ModelProto:
    nodes = [node("Squeeze", ["x", "axes"], ["s"], "squeeze"), node("MatMul", ["s", "w"], ["y"], "product")]
    weights = {"axes": np.asarray([1]), "w": draw(4, 3)}
    return model_of(nodes, [value("x", ["n", "t", 4])], [value("y", ["n", 3])], weights)


def squeezed_if_one(nested: bool = False) -> onnx.ModelProto:
    """What PyTorch's exporter writes of `x.squeeze(1)`: a choice between results of different rank."""
    one = node("Squeeze", ["x", "axes"], ["one"], "squeeze")
    many = node("Identity", ["x"], ["many"], "keep")
    branches: dict[str, Any] = {
        "then_branch": helper.make_graph([one], "then", [], [value("one", ["n", 4])]),
        "else_branch": helper.make_graph([many], "else", [], [value("many", ["n", "t", 4])]),
    }
    nodes = [
        node("Shape", ["x"], ["shape"], "shape"),
        node("Gather", ["shape", "place"], ["size"], "size"),
        node("Equal", ["size", "axes"], ["single"], "single"),
        node("If", ["single"], ["s"], "choice", **branches),
        node("MatMul", ["s", "w"], ["y"], "product"),
    ]
    weights = {"axes": np.asarray([1]), "place": np.asarray([1]), "w": draw(4, 3)}
    inputs, outputs = [value("x", ["n", "t", 4])], [value("y", ["n", 3])]
    if not nested:
        return model_of(nodes, inputs, outputs, weights)
    other = [node("ReduceSum", ["x", "axes"], ["z0"], "sum", keepdims=0), node("MatMul", ["z0", "w"], ["z"], "other")]
    nodes[-1] = node("MatMul", ["s", "w"], ["v"], "product")
    whole: dict[str, Any] = {
        "then_branch": helper.make_graph(nodes, "whole", [], [value("v", ["n", 3])]),
        "else_branch": helper.make_graph(other, "sum", [], [value("z", ["n", 3])]),
    }
    inputs = [*inputs, value("which", [], BOOL)]
    return model_of([node("If", ["which"], ["y"], "outer", **whole)], inputs, outputs, weights)


def spectra() -> onnx.ModelProto:
    weights = {"step": np.asarray(4), "window": np.hanning(8).astype(np.float32)}
    nodes = [node("STFT", ["x", "step", "window"], ["y"], "spectra")]
    return model_of(nodes, [value("x", ["n", "length"])], [value("y", ["n", None, 5, 2])], weights)


def places_from_the_end() -> onnx.ModelProto:
    nodes = [node("GatherND", ["x", "i"], ["y"], "places")]
    inputs = [value("x", ["a", "b", 3]), value("i", ["k", 2], INT64)]
    return model_of(nodes, inputs, [value("y", ["k", 3])])


def in_rows() -> onnx.ModelProto:
    weights = {"shape": np.asarray([0, -1, 4]), "w": draw(4, 2)}
    nodes = [node("Reshape", ["x", "shape"], ["r"], "rows"), node("MatMul", ["r", "w"], ["y"], "product")]
    return model_of(nodes, [value("x", ["n", "length"])], [value("y", ["n", None, 2])], weights)


def two_names() -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "z"], ["y"], "product")]
    return model_of(nodes, [value("x", ["n", "inner"]), value("z", ["outer", 3])], [value("y", ["n", 3])])


FLOORED = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
PAIR = {"x": draw(1, 1, 3, 5), "z": draw(1, 1, 7, 4)}
CASES = {
    "a skip connection": Case(skip, image(6, 8), image(7, 8)),
    "nearest, sizes of another": Case(lambda: like_another(**FLOORED), PAIR),
    "linear, sizes of another": Case(lambda: like_another(mode="linear"), PAIR),
    "corners, sizes of another": Case(
        lambda: like_another(mode="linear", coordinate_transformation_mode="align_corners"), PAIR
    ),
    "linear, sizes of another, as PyTorch": Case(
        lambda: like_another(mode="linear", coordinate_transformation_mode="pytorch_half_pixel"), PAIR
    ),
    "nearest, a broken factor": Case(lambda: by_factor(1.5, **FLOORED), image(5, 6)),
    "three times, rounded to the nearest": Case(
        lambda: by_factor(3, mode="nearest", coordinate_transformation_mode="asymmetric"), image(3, 4)
    ),
    "halved, linear": Case(lambda: by_factor(0.5, mode="linear"), image(5, 6)),
    "one squeezed": Case(squeezed, {"x": draw(3, 1, 4)}, {"x": draw(3, 2, 4)}),
    "one squeezed by a choice": Case(squeezed_if_one, {"x": draw(3, 1, 4)}),
    "one squeezed by a choice in a choice": Case(
        lambda: squeezed_if_one(True), {"x": draw(3, 1, 4), "which": np.asarray(True)}
    ),
    "spectra of any length": Case(spectra, {"x": draw(2, 33)}),
    "places counted from the end": Case(
        places_from_the_end, {"x": draw(4, 5, 3), "i": np.asarray([[0, -1], [-4, 2]])}
    ),
    "rows of four": Case(in_rows, {"x": draw(2, 12)}, {"x": draw(2, 10)}),
    "one size, two names": Case(
        two_names, {"x": draw(2, 4), "z": draw(4, 3)}, {"x": draw(2, 4), "z": draw(5, 3)}
    ),
}  # fmt: skip
"""By name."""
