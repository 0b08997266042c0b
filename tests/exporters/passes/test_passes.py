"""Each pass alone: a small graph before it, the operators after it."""

import numpy as np
import pytest

from sardonyx.exporters.ir import OnnxGraph, OnnxNode
from sardonyx.exporters.origins import Origin
from sardonyx.exporters.passes.convolutions import fold_bias, fold_normalization, fold_padding
from sardonyx.exporters.passes.dead import remove_dead
from sardonyx.exporters.passes.duplicates import merge_duplicates
from sardonyx.exporters.passes.fold import fold_constants
from sardonyx.exporters.passes.identities import remove_identities
from sardonyx.exporters.passes.layout import settle_layout
from sardonyx.exporters.passes.names import name_weights
from sardonyx.exporters.passes.neutral import merge_casts, merge_reshapes, remove_neutral
from sardonyx.exporters.passes.ones import keep_reduced, reshape_ones
from sardonyx.exporters.passes.products import fuse_gemm, turn_operands
from sardonyx.exporters.passes.repeated import average_early, drop_expansions
from sardonyx.exporters.passes.scope import Scope, Shared
from sardonyx.trainer.core.spec import TensorSpec

I64 = np.int64
NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def graph(nodes, shapes, weights=(), outputs=("y",), **initializers):
    """Nodes as "Operator a b -> c" or (that, attributes); the input is x."""
    made = OnnxGraph("g", inputs=["x"], outputs=list(outputs))
    for i, node in enumerate(nodes):
        text, attributes = (node, {}) if isinstance(node, str) else node
        left, right = text.split(" -> ")
        operator, *inputs = left.split()
        made.nodes.append(OnnxNode(operator, inputs, right.split(), dict(attributes), f"n{i}"))
    for name, value in initializers.items():
        made.initializers[name] = np.asarray(value)
        if name in weights:
            made.origins[name] = Origin(name)
    arrays = {name: array.shape for name, array in made.initializers.items()}
    for name, shape in {**shapes, **arrays}.items():
        dtype = made.initializers[name].dtype if name in arrays else np.float32
        made.specs[name] = TensorSpec(shape, dtype)
    return made


def f32(*shape):
    return np.ones(shape, np.float32)


TURN = ("Transpose x -> t", {"perm": [1, 0]})
IMAGE, TURNED = ("b", 4, 5, 3), ("b", 3, 4, 5)

