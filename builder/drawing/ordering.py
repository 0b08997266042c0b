"""Layered layout, second step: the order of the vertices in each row, with few crossings.

Barycentre sweeps (Sugiyama, Tagawa, Toda 1981) downwards and upwards, then exchanges of neighbours.
"""

from collections.abc import Sequence

from .rows import Kind, RowGraph, Segment

_SWEEPS = 16
_EXCHANGE_PASSES = 6
_WORST_SWEEPS_IN_A_ROW = 5
_TOWER_WEIGHT = 8  # crossing an item's own box looks worse than crossing an edge


def order_rows(graph: RowGraph) -> None:
    """Orders ``graph.rows`` in place; the result depends on nothing but the graph."""
    rows = _first_order(graph)
    _keep_towers_apart(graph, rows)
    best, fewest = rows, _crossings(graph, rows)
    without_gain = 0
    for sweep in range(_SWEEPS):
        if not fewest or without_gain == _WORST_SWEEPS_IN_A_ROW:
            break
        rows = [list(row) for row in rows]
        _sweep(graph, rows, downwards=sweep % 2 == 0)
        _exchange(graph, rows)
        _keep_towers_apart(graph, rows)
        crossings = _crossings(graph, rows)
        without_gain += 1
        if crossings < fewest:
            best, fewest, without_gain = rows, crossings, 0
    graph.rows[:] = best


def _first_order(graph: RowGraph) -> list[list[int]]:
    """The order of a depth-first walk, shortcuts last: chains get neighbouring places, skips go to their right."""
    rows: list[list[int]] = [[] for _ in graph.rows]
    seen = [False] * len(graph.widths)
    # From the inputs, in the order in which they were declared.
    for start in sorted(range(len(graph.widths)), key=lambda vertex: (bool(graph.up[vertex]), vertex)):
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


def _places(rows: Sequence[Sequence[int]]) -> dict[int, int]:
    return {vertex: place for row in rows for place, vertex in enumerate(row)}


def _end_key(graph: RowGraph, vertex: int, place: int, port: float) -> float:
    return place + 0.9 * port / (graph.widths[vertex] or 1.0)


def _sweep(graph: RowGraph, rows: list[list[int]], downwards: bool) -> None:
    """Orders one row after the other by the mean place of the neighbours in the row before."""
    places = _places(rows)
    for row in rows[1:] if downwards else reversed(rows[:-1]):
        if len(row) > 1:
            keys = {vertex: _barycentre(graph, vertex, places, downwards) for vertex in row}
            moving = iter(sorted((vertex for vertex in row if keys[vertex] is not None), key=lambda v: keys[v] or 0.0))
            row[:] = [vertex if keys[vertex] is None else next(moving) for vertex in row]
            places.update((vertex, place) for place, vertex in enumerate(row))


def _barycentre(graph: RowGraph, vertex: int, places: dict[int, int], downwards: bool) -> float | None:
    total = weights = 0.0
    for segment in graph.up[vertex] if downwards else graph.down[vertex]:
        other, port = (segment.upper, segment.upper_port) if downwards else (segment.lower, segment.lower_port)
        weight = float(_TOWER_WEIGHT) if segment.kind == Kind.RIGID else 1.0
        total += weight * _end_key(graph, other, places[other], port)
        weights += weight
    return total / weights if weights else None


def _keep_towers_apart(graph: RowGraph, rows: list[list[int]]) -> None:
    """Gives items that cover several rows the same order in each row, so that they can be boxes."""
    if len(graph.towers) < 2:
        return
    places = {vertex: (place + 0.5) / len(row) for row in rows for place, vertex in enumerate(row)}
    means = [sum(places[vertex] for vertex in tower) / len(tower) for tower in graph.towers]
    rank = {vertex: (means[index], index) for index, tower in enumerate(graph.towers) for vertex in tower}
    for row in rows:
        slots = [place for place, vertex in enumerate(row) if vertex in rank]
        for place, vertex in zip(slots, sorted((row[place] for place in slots), key=rank.__getitem__), strict=True):
            row[place] = vertex


def _crossings(graph: RowGraph, rows: Sequence[Sequence[int]]) -> int:
    places = _places(rows)
    return sum(
        _crossings_below(graph, upper, places)
        for upper, lower in zip(rows, rows[1:], strict=False)
        if len(upper) > 1 and len(lower) > 1
    )


def _crossings_below(graph: RowGraph, row: Sequence[int], places: dict[int, int]) -> int:
    ends: list[tuple[float, float, int]] = []
    for vertex in row:
        for segment in graph.down[vertex]:
            start = _end_key(graph, vertex, places[vertex], segment.upper_port)
            end = _end_key(graph, segment.lower, places[segment.lower], segment.lower_port)
            ends.append((start, end, _TOWER_WEIGHT if segment.kind == Kind.RIGID else 1))
    ends.sort()
    return _weighted_inversions([end for _, end, _ in ends], [weight for _, _, weight in ends])


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


def _exchange(graph: RowGraph, rows: list[list[int]]) -> None:
    """Exchanges neighbours in a row as long as that removes crossings."""
    places = _places(rows)
    dirty = set(range(len(rows)))
    for _ in range(_EXCHANGE_PASSES):
        changed: set[int] = set()
        for index in sorted(dirty):
            row = rows[index]
            for place in range(len(row) - 1):
                left, right = row[place], row[place + 1]
                if _exchange_gain(graph, left, right, places) > 0:
                    row[place], row[place + 1] = right, left
                    places[left], places[right] = place + 1, place
                    changed.update((index - 1, index, index + 1))
        dirty = {index for index in changed if 0 <= index < len(rows)}


def _exchange_gain(graph: RowGraph, left: int, right: int, places: dict[int, int]) -> int:
    gain = 0
    for neighbours in (graph.up, graph.down):
        if neighbours[left] and neighbours[right]:
            downwards = neighbours is graph.up
            here = [_other_end(graph, segment, places, downwards) for segment in neighbours[left]]
            there = [_other_end(graph, segment, places, downwards) for segment in neighbours[right]]
            for key, weight in here:
                for other, other_weight in there:
                    if key != other:
                        gain += weight * other_weight * (1 if key > other else -1)
    return gain


def _other_end(graph: RowGraph, segment: Segment, places: dict[int, int], downwards: bool) -> tuple[float, int]:
    weight = _TOWER_WEIGHT if segment.kind == Kind.RIGID else 1
    if downwards:
        return _end_key(graph, segment.upper, places[segment.upper], segment.upper_port), weight
    return _end_key(graph, segment.lower, places[segment.lower], segment.lower_port), weight
