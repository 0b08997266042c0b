"""A layered layout of a directed graph with nested clusters (Sugiyama, Tagawa, Toda 1981), without recursion.

Clusters are laid out from the inside out: to the level that holds it, a finished cluster is one item that covers
several rows and has a port for each edge that crosses its border. So boxes never overlap, and rows line up everywhere.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from .hierarchy import Hierarchy, LayoutCluster, LayoutEdge, LayoutNode, build_hierarchy
from .level import Item, LevelLayout, lay_out_level
from .routing import Band, curve, entry_ports, make_bands, port_reach, self_loop, turned_port
from .scene import Command, Point

Direction = Literal["TB", "LR"]

_PAD_ACROSS = 16.0
_PAD_ALONG = 14.0
_HEADER_GAP = 8.0
_LOOP_ROOM = 26.0


@dataclass(frozen=True, slots=True)
class Box:
    """A placed rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> Point:
        return (self.x + self.width / 2, self.y + self.height / 2)


@dataclass(frozen=True, slots=True)
class Route:
    """An edge's way: a path that starts and ends on its nodes' borders, and the centre of its label if it has one.

    ``turned`` edges close a cycle; their path starts at the edge's target.
    """

    commands: tuple[Command, ...]
    label: Point | None = None
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by id, one route for each edge (in the edges' order), each node's row, and the size of it all."""

    width: float
    height: float
    nodes: dict[str, Box]
    ranks: dict[str, int]
    clusters: dict[str, Box]
    routes: tuple[Route, ...]


def layered_layout(
    nodes: Sequence[LayoutNode],
    edges: Sequence[LayoutEdge],
    clusters: Sequence[LayoutCluster] = (),
    direction: Direction = "TB",
) -> Layout:
    """Places nodes in rows from top to bottom ("TB") or in columns from left to right ("LR"), edges leading onwards.

    Edges that close a cycle are laid out turned around. Raises ValueError for an unknown direction, an edge or cluster
    that names no node, ids given twice, and clusters that lie in each other.

    >>> layout = layered_layout([LayoutNode("a", 60, 20), LayoutNode("b", 60, 20)], [LayoutEdge("a", "b")])
    >>> layout.ranks
    {'a': 0, 'b': 1}
    """
    if direction not in ("TB", "LR"):
        raise ValueError(f"layered_layout: direction must be 'TB' or 'LR', got {direction!r}.")
    hierarchy = build_hierarchy(nodes, edges, clusters)
    if not nodes:
        return Layout(0.0, 0.0, {}, {}, {}, ())
    numbers = {node.id: number for number, node in enumerate(nodes)}
    ends = [
        (numbers[edge.target], numbers[edge.source]) if turned else (numbers[edge.source], numbers[edge.target])
        for edge, turned in zip(edges, hierarchy.turned, strict=True)
    ]
    work = _Work(nodes, edges, hierarchy, direction == "LR", ends, Counter(lower for _, lower in ends))
    work.lay_out_levels()
    work.place_levels()
    work.measure_rows()
    return work.result()


@dataclass(slots=True)
class _Frame:
    """A placed cluster: its sides across, its rows, and the room that its border needs before and after them."""

    left: float
    right: float
    first: int
    last: int
    before: float = 0.0
    after: float = 0.0


@dataclass(slots=True)
class _Work:
    """The state of one layout. All lengths are for rows below each other; `result` turns them for columns."""

    nodes: Sequence[LayoutNode]
    edges: Sequence[LayoutEdge]
    hierarchy: Hierarchy
    sideways: bool
    ends: Sequence[tuple[int, int]]  # of each edge's path: the nodes at its start and its end
    arrivals: Counter[int]  # the number of edges that end at each node
    layouts: dict[int, LevelLayout] = field(default_factory=dict)
    frames: dict[int, _Frame] = field(default_factory=dict)  # of each level
    places: list[float] = field(default_factory=list)  # of each node, across
    rows: list[int] = field(default_factory=list)
    bends: list[list[tuple[int, float]]] = field(default_factory=list)  # of each edge
    label_rows: dict[int, int] = field(default_factory=dict)
    bands: list[Band] = field(default_factory=list)

    def size(self, node: int) -> tuple[float, float]:
        """Across and along."""
        box = self.nodes[node]
        return (box.height, box.width) if self.sideways else (box.width, box.height)

    def label_size(self, edge: int) -> tuple[float, float]:
        label = self.edges[edge]
        if self.sideways:
            return label.label_height, label.label_width
        return label.label_width, label.label_height

    def lay_out_levels(self) -> None:
        levels = self.hierarchy.levels
        loops = {edge.source for edge in self.edges if edge.source == edge.target}
        widths = [self.label_size(edge)[0] for edge in range(len(self.edges))]
        for number in range(len(levels) - 1, -1, -1):
            items: list[Item] = []
            for kind, index in levels[number].items:
                if kind == "level":
                    items.append(self._cluster_item(index))
                else:
                    room = 2 * _LOOP_ROOM if self.nodes[index].id in loops else 0.0
                    items.append(Item(self.size(index)[0] + room))
            if items:
                self.layouts[number] = lay_out_level(levels[number], items, widths)

    def _cluster_item(self, number: int) -> Item:
        """A finished level as an item of the next: its sides, and where edges cross its border."""
        layout, cluster = self.layouts[number], self.hierarchy.levels[number].cluster
        assert cluster is not None
        left, right = layout.left - _PAD_ACROSS, layout.right + _PAD_ACROSS
        if self.sideways:
            left -= cluster.header_height + _HEADER_GAP - _PAD_ACROSS / 2
        elif cluster.header_width:
            # Edges enter beside the header, not through its text.
            header = cluster.header_width + 2 * _HEADER_GAP
            left = min([left, *(place - self._reach(edge) - header for edge, place in layout.entries.items())])
            right = max(right, left + header)
        self.frames[number] = _Frame(left, right, 0, layout.rows - 1)
        center = (left + right) / 2
        entries = {edge: place - center for edge, place in layout.entries.items()}
        exits = {edge: place - center for edge, place in layout.exits.items()}
        return Item(right - left, layout.rows, entries, exits)

    def _reach(self, edge: int) -> float:
        """How far from its target's centre an edge may end when others end there too."""
        target = self.ends[edge][1]
        return port_reach(self.size(target)[0], self.arrivals[target])

    def place_levels(self) -> None:
        """From the outside in: shifts each level to where its cluster was placed."""
        self.places, self.rows = [0.0] * len(self.nodes), [0] * len(self.nodes)
        self.bends = [[] for _ in self.edges]
        shifts: dict[int, tuple[float, int]] = {0: (0.0, 0)}
        for number, level in enumerate(self.hierarchy.levels):
            if number not in self.layouts:
                continue
            (across, first), layout = shifts[number], self.layouts[number]
            for (kind, index), place, row in zip(level.items, layout.item_places, layout.item_rows, strict=True):
                if kind == "node":
                    self.places[index], self.rows[index] = place + across, row + first
                else:
                    frame = self.frames[index]
                    shift = place + across - (frame.left + frame.right) / 2
                    shifts[index] = (shift, row + first)
                    frame.left, frame.right = frame.left + shift, frame.right + shift
                    frame.first, frame.last = frame.first + row + first, frame.last + row + first
            for (edge, row), place in layout.bends.items():
                self.bends[edge].append((row + first, place + across))
            self.label_rows.update((edge, row + first) for edge, row in layout.label_rows.items())
        for bends in self.bends:
            bends.sort()

    def measure_rows(self) -> None:
        count = self.layouts[0].rows
        heights, slants = [0.0] * count, [0.0] * count
        before, after, has_nodes = [0.0] * count, [0.0] * count, [False] * count
        for node, row in enumerate(self.rows):
            heights[row] = max(heights[row], self.size(node)[1])
            has_nodes[row] = True
        for edge, row in self.label_rows.items():
            heights[row] = max(heights[row], self.label_size(edge)[1])
        for edge in range(len(self.edges)):
            upper, lower = self.ends[edge]
            way = [(self.rows[upper], self.places[upper]), *self.bends[edge], (self.rows[lower], self.places[lower])]
            for (row, place), (_, next_place) in pairwise(way):
                slants[row] = max(slants[row], abs(next_place - place))
        self._pad_clusters(before, after)
        self._widen_for_headers(heights)
        self.bands = make_bands(heights, before, after, slants, has_nodes)

    def _pad_clusters(self, before: list[float], after: list[float]) -> None:
        """Room above and below rows for the borders of clusters, inner ones first."""
        inner_before: dict[int, float] = {}
        inner_after: dict[int, float] = {}
        for number in range(len(self.hierarchy.levels) - 1, 0, -1):
            level, frame = self.hierarchy.levels[number], self.frames.get(number)
            if frame is None or level.cluster is None:
                continue
            header = 0.0 if self.sideways else level.cluster.header_height
            frame.before = inner_before.get(number, 0.0) + _PAD_ALONG + header
            frame.after = inner_after.get(number, 0.0) + _PAD_ALONG
            parent = self.frames.get(level.parent)
            if parent and parent.first == frame.first:
                inner_before[level.parent] = max(inner_before.get(level.parent, 0.0), frame.before)
            if parent and parent.last == frame.last:
                inner_after[level.parent] = max(inner_after.get(level.parent, 0.0), frame.after)
            before[frame.first] = max(before[frame.first], frame.before)
            after[frame.last] = max(after[frame.last], frame.after)

    def _widen_for_headers(self, heights: list[float]) -> None:
        """Sideways, a header lies along the rows: gives its cluster's last row what the header lacks."""
        for number, frame in self.frames.items():
            cluster = self.hierarchy.levels[number].cluster
            if self.sideways and cluster is not None:
                rows = sum(heights[frame.first : frame.last + 1])
                lacking = cluster.header_width + 2 * _HEADER_GAP - rows - frame.before - frame.after
                heights[frame.last] += max(0.0, lacking)

    def result(self) -> Layout:
        left = min(self._sides(), key=lambda sides: sides[0])[0]
        right = max(self._sides(), key=lambda sides: sides[1])[1]
        bottom = self.bands[-1].curve_top
        boxes = {node.id: self._node_box(number, left) for number, node in enumerate(self.nodes)}
        clusters: dict[str, Box] = {}
        for number in sorted(self.frames):
            cluster, frame = self.hierarchy.levels[number].cluster, self.frames[number]
            if cluster is not None:
                top = self.bands[frame.first].top - frame.before
                height = self.bands[frame.last].bottom + frame.after - top
                clusters[cluster.id] = self._box(frame.left - left, top, frame.right - frame.left, height)
        ranks = {node.id: row for node, row in zip(self.nodes, self.rows, strict=True)}
        width, height = (bottom, right - left) if self.sideways else (right - left, bottom)
        return Layout(width, height, boxes, ranks, clusters, self._routes(left))

    def _sides(self) -> list[tuple[float, float]]:
        layout = self.layouts[0]
        return [(layout.left, layout.right), *((frame.left, frame.right) for frame in self.frames.values())]

    def _box(self, x: float, y: float, width: float, height: float) -> Box:
        return Box(y, x, height, width) if self.sideways else Box(x, y, width, height)

    def _center(self, node: int) -> float:
        band = self.bands[self.rows[node]]
        return (band.top + band.bottom) / 2

    def _node_box(self, node: int, left: float) -> Box:
        width, height = self.size(node)
        return self._box(self.places[node] - left - width / 2, self._center(node) - height / 2, width, height)

    def _routes(self, left: float) -> tuple[Route, ...]:
        ports = self._entry_ports()
        routes: list[Route] = []
        for edge, (upper, lower) in enumerate(self.ends):
            width, height = self.size(upper)
            if upper == lower:
                commands = self_loop((self.places[upper] - left, self._center(upper)), width, height, _LOOP_ROOM)
                routes.append(Route(self._oriented(commands)))
                continue
            start = (self._start(edge) - left, self._center(upper) + height / 2)
            end = (ports[edge] - left, self._center(lower) - self.size(lower)[1] / 2)
            bends = [(row, place - left) for row, place in self.bends[edge]]
            commands = curve(start, bends, end, self.rows[upper], self.bands)
            label = None
            if edge in self.label_rows:
                band = self.bands[self.label_rows[edge]]
                across, along = dict(bends)[self.label_rows[edge]], (band.top + band.bottom) / 2
                label = (along, across) if self.sideways else (across, along)
            routes.append(Route(self._oriented(commands), label, self.hierarchy.turned[edge]))
        return tuple(routes)

    def _start(self, edge: int) -> float:
        """Edges leave a node from its middle, as they carry the same tensor; a turned one arrives there, beside."""
        upper, lower = self.ends[edge]
        if not self.hierarchy.turned[edge]:
            return self.places[upper]
        ahead = self.bends[edge][0][1] if self.bends[edge] else self.places[lower]
        return turned_port(self.size(upper)[0], self.places[upper], ahead)

    def _entry_ports(self) -> dict[int, float]:
        arriving: dict[int, list[int]] = {}
        for edge, (upper, lower) in enumerate(self.ends):
            if upper != lower:
                arriving.setdefault(lower, []).append(edge)
        ports: dict[int, float] = {}
        for node, edges in arriving.items():
            sources = [self.bends[e][-1][1] if self.bends[e] else self.places[self.ends[e][0]] for e in edges]
            places = entry_ports(self.size(node)[0], self.places[node], sources)
            ports.update(zip(edges, places, strict=True))
        return ports

    def _oriented(self, commands: Sequence[Command]) -> tuple[Command, ...]:
        if not self.sideways:
            return tuple(commands)
        return tuple((name, *_swapped(numbers)) for name, *numbers in commands)


def _swapped(numbers: Sequence[str | float]) -> list[float]:
    values = [float(number) for number in numbers]
    return [value for x, y in zip(values[::2], values[1::2], strict=True) for value in (y, x)]
