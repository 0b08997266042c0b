"""Networks over trees, by Python recursion: does control reach the end of this function?

The functions are those of Python's standard library, as syntax trees. A compiler must know for every statement whether
control can go on behind it (Java refuses a method where it can and a value is missing: The Java Language
Specification, 14.22). That depends on how `if`, `while True`, `break`, `try` and `return` are nested; a bag of the same
tokens cannot tell. Every tree has its own structure: the model is written as recursion over Python objects and trained
under a tape. The ONNX file takes any tree, as a table of children.

Child-sum and binary TreeLSTM: Tai, Socher and Manning 2015. Recursive network: Socher et al. 2011.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from syntax_trees import Node, binary, children_table, height, load_functions, post_order
from tree_picture import draw

import sardonyx as sx
from common import run, table
from sardonyx import layers, ops
from sardonyx.exporters import session

UNITS = 32


# -- cells: the state of a node from what it carries and the states of its children (..., children, units) -----------


class RecursiveCell(layers.Layer):
    """`h = tanh(x + U sum(h of the children))`: as many children as there are."""

    parts = ("h",)
    width = UNITS

    def build(self) -> None:
        self.kernel = self.add_weight((UNITS, UNITS), name="kernel")

    def call(self, x: Any, below: Any) -> Any:
        return {"h": ops.tanh(x + ops.matmul(ops.sum(below["h"], axis=-2), self.kernel))}


class ChildSumCell(layers.Layer):
    """TreeLSTM with one forget gate a child and the sum of the children's states: as many children as there are."""

    parts = ("h", "c")
    width = 4 * UNITS

    def build(self) -> None:
        self.kernel = self.add_weight((UNITS, 3 * UNITS), name="kernel")
        self.forget_kernel = self.add_weight((UNITS, UNITS), name="forget_kernel")

    def call(self, x: Any, below: Any) -> Any:
        gates = x[..., : 3 * UNITS] + ops.matmul(ops.sum(below["h"], axis=-2), self.kernel)
        i, o, u = ops.split(gates, 3, axis=-1)
        keep = ops.sigmoid(ops.expand_dims(x[..., 3 * UNITS :], -2) + ops.matmul(below["h"], self.forget_kernel))
        c = ops.sigmoid(i) * ops.tanh(u) + ops.sum(keep * below["c"], axis=-2)
        return {"h": ops.sigmoid(o) * ops.tanh(c), "c": c}


class BinaryCell(layers.Layer):
    """TreeLSTM with weights of their own for the left and the right child."""

    parts = ("h", "c")
    width = 5 * UNITS

    def build(self) -> None:
        self.kernel = self.add_weight((2 * UNITS, 5 * UNITS), name="kernel")

    def call(self, x: Any, below: Any) -> Any:
        h, c = below["h"], below["c"]
        both = ops.concatenate([h[..., 0, :], h[..., 1, :]], axis=-1)
        i, o, u, left, right = ops.split(x + ops.matmul(both, self.kernel), 5, axis=-1)
        c = ops.sigmoid(i) * ops.tanh(u) + ops.sigmoid(left) * c[..., 0, :] + ops.sigmoid(right) * c[..., 1, :]
        return {"h": ops.sigmoid(o) * ops.tanh(c), "c": c}


# -- the model, three times: by recursion, level by level, and from a table --------------------------------------------


