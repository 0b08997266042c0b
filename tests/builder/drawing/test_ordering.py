"""The order in rows: items that cover several rows stand in the same order in each of them."""

import pytest

from sardonyx.builder.drawing.ordering import order_rows
from sardonyx.builder.drawing.rows import Kind, RowGraph, Segment


@pytest.mark.parametrize("count", [1, 20])
def test_towers_keep_their_order_even_if_edges_would_rather_cross(count):
    """Two towers whose upper rows want one order and whose lower rows, with ``count`` edges each, the other."""
    graph = RowGraph([[], [], [], []])
    ends = {row: [graph.add_vertex(row, 10.0, True) for _ in range(2)] for row in (0, 3)}
    for _ in range(2):
        tower = [graph.add_vertex(row, 10.0, True) for row in (1, 2)]
        graph.add_segment(Segment(*tower, Kind.RIGID))
        graph.towers.append(tower)
    for index, (upper, lower) in enumerate(graph.towers):
        for _ in range(count):
            graph.add_segment(Segment(ends[0][index], upper, Kind.BRANCH))
            graph.add_segment(Segment(lower, ends[3][1 - index], Kind.BRANCH))
    # Edges that hold the ends in place: they would have to cross if both rows of ends were exchanged.
    for _ in range(200):
        bends = [[graph.add_vertex(row, 0.0, False) for row in (1, 2)] for _ in range(2)]
        for index, (upper, lower) in enumerate(bends):
            graph.add_segment(Segment(ends[0][index], upper, Kind.BRANCH))
            graph.add_segment(Segment(upper, lower, Kind.INNER))
            graph.add_segment(Segment(lower, ends[3][index], Kind.BRANCH))
    order_rows(graph)
    places = [[row.index(tower[height]) for tower in graph.towers] for height, row in enumerate(graph.rows[1:3])]
    assert (places[0][0] < places[0][1]) == (places[1][0] < places[1][1])
