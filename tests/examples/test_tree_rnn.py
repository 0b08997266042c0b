"""Networks over trees: recursion, level by level and the exported file agree on every tree; what the labels mean."""

import ast
import dis
import importlib
from pathlib import Path

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import ops
from sardonyx.exporters import session

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TOKENS = 7
CELLS = ["RecursiveCell", "ChildSumCell", "BinaryCell"]


@pytest.fixture
def example(monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("tree_rnn")


def random_tree(example, size, arity, rng):
    """A tree of so many nodes, each with at most `arity` children."""
    nodes = [example.Node(int(rng.integers(TOKENS)), [], label=bool(rng.integers(2))) for _ in range(size)]
    for i, node in enumerate(nodes[1:], 1):
        room = [parent for parent in nodes[:i] if len(parent.children) < arity]
        room[rng.integers(len(room))].children.append(node)
    return nodes[0]


SHAPES = [(1, 1), (1, 3), (2, 2), (5, 1), (9, 2), (9, 8), (20, 3), (40, 2), (40, 12)]
"""Nodes, and children of a node at most: a leaf alone, chains, brooms, bushes."""


def trees_for(example, cell):
    rng = np.random.default_rng(0)
    trees = [random_tree(example, size, arity, rng) for size, arity in SHAPES]
    return [example.binary(tree) for tree in trees] if cell == "BinaryCell" else trees


@pytest.mark.parametrize("cell", CELLS)
def test_one_file_takes_every_tree(example, cell, tmp_path):
    model = example.TreeModel(TOKENS, getattr(example, cell)())
    trees = trees_for(example, cell)
    worst = example.export(model, tmp_path / "trees.onnx", trees, 2 if cell == "BinaryCell" else "arity")
    assert worst < 1e-6
    inputs = {x.name: x.shape for x in session(str(tmp_path / "trees.onnx")).get_inputs()}
    assert inputs == {"tokens": ["nodes"], "children": ["nodes", 2 if cell == "BinaryCell" else "arity"]}


@pytest.mark.parametrize("cell", CELLS)
def test_level_by_level_gives_the_values_and_gradients_of_recursion(example, cell):
    model = example.TreeModel(TOKENS, getattr(example, cell)())
    trees = trees_for(example, cell)
    found = []
    for forward in (lambda: ops.concatenate([model(tree) for tree in trees], axis=0), lambda: model.together(trees)):
        with sx.GradientTape() as tape:
            logits = forward()
            loss = example.loss_of(logits, trees)
        found.append([logits, *tape.gradient(loss, model.trainable_variables)])
    assert len(found[0]) == 1 + len(model.trainable_variables)
    for by_recursion, together in zip(*found, strict=True):
        np.testing.assert_allclose(together.numpy(), by_recursion.numpy(), rtol=1e-4, atol=1e-6)


def test_the_order_of_children_counts_for_the_binary_cell_only(example):
    leaf = lambda token: example.Node(token, [])  # noqa: E731
    both = [example.Node(3, [leaf(1), leaf(2)]), example.Node(3, [leaf(2), leaf(1)])]
    for cell in CELLS:
        model = example.TreeModel(TOKENS, getattr(example, cell)())
        trees = [example.binary(tree) for tree in both] if cell == "BinaryCell" else both
        first, second = (float(model(tree)[-1]) for tree in trees)
        assert (abs(first - second) > 1e-5) == (cell == "BinaryCell")


GOES_ON = [
    # a function's body, and whether control can reach its end
    ("pass", True),
    ("return 1", False),
    ("raise ValueError", False),
    ("if x:\n return 1", True),
    ("if x:\n return 1\nelse:\n return 2", False),
    ("if x:\n return 1\nelif y:\n return 2", True),
    ("for x in y:\n return x", True),
    ("for x in y:\n pass\nelse:\n return 1", False),
    ("for x in y:\n break\nelse:\n return 1", True),
    ("while x:\n return 1", True),
    ("while True:\n f()", False),
    ("while True:\n if f():\n  break", True),
    ("while True:\n for x in y:\n  break", False),
    ("while True:\n for x in y:\n  pass\n else:\n  break", True),
    ("with x:\n return 1", False),
    ("try:\n return 1\nexcept E:\n pass", True),
    ("try:\n return 1\nexcept E:\n return 2", False),
    ("try:\n pass\nexcept E:\n return 2\nelse:\n return 3", False),
    ("try:\n pass\nfinally:\n return 1", False),
    ("match x:\n case 1:\n  return 1", True),
    ("match x:\n case 1:\n  return 1\n case _:\n  return 2", False),
    ("match x:\n case 1:\n  return 1\n case _ if y:\n  return 2", True),
]


def python_says(body):
    """Whether Python's compiler keeps a statement behind the body, or drops it because control cannot reach it."""
    lines = ["def f():", *(" " + line for line in body.splitlines()), " reached()"]
    code = compile("\n".join(lines), "f", "exec").co_consts[0]
    return any(instruction.argval == "reached" for instruction in dis.get_instructions(code))


@pytest.mark.parametrize(("body", "expected"), GOES_ON, ids=[repr(body) for body, _ in GOES_ON])
def test_where_control_goes_on(example, body, expected):
    trees = importlib.import_module("syntax_trees")
    text = "def f():\n" + "\n".join(" " + line for line in body.splitlines())
    function = ast.parse(text).body[0]
    assert trees.block_goes_on(function.body) is expected
    assert trees.as_tree(function).label is expected
    if not body.startswith("with"):  # which may swallow an exception, for all that the compiler knows
        assert python_says(body) is expected
