"""A picture of a model: layers as boxes, tensors as arrows, nested models as frames around their layers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .graph_layout import Box, LayoutCluster, LayoutEdge, LayoutNode, Route, layered_layout
from .scene import Element, Group, Path, Rectangle, Scene, Text, baseline
from .text import text_width, wrap
from .theme import CLUSTER_FILLS, CLUSTER_STROKE, FAMILIES, INK, LINE, MARGIN, PAPER, SOFT_INK, TITLE_SIZE, Family

_NAME_SIZE, _CLASS_SIZE, _ROW_SIZE, _LABEL_SIZE = 13.0, 11.0, 11.0, 10.5
_NAME_HEIGHT, _CLASS_HEIGHT, _ROW_HEIGHT = 18.0, 15.0, 16.0
_PAD, _HEADER_PAD, _BODY_PAD = 14.0, 6.0, 6.0
_WIDEST_TEXT = 300.0
_LEAST_WIDTH = 96.0
_KEY_GAP = 8.0
_RADIUS = 6.0
_HEADER_LINE = 16.0

Row = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """A layer: its name, its class below it, and rows of text or of (key, value), such as ("in", "(batch, 8)").

    ``family`` is a key of `theme.FAMILIES` and gives the colour; unknown ones look like "other".
    """

    id: str
    title: str
    subtitle: str = ""
    rows: tuple[Row, ...] = ()
    family: str = "other"


class DiagramEdge(NamedTuple):
    """A tensor's way from one node to another, with a label (its shape, say) if wanted."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class DiagramCluster:
    """A frame with a title around its members (ids of nodes) and around the clusters whose ``parent`` it is."""

    id: str
    title: str
    members: tuple[str, ...] = ()
    parent: str | None = None
    subtitle: str = ""


def model_diagram(
    nodes: Iterable[DiagramNode],
    edges: Iterable[tuple[str, str] | tuple[str, str, str]],
    clusters: Iterable[DiagramCluster] = (),
    rankdir: str = "TB",
    title: str | None = None,
) -> Scene:
    """The picture of a model, to be written with `write`.

    ``rankdir`` "TB" leads from top to bottom, "LR" from left to right. Raises ValueError for another direction, for
    ids that are unknown or given twice, and for clusters that lie in each other.

    >>> scene = model_diagram([DiagramNode("a", "image"), DiagramNode("b", "dense", "Dense")], [("a", "b")])
    >>> scene.width > 0 and scene.height > 0
    True
    """
    if rankdir not in ("TB", "LR"):
        raise ValueError(f"model_diagram: rankdir must be 'TB' (downwards) or 'LR' (to the right), got {rankdir!r}.")
    drawn = [_NodeBox.of(node) for node in nodes]
    arrows = [DiagramEdge(*edge) for edge in edges]
    frames = [_Header.of(cluster) for cluster in clusters]
    layout = layered_layout(
        [LayoutNode(box.node.id, box.width, box.height) for box in drawn],
        [LayoutEdge(edge.source, edge.target, *_label_size(edge.label)) for edge in arrows],
        [frame.as_layout() for frame in frames],
        rankdir,
    )
    back: list[Element] = []
    depths = _depths([frame.cluster for frame in frames])
    framed = {frame.cluster.id: frame for frame in frames}
    for name, box in layout.clusters.items():
        back.append(framed[name].draw(box, depths[name]))
    lines = [_arrow(edge, route) for edge, route in zip(arrows, layout.routes, strict=True)]
    labels = [_label(edge, route) for edge, route in zip(arrows, layout.routes, strict=True) if route.label]
    boxes = [box.draw(layout.nodes[box.node.id]) for box in drawn]
    return _titled((*back, *lines, *labels, *boxes), layout.width, layout.height, title)