# Name, pass, graph, operators after it ("a b"), whether it says that something changed.
CASES = [
    ("dead", remove_dead, graph(["Relu x -> a", "Neg x -> y"], {}), "Neg", True),
    ("nothing_dead", remove_dead, graph(["Relu x -> y"], {}), "Relu", False),
    ("identity", remove_identities, graph(["Identity x -> a", "Relu a -> y"], {}), "Relu", True),
    ("identity_output", remove_identities, graph(["Relu x -> a", "Identity a -> y"], {}), "Relu", True),
    ("identity_input_to_output", remove_identities, graph(["Identity x -> y"], {}), "Identity", False),
    (
        "cast_to_same",
        remove_identities,
        graph([("Cast x -> a", {"to": np.float32}), "Relu a -> y"], {"x": (2,), "a": (2,)}),
        "Relu",
        True,
    ),
    (
        "reshape_to_same",
        remove_identities,
        graph(["Reshape x s -> a", "Relu a -> y"], {"x": ("b", 2), "a": ("b", 2)}, s=[-1, 2]),
        "Relu",
        True,
    ),
    *[
        (
            f"transposed_{name}",
            reshape_ones,
            graph([("Transpose x -> y", {"perm": NCHW})], {"x": x, "y": y}),
            after,
            after == "Reshape",
        )
        for name, x, y, after in (
            ("ones", ("b", 1, 1, 3), ("b", 3, 1, 1), "Reshape"),
            ("one_of_two", ("b", 1, 5, 3), ("b", 3, 1, 5), "Transpose"),
            ("unknown_sizes", ("b", 1, 1, "c"), ("b", "c", 1, 1), "Transpose"),
            ("maybe_one", ("b", "h", 1, 3), ("b", 3, "h", 1), "Transpose"),
        )
    ],
    *[
        (
            f"reduced_{name}",
            keep_reduced,
            graph(
                [(f"ReduceMean x {axes} -> a", {"keepdims": 0}), "Reshape a s -> r", f"{last} -> y"],
                {"x": ("b", 3, 4, 5), "a": ("b", 3), "r": shape},
                far=[2, -1],
                s=[-1, 3, 1, 1],
            ),
            after,
            after.startswith("ReduceMean ReduceMean"),
        )
        for name, axes, shape, last, after in (
            ("and_back", "far", ("b", 3, 1, 1), "Relu r", "ReduceMean ReduceMean Relu"),
            ("elsewhere", "far", ("b", 1, 1, 3), "Relu r", "ReduceMean Reshape Relu"),
            ("unknown_axes", "x", ("b", 3, 1, 1), "Relu r", "ReduceMean Reshape Relu"),
            ("twice_used", "far", ("b", 3, 1, 1), "Add r a", "ReduceMean Reshape Add"),
        )
    ],
    ("duplicates", merge_duplicates, graph(["Relu x -> a", "Relu x -> c", "Add a c -> y"], {}), "Relu Add", True),
    (
        "random_twice",
        merge_duplicates,
        graph(["RandomUniformLike x -> a", "RandomUniformLike x -> c", "Add a c -> y"], {}),
        "RandomUniformLike RandomUniformLike Add",
        False,
    ),
    (
        "other_attributes",
        merge_duplicates,
        graph([("Softmax x -> a", {"axis": 0}), ("Softmax x -> c", {"axis": 1}), "Add a c -> y"], {}),
        "Softmax Softmax Add",
        False,
    ),
    (
        "fold",
        fold_constants,
        graph([("Transpose w -> a", {"perm": [1, 0]}), "MatMul x a -> y"], {}, w=f32(2, 3)),
        "MatMul",
        True,
    ),
    (
        "fold_static_shape",
        fold_constants,
        graph([("Shape x -> s", {"start": 1}), "Reshape x s -> y"], {"x": ("b", 2)}),
        "Reshape",
        True,
    ),
    (
        "fold_symbolic_shape",
        fold_constants,
        graph(["Shape x -> s", "Reshape x s -> y"], {"x": ("b", 2)}),
        "Shape Reshape",
        False,
    ),
    (
        "fold_division_by_zero",
        fold_constants,
        graph(["Div a c -> d", "Add x d -> y"], {}, a=np.ones(1, I64), c=np.zeros(1, I64)),
        "Div Add",
        False,
    ),
    (
        "add_zero",
        remove_neutral,
        graph(["Add x z -> y"], {"x": (2,), "y": (2,)}, z=np.zeros(2, np.float32)),
        "Identity",
        True,
    ),
    (
        "add_zero_weight",
        remove_neutral,
        graph(["Add x z -> y"], {"x": (2,), "y": (2,)}, weights="z", z=np.zeros(2, np.float32)),
        "Add",
        False,
    ),
    ("multiply_broadcasts", remove_neutral, graph(["Mul x o -> y"], {"x": (1,), "y": (2,)}, o=f32(2)), "Mul", False),
    (
        "reshape_twice",
        merge_reshapes,
        graph(["Reshape x s -> a", "Reshape a t -> y"], {"x": (2, 3), "a": (6,), "y": (3, 2)}, s=[6], t=[3, 2]),
        "Reshape Reshape",
        True,
    ),
    (
        "cast_twice",
        merge_casts,
        graph([("Cast x -> a", {"to": np.float64}), ("Cast a -> y", {"to": np.int32})], {"x": (2,)}),
        "Cast Cast",
        True,
    ),
    (
        "lossy_cast",
        merge_casts,
        graph([("Cast x -> a", {"to": np.int32}), ("Cast a -> y", {"to": np.float32})], {"x": (2,)}),
        "Cast Cast",
        False,
    ),
    (
        "gemm",
        fuse_gemm,
        graph(
            ["MatMul x w -> a", "Add a c -> y"], {"x": ("b", 2), "a": ("b", 3), "y": ("b", 3)}, w=f32(2, 3), c=f32(3)
        ),
        "MatMul Gemm",
        True,
    ),
    (
        "gemm_rank_3",
        fuse_gemm,
        graph(
            ["MatMul x w -> a", "Add a c -> y"],
            {"x": ("b", 4, 2), "a": ("b", 4, 3), "y": ("b", 4, 3)},
            w=f32(2, 3),
            c=f32(3),
        ),
        "MatMul Add",
        False,
    ),
    (
        "gemm_used_twice",
        fuse_gemm,
        graph(
            ["MatMul x w -> a", "Add a c -> d", "Mul a d -> y"],
            {"x": ("b", 2), "a": ("b", 3), "d": ("b", 3)},
            w=f32(2, 3),
            c=f32(3),
        ),
        "MatMul Add Mul",
        False,
    ),
    *[
        (
            f"turned_{name}",
            turn_operands,
            graph([x, f"{product} -> y"], {"x": shape, "t": shape[::-1], "y": (9, 9)}, w=f32(2, 2)),
            after,
            after.endswith("Gemm"),
        )
        for name, x, product, shape, after in (
            ("left", TURN, "MatMul t w", (2, 3), "Transpose Gemm"),
            ("right", TURN, "MatMul w t", (3, 2), "Transpose Gemm"),
            ("both", TURN, "MatMul t t", (2, 2), "Transpose Gemm"),
            ("nothing", "Relu x -> t", "MatMul t w", (2, 2), "Relu MatMul"),
        )
    ],
    (
        "turned_rank_3",
        turn_operands,
        graph(
            [("Transpose x -> t", {"perm": [0, 2, 1]}), "MatMul t w -> y"],
            {"x": (5, 2, 3), "t": (5, 3, 2), "y": (5, 3, 2)},
            w=f32(2, 2),
        ),
        "Transpose MatMul",
        False,
    ),
    (
        "turned_back",
        turn_operands,
        graph([TURN, ("Gemm t w -> y", {"transA": 1})], {"x": (2, 2), "t": (2, 2), "y": (2, 2)}, w=f32(2, 2)),
        "Transpose MatMul",
        True,
    ),
    (
        "gemm_of_turned",
        fuse_gemm,
        graph(
            [("Gemm x w -> a", {"transB": 1}), "Add a c -> y"],
            {"x": ("b", 2), "a": ("b", 3), "y": ("b", 3)},
            w=f32(3, 2),
            c=f32(3),
        ),
        "Gemm Gemm",
        True,
    ),
    (
        "normalization",
        fold_normalization,
        graph(["Conv x w -> a", "BatchNormalization a s s s s -> y"], {}, w=f32(2, 3, 1, 1), s=f32(2)),
        "Conv Conv",
        True,
    ),
    (
        "bias",
        fold_bias,
        graph(["Conv x w -> a", "Add a c -> y"], {"a": ("b", 2, 4, 5)}, w=f32(2, 3, 1, 1), c=f32(1, 2, 1, 1)),
        "Conv Conv",
        True,
    ),
    (
        "bias_of_pixels",
        fold_bias,
        graph(["Conv x w -> a", "Add a c -> y"], {"a": ("b", 2, 4, 5)}, w=f32(2, 3, 1, 1), c=f32(5)),
        "Conv Add",
        False,
    ),
    (
        "padding",
        fold_padding,
        graph(["Pad x p -> a", "Conv a w -> y"], {"a": ("b", 3, 6, 7)}, p=[0, 0, 1, 1, 0, 0, 1, 1], w=f32(2, 3, 1, 1)),
        "Pad Conv",
        True,
    ),
    (
        "padding_of_channels",
        fold_padding,
        graph(["Pad x p -> a", "Conv a w -> y"], {"a": ("b", 3, 6, 7)}, p=[0, 1, 1, 1, 0, 0, 1, 1], w=f32(2, 3, 1, 1)),
        "Pad Conv",
        False,
    ),
    (
        "transposes_cancel",
        settle_layout,
        graph(
            [("Transpose x -> a", {"perm": NHWC}), "Relu a -> c", ("Transpose c -> y", {"perm": NCHW})],
            {"x": TURNED, "a": IMAGE, "c": IMAGE, "y": TURNED},
        ),
        "Relu Identity",
        True,
    ),
    (
        "transpose_and_weights",
        settle_layout,
        graph(
            [("Transpose x -> a", {"perm": NHWC}), "Add a w -> c", ("Transpose c -> y", {"perm": NCHW})],
            {"x": TURNED, "a": IMAGE, "c": IMAGE, "y": TURNED},
            w=f32(3),
        ),
        "Add Identity",
        True,
    ),
    (
        "transpose_and_reduction",
        settle_layout,
        graph(
            [("Transpose x -> a", {"perm": NHWC}), ("ReduceMean a k -> y", {"keepdims": 0})],
            {"x": TURNED, "a": IMAGE, "y": ("b", 3)},
            k=[1, 2],
        ),
        "ReduceMean Identity",
        True,
    ),
    (
        "transpose_before_product",
        settle_layout,
        graph(
            [("Transpose x -> a", {"perm": NHWC}), "MatMul a w -> y"],
            {"x": TURNED, "a": IMAGE, "y": IMAGE},
            w=f32(3, 3),
        ),
        "Transpose MatMul",
        True,
    ),
    (
        "expanded_before_a_sum",
        drop_expansions,
        graph(["Expand w s -> a", "Add a x -> y"], {"x": (2, 3), "a": (2, 3), "y": (2, 3)}, w=f32(1, 3), s=[2, 3]),
        "Expand Add",
        True,
    ),
    (
        "expanded_beyond_the_other",
        drop_expansions,
        graph(["Expand w s -> a", "Mul x a -> y"], {"x": (1, 3), "a": (2, 3), "y": (2, 3)}, w=f32(1, 3), s=[2, 3]),
        "Expand Mul",
        False,
    ),
]


