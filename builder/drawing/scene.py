"""A small vector scene: what a picture is made of before it becomes SVG or PNG. Units are pixels, y points down."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .text import text_width

Anchor = Literal["start", "middle", "end"]
Arrow = Literal["none", "end", "start"]
Point = tuple[float, float]
Bounds = tuple[float, float, float, float]
# ("M", x, y) moves, ("L", x, y) draws a line, ("C", x1, y1, x2, y2, x, y) a cubic Bezier curve, ("Z",) closes.
Command = tuple[str, *tuple[float, ...]]

ARROW_LENGTH = 8.0
ARROW_WIDTH = 7.0


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle, its corners rounded by ``radius`` pixels; ``corners`` says which ("all" or "top")."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    stroke: str | None = None
    stroke_width: float = 1.0
    radius: float = 0.0
    corners: Literal["all", "top"] = "all"

    def __post_init__(self) -> None:
        if self.width < 0 or self.height < 0:
            raise ValueError(f"Rectangle: width and height must not be negative, got {self.width} x {self.height}.")


@dataclass(frozen=True, slots=True)
class Circle:
    """A filled circle around (x, y)."""

    x: float
    y: float
    radius: float
    fill: str


@dataclass(frozen=True, slots=True)
class Path:
    """Lines and Bezier curves, stroked and (or) filled, with an arrow head at one end if wanted.

    ``dash`` holds the lengths of strokes and gaps in pixels; () is a solid line.
    """

    commands: tuple[Command, ...]
    stroke: str | None = "#000000"
    stroke_width: float = 1.0
    fill: str | None = None
    dash: tuple[float, ...] = ()
    arrow: Arrow = "none"

    def __post_init__(self) -> None:
        if not self.commands or self.commands[0][0] != "M":
            raise ValueError("Path: the first command must be ('M', x, y), the place where the path starts.")
        lengths = {"M": 3, "L": 3, "C": 7, "Z": 1}
        for command in self.commands:
            if lengths.get(command[0]) != len(command):
                raise ValueError(f"Path: {command!r} is none of ('M', x, y), ('L', x, y), ('C', 6 numbers), ('Z',).")


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; (x, y) is its anchor on the baseline, ``size`` the font size in pixels.

    ``vertical`` turns it a quarter to the left, so that it reads from bottom to top.
    """

    x: float
    y: float
    text: str
    size: float = 12.0
    bold: bool = False
    anchor: Anchor = "start"
    fill: str = "#000000"
    vertical: bool = False

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, self.bold)


@dataclass(frozen=True, slots=True)
class Group:
    """Elements that belong together, moved by (dx, dy); ``tooltip`` shows when the mouse rests on them."""

    children: tuple["Element", ...]
    dx: float = 0.0
    dy: float = 0.0
    tooltip: str = ""


Element = Rectangle | Circle | Path | Text | Group
Shape = Rectangle | Circle | Path | Text


@dataclass(frozen=True, slots=True)
class Scene:
    """A finished picture: its size in pixels, its elements from back to front, and a title for screen readers."""

    width: float
    height: float
    children: tuple[Element, ...]
    background: str = "#ffffff"
    title: str = ""


def polyline(points: Iterable[Point]) -> tuple[Command, ...]:
    """The commands of a path through the points, in straight lines."""
    return tuple(("L" if index else "M", float(x), float(y)) for index, (x, y) in enumerate(points))


def baseline(center: float, size: float) -> float:
    """The baseline (y) that centres text of this font size on y = ``center``."""
    return center + 0.355 * size


def flatten(elements: Sequence[Element], dx: float = 0.0, dy: float = 0.0) -> Iterator[Shape]:
    """All shapes in drawing order with the shifts of their groups applied."""
    stack = [(element, dx, dy) for element in reversed(elements)]
    while stack:
        element, x, y = stack.pop()
        if isinstance(element, Group):
            stack.extend((child, x + element.dx, y + element.dy) for child in reversed(element.children))
        else:
            yield _moved(element, x, y)