class TreeModel(sx.Model):
    """For each node the logit that control can go on behind it; written as recursion over `Node`s."""

    def __init__(self, tokens: int, cell: Any) -> None:
        super().__init__()
        self.embedding = layers.Embedding(tokens, cell.width)
        self.cell = cell
        self.head = layers.Dense(1)

    def absent(self) -> dict[str, Any]:
        """The state of a child that is not there."""
        return {part: np.zeros(UNITS, np.float32) for part in self.cell.parts}

    def call(self, tree: Node) -> Any:
        nodes = post_order(tree)
        words = self.embedding(np.array([node.token for node in nodes]))
        states: list[Any] = []

        def visit(node: Node) -> dict[str, Any]:
            below = [self.absent() if child is None else visit(child) for child in node.children]
            stacked = {
                part: ops.stack([state[part] for state in below]) if below else np.zeros((0, UNITS), np.float32)
                for part in self.cell.parts
            }
            state = self.cell(words[len(states)], stacked)
            states.append(state["h"])
            return state

        visit(tree)
        return self.head(ops.stack(states))[:, 0]

    def together(self, trees: list[Node]) -> Any:
        """The same for many trees at once, one call of the cell for all nodes of one height; logits tree after tree."""
        nodes = [node for tree in trees for node in post_order(tree)]
        heights = np.array([height(node) for node in nodes])
        order = np.argsort(heights, kind="stable")
        row = {id(nodes[k]): i + 1 for i, k in enumerate(order)}  # row 0 is the absent child
        words = self.embedding(np.array([node.token for node in nodes])[order])
        states = {part: np.zeros((1, UNITS), np.float32) for part in self.cell.parts}
        for level in np.split(order, np.flatnonzero(np.diff(heights[order])) + 1):
            arity = max(2, *(len(nodes[k].children) for k in level))
            places = np.zeros((len(level), arity), np.int32)
            for line, k in zip(places, level, strict=True):
                line[: len(nodes[k].children)] = [0 if c is None else row[id(c)] for c in nodes[k].children]
            below = {part: ops.take(x, places, axis=0) for part, x in states.items()}
            first = len(states["h"]) - 1
            new = self.cell(words[first : first + len(level)], below)
            states = {part: ops.concatenate([x, new[part]], axis=0) for part, x in states.items()}
        return ops.take(self.head(states["h"])[:, 0], np.array([row[id(node)] for node in nodes]), axis=0)


class AnyTree(sx.Model):
    """The layers of a `TreeModel` over a table of children: one graph for every tree."""

    def __init__(self, model: TreeModel) -> None:
        super().__init__()
        self.model = model

    def call(self, tokens: Any, children: Any) -> Any:
        words = self.model.embedding(tokens)
        cell = lambda x, below, present: self.model.cell(x, below)  # noqa: E731 - absent children are zeros
        states = ops.fold_tree(cell, words, children, self.model.absent())
        return {"goes_on": ops.sigmoid(self.model.head(states["h"])[:, 0])}


class BagOfTokens(sx.Model):
    """The baseline: a hidden layer over how often each token occurs in a statement."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.hidden, self.head = layers.Dense(64, activation="relu"), layers.Dense(1)

    def call(self, tree: Node) -> Any:
        return self.together([tree])

    def together(self, trees: list[Node]) -> Any:
        """Logits for all nodes of many trees."""
        counts = np.concatenate([counts_of(tree, self.tokens) for tree in trees])
        return self.head(self.hidden(counts))[:, 0]


@cache
def counts_of(tree: Node, tokens: int) -> np.ndarray:
    """For each node how often each token occurs below it, on a logarithmic scale."""
    counts: dict[int, np.ndarray] = {}
    for node in post_order(tree):
        own = np.eye(1, tokens, node.token, np.float32)[0]
        counts[id(node)] = own + sum(counts[id(child)] for child in node.children if child is not None)
    return np.log1p(np.stack(list(counts.values())))


# -- training and measuring --------------------------------------------------------------------------------------------


def labels_of(trees: list[Node]) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes are statements, and whether control goes on behind them."""
    labels = [node.label for tree in trees for node in post_order(tree)]
    known = np.flatnonzero([label is not None for label in labels]).astype(np.int32)
    return known, np.array([labels[i] for i in known], np.float32)


def loss_of(logits: Any, trees: list[Node]) -> Any:
    """The cross-entropy over all statements."""
    known, labels = labels_of(trees)
    return ops.mean(ops.binary_crossentropy(labels, ops.take(logits, known, axis=0), from_logits=True))


