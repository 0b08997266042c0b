"""A scene as SVG text: plain elements, a viewBox, escaped text; the same scene always gives the same bytes."""

import math
import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from .scene import Circle, Command, Element, Group, Path, Rectangle, Scene, Text, split_arrow

_FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
# XML 1.0 has no way to write these characters, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(scene: Scene) -> str:
    """The scene as an SVG 1.1 document (text, one element a line).

    Raises ValueError when a coordinate is not finite.

    >>> print(to_svg(Scene(10, 5, (Rectangle(1, 1, 8, 3, fill="#dddddd"),))).splitlines()[-2])
    <rect x="1" y="1" width="8" height="3" fill="#dddddd"/>
    """
    width, height = _number(scene.width), _number(scene.height)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" font-family="{_FONTS}">',
    ]
    if scene.title:
        lines.append(f"<title>{_escaped(scene.title)}</title>")
    lines.append(f'<rect width="{width}" height="{height}" fill="{scene.background}"/>')
    _append(lines, scene.children)
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _append(lines: list[str], elements: Iterable[Element]) -> None:
    for element in elements:
        if isinstance(element, Group):
            moved = f' transform="translate({_number(element.dx)} {_number(element.dy)})"'
            lines.append(f"<g{moved if element.dx or element.dy else ''}>")
            if element.tooltip:
                lines.append(f"<title>{_escaped(element.tooltip)}</title>")
            _append(lines, element.children)
            lines.append("</g>")
        elif isinstance(element, Rectangle):
            lines.append(_rectangle(element))
        elif isinstance(element, Circle):
            place = f'cx="{_number(element.x)}" cy="{_number(element.y)}" r="{_number(element.radius)}"'
            lines.append(f'<circle {place} fill="{element.fill}"/>')
        elif isinstance(element, Path):
            lines.extend(_path(element))
        else:
            lines.append(_text(element))


def _rectangle(shape: Rectangle) -> str:
    paint = _paint(shape.fill, shape.stroke, shape.stroke_width)
    x, y, width, height = (_number(value) for value in (shape.x, shape.y, shape.width, shape.height))
    if shape.corners == "top" and shape.radius:
        r = _number(shape.radius)
        flat = _number(shape.width - 2 * shape.radius)
        side = _number(shape.height - shape.radius)
        start = _number(shape.y + shape.height)
        data = f"M{x} {start}v-{side}a{r} {r} 0 0 1 {r} -{r}h{flat}a{r} {r} 0 0 1 {r} {r}v{side}z"
        return f'<path d="{data}"{paint}/>'
    radius = f' rx="{_number(shape.radius)}"' if shape.radius else ""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}"{radius}{paint}/>'


def _path(path: Path) -> list[str]:
    commands, head = split_arrow(path)
    dash = f' stroke-dasharray="{" ".join(map(_number, path.dash))}"' if path.dash else ""
    round_off = ' stroke-linejoin="round" stroke-linecap="round"' if path.stroke and not path.dash else ""
    paint = _paint(path.fill, path.stroke, path.stroke_width)
    lines = [f'<path d="{_data(commands)}"{paint}{round_off}{dash}/>']
    if head:
        points = " ".join(f"{_number(x)},{_number(y)}" for x, y in head)
        lines.append(f'<polygon points="{points}" fill="{path.stroke}"/>')
    return lines


def _data(commands: Iterable[Command]) -> str:
    return "".join(command[0] + " ".join(_number(value) for value in command[1:]) for command in commands)


def _text(text: Text) -> str:
    place = f'x="{_number(text.x)}" y="{_number(text.y)}"'
    if text.vertical:
        place += f' transform="rotate(-90 {_number(text.x)} {_number(text.y)})"'
    weight = ' font-weight="600"' if text.bold else ""
    anchor = f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    # textLength holds the text inside its box where the viewer's font is wider than Helvetica.
    length = f' textLength="{_number(text.width)}" lengthAdjust="spacingAndGlyphs"' if len(text.text) > 1 else ""
    look = f'font-size="{_number(text.size)}"{weight}{anchor} fill="{text.fill}"{length}'
    return f"<text {place} {look}>{_escaped(text.text)}</text>"


def _paint(fill: str | None, stroke: str | None, stroke_width: float) -> str:
    line = f' stroke="{stroke}" stroke-width="{_number(stroke_width)}"' if stroke else ""
    return f" fill={quoteattr(fill or 'none')}{line}"


def _number(value: float | str) -> str:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"to_svg: a coordinate of the scene is {number}; every coordinate must be a finite number.")
    return f"{number:.2f}".rstrip("0").rstrip(".") if round(number, 2) else "0"


def _escaped(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
