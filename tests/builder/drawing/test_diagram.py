"""Diagrams of models: every text in its box, every colour family readable, the same bytes each time."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from sardonyx.builder.drawing import (
    DiagramCluster,
    DiagramEdge,
    DiagramNode,
    Group,
    Rectangle,
    Scene,
    Text,
    model_diagram,
    to_png,
    to_svg,
)
from sardonyx.builder.drawing.scene import bounds, flatten
from sardonyx.builder.drawing.theme import CLUSTER_FILLS, FAMILIES, INK, PAPER, SOFT_INK

LONG = "a_name_that_goes_on_and_on_" * 6


def nested(rankdir: str = "TB", title: str | None = "model") -> Scene:
    nodes = [
        DiagramNode("i", "image", "InputLayer", (("out", "(batch, 28, 28, 1)"), ("dtype", "float32")), "input"),
        DiagramNode("c", "conv", "Conv2D", (("in", "(batch, 28, 28, 1)"), "trainable"), "convolution"),
        DiagramNode("d", LONG, "Dense" * 20, (("out", "[" + ", ".join(["(batch, 8, 8)"] * 20) + "]"),), "dense"),
        DiagramNode("u", "<&\"' 中文 →", "", (), "no such family"),
        DiagramNode("e", "", "", ()),
    ]
    labelled = DiagramEdge("c", "d", "(batch, 26, 26, 32)")
    edges = [("i", "c"), labelled, ("i", "d", ""), ("d", "u"), ("u", "e"), ("u", "u")]
    clusters = [DiagramCluster("m", LONG, ("c",), None, "Functional"), DiagramCluster("n", "inner", ("d",), "m")]
    return model_diagram(nodes, edges, clusters, rankdir, title)


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("title", ["model", None, LONG])
def test_everything_lies_in_the_picture_and_text_in_its_box(rankdir, title):
    picture = nested(rankdir, title)
    left, top, right, bottom = bounds(picture.children)
    assert left >= 0
    assert top >= 0
    assert right <= picture.width
    assert bottom <= picture.height
    body = picture.children[-1]
    assert isinstance(body, Group)
    for group in body.children:
        assert isinstance(group, Group)
        frame = next((shape for shape in group.children if isinstance(shape, Rectangle)), None)
        texts = [shape for shape in group.children if isinstance(shape, Text)]
        for text in texts:
            assert frame is not None
            box, inner = bounds([frame]), bounds([text])
            assert box[0] < inner[0] < inner[2] < box[2], text.text
            assert box[1] <= inner[1] + 1 < inner[3] - 1 <= box[3], text.text
        heights = sorted({text.y for text in texts})
        assert all(lower - upper > 10 for upper, lower in pairwise(heights))


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_diagrams_become_files(rankdir):
    svg = to_svg(nested(rankdir))
    assert svg == to_svg(nested(rankdir))
    shown = "".join(ET.fromstring(svg).itertext())
    for part in ("image", "Conv2D", "(batch, 26, 26, 32)", "trainable", "Functional", "<&\"' 中文"):
        assert part in shown
    pytest.importorskip("PIL")
    assert to_png(nested(rankdir), 1.0) == to_png(nested(rankdir), 1.0)


def test_edge_titles_and_tooltips_keep_the_whole_text():
    root = ET.fromstring(to_svg(nested()))
    tips = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "c → d" in tips
    assert any(tip and tip.startswith(LONG) for tip in tips)


def luminance(color: str) -> float:
    """Relative luminance, Web Content Accessibility Guidelines 2.1."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ink", [INK, SOFT_INK])
@pytest.mark.parametrize("fill", [PAPER, *CLUSTER_FILLS, *(family.fill for family in FAMILIES.values())])
def test_text_has_enough_contrast(ink, fill):
    """At least 4.3 to 1; the guidelines ask for 4.5 on text, and for 3 on large or secondary text."""
    assert (luminance(fill) + 0.05) / (luminance(ink) + 0.05) > 4.3


def test_families_have_colours_of_their_own():
    assert len({family.fill for family in FAMILIES.values()}) == len(FAMILIES)


def test_a_long_chain_needs_no_recursion():
    count = 1000
    nodes = [DiagramNode(str(number), f"layer_{number}") for number in range(count)]
    picture = model_diagram(nodes, [(str(number), str(number + 1)) for number in range(count - 1)])
    assert sum(isinstance(shape, Text) for shape in flatten(picture.children)) == count


def test_an_empty_model_is_an_empty_picture():
    assert to_svg(model_diagram([], [])).count("<text") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], [], "BT"), "rankdir must be 'TB' .* or 'LR' .*, got 'BT'"),
        (([DiagramNode("a", "a")], [("a", "b")]), "ends at 'b', which is no node of the diagram"),
        (([DiagramNode("a", "a")] * 2, []), "Two nodes of the diagram have the id 'a'"),
        (([DiagramNode("a", "a")], [], [DiagramCluster("c", "c", ("x",))]), "Cluster 'c' holds 'x'"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_diagram(*arguments)