def _titled(children: Sequence[Element], width: float, height: float, title: str | None) -> Scene:
    lines = wrap(title, TITLE_SIZE, max(width, 240.0), bold=True) if title else []
    head = len(lines) * 1.3 * TITLE_SIZE + (12.0 if lines else 0.0)
    wide = max([width, *(text_width(line, TITLE_SIZE, bold=True) for line in lines)])
    body = Group(tuple(children), MARGIN + (wide - width) / 2, MARGIN + head)
    texts = [
        Text(MARGIN + wide / 2, baseline(MARGIN + (index + 0.5) * 1.3 * TITLE_SIZE, TITLE_SIZE), line,
             TITLE_SIZE, True, "middle", INK)
        for index, line in enumerate(lines)
    ]  # fmt: skip
    return Scene(wide + 2 * MARGIN, height + head + 2 * MARGIN, (*texts, body), PAPER, title or "Model")


@dataclass(slots=True)
class _NodeBox:
    """A node with its text broken into lines and its size known."""

    node: DiagramNode
    names: list[str]
    classes: list[str]
    rows: list[tuple[str, str]] = field(default_factory=list)
    key_width: float = 0.0
    width: float = 0.0
    header: float = 0.0
    height: float = 0.0

    @staticmethod
    def of(node: DiagramNode) -> "_NodeBox":
        names = wrap(node.title, _NAME_SIZE, _WIDEST_TEXT, bold=True) if node.title else []
        classes = wrap(node.subtitle, _CLASS_SIZE, _WIDEST_TEXT) if node.subtitle else []
        box = _NodeBox(node, names, classes)
        keys = [row[0] for row in node.rows if not isinstance(row, str)]
        box.key_width = max((text_width(key, _ROW_SIZE) + _KEY_GAP for key in keys), default=0.0)
        for row in node.rows:
            key, value = ("", row) if isinstance(row, str) else row
            for index, line in enumerate(wrap(value, _ROW_SIZE, _WIDEST_TEXT)):
                box.rows.append(("" if index else key, line))
        widths = [text_width(line, _NAME_SIZE, bold=True) for line in names]
        widths += [text_width(line, _CLASS_SIZE) for line in classes]
        widths += [box.key_width + text_width(value, _ROW_SIZE) for _, value in box.rows]
        box.width = max(_LEAST_WIDTH, max(widths, default=0.0) + 2 * _PAD)
        box.header = len(names) * _NAME_HEIGHT + len(classes) * _CLASS_HEIGHT + 2 * _HEADER_PAD
        box.height = box.header + (len(box.rows) * _ROW_HEIGHT + 2 * _BODY_PAD if box.rows else 0.0)
        return box

    def draw(self, place: Box) -> Group:
        family = FAMILIES.get(self.node.family, FAMILIES["other"])
        shapes = self._body(family) if self.rows else [self._rectangle(family.fill, family.stroke)]
        y, middle = _HEADER_PAD, self.width / 2
        for line in self.names:
            text_y = baseline(y + _NAME_HEIGHT / 2, _NAME_SIZE)
            shapes.append(Text(middle, text_y, line, _NAME_SIZE, True, "middle", INK))
            y += _NAME_HEIGHT
        for line in self.classes:
            text_y = baseline(y + _CLASS_HEIGHT / 2, _CLASS_SIZE)
            shapes.append(Text(middle, text_y, line, _CLASS_SIZE, False, "middle", SOFT_INK))
            y += _CLASS_HEIGHT
        return Group(tuple(shapes), place.x, place.y, self._tooltip())

    def _tooltip(self) -> str:
        head = f"{self.node.title} ({self.node.subtitle})" if self.node.subtitle else self.node.title
        return "\n".join([head, *(row if isinstance(row, str) else " ".join(row) for row in self.node.rows)])

    def _rectangle(self, fill: str | None, stroke: str | None) -> Element:
        return Rectangle(0.0, 0.0, self.width, self.height, fill, stroke, 1.2, _RADIUS)

    def _body(self, family: Family) -> list[Element]:
        """A white box with a coloured head, and the rows below it, keys and values each in their own column."""
        shapes = [
            self._rectangle(PAPER, None),
            Rectangle(0.0, 0.0, self.width, self.header, family.fill, None, 0.0, _RADIUS, "top"),
            Path((("M", 0.0, self.header), ("L", self.width, self.header)), family.stroke, 0.8),
            self._rectangle(None, family.stroke),
        ]
        y = self.header + _BODY_PAD
        content = max(self.key_width + text_width(value, _ROW_SIZE) for _, value in self.rows)
        left = (self.width - content) / 2
        for key, value in self.rows:
            text_y = baseline(y + _ROW_HEIGHT / 2, _ROW_SIZE)
            if key:
                shapes.append(Text(left, text_y, key, _ROW_SIZE, False, "start", SOFT_INK))
            shapes.append(Text(left + self.key_width, text_y, value, _ROW_SIZE, False, "start", INK))
            y += _ROW_HEIGHT
        return shapes


