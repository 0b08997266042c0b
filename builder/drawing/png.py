"""A scene as a PNG picture, through Pillow (an optional dependency): shapes are drawn large and averaged down."""

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from .scene import Circle, Command, Path, Point, Rectangle, Scene, Shape, Text, flatten, shape_bounds, split_arrow

_OVERSAMPLING = 4  # each pixel of a shape is the mean of 4 x 4
_STRIP_PIXELS = 4_000_000  # the enlarged picture is made strip by strip, so a long model needs little memory
_LARGEST_PIXELS = 80_000_000  # readers of pictures, Pillow among them, distrust larger ones
_SMALLEST_SCALE = 0.25  # below this no text can be read
_CURVE_STEPS = 16
_BOLD_SHIFT = 0.045  # bold text is drawn twice, this share of its size apart: Pillow's font has one weight
_STAND_INS = {"→": "->", "×": "x", "−": "-", "–": "-", "—": "-", "µ": "u", "∞": "inf"}
_WIDER_FONTS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "arial.ttf")


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise ImportError(
            "PNG pictures need Pillow, which is not installed: run `pip install sardonyx[plot]`, "
            "or write an .svg file, which needs nothing."
        ) from error
    return PIL


def to_png(scene: Scene, scale: float = 2.0) -> bytes:
    """The scene as the bytes of a PNG file, ``scale`` pixels for each of the scene's pixels.

    A scene too large for a readable PNG of 80 million pixels is drawn at a smaller scale. Raises ImportError without
    Pillow and ValueError when the scene is too large even at a quarter of its size, or ``scale`` is not positive.
    """
    pillow = _pillow()
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"to_png: scale must be a positive number of pixels, got {scale}.")
    area = scene.width * scene.height
    scale = min(scale, math.sqrt(_LARGEST_PIXELS / area)) if area else scale
    width, height = max(1, math.ceil(scene.width * scale)), max(1, math.ceil(scene.height * scale))
    if scale < _SMALLEST_SCALE and area * _SMALLEST_SCALE**2 > _LARGEST_PIXELS:
        raise ValueError(
            f"to_png: the scene is {scene.width:.0f} x {scene.height:.0f} pixels, too large for a PNG with readable "
            "text; write an .svg file instead."
        )
    image = pillow.Image.new("RGB", (width, height), scene.background)
    shapes = list(flatten(scene.children))
    _draw_shapes(pillow, image, [shape for shape in shapes if not isinstance(shape, Text)], scene.background, scale)
    for shape in shapes:
        if isinstance(shape, Text) and shape.text.strip():
            _draw_text(pillow, image, shape, scale)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", dpi=(96 * scale, 96 * scale))
    return buffer.getvalue()


def _draw_shapes(pillow: Any, image: Any, shapes: Sequence[Shape], background: str, scale: float) -> None:
    """Draws in horizontal strips, each enlarged by the oversampling factor and then averaged down."""
    rows = max(16, _STRIP_PIXELS // (image.width * _OVERSAMPLING**2))
    spans = [shape_bounds(shape) for shape in shapes]
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        strip = pillow.Image.new("RGB", (image.width * _OVERSAMPLING, count * _OVERSAMPLING), background)
        pen = _Pen(pillow.ImageDraw.Draw(strip), scale * _OVERSAMPLING, -top * _OVERSAMPLING)
        for shape, (_, upper, _, lower) in zip(shapes, spans, strict=True):
            if upper * scale <= top + count and lower * scale >= top:
                pen.draw(shape)
        image.paste(strip.reduce(_OVERSAMPLING), (0, top))


class _Pen:
    """Draws shapes on an enlarged strip: coordinates times ``scale``, moved down by ``shift`` pixels."""

    def __init__(self, canvas: Any, scale: float, shift: int) -> None:
        self.canvas, self.scale, self.shift = canvas, scale, shift

    def draw(self, shape: Shape) -> None:
        if isinstance(shape, Rectangle):
            self._rectangle(shape)
        elif isinstance(shape, Circle):
            (x, y), radius = self._point(shape.x, shape.y), shape.radius * self.scale
            self.canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shape.fill)
        elif isinstance(shape, Path):
            self._path(shape)

    def _point(self, x: float, y: float) -> Point:
        # Whole numbers: Pillow cuts off fractions towards zero, which would show where one strip meets the next.
        return (math.floor(x * self.scale + 0.5), math.floor(y * self.scale + 0.5) + self.shift)

    def _rectangle(self, shape: Rectangle) -> None:
        # Pillow strokes inside of the box, SVG around its border: grow by half a stroke, and include the last pixel.
        margin = shape.stroke_width / 2 if shape.stroke else 0.0
        left, top = self._point(shape.x - margin, shape.y - margin)
        right, bottom = self._point(shape.x + shape.width + margin, shape.y + shape.height + margin)
        box = (round(left), round(top), max(round(right) - 1, round(left)), max(round(bottom) - 1, round(top)))
        corners = (True, True, shape.corners == "all", shape.corners == "all")
        self.canvas.rounded_rectangle(
            box,
            radius=(shape.radius + margin) * self.scale if shape.radius else 0,
            fill=shape.fill,
            outline=shape.stroke,
            width=max(1, round(shape.stroke_width * self.scale)) if shape.stroke else 0,
            corners=corners,
        )

    def _path(self, path: Path) -> None:
        commands, head = split_arrow(path)
        lines = [[self._point(*point) for point in line] for line in _straightened(commands)]
        for line in lines:
            if path.fill and len(line) > 2:
                self.canvas.polygon(line, fill=path.fill)
        if path.stroke:
            width = max(1, round(path.stroke_width * self.scale))
            for line in lines:
                for part in _dashed(line, [length * self.scale for length in path.dash]):
                    self._stroke(part, path.stroke, width, round_ends=not path.dash)
        if head:
            self.canvas.polygon([self._point(*point) for point in head], fill=path.stroke)

    def _stroke(self, line: list[Point], color: str, width: int, round_ends: bool) -> None:
        if len(line) > 1:
            self.canvas.line(line, fill=color, width=width, joint="curve")
        radius = width / 2
        if round_ends and radius > 1:
            for x, y in (line[0], line[-1]):
                self.canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _straightened(commands: Sequence[Command]) -> list[list[Point]]:
    """The path's parts as lists of points, curves replaced by short straight pieces."""
    lines: list[list[Point]] = []
    for command in commands:
        name, numbers = command[0], [float(number) for number in command[1:]]
        if name == "M":
            lines.append([(numbers[0], numbers[1])])
        elif name == "L":
            lines[-1].append((numbers[0], numbers[1]))
        elif name == "C":
            lines[-1].extend(_curve_points(lines[-1][-1], numbers))
        else:
            lines[-1].append(lines[-1][0])
    return lines


