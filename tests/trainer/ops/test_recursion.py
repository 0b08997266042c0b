"""Trees folded from the leaves up: against plain recursion, for trees of all shapes, in one graph and one ONNX file."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters import run_graph, to_onnx

UNITS = 3
RNG = np.random.default_rng(0)
KERNEL, LEFT, RIGHT = (RNG.normal(size=(UNITS, UNITS)).astype(np.float32) for _ in range(3))


def child_sum(x, below, present):
    """A state from the sum over any number of children."""
    return ops.tanh(x + ops.matmul(ops.sum(below, axis=0), KERNEL))


def ordered(x, below, present):
    """A state from a left and a right child, each with its weights."""
    return ops.tanh(x + ops.matmul(below[0], LEFT) + ops.matmul(below[1], RIGHT))


def with_memory(x, below, present):
    """A gate for every child; how many there are counts too."""
    open_ = ops.sigmoid(ops.expand_dims(x, 0) + ops.matmul(below["h"], KERNEL))
    count = ops.sum(ops.cast(present, x.dtype))
    cell = ops.tanh(x) + ops.sum(open_ * below["c"], axis=0) / (1.0 + count)
    return {"h": ops.tanh(cell), "c": cell}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_child_sum(x, below, present):
    return np.tanh(x + sum(below, np.zeros(UNITS, np.float32)) @ KERNEL)


def plain_ordered(x, below, present):
    left, right = (below[i] if i < len(below) else np.zeros(UNITS, np.float32) for i in (0, 1))
    return np.tanh(x + left @ LEFT + right @ RIGHT)


def plain_with_memory(x, below, present):
    cell = np.tanh(x) + sum(sigmoid(x + b["h"] @ KERNEL) * b["c"] for b in below) / (1 + present)
    return {"h": np.tanh(cell), "c": cell}


NOTHING = np.zeros(UNITS, np.float32)
FOLDS = {
    "child_sum": (child_sum, plain_child_sum, NOTHING),
    "ordered": (ordered, plain_ordered, NOTHING),
    "with_memory": (with_memory, plain_with_memory, {"h": NOTHING, "c": NOTHING}),
}


def random_tree(nodes, arity, seed, chain=False):
    """A table of children, those before their parents, filled from the left; `chain`: every node has one."""
    rng = np.random.default_rng(seed)
    children = np.full((nodes, arity), -1, np.int32)
    for node in range(nodes - 2, -1, -1):
        room = [parent for parent in range(node + 1, nodes) if (children[parent] < 0).any()]
        parent = node + 1 if chain else int(rng.choice(room))
        children[parent, int((children[parent] >= 0).sum())] = node
    return children


def recursion(fold, x, children, node):
    """What the fold means, by recursion from the root."""
    below = [recursion(fold, x, children, k) for k in children[node] if k >= 0]
    return fold(x[node], below, len(below))


TREES = [
    # nodes, arity, chain
    (1, 1, False),
    (1, 4, False),
    (2, 2, False),
    (3, 2, False),
    (9, 2, True),
    (12, 2, False),
    (25, 2, False),
    (10, 6, False),
    (40, 3, False),
    (7, 7, False),
]


def graph_of(name, arity="arity"):
    fold, _, absent = FOLDS[name]
    return sx.trace(
        lambda x, children: ops.fold_tree(fold, x, children, absent),
        sx.TensorSpec(("nodes", UNITS)), sx.TensorSpec(("nodes", arity), "int32"),
    )  # fmt: skip


@pytest.mark.parametrize("name", FOLDS)
def test_one_graph_serves_every_tree(name):
    fold, plain, absent = FOLDS[name]
    graph = graph_of(name, 2 if name == "ordered" else "arity")
    assert [node.op_type for node in to_onnx(graph).graph.node].count("Scan") == 1
    for seed, (nodes, arity, chain) in enumerate(TREES):
        if name == "ordered" and arity != 2:
            continue
        x = np.random.default_rng(seed).normal(size=(nodes, UNITS)).astype(np.float32)
        children = random_tree(nodes, arity, seed, chain)
        expected = sx.tree.flatten(recursion(plain, x, children, nodes - 1))
        eager = ops.fold_tree(fold, sx.Tensor(x), children, absent)
        for found in (eager, graph.run(x, children), run_graph(graph, x, children)):
            roots = [np.asarray(state)[-1] for state in sx.tree.flatten(found)]
            if name == "with_memory":  # dictionaries come sorted by key everywhere
                assert len(roots) == 2
            for root, value in zip(roots, expected, strict=True):
                np.testing.assert_allclose(root, value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FOLDS)
def test_gradients_pass_through_trees(name):
    fold, _, absent = FOLDS[name]
    children = random_tree(8, 2, 1)
    x = np.random.default_rng(2).normal(size=(8, UNITS)).astype(np.float32)

    def slope(x, table):
        return sx.grad(lambda v: ops.sum(sx.tree.flatten(ops.fold_tree(fold, v, table, absent))[0][-1]))(x)

    graph = sx.trace(slope, sx.TensorSpec(("nodes", UNITS)), sx.TensorSpec(("nodes", 2), "int32"))
    eager = slope(sx.Tensor(x), children).numpy()
    assert np.abs(eager).min(axis=1).all()  # every node has a part in the root
    np.testing.assert_allclose(np.asarray(graph.run(x, children)), eager, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run_graph(graph, x, children)[0], eager, rtol=1e-4, atol=1e-6)

    def root(v):
        return float(sx.tree.flatten(ops.fold_tree(fold, sx.Tensor(v), children, absent))[0].numpy()[-1].sum())

    for place in [(0, 0), (3, 1), (7, 2)]:
        bump = np.zeros_like(x)
        bump[place] = 1e-2
        assert (root(x + bump) - root(x - bump)) / 2e-2 == pytest.approx(float(eager[place]), rel=0.02, abs=1e-3)


def test_a_forest_in_one_table():
    x = np.arange(1.0, 6.0, dtype=np.float32)
    children = np.array([[-1, -1], [0, -1], [-1, -1], [-1, -1], [2, 3]])
    total = ops.fold_tree(lambda v, below, _: v + ops.sum(below), sx.Tensor(x), children, 0.0)
    assert total.tolist() == [1, 3, 3, 4, 12]


def test_whole_numbers_and_the_absent_state():
    height = lambda _, below, __: ops.max(below) + 1  # noqa: E731
    children = np.array([[-1, -1], [0, -1], [1, 0]])
    nodes = np.zeros(3, np.float32)
    graph = sx.trace(
        lambda n, c: ops.fold_tree(height, n, c, np.int32(-1)), sx.TensorSpec(("n",)), sx.TensorSpec(("n", 2), "int64")
    )
    for found in (ops.fold_tree(height, sx.Tensor(nodes), children, np.int32(-1)), graph.run(nodes, children),
                  run_graph(graph, nodes, children)[0]):  # fmt: skip
        assert np.asarray(found).tolist() == [0, 1, 2]


def test_no_nodes_no_states():
    empty = np.zeros((0, UNITS), np.float32), np.zeros((0, 2), np.int32)
    eager = ops.fold_tree(child_sum, sx.Tensor(empty[0]), empty[1], NOTHING)
    for found in (eager, graph_of("child_sum").run(*empty)):  # onnxruntime's Scan takes no empty sequence
        assert np.asarray(found).shape == (0, UNITS)


def test_a_child_behind_its_parent_is_never_silently_wrong():
    children, x = np.array([[1, -1], [-1, -1], [0, -1]], np.int32), np.ones((3, UNITS), np.float32)
    with pytest.raises(ValueError, match="fold_tree: node 0 has the child 1; children must come before their parents"):
        ops.fold_tree(child_sum, sx.Tensor(x), children, NOTHING)
    graph = graph_of("child_sum")
    for found in (graph.run(x, children), run_graph(graph, x, children)[0]):
        assert np.isnan(np.asarray(found)).all(axis=1).tolist() == [True, False, True]


ERRORS = [
    (lambda: ops.fold_tree(child_sum, NOTHING, [[0.0]], NOTHING), TypeError, "signed integers, got float32"),
    (lambda: ops.fold_tree(child_sum, NOTHING, [0], NOTHING), ValueError, r"shape \(nodes, arity\), got \(1,\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))])
def test_errors_teach(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
