"""Gathering, scattering, segments and one-hot encodings, and how their gradients add up."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import to_graph
from sardonyx.trainer.core.errors import DtypeError, ShapeError, SymbolicValueError

ROWS = np.array([2, 0, 2], "int32")
NEGATIVE = np.array([[-1, 0], [1, -2]], "int64")
ROWS_0 = np.array([0, 2, 0])


def put(x, u, row, column):
    x = x.copy()
    x[row : row + u.shape[0], column : column + u.shape[1]] = u
    return x


def added(x, index, values):
    np.add.at(x, tuple(np.asarray(i) for i in index), values)
    return x


def written(x, rows, values):
    x = x.copy()
    x[rows] = values
    return x


def combined(function, x, rows, values):
    x = x.copy()
    function.at(x, rows, values)
    return x


CASES = [
    case("take", lambda x: ops.take(x, ROWS, axis=0), lambda x: x[ROWS], (3, 4)),
    case("take_last", lambda x: ops.take(x, NEGATIVE, axis=-1), lambda x: x[..., NEGATIVE], (3, 4, 2)),
    case("take_middle", lambda x: ops.take(x, NEGATIVE, axis=1), lambda x: x[:, NEGATIVE], (3, 4, 2)),
    case("take_flat", lambda x: ops.take(x, ROWS), lambda x: x.ravel()[ROWS], (3, 4)),
    case("take_scalar", lambda x: ops.take(x, -1, axis=1), lambda x: x[:, -1], (3, 4)),
    case("take_batch", lambda x, i: ops.take(x, i, axis=0), lambda x, i: x[i], (5, 4), NEGATIVE, symbolic=False),
    case(
        "take_along_axis",
        lambda x, i: ops.take_along_axis(x, i, 1),
        lambda x, i: np.take_along_axis(x, i, 1),
        (2, 3),
        NEGATIVE,
    ),
    case(
        "take_along_first",
        lambda x, i: ops.take_along_axis(x, i, 0),
        lambda x, i: np.take_along_axis(x, i, 0),
        (3, 2),
        NEGATIVE,
        symbolic=False,
    ),
    case(
        "take_along_broadcast",
        lambda x, i: ops.take_along_axis(x, i, 0),
        lambda x, i: np.take_along_axis(x, i, 0),
        (3, 4),
        np.array([[1], [2]]),
        symbolic=False,
    ),
    case(
        "take_along_flat",
        ops.take_along_axis,
        lambda x, i: np.take_along_axis(x, i, None),
        (3, 4),
        ROWS,
        symbolic=False,
    ),
    case("nonzero", ops.nonzero, np.nonzero, np.array([[0, 3, 0], [1, 0, 2]], "int32")),
    case("where_one", lambda x: ops.where(x > 0), lambda x: np.nonzero(x > 0), (3, 4), gradient=False),
    case("slice_op", lambda x: ops.slice(x, (1, 0), (2, 3)), lambda x: x[1:3, :3], (3, 4), symbolic=False),
    case("slice_clamped", lambda x: ops.slice(x, (9, -9), (2, 3)), lambda x: x[1:3, :3], (3, 4), symbolic=False),
    case(
        "slice_tensor",
        lambda x, s: ops.slice(x, s, (x.shape[0], 2)),
        lambda x, s: x[:, 1:3],
        (3, 4),
        np.array([0, 1], "int32"),
    ),
    case(
        "slice_tensor_clamped", lambda x, s: ops.slice(x, s, (2, 2)), lambda x, s: x[:2, 2:], (3, 4), np.array([-4, 9])
    ),
    case(
        "slice_update",
        lambda x, u: ops.slice_update(x, (1, 2), u),
        lambda x, u: put(x, u, 1, 2),
        (4, 5),
        (2, 2),
        symbolic=False,
    ),
    case(
        "slice_update_axis", lambda x, u: ops.slice_update(x, (0, 2), u), lambda x, u: put(x, u, 0, 2), (4, 5), (4, 2)
    ),
    case(
        "slice_update_tensor",
        lambda x, u, s: ops.slice_update(x, s, u),
        lambda x, u, s: put(x, u, 1, 3),
        (4, 5),
        (2, 2),
        np.array([1, 9], "int32"),
        symbolic=False,
    ),
    case("slice_update_all", lambda x, u: ops.slice_update(x, (0, 0), u), lambda x, u: u, (3, 2), (3, 2)),
    case(
        "scatter",
        lambda v: ops.scatter([[0], [2], [0]], v, (4, 2)),
        lambda v: added(np.zeros((4, 2), v.dtype), (ROWS_0,), v),
        (3, 2),
        symbolic=False,
    ),
    case(
        "scatter_points",
        lambda v: ops.scatter([[0, 1], [2, 0], [-4, 1]], v, (4, 2)),
        lambda v: added(np.zeros((4, 2), v.dtype), ([0, 2, 0], [1, 0, 1]), v),
        (3,),
        symbolic=False,
    ),
    case(
        "scatter_wide",
        lambda v: ops.scatter([[0], [2], [0]], v, (4, 40)),
        lambda v: added(np.zeros((4, 40), v.dtype), (ROWS_0,), v),
        (3, 40),
        symbolic=False,
    ),
    case(
        "scatter_ints",
        lambda v: ops.scatter([[0], [2], [0]], v, (4,)),
        lambda v: added(np.zeros(4, v.dtype), (ROWS_0,), v),
        np.array([5, 6, 7], "int32"),
        symbolic=False,
    ),
    case(
        "scatter_update",
        lambda x, u: ops.scatter_update(x, [[0], [2]], u),
        lambda x, u: written(x, [0, 2], u),
        (4, 3),
        (2, 3),
    ),
    *[
        case(
            f"scatter_{kind}",
            lambda x, u, kind=kind: ops.scatter_update(x, [[0], [2], [0]], u, kind),
            lambda x, u, f=f: combined(f, x, ROWS_0, u),
            (4, 3),
            (3, 3),
            second_order=kind in {"add", "mul"},
        )
        for kind, f in (("add", np.add), ("mul", np.multiply), ("max", np.maximum), ("min", np.minimum))
    ],
    case(
        "scatter_mul_zero",
        lambda x, u: ops.scatter_update(x, [[0], [2], [0]], u, "mul"),
        lambda x, u: combined(np.multiply, x, ROWS_0, u),
        (4, 1),
        np.array([[0.0], [0.0], [2.0]]),
        second_order=False,
    ),
    case(
        "segment_sum",
        lambda x: ops.segment_sum(x, [0, 2, 0], 4),
        lambda x: added(np.zeros((4, 2), x.dtype), (ROWS_0,), x),
        (3, 2),
        symbolic=False,
    ),
    case(
        "segment_sum_found",
        lambda x: ops.segment_sum(x, [0, 2, 0]),
        lambda x: added(np.zeros((3, 2), x.dtype), (ROWS_0,), x),
        (3, 2),
        symbolic=False,
    ),
    case(
        "segment_ids",
        lambda x, i: ops.segment_sum(x, i, 4),
        lambda x, i: added(np.zeros((4, 2), x.dtype), (i,), x),
        (3, 2),
        np.array([0, 2, 0]),
    ),
    case(
        "segment_max",
        lambda x, i: ops.segment_max(x, i, 3),
        lambda x, i: combined(np.maximum, np.full((3, 2), -9.0, x.dtype), i, x),
        (4, 2),
        np.array([0, 2, 0, 1]),
        second_order=False,
    ),
    case(
        "segment_min",
        lambda x, i: ops.segment_min(x, i, 3),
        lambda x, i: combined(np.minimum, np.full((3, 2), 9.0, x.dtype), i, x),
        (4, 2),
        np.array([0, 2, 0, 1]),
        second_order=False,
    ),
    case(
        "segment_prod",
        lambda x, i: ops.segment_prod(x, i, 4),
        lambda x, i: combined(np.multiply, np.ones((4, 2), x.dtype), i, x),
        (4, 2),
        np.array([0, 2, 0, 1]),
    ),
    case("one_hot", lambda x: ops.one_hot(x, 4), lambda x: np.eye(4)[x], np.array([[0, 3], [2, 1]], "int32")),
    case(
        "one_hot_outside",
        lambda x: ops.one_hot(x, 2, dtype="int32"),
        lambda x: np.eye(2, dtype=int)[[0, 1, 0, 0]] * [[1], [1], [0], [0]],
        np.array([0, 1, -1, 2], "int64"),
    ),
    case(
        "one_hot_first",
        lambda x: ops.one_hot(x, 4, axis=0),
        lambda x: np.moveaxis(np.eye(4)[x], -1, 0),
        np.array([[0, 3], [2, 1]], "int32"),
    ),
    case(
        "one_hot_middle",
        lambda x: ops.one_hot(x, 4, axis=1),
        lambda x: np.moveaxis(np.eye(4)[x], -1, 1),
        np.array([[0, 3, 1], [2, 1, 1]], "uint8"),
    ),
    case(
        "multi_hot", lambda x: ops.multi_hot(x, 4), lambda x: np.eye(4)[x].max(1), np.array([[0, 3], [2, 2]], "int32")
    ),
    case(
        "multi_hot_vector",
        lambda x: ops.multi_hot(x, 4),
        lambda x: np.eye(4)[x].max(0),
        np.array([0, 3], "int32"),
        symbolic=False,
    ),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_gather(item, check):
    check_case(item, check)


def symbolic(*shape, dtype="float32"):
    return sx.trace(lambda x: x, sx.TensorSpec(shape, dtype)).inputs[0]


ERRORS = [
    (lambda: ops.take(ops.ones((2, 3)), [0.5], axis=0), DtypeError, "take: expected integer indices"),
    (lambda: ops.take(ops.ones((2, 3)), [0], axis=2), ShapeError, "take: axis 2 is out of range"),
    (lambda: ops.take_along_axis(ops.ones((2, 3)), [0], axis=1), ShapeError, "expected indices of rank 2"),
    (lambda: ops.take_along_axis(ops.ones(2), [0.0], axis=0), DtypeError, "expected integer indices"),
    (lambda: ops.take_along_axis(ops.ones(2), [5], axis=0), IndexError, "index 5 is out of range for axis 0 of size 2"),
    (lambda: ops.nonzero(1.0), ShapeError, "at least one axis"),
    (lambda: ops.scatter([[0]], [1.0, 2.0], (3,)), ShapeError, "expected updates of shape (1,)"),
    (lambda: ops.scatter([[9]], [1.0], (3,)), IndexError, "index 9 is out of range"),
    (lambda: ops.scatter([[0.5]], [1.0], (3,)), DtypeError, "expected integer indices"),
    (lambda: ops.scatter([[0, 0]], [1.0], (3,)), ShapeError, "1 to 1 indices into (3,)"),
    (lambda: ops.scatter_update(ops.ones(3), [[0]], [1.0], "mean"), ValueError, "reduction must be one of"),
    (lambda: ops.scatter_update(ops.ones(3), [[0]], [1.0, 2.0]), ShapeError, "expected updates of shape (1,)"),
    (lambda: ops.slice(ops.ones((2, 3)), (0, 0), (3, 3)), ShapeError, "slice: a part of shape (3, 3) does not fit"),
    (lambda: ops.slice(ops.ones((2, 3)), (0,), (1, 1)), ShapeError, "expected 2 integer start indices"),
    (lambda: ops.slice_update(ops.ones(2), (0,), ops.ones(3)), ShapeError, "does not fit into (2,)"),
    (lambda: ops.segment_sum(ops.ones((2, 3)), [0]), ShapeError, "one segment id for each row"),
    (lambda: ops.segment_sum(ops.ones(2), [0.5, 1.0]), DtypeError, "expected integer segment ids"),
    (lambda: ops.segment_sum(ops.ones(2), [0, 7], 3), IndexError, "index 7 is out of range"),
    (
        lambda: ops.segment_sum(symbolic("n"), symbolic("n", dtype="int32")),
        SymbolicValueError,
        "num_segments must be given",
    ),
    (lambda: ops.one_hot([0.5], 3), DtypeError, "one_hot: expected integers"),
    (lambda: ops.one_hot([1], 0), ShapeError, "num_classes must be a positive integer"),
    (lambda: ops.one_hot([1], 3, sparse=True), ValueError, "sparse=True is not supported"),
    (lambda: ops.multi_hot([1]), ValueError, "num_classes must be given"),
]


@pytest.mark.parametrize(("call", "kind", "fragment"), ERRORS)
def test_errors(call, kind, fragment):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value)


@pytest.mark.parametrize("width", [1, 5, 40])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_addition_of_rows_equals_numpy(width, count):
    generator = np.random.default_rng(width + count)
    rows = np.minimum(generator.zipf(1.4, 500) - 1, count - 1)
    values = generator.standard_normal((500, width))
    expected = added(np.zeros((count, width)), (rows,), values)
    result = ops.scatter(rows[:, None], values, (count, width))
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-12, atol=1e-12)


def test_integer_sums_are_exact():
    big = np.array([2**60, 1, 2**60 + 3], "int64")
    assert ops.scatter([[0], [1], [0]], big, (2,)).tolist() == [2**61 + 3, 1]


@pytest.mark.parametrize("width", [1, 20, 64])
def test_an_infinite_update_spoils_its_own_row_alone(width):
    values = np.ones((4, width), "float32")
    values[1] = np.inf
    result = np.asarray(ops.scatter([[0], [1], [2], [2]], values, (4, width)))
    np.testing.assert_array_equal(result[:, 0], [1, np.inf, 2, 0])


@pytest.mark.parametrize(
    ("call", "operation"),
    [
        (lambda x: ops.segment_sum(x, ROWS, 3), "scatter_add"),
        (lambda x: ops.scatter(ROWS[:, None], x, (3,)), "scatter_add"),
        (lambda x: ops.scatter_update(x, ROWS[:, None], x, reduction="add"), "scatter_update with reduction='add'"),
        (lambda x: ops.scatter_update(x, ROWS[:, None], x, reduction="max"), "scatter_update with reduction='max'"),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "int32", "int64"])
def test_what_a_gpu_cannot_add_up_is_refused_before_it_runs(call, operation, dtype):
    """Where onnxruntime's kernels for GPUs would fail in the middle of a training."""
    graph = sx.trace(call, sx.TensorSpec((3,), dtype))
    to_graph(graph)
    with pytest.raises(NotImplementedError, match=rf"{operation}: on a GPU .* float32 and float16 alone, got {dtype}"):
        to_graph(graph, on_gpu=True)
    to_graph(sx.trace(call, sx.TensorSpec((3,))), on_gpu=True)
