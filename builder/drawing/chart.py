"""Learning curves, and grids of charts."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .scene import Circle, Element, Group, Path, Point, Scene, Text, baseline, polyline
from .text import shorten, text_width
from .theme import (
    AXIS,
    CHART_MARGIN,
    CHART_TITLE_SIZE,
    FAINT_LINE,
    INK,
    LABEL_SIZE,
    MARGIN,
    PAPER,
    SERIES_COLORS,
    SOFT_INK,
    TICK_SIZE,
    TITLE_SIZE,
)
from .ticks import Axis, check_size, linear_ticks, log_tick_texts, log_ticks, tick_texts

_LEGEND_WIDTH = 170.0
_LEGEND_SWATCH = 22.0
_LEGEND_ROW = 18.0
_DASH = (5.0, 3.5)
_LINE_WIDTH = 1.8
_LARGEST, _SMALLEST = 1e300, 1e-300
_VALIDATION = re.compile(r"^(|.*[/\s.:])val_")


@dataclass(frozen=True, slots=True)
class _Curve:
    name: str
    xs: list[float]
    ys: list[float]
    color: str
    dashed: bool


def line_chart(
    series: Mapping[str, Sequence[float]],
    *,
    x: Sequence[float] | None = None,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    log_y: bool = False,
    legend: bool = True,
    width: float = 440.0,
    height: float = 280.0,
) -> Scene:
    """Curves over ``x`` (1, 2, 3, ... unless given: epochs), with a legend to the right of the data.

    ``val_loss`` is drawn as a dashed line in the colour of ``loss``; so is ``model/val_loss`` for ``model/loss``. NaN
    and infinite values leave gaps, and so do values up to 0 when ``log_y``. ``width`` and ``height`` are the
    picture's, in pixels, without the legend. Raises ValueError when there is no series, a series does not fit to
    ``x``, the picture is too small, or ``log_y`` finds finite values but no positive one.

    >>> scene = line_chart({"loss": [1.0, 0.5, 0.4], "val_loss": [1.1, 0.7, 0.6]}, x_label="epoch")
    >>> scene.height
    280.0
    """
    check_size("line_chart", width, height)
    curves = _curves(series, x)
    low, high = _value_range([value for curve in curves for value in curve.ys if _is_drawable(value)], log_y)
    ticks = log_ticks(low, high) if log_y else linear_ticks(low, high)
    texts = log_tick_texts(ticks) if log_y else tick_texts(ticks)
    tick_room = max(text_width(text, TICK_SIZE) for text in texts) + 8.0
    left = CHART_MARGIN + tick_room + (LABEL_SIZE + 8.0 if y_label else 0.0)
    top = CHART_MARGIN + (CHART_TITLE_SIZE + 14.0 if title else 4.0)
    bottom = height - CHART_MARGIN - TICK_SIZE - 8.0 - (LABEL_SIZE + 6.0 if x_label else 0.0)
    right = width - CHART_MARGIN - 4.0
    across, upwards = _x_axis(curves, left, right), Axis(low, high, bottom, top, log_y)
    shapes: list[Element] = [*_grid(across, upwards, ticks, texts, curves)]
    lines = [shape for curve in curves for shape in _curve_shapes(curve, across, upwards)]
    if not lines:
        lines = [Text((left + right) / 2, top + 40.0, "no finite values", LABEL_SIZE, False, "middle", SOFT_INK)]
    shapes += [*lines, *_captions(title, x_label, y_label, left, right, top, bottom, height)]
    if legend:
        legend_width, entries = _legend(curves, right + 14.0, top)
        shapes += entries
        width, height = width + legend_width, max(height, top + len(curves) * _LEGEND_ROW + CHART_MARGIN)
    return Scene(width, height, tuple(shapes), PAPER, title or "Line chart")


def _is_drawable(value: float) -> bool:
    """Not NaN, not infinite, and not so large that the range of two such values is infinite."""
    return abs(value) < _LARGEST


def _value_range(values: Sequence[float], log: bool) -> tuple[float, float]:
    if not log:
        return _range(values)
    if values and max(values) <= 0:
        raise ValueError("line_chart: log_y needs positive values, but all of them are 0 or less; use log_y=False.")
    return _log_range([value for value in values if value > 0])


def _curves(series: Mapping[str, Sequence[float]], x: Sequence[float] | None) -> list[_Curve]:
    if not series:
        raise ValueError("line_chart: there is no series to draw; give at least one, such as {'loss': [1.0, 0.5]}.")
    colors: dict[str, str] = {}
    curves: list[_Curve] = []
    xs = None if x is None else [float(value) for value in x]
    if xs is not None and not all(map(_is_drawable, xs)):
        raise ValueError("line_chart: every value of x must be a finite number.")
    for name, values in series.items():
        # Below the smallest normal numbers axes would divide by zero: to the eye they are zero.
        ys = [0.0 if abs(float(value)) < _SMALLEST else float(value) for value in values]
        if xs is not None and len(ys) != len(xs):
            raise ValueError(f"line_chart: series {name!r} has {len(ys)} values, but x has {len(xs)}.")
        training = _VALIDATION.sub(r"\1", name)
        dashed = training != name and training in series
        key = training if dashed else name
        if key not in colors:
            colors[key] = SERIES_COLORS[len(colors) % len(SERIES_COLORS)]
        places = [index + 1.0 for index in range(len(ys))] if xs is None else xs
        curves.append(_Curve(name, places, ys, colors[key], dashed))
    return curves


def _range(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        room = abs(low) * 0.1 or 1.0
        return (low - room, high + room)
    room = 0.05 * (high - low)
    # Losses and scores do not go below zero: the axis should not suggest that they could.
    return (max(0.0, low - room) if low >= 0 else low - room, high + room)


def _log_range(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return (0.1, 1.0)
    low, high = min(values), max(values)
    room = max(10.0 ** (0.05 * (math.log10(high) - math.log10(low))), 1.05)
    return (max(low / room, 1e-305), min(high * room, 1e308))


def _x_axis(curves: Sequence[_Curve], left: float, right: float) -> Axis:
    places = [place for curve in curves for place in curve.xs]
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    if low == high:
        low, high = low - 1.0, high + 1.0
    return Axis(low, high, left + 4.0, right - 4.0)


def _grid(
    across: Axis, upwards: Axis, ticks: Sequence[float], texts: Sequence[str], curves: Sequence[_Curve]
) -> Iterator[Element]:
    left, right = across.start - 4.0, across.end + 4.0
    for tick, text in zip(ticks, texts, strict=True):
        y = upwards.place(tick)
        yield Path(polyline([(left, y), (right, y)]), FAINT_LINE, 1.0)
        yield Text(left - 6.0, baseline(y, TICK_SIZE), text, TICK_SIZE, False, "end", SOFT_INK)
    yield Path(polyline([(left, upwards.start), (right, upwards.start)]), AXIS, 1.0)
    whole = all(place == int(place) for curve in curves for place in curve.xs)
    x_ticks = linear_ticks(across.low, across.high, max(2, int((right - left) / 60)), whole)
    for tick, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        x = across.place(tick)
        yield Path(polyline([(x, upwards.start), (x, upwards.start + 4.0)]), AXIS, 1.0)
        yield Text(x, upwards.start + 6.0 + TICK_SIZE, text, TICK_SIZE, False, "middle", SOFT_INK)


def _curve_shapes(curve: _Curve, across: Axis, upwards: Axis) -> Iterator[Element]:
    run: list[Point] = []
    for x, y in [*zip(curve.xs, curve.ys, strict=True), (0.0, math.nan)]:
        if _is_drawable(y) and (y > 0 or not upwards.log):
            run.append((across.place(x), upwards.place(y)))
            continue
        if len(run) == 1:
            yield Circle(*run[0], 2.6, curve.color)
        elif run:
            dash = _DASH if curve.dashed else ()
            yield Path(polyline(_thinned(run)), curve.color, _LINE_WIDTH, dash=dash)
        run = []


def _thinned(points: list[Point]) -> list[Point]:
    """At most the first, lowest, highest and last point of each half pixel across: the eye sees the same line."""
    if len(points) < 2000:
        return points
    kept: list[Point] = []
    start = 0
    for index in range(1, len(points) + 1):
        if index == len(points) or int(2 * points[index][0]) != int(2 * points[start][0]):
            column = range(start, index)
            ends = {start, index - 1, min(column, key=lambda i: points[i][1]), max(column, key=lambda i: points[i][1])}
            kept.extend(points[i] for i in sorted(ends))
            start = index
    return kept


def _captions(
    title: str, x_label: str, y_label: str, left: float, right: float, top: float, bottom: float, height: float
) -> Iterator[Element]:
    if title:
        text = shorten(title, CHART_TITLE_SIZE, right - left, bold=True)
        yield Text(left, CHART_MARGIN + CHART_TITLE_SIZE, text, CHART_TITLE_SIZE, True, "start", INK)
    if x_label:
        text = shorten(x_label, LABEL_SIZE, right - left)
        yield Text((left + right) / 2, height - CHART_MARGIN, text, LABEL_SIZE, False, "middle", SOFT_INK)
    if y_label:
        text = shorten(y_label, LABEL_SIZE, bottom - top)
        x, y = CHART_MARGIN + LABEL_SIZE - 2.0, (top + bottom) / 2
        yield Text(x, y, text, LABEL_SIZE, False, "middle", SOFT_INK, vertical=True)


def _legend(curves: Sequence[_Curve], left: float, top: float) -> tuple[float, list[Element]]:
    """The room the legend needs to the right, and its entries."""
    shapes: list[Element] = []
    widest = 0.0
    for index, curve in enumerate(curves):
        y = top + (index + 0.5) * _LEGEND_ROW
        name = shorten(curve.name, LABEL_SIZE, _LEGEND_WIDTH)
        widest = max(widest, text_width(name, LABEL_SIZE))
        line = polyline([(left, y), (left + _LEGEND_SWATCH, y)])
        entry = Path(line, curve.color, _LINE_WIDTH + 0.2, dash=_DASH if curve.dashed else ())
        text = Text(left + _LEGEND_SWATCH + 8.0, baseline(y, LABEL_SIZE), name, LABEL_SIZE, False, "start", INK)
        shapes.append(Group((entry, text), tooltip=curve.name))
    return _LEGEND_SWATCH + 8.0 + widest + CHART_MARGIN, shapes


def figure_grid(charts: Sequence[Scene], columns: int = 2, title: str | None = None) -> Scene:
    """Several scenes in a grid, row by row, each column as wide as its widest scene.

    Raises ValueError without a scene or with fewer than one column.
    """
    if not charts:
        raise ValueError("figure_grid: there is no chart to place; give at least one.")
    if columns < 1:
        raise ValueError(f"figure_grid: columns must be at least 1, got {columns}.")
    columns = min(columns, len(charts))
    rows = [charts[start : start + columns] for start in range(0, len(charts), columns)]
    widths = [max(row[column].width for row in rows if column < len(row)) for column in range(columns)]
    whole = sum(widths)
    y = MARGIN / 2
    children: list[Element] = []
    if title:
        text = shorten(title, TITLE_SIZE, whole, bold=True)
        children.append(Text(MARGIN / 2 + CHART_MARGIN, y + TITLE_SIZE, text, TITLE_SIZE, True, fill=INK))
        y += TITLE_SIZE + 12.0
    for row in rows:
        x = MARGIN / 2
        for width, chart in zip(widths, row, strict=False):
            children.append(Group(chart.children, x, y))
            x += width
        y += max(chart.height for chart in row)
    return Scene(whole + MARGIN, y + MARGIN / 2, tuple(children), PAPER, title or "Charts")
