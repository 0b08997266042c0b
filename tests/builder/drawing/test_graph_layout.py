"""Layouts: boxes apart, edges on borders and around boxes, rows in order; on many random graphs and on large ones."""

import random
from itertools import pairwise

import numpy as np
import pytest

from sardonyx.builder.drawing.graph_layout import Box, Layout, layered_layout
from sardonyx.builder.drawing.hierarchy import LayoutCluster, LayoutEdge, LayoutNode

Graph = tuple[list[LayoutNode], list[LayoutEdge], list[LayoutCluster]]


def random_graph(seed: int) -> Graph:
    """A graph of up to 30 nodes: some with cycles and loops, labels, nested clusters of neighbours or of strangers."""
    choose = random.Random(seed)
    count = choose.randint(1, 30)
    nodes = [LayoutNode(f"n{i}", choose.uniform(20, 250), choose.uniform(15, 120)) for i in range(count)]
    edges: list[LayoutEdge] = []
    for target in range(1, count):
        for source in sorted({max(0, target - choose.randint(1, 6)) for _ in range(choose.choice([0, 1, 1, 2, 3]))}):
            backwards = seed % 3 == 0 and choose.random() < 0.1
            ends = (target, source) if backwards else (source, target)
            label = (choose.uniform(10, 90), 14.0) if choose.random() < 0.2 else (0.0, 0.0)
            edges.append(LayoutEdge(f"n{ends[0]}", f"n{ends[1]}", *label))
    if seed % 5 == 0:
        edges.append(LayoutEdge("n0", "n0"))
    return nodes, edges, random_clusters(choose, count) if seed % 2 else []


def random_clusters(choose: random.Random, count: int) -> list[LayoutCluster]:
    left, clusters = list(range(count)), []
    scattered = choose.random() < 0.5
    for index in range(choose.randint(1, 4)):
        size = min(len(left), choose.randint(0, 6))
        members = choose.sample(left, size) if scattered else left[:size]
        left = [node for node in left if node not in members]
        parent = choose.choice([None, *(cluster.id for cluster in clusters)])
        header = (choose.uniform(0, 150), choose.choice([16.0, 32.0]))
        clusters.append(LayoutCluster(f"c{index}", tuple(f"n{i}" for i in members), parent, *header))
    return clusters


def surroundings(name: str, clusters: list[LayoutCluster]) -> set[str]:
    """The clusters around a node or a cluster."""
    parents = {cluster.id: cluster.parent for cluster in clusters}
    home = {member: cluster.id for cluster in clusters for member in cluster.members}
    around, current = set(), parents.get(name) or home.get(name)
    while current is not None:
        around.add(current)
        current = parents[current]
    return around


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def lies_in(a: Box, b: Box) -> bool:
    return (
        a.x >= b.x - 0.01
        and a.y >= b.y - 0.01
        and a.x + a.width <= b.x + b.width + 0.01
        and a.y + a.height <= b.y + b.height + 0.01
    )


def is_inside(x: float, y: float, box: Box) -> bool:
    return box.x + 0.5 < x < box.x + box.width - 0.5 and box.y + 0.5 < y < box.y + box.height - 0.5


def is_on_border(x: float, y: float, box: Box) -> bool:
    on_side = min(abs(x - box.x), abs(x - box.x - box.width)) < 0.01 and box.y <= y <= box.y + box.height
    on_end = min(abs(y - box.y), abs(y - box.y - box.height)) < 0.01 and box.x <= x <= box.x + box.width
    return on_side or on_end


def points(commands) -> list[tuple[float, float]]:
    """Points along a path, close to each other (De Casteljau's construction)."""
    found = [np.array(commands[0][1:])]
    for _, *numbers in commands[1:]:
        corners = [found[-1], *np.reshape(numbers, (-1, 2))]
        for t in np.linspace(0, 1, 13)[1:]:
            inner = corners
            while len(inner) > 1:
                inner = [a + (b - a) * t for a, b in pairwise(inner)]
            found.append(inner[0])
    return [(float(x), float(y)) for x, y in found]


def check_boxes(layout: Layout, clusters: list[LayoutCluster]) -> None:
    boxes = {**layout.nodes, **layout.clusters}
    names = list(boxes)
    for index, name in enumerate(names):
        around = surroundings(name, clusters)
        assert lies_in(boxes[name], Box(0, 0, layout.width, layout.height)), name
        assert all(lies_in(boxes[name], boxes[cluster]) for cluster in around), name
        for other in names[index + 1 :]:
            if other not in around and name not in surroundings(other, clusters):
                assert not overlap(boxes[name], boxes[other]), (name, other)