def train(model: Any, trees: list[Node], epochs: int, by_recursion: int = 0, batch: int = 8) -> float:
    """A loop of its own: another structure for every example. Gives the last epoch's loss.

    by_recursion: so many trees, the first, one by one; the rest level by level, the same numbers in less time
    """
    optimizer = sx.optimizers.Adam(sx.optimizers.schedules.CosineDecay(1e-2, epochs * len(trees) // batch))
    rng, losses, seen = np.random.default_rng(0), [0.0], 0
    for epoch in range(epochs):
        started, order, losses = time.perf_counter(), rng.permutation(len(trees)), []
        for first in range(0, len(order) - batch + 1, batch):
            chosen = [trees[i] for i in order[first : first + batch]]
            with sx.GradientTape() as tape:
                if seen < by_recursion:
                    logits = ops.concatenate([model(tree) for tree in chosen], axis=0)
                else:
                    logits = model.together(chosen)
                loss = loss_of(logits, chosen)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            losses.append(float(loss))
            seen += batch
        how = f", the first {by_recursion} trees by recursion" if by_recursion and not epoch else ""
        print(f"  epoch {epoch + 1:2}  loss {np.mean(losses):.4f}  {time.perf_counter() - started:.1f} s{how}")
    return float(np.mean(losses))


def accuracy(model: Any, trees: list[Node]) -> tuple[float, float]:
    """Share of the functions, and of the statements with statements inside, that are told right."""
    functions, compound = [], []
    for tree in trees:
        logits = model.together([tree]).numpy()
        for node, logit in zip(post_order(tree), logits, strict=True):
            if node.label is not None and node.is_compound:
                (functions if node is tree else compound).append((logit > 0) == node.label)
    return float(np.mean(functions)), float(np.mean(compound))


def seconds_per_tree(model: TreeModel, trees: list[Node]) -> tuple[float, float]:
    """Forward and backward: by recursion, and level by level in batches of 32."""

    def measure(forward: Any, batches: list[list[Node]]) -> float:
        started = time.perf_counter()
        for chosen in batches:
            with sx.GradientTape() as tape:
                loss = loss_of(forward(chosen), chosen)
            tape.gradient(loss, model.trainable_variables)
        return (time.perf_counter() - started) / sum(map(len, batches))

    alone = measure(lambda chosen: model(chosen[0]), [[tree] for tree in trees])
    return alone, measure(model.together, [trees[i : i + 32] for i in range(0, len(trees), 32)])


def export(model: TreeModel, path: Path, trees: list[Node], arity: str | int = "arity") -> float:
    """Write the file that takes any tree; the largest difference from the recursion, over trees."""
    any_tree = AnyTree(model).trace(
        sx.TensorSpec(("nodes",), "int32", "tokens"), sx.TensorSpec(("nodes", arity), "int32", "children")
    )
    any_tree.export(path)
    running, worst = session(str(path)), 0.0
    for tree in trees:
        tokens = np.array([node.token for node in post_order(tree)], np.int32)
        found = running.run(None, {"tokens": tokens, "children": children_table(tree, 2 if arity == 2 else None)})[0]
        worst = max(worst, float(np.abs(found - ops.sigmoid(model(tree)).numpy()).max()))
    return worst


def main(small: bool = False, out: Path = Path("examples-output")) -> dict[str, float]:
    """Train all three networks and the baseline; write `tree_rnn.onnx`, `tree_rnn_binary.onnx` and `tree_rnn.png`."""
    sx.utils.set_random_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    vocabulary, training, held_out = load_functions(120 if small else 1200, longest=40 if small else 100)
    names, epochs = list(vocabulary), 9 if small else 12
    size = np.mean([len(post_order(tree)) for tree in training])
    print(f"{len(training)} functions to train on, {len(held_out)} held out, {size:.0f} nodes on average")
    models: dict[str, Any] = {
        "bag of tokens": BagOfTokens(len(names)),
        "recursive network": TreeModel(len(names), RecursiveCell()),
        "child-sum TreeLSTM": TreeModel(len(names), ChildSumCell()),
        "binary TreeLSTM": TreeModel(len(names), BinaryCell()),
    }
    rows, results = [("model", "parameters", "training loss", "functions", "compound statements")], {}
    for name, model in models.items():
        print(name)
        of = binary if name.startswith("binary") else lambda tree: tree
        model.together([of(training[0])])
        by_recursion = 24 if small else len(training)
        loss = train(model, [of(tree) for tree in training], epochs, by_recursion if "child-sum" in name else 0)
        results[name], inner = accuracy(model, [of(tree) for tree in held_out])
        rows.append((name, model.count_params(), loss, results[name], inner))
    print("\n" + table(rows) + "\n")

    best = models["child-sum TreeLSTM"]
    draw([tree for tree in held_out if len(tree.source.splitlines()) <= 16], best, out / "tree_rnn.png")
    checked = held_out[:: 4 if small else 1]
    results["difference"] = export(best, out / "tree_rnn.onnx", checked)
    results["difference, binary"] = export(
        models["binary TreeLSTM"], out / "tree_rnn_binary.onnx", [binary(tree) for tree in checked], 2
    )
    alone, together = seconds_per_tree(best, held_out[: 8 if small else 64])
    results["ms a tree, recursion"], results["ms a tree, level by level"] = 1e3 * alone, 1e3 * together
    return results


if __name__ == "__main__":
    run(main)
