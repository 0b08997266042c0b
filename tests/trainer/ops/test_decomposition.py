"""Inverses, factors and norms of matrices: the reference is NumPy, the gradients finite differences."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.core.errors import DtypeError, ShapeError

generator = np.random.default_rng(5)
WELL = generator.standard_normal((3, 4, 4)) + 4 * np.eye(4)
ONE = WELL[0]
TALL = generator.standard_normal((2, 5, 3))
WIDE = np.swapaxes(TALL, 1, 2).copy()
COLUMNS = generator.standard_normal((3, 4, 2))
VECTOR = generator.standard_normal((3, 4))
LOW = generator.standard_normal((4, 2)) @ generator.standard_normal((2, 3))


def local(name, function, reference, *inputs, **options):
    """A case of what ONNX cannot express."""
    return case(name, function, reference, *inputs, onnx=False, **options)


def positive(x):
    """A symmetric positive definite matrix from any: finite differences then see all of its elements."""
    return ops.matmul(x, ops.swapaxes(x, -1, -2)) + ops.eye(x.shape[-1], dtype=x.dtype)


def positive_array(x):
    return x @ np.swapaxes(x, -1, -2) + np.eye(x.shape[-1])


def rebuilt(parts):
    u, s, v = parts
    return ops.matmul(u * ops.expand_dims(s**2, -2), v), ops.matmul(u, v), s


def rebuilt_array(x):
    u, s, v = np.linalg.svd(x, full_matrices=False)
    return (u * (s**2)[..., None, :]) @ v, u @ v, s


def spectrum(x):
    values, vectors = ops.eigh(positive(x))
    return values, ops.matmul(vectors * ops.expand_dims(ops.sin(values), -2), ops.swapaxes(vectors, -1, -2))


def spectrum_array(x):
    values, vectors = np.linalg.eigh(positive_array(x))
    return values, (vectors * np.sin(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


CASES = [
    local("inv", ops.inv, np.linalg.inv, WELL, tolerance=1e-4),
    local("inv_one", ops.inv, np.linalg.inv, ONE, tolerance=1e-4),
    case("det", ops.det, np.linalg.det, WELL, tolerance=1e-4, onnx_gradient=False),
    case("det_one", ops.det, np.linalg.det, ONE, tolerance=1e-4, onnx_gradient=False, symbolic=False),
    case("det_float64", ops.det, np.linalg.det, WELL, dtype="float64", gradient=False, tolerance=1e-5),
    local("slogdet", ops.slogdet, lambda x: tuple(np.linalg.slogdet(x)), WELL, tolerance=1e-4),
    local(
        "logdet",
        lambda x: ops.logdet(positive(x)),
        lambda x: np.linalg.slogdet(positive_array(x))[1],
        WELL,
        tolerance=1e-4,
    ),
    local("solve", ops.solve, np.linalg.solve, WELL, COLUMNS, tolerance=1e-4),
    local(
        "solve_vectors", ops.solve, lambda a, b: np.linalg.solve(a, b[..., None])[..., 0], WELL, VECTOR, tolerance=1e-4
    ),
    local("solve_vector", ops.solve, np.linalg.solve, ONE, VECTOR[0], tolerance=1e-4),
    local("solve_broadcast", ops.solve, np.linalg.solve, ONE, COLUMNS, tolerance=1e-4),
    local(
        "solve_triangular",
        ops.solve_triangular,
        lambda a, b: np.linalg.solve(np.triu(a), b),
        WELL,
        COLUMNS,
        tolerance=1e-4,
    ),
    local(
        "solve_lower",
        lambda a, b: ops.solve_triangular(a, b, lower=True),
        lambda a, b: np.linalg.solve(np.tril(a), b),
        WELL,
        COLUMNS,
        tolerance=1e-4,
    ),
    local(
        "cholesky",
        lambda x: ops.cholesky(positive(x)),
        lambda x: np.linalg.cholesky(positive_array(x)),
        WELL,
        tolerance=1e-4,
    ),
    local(
        "cholesky_upper",
        lambda x: ops.cholesky(positive(x), upper=True),
        lambda x: np.swapaxes(np.linalg.cholesky(positive_array(x)), -1, -2),
        WELL,
        tolerance=1e-4,
    ),
    local(
        "cholesky_inverse",
        lambda x: ops.cholesky_inverse(ops.cholesky(positive(x))),
        lambda x: np.linalg.inv(positive_array(x)),
        WELL,
        tolerance=1e-4,
    ),
    local(
        "cholesky_inverse_upper",
        lambda x: ops.cholesky_inverse(ops.cholesky(positive(x), True), True),
        lambda x: np.linalg.inv(positive_array(x)),
        WELL,
        tolerance=1e-4,
    ),
    local("qr", ops.qr, lambda x: tuple(np.linalg.qr(x)), TALL, tolerance=1e-4),
    local("qr_square", ops.qr, lambda x: tuple(np.linalg.qr(x)), WELL, tolerance=1e-4),
    local("qr_wide", ops.qr, lambda x: tuple(np.linalg.qr(x)), WIDE, gradient=False, tolerance=1e-4),
    local(
        "qr_complete",
        lambda x: ops.qr(x, "complete"),
        lambda x: tuple(np.linalg.qr(x, "complete")),
        TALL,
        gradient=False,
        tolerance=1e-4,
    ),
    local("svd_tall", lambda x: rebuilt(ops.svd(x, full_matrices=False)), rebuilt_array, TALL, tolerance=1e-4),
    local("svd_wide", lambda x: rebuilt(ops.svd(x, full_matrices=False)), rebuilt_array, WIDE, tolerance=1e-4),
    local("svd_full", lambda x: rebuilt(ops.svd(x)), rebuilt_array, ONE, tolerance=1e-4),
    local(
        "svd_shapes",
        lambda x: [ops.matmul(p, ops.swapaxes(p, -1, -2)) for p in ops.svd(x)[::2]],
        lambda x: [np.broadcast_to(np.eye(n), (2, n, n)) for n in (5, 3)],
        TALL,
        gradient=False,
        tolerance=1e-4,
    ),
    local(
        "singular_values",
        lambda x: ops.svd(x, compute_uv=False),
        lambda x: np.linalg.svd(x, compute_uv=False),
        TALL,
        tolerance=1e-4,
    ),
    local("eigh", spectrum, spectrum_array, ONE, tolerance=1e-4),
    local("eigh_stack", spectrum, spectrum_array, WELL, tolerance=1e-4),
    local(
        "eig",
        lambda x: ops.matmul(*[ops.absolute(p) for p in [ops.eig(x)[1]] * 2]),
        lambda x: np.abs(np.linalg.eig(x)[1]) @ np.abs(np.linalg.eig(x)[1]),
        WELL,
        gradient=False,
        tolerance=1e-3,
        skip=("forward",),
    ),
    local("pinv_tall", ops.pinv, np.linalg.pinv, TALL, tolerance=1e-4),
    local("pinv_wide", ops.pinv, np.linalg.pinv, WIDE, tolerance=1e-4),
    local(
        "pinv_rank", lambda x: ops.pinv(x, 1e-4), lambda x: np.linalg.pinv(x, 1e-4), LOW, gradient=False, tolerance=1e-3
    ),
    local(
        "lstsq",
        ops.lstsq,
        lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0],
        TALL[0],
        (5, 2),
        tolerance=1e-4,
    ),
    local(
        "lstsq_vector",
        ops.lstsq,
        lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0],
        TALL[0],
        (5,),
        tolerance=1e-4,
    ),
    local("matrix_rank", ops.matrix_rank, np.linalg.matrix_rank, LOW, gradient=False),
    case("norm", ops.norm, lambda x: np.linalg.norm(x.ravel()), (3, 4, 2)),
    case("norm_last", lambda x: ops.norm(x, axis=-1), lambda x: np.linalg.norm(x, axis=-1), (3, 4)),
    case(
        "norm_keepdims",
        lambda x: ops.norm(x, axis=-1, keepdims=True),
        lambda x: np.linalg.norm(x, axis=-1, keepdims=True),
        (3, 4),
    ),
    case("norm_first", lambda x: ops.norm(x, 2, 0), lambda x: np.linalg.norm(x, 2, 0), (3, 4)),
    case("norm_frobenius", lambda x: ops.norm(x, "fro", (0, 2)), lambda x: np.linalg.norm(x, "fro", (0, 2)), (3, 4, 2)),
    *[
        case(
            f"norm_vector_{order}",
            lambda x, o=order: ops.norm(x, o, -1),
            lambda x, o=order: np.linalg.norm(x, o, -1),
            (3, 4),
            second_order=order not in (np.inf, -np.inf),
        )
        for order in (1, 0, 3, 1.5, np.inf, -np.inf)
    ],
    *[
        case(
            f"norm_matrix_{order}_{keepdims}",
            lambda x, o=order, k=keepdims: ops.norm(x, o, (1, 2), k),
            lambda x, o=order, k=keepdims: np.linalg.norm(x, o, (1, 2), k),
            (3, 4, 2),
            second_order=False,
        )
        for order in (1, -1, np.inf, -np.inf)
        for keepdims in (False, True)
    ],
    *[
        local(
            f"norm_matrix_{order}",
            lambda x, o=order: ops.norm(x, o, (0, 2), True),
            lambda x, o=order: np.linalg.norm(x, o, (0, 2), True),
            (3, 4, 2),
            tolerance=1e-4,
            second_order=False,
        )
        for order in (2, -2, "nuc")
    ],
    case(
        "norm_integers",
        ops.norm,
        lambda x: np.linalg.norm(x).astype("float32"),
        np.array([3, 4], "int32"),
        symbolic=False,
    ),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_decomposition(item, check):
    check_case(item, check)


SINGULAR = ops.ones((2, 2))
ERRORS = [
    (lambda: ops.inv(ops.ones((2, 3))), ShapeError, "inv: expected square matrices, got shape (2, 3)"),
    (lambda: ops.inv(SINGULAR), np.linalg.LinAlgError, "inv: Singular matrix (shape (2, 2))"),
    (lambda: ops.inv(ops.ones((2, 2), "float16")), DtypeError, "expected float32 or float64, got float16"),
    (lambda: ops.det(ops.ones(3)), ShapeError, "det: expected square matrices"),
    (lambda: ops.solve(SINGULAR, ops.ones(2)), np.linalg.LinAlgError, "solve: Singular matrix"),
    (
        lambda: ops.solve(SINGULAR, ops.ones((3, 1))),
        ShapeError,
        "matrices (2, 2) and right-hand sides (3, 1) do not fit",
    ),
    (
        lambda: ops.cholesky([[1.0, 2.0], [2.0, 1.0]]),
        np.linalg.LinAlgError,
        "cholesky: Matrix is not positive definite",
    ),
    (lambda: ops.qr(ops.ones((2, 2)), "raw"), ValueError, 'mode must be "reduced" or "complete"'),
    (lambda: ops.svd(ops.ones(3)), ShapeError, "svd: expected matrices"),
    (lambda: ops.matrix_rank(ops.ones(3)), ShapeError, "matrix_rank: expected matrices"),
    (lambda: ops.norm(ops.ones((2, 2, 2)), 1), ShapeError, "norm: ord=1 needs one axis or two"),
    (lambda: ops.norm(ops.ones(2), "fro", 0), ValueError, "norm: ord='fro' is for matrices"),
    (lambda: ops.norm(ops.ones((2, 2)), 3), ValueError, "ord of matrices must be"),
    (lambda: gradient_of(lambda x: ops.svd(x)[0], TALL), NotImplementedError, "use full_matrices=False"),
    (lambda: gradient_of(lambda x: ops.qr(x)[0], WIDE), NotImplementedError, "at least as many rows as columns"),
]


def gradient_of(function, array):
    return sx.grad(lambda x: ops.sum(function(x)))(array)


@pytest.mark.parametrize(("call", "kind", "fragment"), ERRORS)
def test_errors(call, kind, fragment):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value)


@pytest.mark.parametrize("name", ["inv", "cholesky", "slogdet", "qr", "svd", "eigh", "eig", "pinv", "matrix_rank"])
def test_what_onnx_lacks_is_refused_by_name(name):
    graph = sx.trace(getattr(ops, name), sx.TensorSpec((2, 2)))
    with pytest.raises(NotImplementedError, match=f"{name}: ONNX has no operator for this"):
        run_graph(graph, np.eye(2, dtype="float32"))


def test_eigenvalues_of_a_rotation_are_complex():
    values, vectors = ops.eig(np.array([[0.0, -1.0], [1.0, 0.0]]))
    assert values.dtype == vectors.dtype == "complex128"
    np.testing.assert_allclose(sorted(np.asarray(values).imag), [-1, 1])


def test_the_norm_has_gradient_zero_at_zero():
    np.testing.assert_array_equal(
        np.asarray(gradient_of(lambda x: ops.norm(x, axis=-1), np.zeros((2, 3)))), np.zeros((2, 3))
    )