def check_routes(layout: Layout, edges: list[LayoutEdge], clusters: list[LayoutCluster]) -> None:
    for edge, route in zip(edges, layout.routes, strict=True):
        way = points(route.commands)
        start, end = (way[-1], way[0]) if route.turned else (way[0], way[-1])
        assert is_on_border(*start, layout.nodes[edge.source]), edge
        assert is_on_border(*end, layout.nodes[edge.target]), edge
        strangers = [box for name, box in layout.nodes.items() if name not in (edge.source, edge.target)]
        around = surroundings(edge.source, clusters) | surroundings(edge.target, clusters)
        strangers += [box for name, box in layout.clusters.items() if name not in around]
        assert not any(is_inside(x, y, box) for x, y in way for box in strangers), edge
        if edge.source != edge.target:
            forward = layout.ranks[edge.source] < layout.ranks[edge.target]
            assert forward != route.turned, edge
            assert (route.label is not None) == (edge.label_width > 0), edge


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int, direction):
    nodes, edges, clusters = random_graph(seed)
    layout = layered_layout(nodes, edges, clusters, direction)
    assert list(layout.nodes) == [node.id for node in nodes]
    assert all((layout.nodes[n.id].width, layout.nodes[n.id].height) == (n.width, n.height) for n in nodes)
    check_boxes(layout, clusters)
    check_routes(layout, edges, clusters)
    assert layout == layered_layout(nodes, edges, clusters, direction)


def test_labels_keep_clear_of_nodes_and_of_each_other():
    for seed in range(40):
        nodes, edges, clusters = random_graph(seed)
        layout = layered_layout(nodes, edges, clusters)
        labels = [
            Box(route.label[0] - edge.label_width / 2, route.label[1] - 7, edge.label_width, 14)
            for edge, route in zip(edges, layout.routes, strict=True)
            if route.label
        ]
        for index, label in enumerate(labels):
            assert not any(overlap(label, box) for box in layout.nodes.values())
            assert not any(overlap(label, other) for other in labels[index + 1 :])


def boxes(count: int) -> list[LayoutNode]:
    return [LayoutNode(str(number), 100.0, 40.0) for number in range(count)]


def edges_of(pairs) -> list[LayoutEdge]:
    return [LayoutEdge(str(source), str(target)) for source, target in pairs]


def test_a_long_chain_is_straight():
    layout = layered_layout(boxes(1000), edges_of((n, n + 1) for n in range(999)))
    assert layout.width == 100
    assert [layout.ranks[str(n)] for n in range(1000)] == list(range(1000))
    assert all(len(route.commands) == 2 for route in layout.routes)


def test_residual_blocks_keep_their_main_path_straight():
    pairs = [(n, n + 1) for n in range(30)] + [(n, n + 3) for n in range(0, 30, 3)]
    layout = layered_layout(boxes(31), edges_of(pairs))
    assert len({box.x for box in layout.nodes.values()}) == 1


def test_branches_stand_around_their_ends():
    """An Inception module: 4 branches of 1, 2, 3 and 2 layers between two nodes."""
    pairs = [(0, 1), (1, 9), (0, 2), (2, 3), (3, 9), (0, 4), (4, 5), (5, 6), (6, 9), (0, 7), (7, 8), (8, 9)]
    layout = layered_layout(boxes(10), edges_of(pairs))
    center = {name: box.center[0] for name, box in layout.nodes.items()}
    assert center["1"] < center["2"] < center["4"] < center["7"]
    middle = (center["1"] + center["7"]) / 2
    assert center["0"] == pytest.approx(middle, abs=1)
    assert center["9"] == pytest.approx(middle, abs=1)
    assert center["2"] == pytest.approx(center["3"])
    assert center["4"] == pytest.approx(center["5"]) == pytest.approx(center["6"])


def test_crossings_that_need_not_be_are_removed():
    """Three towers declared in a mixed order."""
    pairs = [(0, 5), (1, 3), (2, 4), (3, 8), (4, 6), (5, 7)]
    layout = layered_layout(boxes(9), edges_of(pairs))
    for source, target in pairs:
        assert layout.nodes[str(source)].x == pytest.approx(layout.nodes[str(target)].x)


def test_an_input_stands_next_to_the_layer_that_reads_it():
    pairs = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 3)]
    layout = layered_layout(boxes(6), edges_of(pairs))
    assert [layout.ranks[name] for name in ("4", "5", "3")] == [1, 2, 3]


def test_large_nets():
    choose = random.Random(0)
    pairs = sorted({(a, min(299, a + 1 + int(choose.expovariate(0.2)))) for a in range(299) for _ in range(2)})
    layout = layered_layout(boxes(300), edges_of(pairs))
    check_boxes(layout, [])
    assert all(layout.ranks[str(a)] < layout.ranks[str(b)] for a, b in pairs)