@pytest.mark.parametrize(("change", "before", "after", "changed"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_operators_after(change, before, after, changed):
    assert change(Scope(Shared(before, 21), before)) is changed
    assert [node.operator for node in before.nodes] == after.split()
    assert before.inputs == ["x"] and before.outputs == ["y"]
    made = {"x", *before.initializers}
    for node in before.nodes:
        assert set(filter(None, node.inputs)) <= made, f"{node.name} reads what is not made before it"
        made.update(node.outputs)
    assert "y" in made


def test_weights_that_must_stay_readable_are_not_added_up():
    made = graph(["Add w v -> a", "MatMul x a -> y"], {}, weights="wv", w=f32(2, 2), v=f32(2, 2))
    assert not fold_constants(Scope(Shared(made, 21, keep_weights=True), made))
    assert fold_constants(Scope(Shared(made, 21), made))


def test_folding_does_not_copy_weights():
    made = graph([("Transpose w -> a", {"perm": [1, 0]}), "MatMul x a -> y"], {}, weights="w", w=f32(2, 3))
    fold_constants(Scope(Shared(made, 21), made))
    folded = made.initializers[made.nodes[0].inputs[1]]
    assert np.shares_memory(folded, made.initializers["w"])


def test_equal_weights_stay_apart_and_equal_constants_do_not():
    made = graph(
        ["Add x w -> a", "Add a v -> c", "Mul c k -> d", "Mul d m -> y"],
        {}, weights="wv", w=f32(2), v=f32(2), k=f32(3), m=f32(3),
    )  # fmt: skip
    assert merge_duplicates(Scope(Shared(made, 21), made))
    assert set(made.initializers) == {"w", "v", "k"}


def test_a_moved_weight_takes_the_name_of_its_variable():
    made = graph([("Transpose w -> a", {"perm": [1, 0]}), "MatMul x a -> y"], {}, weights="w", w=f32(2, 3))
    scope = Scope(Shared(made, 21), made)
    for change in (fold_constants, remove_dead, name_weights):
        assert change(scope)
    assert made.nodes[0].inputs == ["x", "w"]
    assert made.origins["w"].steps[0].kind == "transpose"


def test_lstm_without_readers_of_its_states_has_one_output():
    made = graph(["LSTM x w r -> y h c"], {}, w=f32(1), r=f32(1))
    assert remove_dead(Scope(Shared(made, 21), made))
    assert made.nodes[0].outputs == ["y"]


ROWS = ("b", 5, 4)
WIDE = {"x": ROWS, "p": ("b", 5, 6), "q": ("b", 5, 6), "r": ("b", 5, 6), "y": ("b", 6)}
DENSE = ["MatMul x w -> p", "Add p v -> q"]
MEAN = ("ReduceMean q s -> y", {"keepdims": 0})
EARLY = [
    ("dense", [*DENSE, MEAN], ["y"], "ReduceMean MatMul Add"),
    ("kept_axes", [*DENSE, ("ReduceMean q s -> y", {"keepdims": 1})], ["y"], "ReduceMean MatMul Add"),
    ("residual", [*DENSE, "Add q z -> r", ("ReduceMean r s -> y", {})], ["y"], "ReduceMean MatMul Add ReduceMean Add"),
    ("read_elsewhere", [*DENSE, MEAN, "Relu q -> u"], ["y", "u"], "MatMul Add ReduceMean Relu"),
    ("not_linear", ["MatMul x w -> p", "Relu p -> q", MEAN], ["y"], "MatMul Relu ReduceMean"),
    ("over_features", [*DENSE, ("ReduceMean q f -> y", {})], ["y"], "MatMul Add ReduceMean"),
]


@pytest.mark.parametrize(("nodes", "outputs", "after"), [e[1:] for e in EARLY], ids=[e[0] for e in EARLY])
def test_means_of_rows_before_products(nodes, outputs, after):
    weights = {"w": f32(4, 6), "v": f32(6), "z": f32(1, 5, 6), "s": [1], "f": [2]}
    made = graph(nodes, {**WIDE, "z": ("b", 5, 6)}, outputs=outputs, **weights)
    made.specs["z"] = TensorSpec(("b", 5, 6), np.float32)
    average_early(made, 21)
    assert [node.operator for node in made.nodes] == after.split()
    assert len({node.name for node in made.nodes}) == len(made.nodes)