def _curve_points(start: Point, numbers: Sequence[float]) -> list[Point]:
    x1, y1, x2, y2, x3, y3 = numbers
    points = []
    for step in range(1, _CURVE_STEPS + 1):
        t = step / _CURVE_STEPS
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        points.append((a * start[0] + b * x1 + c * x2 + d * x3, a * start[1] + b * y1 + c * y2 + d * y3))
    return points


def _dashed(line: list[Point], dash: Sequence[float]) -> list[list[Point]]:
    """Cuts a line into its dashes; the line itself when ``dash`` is empty."""
    if not dash or sum(dash) <= 0:
        return [line]
    parts, current, index, left = [], [line[0]], 0, dash[0]
    for (x, y), (end_x, end_y) in pairwise(line):
        length = math.hypot(end_x - x, end_y - y)
        done = 0.0
        while length - done > left:
            done += left
            cut = (x + (end_x - x) * done / length, y + (end_y - y) * done / length)
            if index % 2 == 0:
                parts.append([*current, cut])
            index += 1
            current, left = [cut], dash[index % len(dash)]
        left -= length - done
        current.append((end_x, end_y))
    return [*parts, current] if index % 2 == 0 else parts


def _draw_text(pillow: Any, image: Any, text: Text, scale: float) -> None:
    content = "".join(_STAND_INS.get(character, character) for character in text.text)
    face, size, room = _face(content), text.size * scale * _OVERSAMPLING, text.width * scale * _OVERSAMPLING
    shift = round(size * _BOLD_SHIFT) if text.bold else 0
    width = _font(face, size).getlength(content) + shift
    if width > room:
        # Never wider than the box was made for.
        size, width = size * room / width, room
    before = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor] * width
    across, along = text.x * scale * _OVERSAMPLING, text.y * scale * _OVERSAMPLING
    # From the whole pixel in which the text starts: where its first letter lies within that pixel.
    start = (along + before - width) if text.vertical else (across - before)
    base = across if text.vertical else along
    ascent, descent = math.ceil(1.1 * size / _OVERSAMPLING), math.ceil(0.4 * size / _OVERSAMPLING)
    columns = math.ceil((width + size) / _OVERSAMPLING)
    mask = pillow.Image.new("L", (columns * _OVERSAMPLING, (ascent + descent) * _OVERSAMPLING), 0)
    pen = pillow.ImageDraw.Draw(mask)
    edge, line = math.floor(start / _OVERSAMPLING), math.floor(base / _OVERSAMPLING)
    left, lower = _inside(start, edge, text.vertical, columns, width), base - line * _OVERSAMPLING
    for moved in (0, shift) if shift else (0,):
        pen.text((left + moved, ascent * _OVERSAMPLING + lower), content, font=_font(face, size), fill=255, anchor="ls")
    small = mask.reduce(_OVERSAMPLING)
    if text.vertical:
        small = small.transpose(pillow.Image.Transpose.ROTATE_90)
        image.paste(text.fill, (line - ascent, edge), small)
    else:
        image.paste(text.fill, (edge, line - ascent), small)


def _inside(start: float, edge: int, vertical: bool, columns: int, width: float) -> float:
    """Where the first letter starts in the mask; a mask to be turned left is read from its right end."""
    inside = start - edge * _OVERSAMPLING
    return columns * _OVERSAMPLING - width - inside if vertical else inside


def _face(content: str) -> str:
    """Pillow's own font where it has all of the characters, otherwise the first wider font of the system."""
    if content.isascii() or _covers("", content):
        return ""
    for face in _WIDER_FONTS:
        if _covers(face, content):
            return face
    return ""


@lru_cache(maxsize=1024)
def _covers(face: str, content: str) -> bool:
    try:
        font = _font(face, 20.0)
    except OSError:
        return False
    missing = bytes(font.getmask("\uffff"))
    return all(bytes(font.getmask(character)) != missing for character in set(content) if not character.isspace())


@lru_cache(maxsize=64)
def _font(face: str, size: float) -> Any:
    fonts = _pillow().ImageFont
    return fonts.truetype(face, size) if face else fonts.load_default(size)
