"""Layered layout, last step: the rows' heights and the edges' curves. Here x runs across and y from row to row."""

from collections.abc import Sequence
from dataclasses import dataclass

from .scene import Command, Point

_PORT_SPACING = 16.0
_PORT_MARGIN = 10.0
_STRAIGHT = 1.0  # pixels: ends nearer than this are joined by a straight line
_ARROW_ROOM = 9.0


@dataclass(frozen=True, slots=True)
class Band:
    """A row: from ``top`` to ``bottom``; curves run between ``curve_top`` and ``curve_bottom``, below it."""

    top: float
    bottom: float
    curve_top: float
    curve_bottom: float


def make_bands(
    heights: Sequence[float], pads_before: Sequence[float], pads_after: Sequence[float], slants: Sequence[float],
    has_nodes: Sequence[bool],
) -> list[Band]:  # fmt: skip
    """The rows below each other, starting at 0. ``slants``: the largest sideways way of an edge below each row."""
    bands: list[Band] = []
    y = 0.0
    for row, height in enumerate(heights):
        top = y + pads_before[row]
        bottom = top + height
        curve_top = bottom + pads_after[row]
        last = row == len(heights) - 1
        arrow = _ARROW_ROOM if not last and has_nodes[row + 1] else 2.0
        roomy = 20.0 if has_nodes[row] and not last and has_nodes[row + 1] else 8.0
        # Long ways across get more room, so that edges do not run flat.
        curve = 0.0 if last else max(roomy, min(90.0, 8.0 + 0.17 * slants[row]))
        bands.append(Band(top, bottom, curve_top, curve_top + curve))
        y = curve_top + curve + (0.0 if last else arrow)
    return bands


def entry_ports(width: float, center: float, sources: Sequence[float]) -> list[float]:
    """Where edges that come from the places ``sources`` enter a node, so that their arrow heads lie side by side.

    The one edge from straight above keeps the middle.
    """
    order = sorted(range(len(sources)), key=lambda index: (sources[index], index))
    if len(order) < 2:
        return [center] * len(order)
    straight = [rank for rank, index in enumerate(order) if abs(sources[index] - center) < _STRAIGHT]
    middle = straight[0] if len(straight) == 1 else (len(order) - 1) / 2
    reach = max(middle, len(order) - 1 - middle)
    spacing = min(_PORT_SPACING, max(0.0, width / 2 - _PORT_MARGIN) / reach)
    ports = [0.0] * len(order)
    for rank, index in enumerate(order):
        ports[index] = center + (rank - middle) * spacing
    return ports


def port_reach(width: float, count: int) -> float:
    """The largest distance of `entry_ports` from the middle of a node where ``count`` edges end."""
    return min(_PORT_SPACING * (count - 1), max(0.0, width / 2 - _PORT_MARGIN))


def turned_port(width: float, center: float, ahead: float) -> float:
    """Where an edge that leads back ends at the far side of a node, beside those that leave it."""
    distance = min(_PORT_SPACING, width / 4)
    return center + distance if ahead >= center else center - distance


def curve(
    start: Point, bends: Sequence[tuple[int, float]], end: Point, first: int, bands: Sequence[Band]
) -> list[Command]:
    """A path down from ``start`` in row ``first`` through its bends (row, x) to ``end``, straight inside of rows."""
    commands: list[Command] = [("M", *start)]
    x, row = start[0], first
    last = bends[-1][0] + 1 if bends else first + 1
    for next_row, next_x in [*bends, (last, end[0])]:
        band = bands[row]
        if abs(next_x - x) >= 0.01:
            middle = (band.curve_top + band.curve_bottom) / 2
            if band.curve_top > float(commands[-1][-1]):
                commands.append(("L", x, band.curve_top))
            commands.append(("C", x, middle, next_x, middle, next_x, band.curve_bottom))
        x, row = next_x, next_row
    commands.append(("L", *end))
    return commands


def self_loop(center: Point, width: float, height: float, reach: float) -> list[Command]:
    """A path from a node's right side back to it."""
    x, half = center[0] + width / 2, min(height / 4, 12.0)
    top, bottom = center[1] - half, center[1] + half
    far = x + reach * 1.2
    return [("M", x, bottom), ("C", far, bottom + 8, far, top - 8, x, top)]
