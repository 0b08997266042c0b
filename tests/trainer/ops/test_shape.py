"""Axes and their order: reshape, transpose, insertion, removal, broadcasting, joining and splitting."""

import numpy as np
import pytest
from op_cases import case, check_case, generated

import sardonyx as sx
from sardonyx import ops
from sardonyx.trainer.core.errors import DtypeError, ShapeError

CASES = [
    case("reshape", lambda x: ops.reshape(x, (2, 12)), lambda x: x.reshape(2, 12), (2, 3, 4), symbolic=False),
    case("reshape_minus_one", lambda x: ops.reshape(x, (-1, 12)), lambda x: x.reshape(-1, 12), (3, 3, 4)),
    case("reshape_merge_batch", lambda x: ops.reshape(x, (-1, 4)), lambda x: x.reshape(-1, 4), (3, 3, 4)),
    case(
        "reshape_by_shape", lambda x: ops.reshape(x, (x.shape[0], -1)), lambda x: x.reshape(x.shape[0], -1), (2, 3, 4)
    ),
    case("reshape_scalar", lambda x: ops.reshape(x, ()), lambda x: x.reshape(()), (1, 1), symbolic=False),
    case("ravel", ops.ravel, np.ravel, (3, 4)),
    case("flatten_method", lambda x: x.flatten(), np.ravel, (3, 4)),
    case("transpose", ops.transpose, np.transpose, (3, 4, 2)),
    case("transpose_axes", lambda x: ops.transpose(x, (1, 2, 0)), lambda x: x.transpose(1, 2, 0), (3, 4, 2)),
    case("transpose_negative", lambda x: ops.transpose(x, (0, -1, -2)), lambda x: x.transpose(0, 2, 1), (3, 4, 2)),
    case("T", lambda x: x.T, lambda x: x.T, (3, 4)),
    case("swapaxes", lambda x: ops.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1), (3, 4, 2)),
    case("moveaxis", lambda x: ops.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), (3, 4, 2)),
    case(
        "moveaxis_many",
        lambda x: ops.moveaxis(x, (0, 2), (1, 0)),
        lambda x: np.moveaxis(x, (0, 2), (1, 0)),
        (3, 4, 2, 2),
    ),
    case("expand_dims", lambda x: ops.expand_dims(x, 1), lambda x: x[:, None], (3, 4)),
    case("expand_dims_many", lambda x: ops.expand_dims(x, (0, -1)), lambda x: x[None, ..., None], (3, 4)),
    case("squeeze", lambda x: ops.squeeze(ops.sum(x, 0, keepdims=True)), lambda x: x.sum(0), (3, 4)),
    case("squeeze_axis", lambda x: ops.squeeze(x, -1), lambda x: x[..., 0], (3, 1, 4, 1)),
    case("squeeze_axes", lambda x: ops.squeeze(x, (1, 3)), lambda x: x[:, 0, :, 0], (3, 1, 4, 1)),
    case(
        "broadcast_to",
        lambda x: ops.broadcast_to(x, (2, 3, 4)),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        (3, 1),
        symbolic=False,
    ),
    case(
        "broadcast_batch",
        lambda x: ops.broadcast_to(x, (x.shape[0], 3, 4)),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        (2, 1, 4),
    ),
    case("sum_to", lambda x: ops.sum_to(x, (1, 4)), lambda x: x.sum((0, 1))[None], (2, 3, 4)),
    case("sum_to_columns", lambda x: ops.sum_to(x, (4,)), lambda x: x.sum((0, 1)), (20, 3, 4)),
    case("concatenate", lambda *xs: ops.concatenate(xs), lambda *xs: np.concatenate(xs), (3, 4), (2, 4), (1, 4)),
    case("concatenate_last", lambda *xs: ops.concatenate(xs, -1), lambda *xs: np.concatenate(xs, -1), (3, 4), (3, 2)),
    case("concatenate_twice", lambda x: ops.concatenate([x, x], 1), lambda x: np.concatenate([x, x], 1), (3, 4)),
    case("stack", lambda *xs: ops.stack(xs), lambda *xs: np.stack(xs), (3, 4), (3, 4)),
    case("stack_last", lambda *xs: ops.stack(xs, -1), lambda *xs: np.stack(xs, -1), (3, 4), (3, 4)),
    case("unstack", lambda x: ops.unstack(x, axis=1), lambda x: [x[:, i] for i in range(4)], (3, 4, 2)),
    case("unstack_first", lambda x: ops.unstack(x, 3), list, (3, 4), symbolic=False),
    case("unstack_one", lambda x: ops.unstack(x, axis=1), lambda x: [x[:, 0]], (3, 1)),
    case("split", lambda x: ops.split(x, 2, axis=1), lambda x: np.split(x, 2, 1), (3, 4)),
    case("split_positions", lambda x: ops.split(x, [1, 3], axis=-1), lambda x: np.split(x, [1, 3], -1), (3, 5)),
    case("split_empty", lambda x: ops.split(x, [2, 2], axis=1), lambda x: np.split(x, [2, 2], 1), (3, 5)),
    case("split_part_used", lambda x: ops.split(x, 2, axis=1)[1], lambda x: np.split(x, 2, 1)[1], (3, 4)),
    case("split_batch", lambda x: ops.split(x, [1]), lambda x: np.split(x, [1]), (3, 5)),
    case("array_split", lambda x: ops.array_split(x, 3, axis=1), lambda x: np.array_split(x, 3, 1), (3, 7)),
    case("array_split_batch", lambda x: ops.array_split(x, 2), lambda x: np.array_split(x, 2), (5, 2)),
    case("hsplit", lambda x: ops.hsplit(x, 2), lambda x: np.hsplit(x, 2), (3, 4)),
    case("hsplit_vector", lambda x: ops.hsplit(x, 2), lambda x: np.hsplit(x, 2), (4,), symbolic=False),
    case("vsplit", lambda x: ops.vsplit(x, 2), lambda x: np.vsplit(x, 2), (4, 4), symbolic=False),
    case("dsplit", lambda x: ops.dsplit(x, [1]), lambda x: np.dsplit(x, [1]), (3, 4, 2)),
    case("hstack", lambda *xs: ops.hstack(xs), lambda *xs: np.hstack(xs), (3, 4), (3, 2)),
    case("hstack_vectors", lambda *xs: ops.hstack(xs), lambda *xs: np.hstack(xs), (3,), (2,)),
    case("vstack", lambda *xs: ops.vstack(xs), lambda *xs: np.vstack(xs), (4,), (4,)),
    case("dstack", lambda *xs: ops.dstack(xs), lambda *xs: np.dstack(xs), (3, 4), (3, 4)),
    case("dstack_vectors", lambda *xs: ops.dstack(xs), lambda *xs: np.dstack(xs), (4,), (4,)),
    case("append", ops.append, np.append, (3, 4), (2, 2)),
    case("append_axis", lambda x, y: ops.append(x, y, axis=1), lambda x, y: np.append(x, y, 1), (3, 4), (3, 2)),
    case(
        "rearrange_merge",
        lambda x: ops.rearrange(x, "b h w c -> b (h w) c"),
        lambda x: x.reshape(2, 12, 5),
        (2, 3, 4, 5),
    ),
    case(
        "rearrange_heads",
        lambda x: ops.rearrange(x, "b t (h d) -> b h t d", h=2),
        lambda x: x.reshape(2, 3, 2, 4).transpose(0, 2, 1, 3),
        (2, 3, 8),
    ),
    case(
        "rearrange_patches",
        lambda x: ops.rearrange(x, "b (h p) (w q) c -> (b h w) (p q c)", p=2, q=2),
        lambda x: x.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 12),
        (2, 4, 6, 3),
    ),
    case(
        "rearrange_ellipsis",
        lambda x: ops.rearrange(x, "b ... c -> b c ..."),
        lambda x: np.moveaxis(x, -1, 1),
        (2, 3, 4, 5),
    ),
    case(
        "rearrange_merge_rest",
        lambda x: ops.rearrange(x, "b ... -> b (...) 1"),
        lambda x: x.reshape(2, -1, 1),
        (2, 3, 4),
    ),
    case("identity_cut", lambda x: x * ops.stop_gradient(x), None, (3, 4), gradient=False),
    case("copy", ops.copy, np.copy, (3, 4)),
    case(
        "int_concatenate",
        lambda x, y: ops.concatenate([x, y], 1),
        lambda x, y: np.concatenate([x, y], 1),
        np.arange(6, dtype="int32").reshape(2, 3),
        np.arange(4, dtype="int32").reshape(2, 2),
    ),
    case("bool_transpose", ops.transpose, np.transpose, np.array([[True, False, True], [False, True, True]])),
]


