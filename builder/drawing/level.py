"""The layout of one level of the cluster tree: its items and the edges between, into and out of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .hierarchy import Level
from .layering import Layering
from .ordering import order_rows
from .placement import place_rows
from .rows import Kind, RowGraph, Segment

_LABEL_ROOM = 12.0  # pixels between a label and its neighbours, besides the usual distance


@dataclass(slots=True)
class Item:
    """A node (one row) or a cluster that was laid out before (several rows)."""

    width: float
    rows: int = 1
    entries: dict[int, float] = field(default_factory=dict)  # of an edge: where it enters, from the item's centre
    exits: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class LevelLayout:
    """Where everything of the level is: rows count from the level's first one, places are pixels across."""

    rows: int
    item_rows: list[int]
    item_places: list[float]
    bends: dict[tuple[int, int], float] = field(default_factory=dict)  # (edge, row) -> place
    label_rows: dict[int, int] = field(default_factory=dict)  # edge -> row
    left: float = 0.0
    right: float = 0.0
    entries: dict[int, float] = field(default_factory=dict)  # edge -> where it enters the level, from above
    exits: dict[int, float] = field(default_factory=dict)


def lay_out_level(level: Level, items: Sequence[Item], label_widths: Sequence[float]) -> LevelLayout:
    """Rows, orders and places for one level; ``label_widths`` belong to the edges (0: no label)."""
    inner = [link for link in level.links if link.source >= 0 and link.target >= 0]
    entered, left = [False] * len(items), [False] * len(items)
    for link in level.links:
        if link.source < 0:
            entered[link.target] = True
        if link.target < 0:
            left[link.source] = True
    # A labelled edge gets a row of its own between the two items.
    lengths = [2 if label_widths[link.edge] else 1 for link in inner]
    pairs = [(link.source, link.target) for link in inner]
    layering = Layering([item.rows for item in items], pairs, lengths, entered)
    item_rows = layering.rows()
    count = max(row + item.rows for row, item in zip(item_rows, items, strict=True))
    layout = LevelLayout(count, item_rows, [])
    builder = _Builder(items, layout, label_widths)
    for index, (link, shortcut) in enumerate(zip(inner, layering.shortcuts(), strict=True)):
        kind = Kind.SHORTCUT if shortcut else Kind.BRANCH
        builder.join(link.edge, link.source, link.target, kind, layering.longest_through(index))
    for link in level.links:
        if link.source < 0 or link.target < 0:
            builder.join(link.edge, link.source, link.target, Kind.BRANCH, count)
    order_rows(builder.graph)
    builder.finish(place_rows(builder.graph))
    return layout


class _Builder:
    """Makes the row graph of a level and reads its places back."""

    def __init__(self, items: Sequence[Item], layout: LevelLayout, label_widths: Sequence[float]) -> None:
        self.items, self.layout, self.label_widths = items, layout, label_widths
        self.graph = RowGraph([[] for _ in range(layout.rows)])
        self.vertices: list[list[int]] = []  # of each item, from its first row to its last
        self.bends: dict[tuple[int, int], int] = {}
        self.entries: dict[int, tuple[int, float]] = {}  # edge -> (vertex, port)
        self.exits: dict[int, tuple[int, float]] = {}
        for item, row in zip(items, layout.item_rows, strict=True):
            tower = [self.graph.add_vertex(row + index, item.width, True) for index in range(item.rows)]
            for upper, lower in pairwise(tower):
                self.graph.add_segment(Segment(upper, lower, Kind.RIGID))
            if len(tower) > 1:
                self.graph.towers.append(tower)
            self.vertices.append(tower)

    def join(self, edge: int, source: int, target: int, kind: Kind, importance: int) -> None:
        """Leads an edge from the row below its source (or the first) to the row above its target (or the last)."""
        rows, layout = self.layout.item_rows, self.layout
        first = rows[source] + self.items[source].rows if source >= 0 else 0
        last = rows[target] - 1 if target >= 0 else layout.rows - 1
        bends = list(range(first, last + 1))
        label = 0.0
        if source >= 0 and target >= 0 and self.label_widths[edge]:
            label = self.label_widths[edge]
            layout.label_rows[edge] = bends[len(bends) // 2]
        chain = [(self.vertices[source][-1], self.items[source].exits.get(edge, 0.0))] if source >= 0 else []
        for row in bends:
            width = label + _LABEL_ROOM if layout.label_rows.get(edge) == row else 0.0
            self.bends[edge, row] = self.graph.add_vertex(row, width, False)
            chain.append((self.bends[edge, row], 0.0))
        if target >= 0:
            chain.append((self.vertices[target][0], self.items[target].entries.get(edge, 0.0)))
        for (upper, upper_port), (lower, lower_port) in pairwise(chain):
            between = not self.graph.is_item[upper] and not self.graph.is_item[lower]
            segment = Segment(upper, lower, Kind.INNER if between else kind, upper_port, lower_port, importance)
            self.graph.add_segment(segment)
        if source < 0:
            self.entries[edge] = chain[0]
        if target < 0:
            self.exits[edge] = chain[-1]

    def finish(self, places: Sequence[float]) -> None:
        layout, graph = self.layout, self.graph
        layout.item_places = [places[tower[0]] for tower in self.vertices]
        layout.bends = {key: places[vertex] for key, vertex in self.bends.items()}
        layout.left = min(place - width / 2 for place, width in zip(places, graph.widths, strict=True))
        layout.right = max(place + width / 2 for place, width in zip(places, graph.widths, strict=True))
        layout.entries = {edge: places[vertex] + port for edge, (vertex, port) in self.entries.items()}
        layout.exits = {edge: places[vertex] + port for edge, (vertex, port) in self.exits.items()}
