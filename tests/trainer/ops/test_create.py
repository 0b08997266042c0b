"""Tensors from nothing, and tensors repeated, padded, turned and cut into triangles."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.core.errors import DtypeError, ShapeError, SymbolicValueError


def both(name, *arguments, shape=(3, 4), **options):
    """The function of one name in ops and in NumPy with the same further arguments."""
    label = f"{name} {arguments}"
    return case(
        label, lambda x: getattr(ops, name)(x, *arguments), lambda x: getattr(np, name)(x, *arguments), shape, **options
    )


def padded(mode, widths, shape=(4, 5), **options):
    return case(
        f"pad {mode} {widths}", lambda x: ops.pad(x, widths, mode), lambda x: np.pad(x, widths, mode), shape, **options
    )


def counted(function):
    """A function of the first size of a tensor, which may be symbolic."""
    return lambda x: function(x.shape[0])


CASES = [
    both("tile", 2),
    both("tile", (2, 3)),
    both("tile", (2, 1, 3)),
    both("tile", (1, 1)),
    both("tile", 3, shape=(3,)),
    case("tile_by_size", lambda x: ops.tile(x[:1], (x.shape[0], 1)), lambda x: np.tile(x[:1], (3, 1)), (3, 4)),
    both("repeat", 2),
    both("repeat", 3, 0),
    both("repeat", 2, -1),
    both("repeat", [1, 2, 0, 3], 1),
    both("repeat", 1, 0),
    both("flip"),
    both("flip", 0),
    both("flip", (0, 1)),
    both("fliplr"),
    both("flipud"),
    both("flip", -1, shape=(2, 3, 4)),
    both("roll", 1),
    both("roll", -2, 1),
    both("roll", 5, 0),
    both("roll", (1, -1), (0, 1)),
    both("roll", 0, 1),
    both("roll", 4, 1),
    both("roll", 1, (0, 1)),
    both("roll", -1, 0),
    both("rot90"),
    both("rot90", 2),
    both("rot90", 3),
    both("rot90", 4),
    both("rot90", 1, (1, 2), shape=(2, 3, 4)),
    both("rot90", -1, (2, 0), shape=(2, 3, 4)),
    both("tril"),
    both("triu"),
    both("tril", 1),
    both("triu", -1),
    both("tril", -1, shape=(2, 3, 3)),
    both("triu", 1, shape=(2, 3, 4)),
    both("diagonal"),
    both("diagonal", 1),
    both("diagonal", -1),
    both("diagonal", 0, 1, 2, shape=(2, 3, 4)),
    both("diagonal", 1, 2, 0, shape=(3, 2, 4)),
    both("diagonal", 9, symbolic=False),
    both("trace"),
    both("trace", 1),
    both("trace", 0, 1, 2, shape=(2, 3, 4)),
    both("diag", shape=(3,)),
    both("diag", 1, shape=(3,)),
    both("diag", -2, shape=(3,)),
    both("diag"),
    both("diag", -1),
    both("diagflat", shape=(2, 2)),
    both("diagflat", 1, shape=(2, 2)),
    padded("constant", 1),
    padded("constant", (1, 2)),
    padded("constant", ((0, 0), (1, 2))),
    padded("constant", ((2, 1), (0, 0))),
    padded("constant", ((1, 2),)),
    padded("edge", 2),
    padded("edge", ((1, 0), (0, 3))),
    padded("edge", ((0, 0), (7, 7))),
    padded("reflect", 2),
    padded("reflect", ((0, 0), (4, 3))),
    padded("reflect", ((1, 0), (0, 1))),
    padded("reflect", ((3, 3), (0, 0))),
    padded("symmetric", 2),
    padded("symmetric", ((0, 0), (5, 3))),
    padded("symmetric", ((1, 0), (0, 1))),
    padded("reflect", ((0, 0), (1, 1), (2, 2)), shape=(2, 3, 4)),
    case("pad_value", lambda x: ops.pad(x, 1, constant_values=-3), lambda x: np.pad(x, 1, constant_values=-3), (3, 4)),
    case("pad_nothing", lambda x: ops.pad(x, 0), lambda x: x, (3, 4)),
    case("pad_ints", lambda x: ops.pad(x, 1), lambda x: np.pad(x, 1), np.array([[1, 2], [3, 4]], "int32")),
    case("pad_bools", lambda x: ops.pad(x, 1), lambda x: np.pad(x, 1), np.array([[True, False], [True, True]])),
    case("pad_by_size", lambda x: ops.pad(x, ((0, x.shape[0]), (0, 0))), lambda x: np.pad(x, ((0, 3), (0, 0))), (3, 4)),
    case("meshgrid", ops.meshgrid, np.meshgrid, (3,), (4,)),
    case(
        "meshgrid_ij",
        lambda x, y, z: ops.meshgrid(x, y, z, indexing="ij"),
        lambda x, y, z: np.meshgrid(x, y, z, indexing="ij"),
        (3,),
        (4,),
        (2,),
    ),
    case("meshgrid_three", ops.meshgrid, np.meshgrid, (3,), (4,), (2,)),
    case("meshgrid_one", ops.meshgrid, lambda x: [x], (3,)),
    case("linspace", lambda x, y: ops.linspace(x, y, 5), lambda x, y: np.linspace(x, y, 5), (3,), (3,)),
    case(
        "linspace_axis",
        lambda x, y: ops.linspace(x, y, 5, endpoint=False, axis=-1),
        lambda x, y: np.linspace(x, y, 5, endpoint=False, axis=-1),
        (3,),
        (3,),
    ),
    case(
        "linspace_step",
        lambda x, y: ops.linspace(x, y, 5, retstep=True),
        lambda x, y: np.linspace(x, y, 5, retstep=True),
        (3,),
        (3,),
    ),
    case("linspace_one", lambda x, y: ops.linspace(x, y, 1), lambda x, y: np.linspace(x, y, 1), (3,), (3,)),
    case("logspace", lambda x, y: ops.logspace(x, y, 4, base=2), lambda x, y: np.logspace(x, y, 4, base=2), (3,), (3,)),
    case(
        "geomspace",
        lambda x, y: ops.geomspace(x, y, 4),
        lambda x, y: np.geomspace(x, y, 4),
        (3,),
        (3,),
        low=0.5,
        high=3.0,
    ),
    case(
        "geomspace_negative",
        lambda x, y: ops.geomspace(x, y, 4, axis=1),
        lambda x, y: np.geomspace(x, y, 4, axis=1),
        (3,),
        (3,),
        low=-3.0,
        high=-0.5,
        tolerance=1e-4,
    ),
    case("full_tensor", lambda x: ops.full((2, 3, 4), x), lambda x: np.full((2, 3, 4), x), (3, 1), symbolic=False),
    case("full_like", lambda x: ops.full_like(x, 3), lambda x: np.full_like(x, 3), (3, 4), gradient=False),
    case("zeros_like", ops.zeros_like, np.zeros_like, (3, 4), gradient=False),
    case(
        "ones_like_int", lambda x: ops.ones_like(x, "int32"), lambda x: np.ones_like(x, "int32"), (3, 4), gradient=False
    ),
    case("empty_like", ops.empty_like, np.zeros_like, (3, 4), gradient=False),
    case(
        "zeros_by_size",
        counted(lambda n: ops.zeros((n, 2))),
        counted(lambda n: np.zeros((n, 2))),
        (3, 4),
        gradient=False,
    ),
    case(
        "ones_by_size",
        counted(lambda n: ops.ones((n + 1,), "int64")),
        counted(lambda n: np.ones(n + 1, int)),
        (3, 4),
        gradient=False,
    ),
    case("eye_by_size", counted(ops.eye), counted(np.eye), (3, 4), gradient=False),
    case(
        "eye_int_by_size",
        counted(lambda n: ops.eye(n, 2 * n, 1, "int64")),
        counted(lambda n: np.eye(n, 2 * n, 1, int)),
        (3, 4),
        gradient=False,
    ),
    case(
        "tri_by_size", counted(lambda n: ops.tri(n, 4, -1)), counted(lambda n: np.tri(n, 4, -1)), (3, 4), gradient=False
    ),
    case(
        "tri_bool_by_size",
        counted(lambda n: ops.tri(n, dtype="bool")),
        counted(lambda n: np.tri(n, dtype=bool)),
        (3, 4),
        gradient=False,
    ),
    case("arange_by_size", counted(ops.arange), counted(np.arange), (3, 4), gradient=False),
    case(
        "arange_step_by_size",
        counted(lambda n: ops.arange(1, 3 * n, 2)),
        counted(lambda n: np.arange(1, 3 * n, 2)),
        (3, 4),
        gradient=False,
    ),
    case(
        "arange_down_by_size",
        counted(lambda n: ops.arange(n - 1, -1, -1, "float32")),
        counted(lambda n: np.arange(n - 1.0, -1, -1)),
        (3, 4),
        gradient=False,
    ),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_create(item, check):
    check_case(item, check)


CONSTANTS = [
    (lambda: ops.zeros(3), np.zeros(3, "float32")),
    (lambda: ops.ones((2, 3), "int32"), np.ones((2, 3), "int32")),
    (lambda: ops.ones(np.array([2, 3])), np.ones((2, 3), "float32")),
    (lambda: ops.empty((2, 3)), np.zeros((2, 3), "float32")),
    (lambda: ops.full((2,), 7), np.full(2, 7, "int32")),
    (lambda: ops.full((2,), 7.5), np.full(2, 7.5, "float32")),
    (lambda: ops.full((2,), True), np.full(2, True)),
    (lambda: ops.full((2, 2), [1, 2], "float64"), np.array([[1.0, 2.0], [1.0, 2.0]])),
    (lambda: ops.eye(2, 3, -1), np.eye(2, 3, -1, "float32")),
    (lambda: ops.identity(2, "int32"), np.eye(2, dtype="int32")),
    (lambda: ops.tri(2, 3, 1), np.tri(2, 3, 1, "float32")),
    (lambda: ops.arange(3), np.arange(3, dtype="int32")),
    (lambda: ops.arange(1, 2, 0.25), np.arange(1, 2, 0.25, "float32")),
    (lambda: ops.arange(3.0), np.arange(3, dtype="float32")),
    (lambda: ops.arange(5, 0, -2, "float64"), np.array([5.0, 3.0, 1.0])),
    (lambda: ops.arange(ops.convert_to_tensor(3)), np.arange(3, dtype="int32")),
    (lambda: ops.arange(0), np.zeros(0, "int32")),
    (lambda: ops.linspace(0, 1, 3), np.linspace(0, 1, 3, dtype="float32")),
    (lambda: ops.linspace(0, 10, 3, dtype="int32"), np.array([0, 5, 10], "int32")),
    (lambda: ops.logspace(0, 2, 3), np.array([1, 10, 100], "float32")),
    (lambda: ops.view(np.array([1.0, 2.0], "float32"), "uint8"), np.array([1.0, 2.0], "float32").view("uint8")),
    (lambda: ops.copy([1, 2]), np.array([1, 2], "int32")),
]


@pytest.mark.parametrize(("call", "expected"), CONSTANTS)
def test_constants(call, expected):
    result = call()
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-6)


def symbolic(*shape, dtype="float32"):
    return sx.trace(lambda x: x, sx.TensorSpec(shape, dtype)).inputs[0]


A = ops.ones((2, 3))
ERRORS = [
    (lambda: ops.zeros((2, -1)), ValueError, "cannot be negative"),
    (lambda: ops.arange(0, 5, 0), ShapeError, "arange: step must not be 0"),
    (lambda: ops.arange(symbolic(dtype="int32")), SymbolicValueError, "arange: a symbolic tensor as bound"),
    (lambda: ops.arange(0.5, symbolic("n").shape[0]), DtypeError, "symbolic sizes go with integers only"),
    (lambda: ops.linspace(0, 1, -1), ShapeError, "num must not be negative"),
    (lambda: ops.geomspace(-1, 1), ValueError, "one sign"),
    (lambda: ops.meshgrid([1], indexing="ji"), ValueError, 'must be "xy" or "ij"'),
    (lambda: ops.tile(A, -1), ShapeError, "repeats must not be negative"),
    (lambda: ops.repeat(A, [1, 2], axis=1), ShapeError, "expected 1 or 3 repeats for axis 1 of (2, 3), got 2"),
    (lambda: ops.repeat(A, -1), ShapeError, "repeats must not be negative"),
    (lambda: ops.roll(A, (1, 2), 0), ShapeError, "expected 1 or 1 shifts"),
    (lambda: ops.roll(A, 1, 2), ShapeError, "roll: axis 2 is out of range"),
    (lambda: ops.flip(A, 2), ShapeError, "flip: axis 2 is out of range"),
    (lambda: ops.rot90([1]), ShapeError, "rot90: expected two axes"),
    (lambda: ops.tril([1]), ShapeError, "at least two axes"),
    (lambda: ops.diagonal([1]), ShapeError, "diagonal: expected at least two axes"),
    (lambda: ops.diagonal(A, 0, 1, 1), ShapeError, "are the same axis 1"),
    (lambda: ops.diag(ops.ones((2, 2, 2))), ShapeError, "diag: expected a vector or a matrix"),
    (lambda: ops.pad(A, 1, "wrap"), ValueError, "mode must be"),
    (lambda: ops.pad(A, 1, "edge", 3), ValueError, "constant_values goes with mode 'constant' only"),
    (lambda: ops.pad(A, -1), ShapeError, "whole numbers >= 0"),
    (lambda: ops.pad(A, ((1, 1), (1, 1), (1, 1))), ShapeError, "(before, after) for each axis of (2, 3)"),
    (lambda: ops.pad(A, 2, "reflect"), ShapeError, "can mirror at most 1 elements of axis 0"),
    (lambda: ops.pad(A, 4, "symmetric"), ShapeError, "can mirror at most 2 elements of axis 0"),
    (lambda: ops.view(ops.ones((2, 3), "uint8"), "int32"), ShapeError, "does not hold whole elements of int32"),
    (lambda: ops.view(1.0, "uint8"), ShapeError, "a scalar of float32 cannot be read as uint8"),
]


@pytest.mark.parametrize(("call", "kind", "fragment"), ERRORS)
def test_errors(call, kind, fragment):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value)


def test_a_copy_has_memory_of_its_own():
    x = ops.ones(3)
    assert not np.shares_memory(np.asarray(x), np.asarray(ops.copy(x)))
