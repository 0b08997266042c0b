"""Layered layout, first step: which edges to turn around so that no cycle is left, and the row of each item.

Items are numbered 0 .. count - 1; a link is a pair (source, target) of item numbers.
"""

from collections.abc import Sequence

Link = tuple[int, int]


def turned_links(count: int, links: Sequence[Link]) -> list[bool]:
    """For each link whether it must be turned around to leave no cycle (those that lead back in a depth-first walk)."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    incoming = [0] * count
    for index, (source, target) in enumerate(links):
        outgoing[source].append(index)
        incoming[target] += 1
    turned = [False] * len(links)
    state = [0] * count  # 0 not seen, 1 on the current walk, 2 done
    # Walks start at sources, so that a loop's entrance stays its first item.
    for start in sorted(range(count), key=lambda item: (incoming[item] > 0, item)):
        if state[start]:
            continue
        state[start] = 1
        walk = [(start, iter(outgoing[start]))]
        while walk:
            item, rest = walk[-1]
            index = next(rest, None)
            if index is None:
                state[item] = 2
                walk.pop()
                continue
            target = links[index][1]
            if state[target] == 1:
                turned[index] = True
            elif state[target] == 0:
                state[target] = 1
                walk.append((target, iter(outgoing[target])))
    return turned


def topological_order(count: int, links: Sequence[Link]) -> list[int]:
    """The items ordered so that each link leads forward; links must hold no cycle."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in links:
        outgoing[source].append(target)
        waiting[target] += 1
    order = [item for item in range(count) if not waiting[item]]
    for item in order:
        for target in outgoing[item]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


class Layering:
    """Rows for the items of an acyclic graph.

    ``heights`` are the rows that each item covers, ``lengths`` the rows from a link's source (its last row) to its
    target (1: the next row). ``entered`` items have links from outside of the graph.
    """

    def __init__(
        self, heights: Sequence[int], links: Sequence[Link], lengths: Sequence[int], entered: Sequence[bool]
    ) -> None:
        count = len(heights)
        self.heights, self.links, self.entered = heights, links, entered
        self.order = topological_order(count, links)
        self.before: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        self.after: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        for (source, target), length in zip(links, lengths, strict=True):
            self.before[target].append((source, heights[source] + length - 1))
            self.after[source].append((target, heights[source] + length - 1))
        self.above = [0] * count  # rows of the longest path that leads to the item: its earliest row
        for item in self.order:
            self.above[item] = max((self.above[source] + rows for source, rows in self.before[item]), default=0)
        self.below = list(heights)  # rows of the longest path from the item on
        for item in reversed(self.order):
            later = max((self.below[target] + rows for target, rows in self.after[item]), default=0)
            self.below[item] = max(heights[item], later)

    def rows(self) -> list[int]:
        """Each item's first row: the earliest possible, but late where that shortens the edges.

        An input moves down to the layer that reads it, and the chain behind it to the place where it joins others.
        """
        rows = list(self.above)
        loose = [False] * len(rows)
        for item in self.order:
            sources = [source for source, _ in self.before[item]]
            loose[item] = not self.entered[item] and all(loose[s] and len(self.after[s]) == 1 for s in sources)
        for item in reversed(self.order):
            arrivals = len(self.before[item]) + self.entered[item]
            if self.after[item] and (loose[item] or len(self.after[item]) > arrivals):
                rows[item] = min(rows[target] - distance for target, distance in self.after[item])
        return rows

    def longest_through(self, index: int) -> int:
        """The number of rows of the longest path that uses the link."""
        source, target = self.links[index]
        return self.above[source] + self.heights[source] + self.below[target]

    def shortcuts(self) -> list[bool]:
        """For each link whether a longer way leads from its source to its target (a residual connection, say)."""
        reached = [0] * len(self.heights)  # the items that can be reached, as the bits of a number
        for item in reversed(self.order):
            for target, _ in self.after[item]:
                reached[item] |= reached[target] | 1 << target
        return [
            any(other != target and reached[other] >> target & 1 for other, _ in self.after[source])
            for source, target in self.links
        ]
