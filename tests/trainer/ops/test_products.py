"""Matrix and tensor products, Einstein summation."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.core.errors import DtypeError, ShapeError


def einsum(subscripts, *shapes, **options):
    return case(
        subscripts, lambda *xs: ops.einsum(subscripts, *xs), lambda *xs: np.einsum(subscripts, *xs), *shapes, **options
    )


def both(name, *shapes, **options):
    """The function of one name in ops and in NumPy."""
    return case(f"{name} {shapes}", getattr(ops, name), getattr(np, name), *shapes, **options)


INTS = (np.arange(6, dtype="int32").reshape(2, 3), np.arange(12, dtype="int32").reshape(3, 4))
CASES = [
    both("matmul", (2, 3), (3, 4)),
    both("matmul", (3,), (3,), symbolic=False),
    both("matmul", (2, 3), (3,)),
    both("matmul", (3,), (3, 4), symbolic=False),
    both("matmul", (2, 5, 3), (3, 4)),
    both("matmul", (2, 5, 3), (3,)),
    both("matmul", (3,), (2, 3, 4), symbolic=False),
    both("matmul", (2, 5, 3), (2, 3, 4)),
    both("matmul", (2, 1, 5, 3), (4, 3, 2)),
    both("matmul", (2, 3), (5, 3, 4)),
    both("matmul", *INTS),
    both("matmul", *[x.astype("uint8") for x in INTS]),
    case("operator", lambda x, y: x @ y, lambda x, y: x @ y, (2, 3), (3, 4)),
    both("dot", (3,), (3,), symbolic=False),
    both("dot", (2, 3), (3,)),
    both("dot", (2, 3), (3, 4)),
    both("dot", (2, 5, 3), (4, 3, 2)),
    both("dot", (2, 3), ()),
    both("inner", (3,), (3,), symbolic=False),
    both("inner", (2, 3), (4, 3)),
    both("inner", (2, 3), (3,)),
    both("inner", (2, 3), ()),
    both("outer", (2, 3), (4,)),
    both("vdot", (2, 3), (2, 3)),
    both("kron", (2, 3), (4, 2)),
    both("kron", (3,), (2, 2)),
    both("kron", (2, 3, 2), (2,)),
    both("cross", (2, 3), (2, 3)),
    case("cross_broadcast", ops.cross, np.cross, (2, 1, 3), (4, 3)),
    case("cross_axes", lambda x, y: ops.cross(x, y, axis=1), lambda x, y: np.cross(x, y, axis=1), (2, 3, 4), (2, 3, 4)),
    case(
        "cross_result_axis", lambda x, y: ops.cross(x, y, axisc=0), lambda x, y: np.cross(x, y, axisc=0), (2, 3), (2, 3)
    ),
    case("cross_plane", ops.cross, lambda x, y: x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0], (2, 2), (2, 2)),
    case("cross_plane_space", ops.cross, lambda x, y: np.cross(np.pad(x, ((0, 0), (0, 1))), y), (2, 2), (2, 3)),
    case("cross_space_plane", ops.cross, lambda x, y: np.cross(x, np.pad(y, ((0, 0), (0, 1)))), (2, 3), (2, 2)),
    case("tensordot", ops.tensordot, np.tensordot, (2, 3, 4), (3, 4, 5)),
    case("tensordot_one", lambda x, y: ops.tensordot(x, y, 1), lambda x, y: np.tensordot(x, y, 1), (2, 3), (3, 4)),
    case("tensordot_none", lambda x, y: ops.tensordot(x, y, 0), lambda x, y: np.tensordot(x, y, 0), (2, 3), (4,)),
    case(
        "tensordot_pairs",
        lambda x, y: ops.tensordot(x, y, ([1, -1], [0, 2])),
        lambda x, y: np.tensordot(x, y, ([1, -1], [0, 2])),
        (2, 3, 4),
        (3, 5, 4),
    ),
    case(
        "tensordot_axis",
        lambda x, y: ops.tensordot(x, y, (0, 1)),
        lambda x, y: np.tensordot(x, y, (0, 1)),
        (3, 2),
        (4, 3),
        symbolic=False,
    ),
    einsum("ij,jk->ik", (2, 3), (3, 4)),
    einsum("ij,jk", (2, 3), (3, 4)),
    einsum("ij,kj->ki", (2, 3), (4, 3)),
    einsum("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    einsum("abc,cd->abd", (2, 3, 4), (4, 5)),
    einsum("abc,cde->abde", (2, 3, 4), (4, 2, 3)),
    einsum("aecd,abcd->acbe", (2, 3, 2, 4), (2, 5, 2, 4)),
    einsum("acbe,aecd->abcd", (2, 2, 3, 4), (2, 4, 2, 3)),
    einsum("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)),
    einsum("...ij,jk->...ik", (2, 2, 3, 4), (4, 5)),
    einsum("...i,...i", (2, 3, 4), (2, 3, 4)),
    einsum("...i,...i->...", (2, 1, 4), (3, 4)),
    einsum("i...->...i", (2, 3, 4)),
    einsum("i,j->ij", (2,), (3,)),
    einsum("ij,ij->ij", (2, 3), (2, 3)),
    einsum("ij,ij->", (2, 3), (2, 3)),
    einsum("ij->ji", (2, 3)),
    einsum("ji", (2, 3)),
    einsum("ij->j", (2, 3)),
    einsum("ij->", (2, 3)),
    einsum("ii->i", (3, 3), symbolic=False),
    einsum("ii", (3, 3), symbolic=False),
    einsum("bii->bi", (2, 3, 3)),
    einsum("iij,jk->ik", (3, 3, 2), (2, 4), symbolic=False),
    einsum("ii,i->i", (3, 3), (3,), symbolic=False),
    einsum("ij,k->ik", (2, 3), (4,)),
    einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    einsum("a,ab,abc->abc", (2,), (2, 3), (2, 3, 4)),
    einsum("i,i,i->", (3,), (3,), (3,)),
    einsum("ab,bc,cd,da->", (2, 3), (3, 4), (4, 5), (5, 2), symbolic=False),
    einsum("b h q d, b h k d -> b h q k", (2, 2, 3, 4), (2, 2, 5, 4)),
    einsum("Ab,bC->CA", (2, 3), (3, 4)),
    einsum("ij,jk->ik", *INTS, gradient=False),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_products(item, check):
    check_case(item, check)


def symbolic(*shape, dtype="float32"):
    return sx.trace(lambda x: x, sx.TensorSpec(shape, dtype)).inputs[0]


A = ops.ones((2, 3))
ERRORS = [
    (lambda: ops.matmul(A, A), ShapeError, "matmul: inner sizes differ: (2, 3) @ (2, 3) has 3 and 2"),
    (lambda: ops.matmul(symbolic("a", "b"), A), ShapeError, "inner sizes may differ: (a, b) @ (2, 3) has b and 2"),
    (lambda: ops.matmul(A, 2.0), ShapeError, "at least one axis each"),
    (lambda: ops.matmul(ops.ones((2, 2, 3)), ops.ones((3, 3, 2))), ShapeError, "do not broadcast"),
    (lambda: ops.tensordot(A, A, 3), ShapeError, "tensordot: cannot sum over 3 axes"),
    (lambda: ops.tensordot(A, A, ([0, 1], [0])), ShapeError, "as many axes of the second"),
    (lambda: ops.tensordot(A, A, 1), ShapeError, "inner sizes differ"),
    (lambda: ops.cross(ops.ones(4), ops.ones(4)), ShapeError, "cross: expected vectors of 2 or 3 components, got 4"),
    (lambda: ops.einsum("ij,jk->ik", A), ValueError, "describes 2 operands, got 1"),
    (
        lambda: ops.einsum("ij,jk->ik", A, A),
        ShapeError,
        "'j' stands for sizes 3 and 2 of (2, 3) and (2, 3), which differ",
    ),
    (
        lambda: ops.einsum("ij,jk->ik", symbolic("n", "m"), A),
        ShapeError,
        "sizes m and 2 of (n, m) and (2, 3), which may differ",
    ),
    (lambda: ops.einsum("ijk->i", A), ShapeError, "'ijk' in 'ijk->i' does not fit an operand with 2 axes"),
    (lambda: ops.einsum("ij->ik", A), ValueError, "each label of the operands at most once"),
    (lambda: ops.einsum("ij->ii", A), ValueError, "each label of the operands at most once"),
    (lambda: ops.einsum("i1->i", A), ValueError, "subscripts are letters"),
    (lambda: ops.einsum("ij->i->j", A), ValueError, "one '->'"),
    (lambda: ops.einsum("ij"), ValueError, "at least one operand"),
    (lambda: ops.einsum("ij", A, axis=1), TypeError, "unknown arguments ['axis']"),
]


@pytest.mark.parametrize(("call", "kind", "fragment"), ERRORS)
def test_errors(call, kind, fragment):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value)


def test_mixed_dtypes_in_the_primitives_are_named():
    from sardonyx.trainer.ops.einsum import einsum_primitive
    from sardonyx.trainer.ops.linalg import matmul_primitive

    x, y = symbolic(2, 2), symbolic(2, 2, dtype="int32")
    for call in (lambda: matmul_primitive(x, y), lambda: einsum_primitive(x, y, pattern="ab,bc->ac")):
        with pytest.raises(DtypeError, match="expected operands of one dtype, got float32 and int32"):
            call()


@pytest.mark.parametrize("seed", range(30))
def test_random_contractions(seed):
    generator = np.random.default_rng(seed)
    letters = "abcde"
    sizes = dict(zip(letters, generator.integers(1, 4, 5), strict=True))
    terms = [
        "".join(generator.permutation(list(letters))[: generator.integers(1, 4)])
        for _ in range(generator.integers(1, 4))
    ]
    used = sorted(set("".join(terms)))
    result = "".join(generator.permutation(used)[: generator.integers(0, len(used) + 1)])
    subscripts = ",".join(terms) + "->" + result
    item = einsum(subscripts, *[tuple(int(sizes[c]) for c in t) for t in terms])
    for check in ("forward", "gradient", "onnx", "onnx_gradient"):
        check_case(item, check)


def test_an_einsum_that_is_a_matrix_product_becomes_one():
    graph = sx.trace(lambda x, y: ops.einsum("abc,cd->abd", x, y), sx.TensorSpec(("b", 2, 3)), sx.TensorSpec((3, 4)))
    assert [node.primitive.name for node in graph.nodes] == ["matmul"]


def test_empty_products():
    assert ops.matmul(ops.ones((2, 0, 3)), ops.ones((3, 4))).shape == (2, 0, 4)
    np.testing.assert_array_equal(
        np.asarray(ops.einsum("ij,jk->ik", ops.ones((2, 0)), ops.ones((0, 3)))), np.zeros((2, 3))
    )
