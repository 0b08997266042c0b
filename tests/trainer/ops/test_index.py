"""Brackets and their gradients: slices, integers, arrays, masks; gathering, scattering, segments, one-hot."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.core.errors import DtypeError, ShapeError, SymbolicValueError

ROWS = np.array([2, 0, 2], "int32")
NEGATIVE = np.array([[-1, 0], [1, -2]], "int64")
MASK = np.array([True, False, True, True])
MASK2 = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, False]])
S = np.s_


def indexed(name, key, *shape, **options):
    """NumPy and ops agree on one key."""
    return case(name, lambda x: x[key], lambda x: x[key], shape, **options)


CASES = [
    indexed("integer", 1, 3, 4),
    indexed("negative_integer", -1, 3, 4),
    indexed("two_integers", S[1, -2], 3, 4, symbolic=False),
    indexed("last_column", S[:, -1], 3, 4),
    indexed("integer_between", S[:, 1, :], 3, 4, 2),
    indexed("slice", S[1:3], 4, 3),
    indexed("slice_columns", S[:, 1:3], 4, 5),
    indexed("drop_last", S[:-1], 4, 3),
    indexed("drop_first", S[1:], 4, 3),
    indexed("last_two", S[-2:], 4, 3),
    indexed("slice_too_long", S[:, 2:99], 4, 5),
    indexed("slice_empty", S[:, 3:2], 4, 5),
    indexed("step", S[::2], 5, 3),
    indexed("step_three", S[:, 1::3], 4, 8),
    indexed("step_columns", S[:, 1:6:2], 4, 7),
    indexed("step_even", S[:, ::2], 4, 6),
    indexed("reverse", S[::-1], 4, 3),
    indexed("reverse_both", S[::-1, ::-1], 4, 3),
    indexed("reverse_part", S[:, 3:0:-1], 4, 5),
    indexed("reverse_step", S[:, ::-2], 4, 6),
    indexed("reverse_step_odd", S[:, -2::-3], 4, 8),
    indexed("ellipsis", S[..., 0], 3, 4, 2),
    indexed("ellipsis_between", S[0, ..., 1:], 3, 4, 2),
    indexed("ellipsis_alone", S[...], 3, 4),
    indexed("ellipsis_of_nothing", S[1, ..., 0], 3, 4),
    indexed("new_axis", S[:, None], 3, 4),
    indexed("new_axes", S[None, :, 1, None], 3, 4),
    indexed("new_axis_only", None, 3, 4),
    indexed("mixed", S[1, None, ::2, ..., -1], 3, 4, 2, 5),
    indexed("array", ROWS, 3, 4),
    indexed("list", [2, 0, 2], 3, 4),
    indexed("array_columns", S[:, ROWS], 3, 4),
    indexed("array_matrix", S[:, NEGATIVE], 3, 4),
    indexed("two_arrays", S[ROWS, np.array([1, 3, 1])], 3, 4),
    indexed("two_arrays_broadcast", S[ROWS[:, None], np.array([1, 3])], 3, 4),
    indexed("two_arrays_behind", S[:, ROWS, np.array([1, 0, 1])], 3, 4, 2),
    indexed("two_arrays_apart", S[ROWS, :, np.array([1, 0, 1])], 3, 4, 2),
    indexed("array_and_integer", S[:, 1, ROWS], 2, 3, 4),
    indexed("array_and_integer_apart", S[1, :, ROWS], 2, 3, 4),
    indexed("array_and_slice", S[1:, ROWS], 3, 4, 2),
    indexed("array_new_axis", S[ROWS, None], 3, 4),
    indexed("array_new_axis_between", S[0, None, ROWS], 3, 4),
    indexed("constant_mask", MASK, 4, 3, symbolic=False),
    indexed("constant_mask_columns", S[:, MASK], 3, 4),
    indexed("constant_mask_both", MASK2, 3, 4, symbolic=False),
    indexed("constant_mask_and_integer", S[MASK, 1], 4, 3, symbolic=False),
    indexed("constant_mask_and_array", S[MASK, ROWS], 4, 3, symbolic=False),
    case("scalar_tensor", lambda x, i: x[i], lambda x, i: x[i], (3, 4), np.array(1, "int32")),
    case("tensor", lambda x, i: x[i], lambda x, i: x[i], (4, 5), ROWS),
    case("tensor_matrix", lambda x, i: x[:, i], lambda x, i: x[:, i], (3, 4), NEGATIVE),
    case("mask", lambda x, m: x[m], lambda x, m: x[m], (4, 3), MASK),
    case("mask_columns", lambda x, m: x[:, m], lambda x, m: x[:, m], (3, 4), MASK),
    case("mask_both", lambda x, m: x[m], lambda x, m: x[m], (3, 4), MASK2),
    case("mask_behind", lambda x, m: x[:, m], lambda x, m: x[:, m], (2, 3, 4), MASK2),
    case("mask_new_axis", lambda x, m: x[None, m], lambda x, m: x[None, m], (4, 3), MASK),
    case("mask_and_integer_apart", lambda x, m: x[1, :, m], lambda x, m: x[1, :, m], (2, 3, 4), MASK),
    case("mask_of_itself", lambda x: x[x > 0], lambda x: x[x > 0], (3, 4)),
    case("symbolic_bound", lambda x: x[:, : x.shape[1] - 1], lambda x: x[:, :-1], (3, 4)),
    case("batch_bound", lambda x: x[: x.shape[0] - 1], lambda x: x[:-1], (3, 4)),
    case("batch_bound_from_end", lambda x: x[-x.shape[0] + 1 :], lambda x: x[1:], (3, 4), symbolic=False),
    case("batch_half", lambda x: x[x.shape[0] // 2 :], lambda x: x[2:], (4, 3)),
    case("batch_position", lambda x: x[x.shape[0] - 1], lambda x: x[-1], (4, 3)),
    case("take", lambda x: ops.take(x, ROWS, axis=0), lambda x: x[ROWS], (3, 4)),
    case("take_last", lambda x: ops.take(x, NEGATIVE, axis=-1), lambda x: x[..., NEGATIVE], (3, 4, 2)),
    case("take_middle", lambda x: ops.take(x, NEGATIVE, axis=1), lambda x: x[:, NEGATIVE], (3, 4, 2)),
    case("take_flat", lambda x: ops.take(x, ROWS), lambda x: x.ravel()[ROWS], (3, 4)),
    case("take_scalar", lambda x: ops.take(x, -1, axis=1), lambda x: x[:, -1], (3, 4)),
    case("take_batch", lambda x, i: ops.take(x, i, axis=0), lambda x, i: x[i], (5, 4), NEGATIVE, symbolic=False),
    case("take_along_axis", lambda x, i: ops.take_along_axis(x, i, 1), lambda x, i: np.take_along_axis(x, i, 1),
         (2, 3), NEGATIVE),
    case("take_along_first", lambda x, i: ops.take_along_axis(x, i, 0), lambda x, i: np.take_along_axis(x, i, 0),
         (3, 2), NEGATIVE, symbolic=False),
    case("take_along_broadcast", lambda x, i: ops.take_along_axis(x, i, 0), lambda x, i: np.take_along_axis(x, i, 0),
         (3, 4), np.array([[1], [2]]), symbolic=False),
    case("take_along_flat", lambda x, i: ops.take_along_axis(x, i), lambda x, i: np.take_along_axis(x, i, None), (3, 4), ROWS,
         symbolic=False),
    case("nonzero", lambda x: ops.nonzero(x), lambda x: np.nonzero(x), np.array([[0, 3, 0], [1, 0, 2]], "int32")),
    case("where_one", lambda x: ops.where(x > 0), lambda x: np.nonzero(x > 0), (3, 4), gradient=False),
    case("slice_op", lambda x: ops.slice(x, (1, 0), (2, 3)), lambda x: x[1:3, :3], (3, 4), symbolic=False),
    case("slice_clamped", lambda x: ops.slice(x, (9, -9), (2, 3)), lambda x: x[1:3, :3], (3, 4), symbolic=False),
    case("slice_tensor", lambda x, s: ops.slice(x, s, (x.shape[0], 2)), lambda x, s: x[:, 1:3], (3, 4),
         np.array([0, 1], "int32")),
    case("slice_tensor_clamped", lambda x, s: ops.slice(x, s, (2, 2)), lambda x, s: x[:2, 2:], (3, 4), np.array([-4, 9])),
    case("slice_update", lambda x, u: ops.slice_update(x, (1, 2), u), lambda x, u: put(x, u, 1, 2), (4, 5), (2, 2),
         symbolic=False),
    case("slice_update_axis", lambda x, u: ops.slice_update(x, (0, 2), u), lambda x, u: put(x, u, 0, 2), (4, 5), (4, 2)),
    case("slice_update_tensor", lambda x, u, s: ops.slice_update(x, s, u), lambda x, u, s: put(x, u, 1, 3), (4, 5), (2, 2),
         np.array([1, 9], "int32"), symbolic=False),
    case("slice_update_all", lambda x, u: ops.slice_update(x, (0, 0), u), lambda x, u: u, (3, 2), (3, 2)),
    case("scatter", lambda v: ops.scatter([[0], [2], [0]], v, (4, 2)), lambda v: added(np.zeros((4, 2), v.dtype), (ROWS_0,), v),
         (3, 2), symbolic=False),
    case("scatter_points", lambda v: ops.scatter([[0, 1], [2, 0], [-4, 1]], v, (4, 2)),
         lambda v: added(np.zeros((4, 2), v.dtype), ([0, 2, 0], [1, 0, 1]), v), (3,), symbolic=False),
    case("scatter_wide", lambda v: ops.scatter([[0], [2], [0]], v, (4, 40)),
         lambda v: added(np.zeros((4, 40), v.dtype), (ROWS_0,), v), (3, 40), symbolic=False),
    case("scatter_ints", lambda v: ops.scatter([[0], [2], [0]], v, (4,)), lambda v: added(np.zeros(4, v.dtype), (ROWS_0,), v),
         np.array([5, 6, 7], "int32"), symbolic=False),
    case("scatter_update", lambda x, u: ops.scatter_update(x, [[0], [2]], u), lambda x, u: written(x, [0, 2], u), (4, 3), (2, 3)),
    *[
        case(f"scatter_{kind}", lambda x, u, kind=kind: ops.scatter_update(x, [[0], [2], [0]], u, kind),
             lambda x, u, f=f: combined(f, x, ROWS_0, u), (4, 3), (3, 3), second_order=kind == "add" or kind == "mul")
        for kind, f in (("add", np.add), ("mul", np.multiply), ("max", np.maximum), ("min", np.minimum))
    ],
    case("scatter_mul_zero", lambda x, u: ops.scatter_update(x, [[0], [2], [0]], u, "mul"),
         lambda x, u: combined(np.multiply, x, ROWS_0, u), (4, 1), np.array([[0.0], [0.0], [2.0]]), second_order=False),
    case("segment_sum", lambda x: ops.segment_sum(x, [0, 2, 0], 4), lambda x: added(np.zeros((4, 2), x.dtype), (ROWS_0,), x),
         (3, 2), symbolic=False),
    case("segment_sum_found", lambda x: ops.segment_sum(x, [0, 2, 0]), lambda x: added(np.zeros((3, 2), x.dtype), (ROWS_0,), x),
         (3, 2), symbolic=False),
    case("segment_ids", lambda x, i: ops.segment_sum(x, i, 4), lambda x, i: added(np.zeros((4, 2), x.dtype), (i,), x),
         (3, 2), np.array([0, 2, 0])),
    case("segment_max", lambda x, i: ops.segment_max(x, i, 3), lambda x, i: combined(np.maximum, np.full((3, 2), -9.0, x.dtype), i, x),
         (4, 2), np.array([0, 2, 0, 1]), second_order=False),
    case("segment_min", lambda x, i: ops.segment_min(x, i, 3), lambda x, i: combined(np.minimum, np.full((3, 2), 9.0, x.dtype), i, x),
         (4, 2), np.array([0, 2, 0, 1]), second_order=False),
    case("segment_prod", lambda x, i: ops.segment_prod(x, i, 4), lambda x, i: combined(np.multiply, np.ones((4, 2), x.dtype), i, x),
         (4, 2), np.array([0, 2, 0, 1])),
    case("one_hot", lambda x: ops.one_hot(x, 4), lambda x: np.eye(4)[x], np.array([[0, 3], [2, 1]], "int32")),
    case("one_hot_outside", lambda x: ops.one_hot(x, 2, dtype="int32"), lambda x: np.eye(2, dtype=int)[[0, 1, 0, 0]] * [[1], [1], [0], [0]],
         np.array([0, 1, -1, 2], "int64")),
    case("one_hot_first", lambda x: ops.one_hot(x, 4, axis=0), lambda x: np.moveaxis(np.eye(4)[x], -1, 0),
         np.array([[0, 3], [2, 1]], "int32")),
    case("one_hot_middle", lambda x: ops.one_hot(x, 4, axis=1), lambda x: np.moveaxis(np.eye(4)[x], -1, 1),
         np.array([[0, 3, 1], [2, 1, 1]], "uint8")),
    case("multi_hot", lambda x: ops.multi_hot(x, 4), lambda x: np.eye(4)[x].max(1), np.array([[0, 3], [2, 2]], "int32")),
    case("multi_hot_vector", lambda x: ops.multi_hot(x, 4), lambda x: np.eye(4)[x].max(0), np.array([0, 3], "int32"), symbolic=False),
]  # fmt: skip

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


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_index(item, check):
    check_case(item, check)


def symbolic(*shape, dtype="float32"):
    return sx.trace(lambda x: x, sx.TensorSpec(shape, dtype)).inputs[0]


ERRORS = [
    (lambda: ops.ones((2, 3))[2], ShapeError, "get_item: index 2 is out of range for axis 0 of (2, 3), size 2"),
    (lambda: ops.ones((2, 3))[0, 0, 0], ShapeError, "[0, 0, 0] covers 3 axes, but the tensor has 2"),
    (lambda: ops.ones((2, 3))[..., 0, ...], ShapeError, "one '...'"),
    (lambda: ops.ones((2, 3))[1.5], DtypeError, "an index must be an integer"),
    (lambda: ops.ones((2, 3))[True], DtypeError, "True is no index"),
    (lambda: ops.ones((2, 3))[:: 0], ShapeError, "must not be 0"),
    (lambda: ops.ones((2, 3))[: 1.5], DtypeError, "the stop of a slice must be an integer"),
    (lambda: ops.ones((2, 3))[:: symbolic("n").shape[0]], ShapeError, "step of a slice must be a number"),
    (lambda: ops.ones((2, 3))[: ops.sum(symbolic("n", dtype="int32"))], SymbolicValueError, "Use ops.slice"),
    (lambda: ops.ones((2, 3))[np.array([True, False, True])], ShapeError, "mask of shape (3,) does not fit axis 0"),
    (lambda: ops.ones((2, 3))[np.array([5])], IndexError, "take: index 5 is out of range for axis 0 of size 2"),
    (lambda: ops.ones((2, 3))[np.array([0]), np.array([7])], IndexError, "index 7 is out of range for axis 1 of size 3"),
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
    (lambda: ops.segment_sum(symbolic("n"), symbolic("n", dtype="int32")), SymbolicValueError, "num_segments must be given"),
    (lambda: ops.one_hot([0.5], 3), DtypeError, "one_hot: expected integers"),
    (lambda: ops.one_hot([1], 0), ShapeError, "num_classes must be a positive integer"),
    (lambda: ops.one_hot([1], 3, sparse=True), ValueError, "sparse=True is not supported"),
    (lambda: ops.multi_hot([1]), ValueError, "num_classes must be given"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "fragment"), ERRORS)
def test_errors(call, kind, fragment):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value)


def test_sizes_of_slices_are_plain():
    x = symbolic("batch", "time", 8)
    assert str(x[:, 1:].shape) == "(batch, time - 1, 8)"
    assert x[:, 1:].shape == x[:, :-1].shape == x[:, : x.shape[1] - 1].shape
    assert x[:, 0].shape == (x.shape[0], 8)
    assert x[:, ::-1].shape == x.shape


def random_key(generator, shape):
    """A random index of slices, integers, new axes and at most one ellipsis."""
    key = []
    for size in shape[: generator.integers(1, len(shape) + 1)]:
        kind = generator.integers(0, 5)
        if kind == 0:
            key.append(int(generator.integers(-size, size)))
        elif kind == 1:
            key.append(None)
            key.append(slice(None))
        else:
            start, stop = (None if generator.random() < 0.3 else int(generator.integers(-9, 9)) for _ in range(2))
            key.append(slice(start, stop, int(generator.choice([-3, -2, -1, 1, 2, 3]))))
    return tuple(key)


@pytest.mark.parametrize("seed", range(40))
def test_random_keys(seed):
    generator = np.random.default_rng(seed)
    key = random_key(generator, (5, 4, 6))
    item = case(f"random {key}", lambda x: x[key], lambda x: x[key], (5, 4, 6))
    if 0 in np.zeros((5, 4, 6))[key].shape:
        check_case(item, "forward")
        return
    for check in ("forward", "gradient", "onnx", "onnx_gradient"):
        check_case(item, check)


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
