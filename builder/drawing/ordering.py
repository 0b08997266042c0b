"""Layered layout, second step: the order of the vertices in each row, with few crossings.

Barycentre sweeps (Sugiyama, Tagawa, Toda 1981) downwards and upwards, then exchanges of neighbours.
"""

from collections.abc import Sequence
from itertools import pairwise

from .rows import Kind, RowGraph

Rows = list[list[int]]
End = tuple[int, float, int]  # the vertex at a segment's other end, the port there as a part of a place, the weight

_SWEEPS = 16
_EXCHANGE_PASSES = 4
_WORST_SWEEPS_IN_A_ROW = 4
_TOWER_WEIGHT = 8  # crossing an item's own box looks worse than crossing an edge


def order_rows(graph: RowGraph) -> None:
    """Orders ``graph.rows`` in place; the result depends on nothing but the graph."""
    graph.rows[:] = _Ordering(graph).best()


class _Ordering:
    """The segments as the sweeps read them: for each vertex the ends above and below it."""

    def __init__(self, graph: RowGraph) -> None:
        self.graph = graph
        self.above: list[list[End]] = [[] for _ in graph.widths]
        self.below: list[list[End]] = [[] for _ in graph.widths]
        self.own_parts: list[list[float]] = [[] for _ in graph.widths]  # the near ends of ``below``
        for segment in graph.segments:
            weight = _TOWER_WEIGHT if segment.kind == Kind.RIGID else 1
            upper_part = 0.9 * segment.upper_port / (graph.widths[segment.upper] or 1.0)
            lower_part = 0.9 * segment.lower_port / (graph.widths[segment.lower] or 1.0)
            self.above[segment.lower].append((segment.upper, upper_part, weight))
            self.below[segment.upper].append((segment.lower, lower_part, weight))
            self.own_parts[segment.upper].append(upper_part)

    def best(self) -> Rows:
        rows = self.first_order()  # walks through a tower in one go, so that towers are in the same order everywhere
        best, fewest = rows, self.crossings(rows)
        without_gain = 0
        for sweep in range(_SWEEPS):
            if not fewest or without_gain == _WORST_SWEEPS_IN_A_ROW:
                break
            rows = [list(row) for row in rows]
            self.sweep(rows, downwards=sweep % 2 == 0)
            self.exchange(rows)
            self.keep_towers_apart(rows)
            crossings = self.crossings(rows)
            without_gain += 1
            if crossings < fewest:
                best, fewest, without_gain = rows, crossings, 0
        return best

    def first_order(self) -> Rows:
        """The order of a depth-first walk, shortcuts last: chains get neighbouring places, skips go to their right."""
        graph = self.graph
        rows: Rows = [[] for _ in graph.rows]
        seen = [False] * len(graph.widths)
        # From the inputs, in the order in which they were declared.
        for start in sorted(range(len(seen)), key=lambda vertex: (bool(graph.up[vertex]), vertex)):
            stack = [start]
            while stack:
                vertex = stack.pop()
                if seen[vertex]:
                    continue
                seen[vertex] = True
                rows[graph.row_of[vertex]].append(vertex)
                ahead = sorted(graph.down[vertex], key=lambda segment: segment.kind == Kind.SHORTCUT)
                stack.extend(segment.lower for segment in reversed(ahead))
        return rows

    def sweep(self, rows: Rows, downwards: bool) -> None:
        """Orders one row after the other by the mean place of the neighbours in the row before."""
        ends, places = self.above if downwards else self.below, _places(rows)
        for row in rows[1:] if downwards else reversed(rows[:-1]):
            if len(row) > 1:
                means = {vertex: _mean_place(ends[vertex], places) for vertex in row if ends[vertex]}
                moving = iter(sorted(means, key=means.__getitem__))
                row[:] = [next(moving) if vertex in means else vertex for vertex in row]
                places.update((vertex, place) for place, vertex in enumerate(row))

    def keep_towers_apart(self, rows: Rows) -> None:
        """Gives items that cover several rows the same order in each row, so that they can be boxes."""
        if len(self.graph.towers) < 2:
            return
        places = {vertex: (place + 0.5) / len(row) for row in rows for place, vertex in enumerate(row)}
        means = [sum(places[vertex] for vertex in tower) / len(tower) for tower in self.graph.towers]
        rank = {vertex: (means[index], index) for index, tower in enumerate(self.graph.towers) for vertex in tower}
        for row in rows:
            slots = [place for place, vertex in enumerate(row) if vertex in rank]
            ordered = sorted((row[place] for place in slots), key=rank.__getitem__)
            for place, vertex in zip(slots, ordered, strict=True):
                row[place] = vertex

    def crossings(self, rows: Rows) -> int:
        places = _places(rows)
        total = 0
        for upper, lower in pairwise(rows):
            if len(upper) > 1 and len(lower) > 1:
                ends = [
                    (places[vertex] + own_part, places[end] + part, weight)
                    for vertex in upper
                    for (end, part, weight), own_part in zip(self.below[vertex], self.own_parts[vertex], strict=True)
                ]
                ends.sort()
                total += _weighted_inversions([end for _, end, _ in ends], [weight for _, _, weight in ends])
        return total

    def exchange(self, rows: Rows) -> None:
        """Exchanges neighbours in a row as long as that removes crossings."""
        places = _places(rows)
        dirty = set(range(len(rows)))
        for _ in range(_EXCHANGE_PASSES):
            changed: set[int] = set()
            for index in sorted(dirty):
                row = rows[index]
                for place in range(len(row) - 1):
                    left, right = row[place], row[place + 1]
                    gain = _gain(self.above[left], self.above[right], places)
                    if gain + _gain(self.below[left], self.below[right], places) > 0:
                        row[place], row[place + 1] = right, left
                        places[left], places[right] = place + 1, place
                        changed.update((index - 1, index, index + 1))
            dirty = {index for index in changed if 0 <= index < len(rows)}


def _places(rows: Rows) -> dict[int, int]:
    return {vertex: place for row in rows for place, vertex in enumerate(row)}


def _mean_place(ends: Sequence[End], places: dict[int, int]) -> float:
    total = sum(weight * (places[vertex] + part) for vertex, part, weight in ends)
    return total / sum(weight for _, _, weight in ends)


def _gain(left: Sequence[End], right: Sequence[End], places: dict[int, int]) -> int:
    """Crossings less on one side when two neighbours with these ends change places."""
    gain = 0
    for vertex, part, weight in left:
        key = places[vertex] + part
        for other, other_part, other_weight in right:
            other_key = places[other] + other_part
            if key > other_key:
                gain += weight * other_weight
            elif key < other_key:
                gain -= weight * other_weight
    return gain


def _weighted_inversions(keys: Sequence[float], weights: Sequence[int]) -> int:
    """The sum of weight * weight over the pairs whose keys are out of order (Fenwick tree)."""
    rank = {key: index for index, key in enumerate(sorted(set(keys)), 1)}
    tree = [0] * (len(rank) + 1)
    total = seen = 0
    for key, weight in zip(keys, weights, strict=True):
        index, not_greater = rank[key], 0
        while index:
            not_greater += tree[index]
            index &= index - 1
        total += weight * (seen - not_greater)
        seen += weight
        index = rank[key]
        while index < len(tree):
            tree[index] += weight
            index += index & -index
    return total
