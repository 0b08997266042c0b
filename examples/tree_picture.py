"""Source code and its tree side by side, coloured by what a network says of every statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from syntax_trees import Node, post_order

from sardonyx.builder import drawing
from sardonyx.builder.drawing import Circle, Rectangle, Scene, Text
from sardonyx.builder.drawing.scene import baseline, polyline

GOES_ON, ENDS, INK, SOFT, FAINT = "#2f6db3", "#d97b24", "#1f2733", "#8a94a3", "#c9d0d9"
BLOCK_NAMES = {"ExceptHandler": "except", "match_case": "case", "orelse": "else", "finalbody": "finally"}
LINE, INDENT, CODE_WIDTH, TREE_WIDTH, LEVEL = 15.0, 5.5, 350.0, 470.0, 27.0


def mix(share: float) -> str:
    """From orange (0: control ends here) over grey to blue (1: it goes on)."""
    low, middle, high = ([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (ENDS, "#e4e4e4", GOES_ON))
    start, end, t = (low, middle, 2 * share) if share < 0.5 else (middle, high, 2 * share - 1)
    return "#" + "".join(f"{round(a + (b - a) * t):02x}" for a, b in zip(start, end, strict=True))


def variety(tree: Node) -> int:
    """How many kinds of statements a tree has: what is worth looking at."""
    return len({node.name for node in post_order(tree) if node.label is not None})


def skeleton(tree: Node) -> Node:
    """Statements and blocks only; expressions are left out."""
    children = [skeleton(c) for c in tree.children if c is not None and (c.label is not None or _has_statement(c))]
    return Node(tree.token, list(children), tree.label, tree.name, tree.line, tree.is_compound)


def _has_statement(tree: Node) -> bool:
    return any(node.label is not None for node in post_order(tree))


def place(tree: Node, left: float, depth: int, spots: dict[Node, tuple[float, float]]) -> float:
    """Leaves side by side, parents over the middle of their children; gives the right edge."""
    right = left
    for child in tree.children:
        if child is not None:
            right = place(child, right, depth + 1, spots)
    if not tree.children:
        right = left + 1.0
    inner = [spots[child][0] for child in tree.children if child is not None]
    spots[tree] = ((inner[0] + inner[-1]) / 2 if inner else left + 0.5, float(depth))
    return right


def tree_shapes(tree: Node, shares: dict[tuple[int, str], float], x: float, y: float) -> tuple[list[Any], float]:
    """The skeleton as circles and lines, and its height."""
    small = skeleton(tree)
    spots: dict[Node, tuple[float, float]] = {}
    columns = place(small, 0.0, 0, spots)
    step = min(58.0, TREE_WIDTH / columns)
    at = {node: (x + a * step, y + 12 + b * LEVEL) for node, (a, b) in spots.items()}
    lines = [
        drawing.Path(polyline([at[node], at[child]]), FAINT, 1.2)
        for node in at for child in node.children if child is not None
    ]  # fmt: skip
    shapes: list[Any] = list(lines)
    for node, (a, b) in at.items():
        if node.label is None:
            shapes.append(Circle(a, b, 2.2, FAINT))
            shapes.append(Text(a + 5, b + 2.6, BLOCK_NAMES.get(node.name, node.name), 7.5, fill=SOFT))
            continue
        share = shares[node.line, node.name]
        if (share > 0.5) != node.label:
            shapes.append(Circle(a, b, 9.5, "#c0203a"))
        shapes.append(Circle(a, b, 7.5, mix(share)))
        shapes.append(Text(a, b + 15.5, {"FunctionDef": "def"}.get(node.name, node.name), 7.5, False, "middle", INK))
    return shapes, 40 + LEVEL * max(depth for _, depth in spots.values())


def code_shapes(tree: Node, shares: dict[tuple[int, str], float], x: float, y: float) -> tuple[list[Any], float]:
    """The source text, a bar before every line that a statement begins on, and its height."""
    rows = tree.source.splitlines()
    margin = len(rows[0]) - len(rows[0].lstrip())
    by_line = {line: share for (line, _), share in sorted(shares.items(), key=lambda item: item[0][1] != "FunctionDef")}
    shapes: list[Any] = []
    for i, row in enumerate(rows):
        middle = y + (i + 0.5) * LINE
        if i in by_line:
            shapes.append(Rectangle(x, middle - 5.5, 5, 11, mix(by_line[i]), radius=1.5))
        indent = max(0, len(row) - len(row.lstrip()) - margin) * INDENT
        text, room = row.strip(), CODE_WIDTH - indent - 20
        while Text(0, 0, text, 10.5).width > room:
            text = text[:-2].rstrip(" .") + "…" if not text.endswith("…") else text[:-2] + "…"
        shapes.append(Text(x + 12 + indent, baseline(middle, 10.5), text, 10.5, fill=INK))
    return shapes, len(rows) * LINE


def draw(trees: list[Node], model: Any, path: Path, count: int = 3) -> None:
    """A picture of the most varied functions; wrong predictions get a red ring."""
    shapes: list[Any] = [
        Text(16, 24, "Can control go on behind this statement?", 14.0, True, fill=INK),
        Circle(330, 19, 6, GOES_ON), Text(341, 23, "yes", 10.5, fill=INK),
        Circle(380, 19, 6, ENDS), Text(391, 23, "no", 10.5, fill=INK),
        Text(424, 23, "as the child-sum TreeLSTM says of unseen functions; a red ring: wrong", 10.5, fill=SOFT),
    ]  # fmt: skip
    y = 44.0
    for tree in sorted(trees, key=variety, reverse=True)[:count]:
        logits = model(tree).numpy()
        shares = {
            (node.line, node.name): float(1 / (1 + 2.718281828 ** -logit))
            for node, logit in zip(post_order(tree), logits, strict=True) if node.label is not None
        }  # fmt: skip
        code, code_height = code_shapes(tree, shares, 16, y)
        drawn, tree_height = tree_shapes(tree, shares, CODE_WIDTH + 20, y)
        shapes += [*code, *drawn]
        y += max(code_height, tree_height) + 16
        shapes.append(drawing.Path(polyline([(16, y - 9), (CODE_WIDTH + TREE_WIDTH + 24, y - 9)]), "#eceff2", 1.0))
    scene = Scene(CODE_WIDTH + TREE_WIDTH + 40, y, tuple(shapes), title="Statements behind which control goes on")
    drawing.write(path, scene, scale=1.5)