def test_left_to_right_is_the_same_layout_turned():
    nodes = [LayoutNode(str(number), 60.0, 60.0) for number in range(7)]
    edges = edges_of([(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4), (4, 5), (4, 6)])
    down, right = layered_layout(nodes, edges, direction="TB"), layered_layout(nodes, edges, direction="LR")
    assert (down.width, down.height) == (right.height, right.width)
    assert all((down.nodes[n].x, down.nodes[n].y) == (right.nodes[n].y, right.nodes[n].x) for n in down.nodes)


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_headers_of_nested_clusters_lie_below_each_other(direction):
    """Three clusters around the same node: each header has its own room, the innermost the highest one."""
    clusters = [
        LayoutCluster("outer", (), None, 50, 16),
        LayoutCluster("middle", (), "outer", 50, 16),
        LayoutCluster("inner", ("0",), "middle", 50, 48),
    ]
    layout = layered_layout(boxes(1), [], clusters, direction)
    insides = [*(layout.clusters[name] for name in ("middle", "inner")), layout.nodes["0"]]
    for cluster, inside in zip(clusters, insides, strict=True):
        frame = layout.clusters[cluster.id]
        assert inside.y - frame.y >= cluster.header_height + 5
        assert inside.x - frame.x >= 5
        assert frame.x + frame.width - inside.x - inside.width >= 5
        assert frame.y + frame.height - inside.y - inside.height >= 5


def test_a_long_edge_bends_only_at_its_ends():
    """Past a chain of narrow and wide boxes, beside which it would be shorter to wind along."""
    nodes = [LayoutNode(str(number), 300.0 if number % 3 == 1 else 40.0, 30.0) for number in range(12)]
    pairs = [(number, number + 1) for number in range(11)] + [(0, 11), (2, 9)]
    layout = layered_layout(nodes, edges_of(pairs))
    for route in layout.routes[-2:]:
        assert sum(command[0] == "C" for command in route.commands) == 2


def test_clusters_stay_in_order_where_their_edges_pull_them_across():
    """Cluster c0 ends one row above c1, and its many edges lead to nodes on the other side of c1."""
    choose = random.Random(0)
    for _ in range(30):
        first, second, many = choose.randint(2, 4), choose.randint(2, 4), 12
        members = [[f"a{n}" for n in range(first)], [f"b{n}" for n in range(second)]]
        pairs = [pair for chain in members for pair in pairwise(chain)]
        targets = [f"t{n}" for n in range(many)]
        pairs += [(choose.choice([members[0][-1], members[1][-1]]), target) for target in targets]
        pairs += [(f"s{n}", choose.choice([members[0][0], members[1][0]])) for n in range(many)]
        pairs += [(f"s{n}", target) for n, target in enumerate(targets) if choose.random() < 0.7]
        names = [*members[0], *members[1], *targets, *(f"s{n}" for n in range(many))]
        choose.shuffle(names)
        clusters = [LayoutCluster(f"c{n}", tuple(chain)) for n, chain in enumerate(members)]
        nodes = [LayoutNode(name, 60.0, 30.0) for name in names]
        check_boxes(layered_layout(nodes, [LayoutEdge(*pair) for pair in pairs], clusters), clusters)


def test_nothing_gives_an_empty_layout():
    assert layered_layout([], []) == Layout(0.0, 0.0, {}, {}, {}, ())


def test_clusters_without_nodes_are_not_drawn():
    layout = layered_layout(boxes(1), [], [LayoutCluster("empty"), LayoutCluster("inner", (), "empty")])
    assert layout.clusters == {}


A, B = LayoutNode("a", 10, 10), LayoutNode("b", 10, 10)


@pytest.mark.parametrize(
    ("nodes", "edges", "clusters", "message"),
    [
        ([A, A], [], [], "Two nodes of the diagram have the id 'a'"),
        ([A], [], [LayoutCluster("c"), LayoutCluster("c")], "Two clusters of the diagram have the id 'c'"),
        ([A], [LayoutEdge("a", "x")], [], "The edge 'a' -> 'x' ends at 'x', which is no node"),
        ([A], [LayoutEdge("y", "a")], [], "The edge 'y' -> 'a' ends at 'y', which is no node"),
        ([A], [], [LayoutCluster("c", ("z",))], "Cluster 'c' holds 'z', which is no node"),
        ([A], [], [LayoutCluster("c", ("a",)), LayoutCluster("d", ("a",))], "'a' is a member of two clusters"),
        ([A], [], [LayoutCluster("c", (), "d")], "Cluster 'c' lies in 'd', which is no cluster"),
        ([A], [], [LayoutCluster("c", (), "d"), LayoutCluster("d", (), "c")], "'c', 'd' lie in each other"),
    ],
)
def test_errors(nodes, edges, clusters, message):
    with pytest.raises(ValueError, match=message):
        layered_layout(nodes, edges, clusters)


def test_unknown_direction():
    with pytest.raises(ValueError, match="direction must be 'TB' or 'LR', got 'BT'"):
        layered_layout([A], [], direction="BT")  # pyright: ignore[reportArgumentType]