def _moved(shape: Shape, dx: float, dy: float) -> Shape:
    if not dx and not dy:
        return shape
    if isinstance(shape, Path):
        return replace(shape, commands=tuple(_moved_command(command, dx, dy) for command in shape.commands))
    return replace(shape, x=shape.x + dx, y=shape.y + dy)


def _moved_command(command: Command, dx: float, dy: float) -> Command:
    return (command[0], *(float(number) + (dy if index % 2 else dx) for index, number in enumerate(command[1:])))


def bounds(elements: Sequence[Element]) -> Bounds:
    """The smallest box (left, top, right, bottom) around the elements, half of the stroke widths included.

    >>> bounds([Rectangle(2, 3, 10, 5), Circle(0, 0, 1, "#000000")])
    (-1, -1, 12, 8)
    """
    boxes = [shape_bounds(shape) for shape in flatten(elements)]
    if not boxes:
        return (0.0, 0.0, 0.0, 0.0)
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return (min(lefts), min(tops), max(rights), max(bottoms))


def shape_bounds(shape: Shape) -> Bounds:
    """The box (left, top, right, bottom) around one shape."""
    if isinstance(shape, Text):
        return _text_bounds(shape)
    if isinstance(shape, Circle):
        return (shape.x - shape.radius, shape.y - shape.radius, shape.x + shape.radius, shape.y + shape.radius)
    margin = shape.stroke_width / 2 if shape.stroke else 0
    if isinstance(shape, Rectangle):
        right, bottom = shape.x + shape.width, shape.y + shape.height
        return (shape.x - margin, shape.y - margin, right + margin, bottom + margin)
    if shape.arrow != "none":
        margin = max(margin, ARROW_WIDTH / 2)
    # Control points enclose their curve.
    xs = [float(x) for command in shape.commands for x in command[1::2]]
    ys = [float(y) for command in shape.commands for y in command[2::2]]
    return (min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin)


def _text_bounds(text: Text) -> Bounds:
    before = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor] * text.width
    ascent, descent = 0.76 * text.size, 0.24 * text.size
    if text.vertical:
        return (text.x - ascent, text.y + before - text.width, text.x + descent, text.y + before)
    return (text.x - before, text.y - ascent, text.x - before + text.width, text.y + descent)


def split_arrow(path: Path) -> tuple[tuple[Command, ...], tuple[Point, ...]]:
    """A path's line, cut short under its arrow head, and the head's triangle (tip first); () without an arrow."""
    if path.arrow == "none" or len(path.commands) < 2:
        return path.commands, ()
    commands = list(path.commands)
    at_end = path.arrow == "end"
    tip = _end_point(commands[-1] if at_end else commands[0])
    neighbour = _point_before_end(commands) if at_end else _point_after_start(commands)
    dx, dy = tip[0] - neighbour[0], tip[1] - neighbour[1]
    length = math.hypot(dx, dy) or 1.0
    dx, dy = dx / length, dy / length
    base = (tip[0] - dx * ARROW_LENGTH, tip[1] - dy * ARROW_LENGTH)
    side = (-dy * ARROW_WIDTH / 2, dx * ARROW_WIDTH / 2)
    where = -1 if at_end else 0
    # The line ends a little inside the head, so that no gap shows between the two.
    stop = (base[0] + dx * ARROW_LENGTH / 4, base[1] + dy * ARROW_LENGTH / 4)
    commands[where] = (commands[where][0], *map(float, commands[where][1:-2]), *stop)
    triangle = (tip, (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1]))
    return tuple(commands), triangle


def _end_point(command: Command) -> Point:
    return (float(command[-2]), float(command[-1]))


def _point_before_end(commands: Sequence[Command]) -> Point:
    last = commands[-1]
    return (float(last[3]), float(last[4])) if last[0] == "C" else _end_point(commands[-2])


def _point_after_start(commands: Sequence[Command]) -> Point:
    return (float(commands[1][1]), float(commands[1][2]))
