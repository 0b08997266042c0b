"""The graph between layering and placement: vertices in rows, and segments that join neighbouring rows only.

A vertex is one row of an item (a node, or a cluster that was laid out before) or the place where a long edge passes
through a row.
"""

from dataclasses import dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    """What a segment is, from the one that most wants to be straight to the one that least does."""

    RIGID = 0  # joins two rows of the same item
    INNER = 1  # joins two bends of the same edge
    BRANCH = 2  # belongs to an edge between items
    SHORTCUT = 3  # belongs to an edge that a longer way accompanies


_PULL = {Kind.RIGID: 8.0, Kind.INNER: 2.0, Kind.BRANCH: 1.0, Kind.SHORTCUT: 0.15}


@dataclass(slots=True)
class Segment:
    """A piece of an edge from a row to the next; the ports are distances from the vertices' centres."""

    upper: int
    lower: int
    kind: Kind
    upper_port: float = 0.0
    lower_port: float = 0.0
    importance: int = 0  # rows of the longest path through the edge

    @property
    def pull(self) -> float:
        return _PULL[self.kind]


@dataclass(slots=True)
class RowGraph:
    """Vertices (numbered in the order of their creation), the row order of each row, and the segments."""

    rows: list[list[int]]
    widths: list[float] = field(default_factory=list)
    row_of: list[int] = field(default_factory=list)
    is_item: list[bool] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    towers: list[list[int]] = field(default_factory=list)  # the vertices of each item that covers several rows
    up: list[list[Segment]] = field(default_factory=list)
    down: list[list[Segment]] = field(default_factory=list)

    def add_vertex(self, row: int, width: float, is_item: bool) -> int:
        vertex = len(self.widths)
        self.widths.append(width)
        self.row_of.append(row)
        self.is_item.append(is_item)
        self.up.append([])
        self.down.append([])
        self.rows[row].append(vertex)
        return vertex

    def add_segment(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.down[segment.upper].append(segment)
        self.up[segment.lower].append(segment)

    def separation(self, left: int, right: int) -> float:
        """The least distance between the centres of two neighbours in a row, in pixels."""
        items = self.is_item[left] + self.is_item[right]
        return (self.widths[left] + self.widths[right]) / 2 + (14.0, 20.0, 32.0)[items]