@pytest.mark.parametrize(("item", "check"), generated(CASES))
def test_shape(item, check):
    check_case(item, check)


def symbolic(*shape, dtype="float32"):
    return sx.trace(lambda x: x, sx.TensorSpec(shape, dtype)).inputs[0]


ERRORS = [
    (
        lambda: ops.reshape(ops.ones((2, 3)), (4, 2)),
        ShapeError,
        "cannot reshape (2, 3) (6 elements) to (4, 2) (8 elements)",
    ),
    (lambda: ops.reshape(ops.ones((2, 3)), (4, -1)), ShapeError, "6 is no multiple of 4"),
    (lambda: ops.reshape(ops.ones((2, 3)), (-1, -1)), ShapeError, "only one size may be -1"),
    (lambda: ops.reshape(symbolic("batch", 3), (-1, 2)), ShapeError, "may not be a multiple of 2"),
    (lambda: ops.reshape(symbolic("batch", 3), ("rows", 3)), ShapeError, "not known to be equal"),
    (lambda: ops.reshape(symbolic("batch", 3), (5, 4)), ShapeError, "reshape: cannot reshape (batch, 3)"),
    (lambda: ops.transpose(ops.ones((2, 3)), (0, 0)), ShapeError, "transpose: axes (0, 0) are no permutation"),
    (lambda: ops.transpose(ops.ones((2, 3)), (0, 2)), ShapeError, "transpose: axis 2 is out of range"),
    (lambda: ops.moveaxis(ops.ones((2, 3)), (0, 1), 0), ShapeError, "as many destinations as sources"),
    (lambda: ops.swapaxes(ops.ones((2, 3)), 0, 5), ShapeError, "swapaxes: axis 5 is out of range"),
    (lambda: ops.expand_dims(ops.ones((2, 3)), (0, 0)), ShapeError, "name one axis of 4 twice"),
    (lambda: ops.squeeze(ops.ones((2, 3)), 1), ShapeError, "has size 3; only axes of size 1"),
    (lambda: ops.squeeze(symbolic("batch", 3), 0), ShapeError, "has size batch"),
    (lambda: ops.squeeze(symbolic("batch", 3, 1)), ShapeError, r"the rank depends on it; say which.*axis=\(2,\)"),
    (lambda: ops.broadcast_to(ops.ones((2, 3)), (3, 3)), ShapeError, "broadcast_to: "),
    (
        lambda: ops.concatenate([ops.ones((2, 3)), ops.ones((2, 4))]),
        ShapeError,
        "equal but for axis 0, got (2, 3) and (2, 4)",
    ),
    (
        lambda: ops.concatenate([symbolic(2, "n"), symbolic(2, "(n + 7)//8*8")]),
        ShapeError,
        'if n is always a multiple of 8, say so by naming the size as one in Input(shape=("8*n", ...))',
    ),
    (lambda: ops.concatenate([]), ShapeError, "concatenate: expected at least one tensor"),
    (
        lambda: ops.stack([ops.ones(2), ops.ones(3)]),
        ShapeError,
        "stack: expected tensors of one shape, got (2,) and (3,)",
    ),
    (lambda: ops.split(ops.ones(5), 2), ShapeError, "split: axis 0 of size 5 does not divide into 2"),
    (lambda: ops.split(symbolic("batch", 3), 2), ShapeError, "name the size as a multiple"),
    (lambda: ops.split(ops.ones(5), [4, 2]), ShapeError, "positions [4, 2] do not ascend"),
    (lambda: ops.split(ops.ones(5), 0), ShapeError, "at least one section"),
    (lambda: ops.vsplit(ops.ones(5), 5), ShapeError, "vsplit: expected at least 2 axes"),
    (lambda: ops.unstack(symbolic("batch", 3)), ShapeError, "unstack: axis 0 of (batch, 3) has no fixed size"),
    (lambda: ops.unstack(ops.ones(3), 2), ShapeError, "num is 2 but axis 0"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a b"), ValueError, "one '->'"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a b -> a c"), ValueError, "must name the same axes"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a -> a"), ShapeError, "does not fit a tensor with 2 axes"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a (b c) -> a b c"), ShapeError, "sizes of all but one of ['b', 'c']"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a (b c) -> a b c", b=2), ShapeError, "does not divide"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a (b -> a b"), ValueError, "unbalanced"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a ? -> a"), ValueError, "cannot read"),
    (lambda: ops.rearrange(ops.ones((2, 3)), "a b -> b a", z=2), ValueError, "['z'] given, but not named"),
]


