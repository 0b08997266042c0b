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
]


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
    (lambda: ops.ones((2, 3))[::0], ShapeError, "must not be 0"),
    (lambda: ops.ones((2, 3))[:1.5], DtypeError, "the stop of a slice must be an integer"),
    (lambda: ops.ones((2, 3))[:: symbolic("n").shape[0]], ShapeError, "step of a slice must be a number"),
    (lambda: ops.ones((2, 3))[: ops.sum(symbolic("n", dtype="int32"))], SymbolicValueError, "Use ops.slice"),
    (lambda: ops.ones((2, 3))[np.array([True, False, True])], ShapeError, "mask of shape (3,) does not fit axis 0"),
    (lambda: ops.ones((2, 3))[np.array([5])], IndexError, "take: index 5 is out of range for axis 0 of size 2"),
    (
        lambda: ops.ones((2, 3))[np.array([0]), np.array([7])],
        IndexError,
        "index 7 is out of range for axis 1 of size 3",
    ),
]


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