@dataclass(slots=True)
class _Header:
    """A cluster with the lines of its title."""

    cluster: DiagramCluster
    names: list[str]
    classes: list[str]

    @staticmethod
    def of(cluster: DiagramCluster) -> "_Header":
        names = wrap(cluster.title, _CLASS_SIZE, _WIDEST_TEXT / 2, bold=True) if cluster.title else []
        classes = wrap(cluster.subtitle, _LABEL_SIZE, _WIDEST_TEXT / 2) if cluster.subtitle else []
        return _Header(cluster, names, classes)

    def as_layout(self) -> LayoutCluster:
        widths = [text_width(line, _CLASS_SIZE, bold=True) for line in self.names]
        widths += [text_width(line, _LABEL_SIZE) for line in self.classes]
        height = (len(self.names) + len(self.classes)) * _HEADER_LINE
        cluster = self.cluster
        return LayoutCluster(cluster.id, cluster.members, cluster.parent, max(widths, default=0.0), height)

    def draw(self, place: Box, depth: int) -> Group:
        fill = CLUSTER_FILLS[depth % len(CLUSTER_FILLS)]
        shapes: list[Element] = [Rectangle(0.0, 0.0, place.width, place.height, fill, CLUSTER_STROKE, 1.0, 8.0)]
        y = 6.0
        for line in self.names:
            shapes.append(Text(10.0, baseline(y + _HEADER_LINE / 2, _CLASS_SIZE), line, _CLASS_SIZE, True, fill=INK))
            y += _HEADER_LINE
        for line in self.classes:
            shapes.append(Text(10.0, baseline(y + _HEADER_LINE / 2, _LABEL_SIZE), line, _LABEL_SIZE, fill=SOFT_INK))
            y += _HEADER_LINE
        return Group(tuple(shapes), place.x, place.y, self.cluster.title)


def _depths(clusters: Sequence[DiagramCluster]) -> dict[str, int]:
    parents = {cluster.id: cluster.parent for cluster in clusters}
    depths: dict[str, int] = {}
    for cluster in clusters:
        depth, parent = 0, cluster.parent
        while parent is not None:
            depth, parent = depth + 1, parents[parent]
        depths[cluster.id] = depth
    return depths


def _label_size(label: str) -> tuple[float, float]:
    return (text_width(label, _LABEL_SIZE) + 8.0, _LABEL_SIZE + 5.0) if label else (0.0, 0.0)


def _arrow(edge: DiagramEdge, route: Route) -> Group:
    path = Path(route.commands, LINE, 1.3, arrow="start" if route.turned else "end")
    return Group((path,), tooltip=f"{edge.source} → {edge.target}")


def _label(edge: DiagramEdge, route: Route) -> Group:
    assert route.label is not None
    x, y = route.label
    width, height = _label_size(edge.label)
    plate = Rectangle(x - width / 2, y - height / 2, width, height, PAPER, None, 0.0, 3.0)
    return Group((plate, Text(x, baseline(y, _LABEL_SIZE), edge.label, _LABEL_SIZE, False, "middle", SOFT_INK)))
