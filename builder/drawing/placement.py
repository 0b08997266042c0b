"""Layered layout, third step: the place of each vertex across the picture.

Segments that should be straight tie vertices to columns (as in Brandes and Köpf, "Fast and Simple Horizontal
Coordinate Assignment", 2001, but the important segments choose first). The columns then move as near to each other as
their distances allow: a quadratic problem, solved by accelerated projected gradient steps.
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .rows import Kind, RowGraph, Segment
from .separation import Floats, Separation

_STEPS = 80
_STILL = 0.05  # pixels: columns that move less than this have arrived
_LOOSE_WEIGHT = 1e-3  # of a column that no segment pulls


def place_rows(graph: RowGraph) -> list[float]:
    """The centre of each vertex, in pixels; neighbours in a row keep ``graph.separation``."""
    columns = _Columns.build(graph, _straight_segments(graph))
    start = columns.mean_of(graph, _centred_rows(graph))
    places = _pull_together(graph, columns, start)
    return [float(places[column] + offset) for column, offset in zip(columns.column, columns.offset, strict=True)]


def _straight_segments(graph: RowGraph) -> list[Segment]:
    """Segments to draw straight: no two of them cross, and each vertex has at most one upwards and one downwards."""
    place = {vertex: index for row in graph.rows for index, vertex in enumerate(row)}
    down_choice = [_choice(graph.down[v], [place[s.lower] for s in graph.down[v]]) for v in range(len(graph.widths))]
    up_choice = [_choice(graph.up[v], [place[s.upper] for s in graph.up[v]]) for v in range(len(graph.widths))]
    # A bend, or a row within an item, has one segment on each side: those are wanted always.
    wanted = [s for s in graph.segments if down_choice[s.upper] is s and up_choice[s.lower] is s]
    wanted.sort(key=lambda segment: (segment.kind, -segment.importance))
    taken: list[list[tuple[int, int]]] = [[] for _ in graph.rows]
    chosen: list[Segment] = []
    for segment in wanted:
        gap = taken[graph.row_of[segment.upper]]
        pair = (place[segment.upper], place[segment.lower])
        index = bisect_left(gap, pair)
        free_left = index == 0 or (gap[index - 1][0] < pair[0] and gap[index - 1][1] < pair[1])
        free_right = index == len(gap) or (gap[index][0] > pair[0] and gap[index][1] > pair[1])
        if free_left and free_right:
            gap.insert(index, pair)
            chosen.append(segment)
    return chosen


def _choice(segments: list[Segment], places: list[int]) -> Segment | None:
    """The segment on one side of a vertex that should be straight: the middle one, the important one of two."""
    branches = [
        (place, index)
        for index, (segment, place) in enumerate(zip(segments, places, strict=True))
        if segment.kind != Kind.SHORTCUT
    ]
    if len(branches) % 2:
        return segments[sorted(branches)[len(branches) // 2][1]]
    if len(branches) == 2:
        first, second = (segments[index] for _, index in branches)
        if first.importance != second.importance:
            return first if first.importance > second.importance else second
    return None


@dataclass
class _Columns:
    """Vertices tied together by straight segments."""

    count: int
    column: list[int]  # of each vertex
    offset: list[float]  # of each vertex from its column's place

    @staticmethod
    def build(graph: RowGraph, straight: list[Segment]) -> "_Columns":
        column, offset = [-1] * len(graph.widths), [0.0] * len(graph.widths)
        below = {segment.upper: segment for segment in straight}
        above = {segment.lower for segment in straight}
        count = 0
        for top in range(len(graph.widths)):
            if top in above:
                continue
            vertex, place = top, 0.0
            while True:
                column[vertex], offset[vertex] = count, place
                segment = below.get(vertex)
                if segment is None:
                    break
                vertex, place = segment.lower, place + segment.upper_port - segment.lower_port
            count += 1
        return _Columns(count, column, offset)

    def mean_of(self, graph: RowGraph, places: list[float]) -> Floats:
        """The columns' places that fit best to the given places of their vertices."""
        # Passing edges follow; what has a box leads.
        weights = [1.0 if item else 0.1 for item in graph.is_item]
        total = np.bincount(self.column, weights, self.count)
        wanted = np.array(places) - np.array(self.offset)
        return np.bincount(self.column, np.array(weights) * wanted, self.count) / total

    def constraints(self, graph: RowGraph) -> list[tuple[int, int, float]]:
        gaps: dict[tuple[int, int], float] = {}
        for row in graph.rows:
            for left, right in pairwise(row):
                pair = (self.column[left], self.column[right])
                gap = graph.separation(left, right) + self.offset[left] - self.offset[right]
                gaps[pair] = max(gap, gaps.get(pair, gap))
        return [(left, right, gap) for (left, right), gap in gaps.items()]


def _centred_rows(graph: RowGraph) -> list[float]:
    places = [0.0] * len(graph.widths)
    for row in graph.rows:
        place = 0.0
        for left, right in pairwise(row):
            place += graph.separation(left, right)
            places[right] = place
        for vertex in row:
            places[vertex] -= place / 2
    return places


def _pull_together(graph: RowGraph, columns: _Columns, start: Floats) -> Floats:
    """Minimises the pulled squares of all slants, by Nesterov's accelerated projected gradient."""
    pulls = [
        (
            columns.column[segment.upper],
            columns.column[segment.lower],
            columns.offset[segment.lower] + segment.lower_port - columns.offset[segment.upper] - segment.upper_port,
            segment.pull,
        )
        for segment in graph.segments
        if columns.column[segment.upper] != columns.column[segment.lower]
    ]
    upper = np.array([pull[0] for pull in pulls], dtype=np.intp)
    lower = np.array([pull[1] for pull in pulls], dtype=np.intp)
    slant = np.array([pull[2] for pull in pulls], dtype=np.float64)
    weight = np.array([pull[3] for pull in pulls], dtype=np.float64)
    total = np.bincount(upper, weight, columns.count) + np.bincount(lower, weight, columns.count) + _LOOSE_WEIGHT
    separation = Separation(columns.count, columns.constraints(graph), total.tolist())
    places = separation.project(start)
    ahead, momentum = places, 1.0
    for _ in range(_STEPS if pulls else 0):
        force = weight * (ahead[lower] - ahead[upper] + slant)
        step = np.bincount(upper, force, columns.count) - np.bincount(lower, force, columns.count)
        moved = separation.project(ahead + 0.5 * step / total)
        following = (1 + (1 + 4 * momentum * momentum) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - places)
        still = np.abs(moved - places).max() < _STILL
        places, momentum = moved, following
        if still:
            break
    return places
