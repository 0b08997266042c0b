"""Clusters as a tree: which cluster holds which nodes, and at which level of the tree each edge is laid out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .layering import turned_links


@dataclass(frozen=True, slots=True)
class LayoutNode:
    """A box of ``width`` x ``height`` pixels to be placed."""

    id: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class LayoutEdge:
    """An edge between two nodes; a label of the given size (pixels) gets a place of its own on it."""

    source: str
    target: str
    label_width: float = 0.0
    label_height: float = 0.0


@dataclass(frozen=True, slots=True)
class LayoutCluster:
    """A box around nodes and other clusters (those whose ``parent`` it is), with room for a header at its top left."""

    id: str
    members: tuple[str, ...] = ()
    parent: str | None = None
    header_width: float = 0.0
    header_height: float = 0.0


@dataclass(slots=True)
class Link:
    """An edge as one level sees it: from item to item; -1 stands for the outside, above or below."""

    edge: int
    source: int
    target: int


@dataclass(slots=True)
class Level:
    """What one cluster (or, for ``cluster`` None, the picture) holds: items are its nodes and its inner clusters."""

    cluster: LayoutCluster | None
    parent: int
    items: list[tuple[str, int]] = field(default_factory=list)  # ("node" or "level", number)
    links: list[Link] = field(default_factory=list)


@dataclass(slots=True)
class Hierarchy:
    """The levels (0 is the picture; inner levels follow outer ones) and which edges are laid out upside down."""

    levels: list[Level]
    turned: list[bool]


def build_hierarchy(
    nodes: Sequence[LayoutNode], edges: Sequence[LayoutEdge], clusters: Sequence[LayoutCluster]
) -> Hierarchy:
    """Checks the identifiers and sorts nodes and edges into levels. Raises ValueError on what does not fit together."""
    numbers = _numbered("node", [node.id for node in nodes])
    _numbered("cluster", [cluster.id for cluster in clusters])
    levels = _levels(_outer_first(clusters))
    level_numbers = {level.cluster.id: number for number, level in enumerate(levels) if level.cluster}
    home = [0] * len(nodes)
    for cluster in clusters:
        for member in cluster.members:
            if member not in numbers:
                raise ValueError(f"Cluster {cluster.id!r} holds {member!r}, which is no node of the diagram.")
            if home[numbers[member]]:
                raise ValueError(f"Node {member!r} is a member of two clusters, {cluster.id!r} is one of them.")
            home[numbers[member]] = level_numbers[cluster.id]
    _fill(levels, home)
    ends = [_edge_ends(edge, numbers) for edge in edges]
    return Hierarchy(levels, _sort_links(levels, home, ends))


def _numbered(what: str, names: Iterable[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in numbers:
            raise ValueError(f"Two {what}s of the diagram have the id {name!r}; ids must be unique.")
        numbers[name] = number
    return numbers


def _edge_ends(edge: LayoutEdge, numbers: dict[str, int]) -> tuple[int, int]:
    for name in (edge.source, edge.target):
        if name not in numbers:
            raise ValueError(
                f"The edge {edge.source!r} -> {edge.target!r} ends at {name!r}, which is no node of the diagram."
            )
    return numbers[edge.source], numbers[edge.target]


def _outer_first(clusters: Sequence[LayoutCluster]) -> list[LayoutCluster]:
    children: dict[str | None, list[LayoutCluster]] = {None: []}
    for cluster in clusters:
        children[cluster.id] = []
    for cluster in clusters:
        if cluster.parent not in children:
            raise ValueError(f"Cluster {cluster.id!r} lies in {cluster.parent!r}, which is no cluster of the diagram.")
        children[cluster.parent].append(cluster)
    found = list(children[None])
    for cluster in found:
        found.extend(children[cluster.id])
    if len(found) < len(clusters):
        inside = sorted({cluster.id for cluster in clusters} - {cluster.id for cluster in found})
        raise ValueError(f"The clusters {', '.join(map(repr, inside))} lie in each other; one must have no parent.")
    return found


def _levels(ordered: Sequence[LayoutCluster]) -> list[Level]:
    numbers: dict[str | None, int] = {None: 0}
    levels = [Level(None, -1)]
    for cluster in ordered:
        numbers[cluster.id] = len(levels)
        levels.append(Level(cluster, numbers[cluster.parent]))
    return levels


def _fill(levels: list[Level], home: Sequence[int]) -> None:
    """Enters nodes and inner levels as items, in the nodes' order; clusters without any node stay out."""
    entered: set[int] = {0}
    for node, level in enumerate(home):
        missing: list[int] = []
        while level not in entered:
            missing.append(level)
            level = levels[level].parent
        for number in reversed(missing):
            levels[levels[number].parent].items.append(("level", number))
        entered.update(missing)
        levels[home[node]].items.append(("node", node))


def _sort_links(levels: list[Level], home: Sequence[int], ends: Sequence[tuple[int, int]]) -> list[bool]:
    """Gives each edge to the innermost level that holds both ends, and its rest to the levels it enters or leaves."""
    index = {item: (number, place) for number, level in enumerate(levels) for place, item in enumerate(level.items)}
    shared: list[list[tuple[int, int, int]]] = [[] for _ in levels]
    paths: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
    for edge, (source, target) in enumerate(ends):
        source_path, target_path = _path_up(levels, index, source), _path_up(levels, index, target)
        while len(source_path) > 1 and len(target_path) > 1 and source_path[-2][0] == target_path[-2][0]:
            source_path.pop()
            target_path.pop()
        paths.append((source_path, target_path))
        level = source_path[-1][0]
        if source != target:
            shared[level].append((edge, source_path[-1][1], target_path[-1][1]))
    turned = [False] * len(ends)
    for level, links in zip(levels, shared, strict=True):
        flags = turned_links(len(level.items), [(source, target) for _, source, target in links])
        for (edge, source, target), flag in zip(links, flags, strict=True):
            turned[edge] = flag
            level.links.append(Link(edge, target, source) if flag else Link(edge, source, target))
    for edge, (source_path, target_path) in enumerate(paths):
        below, above = (target_path, source_path) if turned[edge] else (source_path, target_path)
        for number, item in below[:-1]:
            levels[number].links.append(Link(edge, item, -1))
        for number, item in above[:-1]:
            levels[number].links.append(Link(edge, -1, item))
    return turned


def _path_up(
    levels: Sequence[Level], index: dict[tuple[str, int], tuple[int, int]], node: int
) -> list[tuple[int, int]]:
    """(level, item) from the node's own level outwards to the picture."""
    number, place = index["node", node]
    path = [(number, place)]
    while number:
        number, place = index["level", number]
        path.append((number, place))
    return path