@pytest.mark.parametrize(("call", "kind", "fragment"), ERRORS)
def test_errors(call, kind, fragment):
    with pytest.raises(kind) as caught:
        call()
    assert fragment in str(caught.value)


def test_symbolic_sizes_are_worked_out():
    assert ops.reshape(symbolic("batch", 28, 28), (-1, 784)).shape == symbolic("batch", 784).shape
    assert ops.reshape(symbolic("2*pairs", 3), (-1, 2, 3)).shape == symbolic("pairs", 2, 3).shape
    assert ops.split(symbolic("batch", 6), 3, axis=1)[0].shape == symbolic("batch", 2).shape
    assert ops.concatenate([symbolic("a", 2), symbolic("b", 2)]).shape == symbolic("a + b", 2).shape


def test_stop_gradient_is_a_constant_to_differentiation():
    x = sx.Tensor(np.array([1.0, 3.0]))
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = x * ops.stop_gradient(x)
    np.testing.assert_array_equal(np.asarray(tape.gradient(y, x)), [1.0, 3.0])


def test_dtype_mismatch_in_a_primitive_is_named():
    from sardonyx.trainer.ops.join import concatenate_primitive

    with pytest.raises(DtypeError, match="concatenate: expected tensors of one dtype, got float32 and int32"):
        concatenate_primitive(symbolic(2), ops.ones(2, "int32"), axis=0)


def test_sizes_of_anything():
    assert ops.ndim([[1, 2]]) == 2
    assert ops.size(np.zeros((2, 3))) == 6
    assert str(ops.size(symbolic("batch", 3))) == "3*batch"
    assert ops.array([1, 2]).dtype == "int32"
