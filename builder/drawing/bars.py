"""Bars with their names and values, such as the parameters of each layer."""

import math
from collections.abc import Iterator, Mapping

from .scene import Element, Path, Rectangle, Scene, Text, baseline, polyline
from .text import shorten, text_width
from .theme import AXIS, CHART_MARGIN, CHART_TITLE_SIZE, INK, LABEL_SIZE, PAPER, SERIES_COLORS, SOFT_INK, TICK_SIZE
from .ticks import Axis, check_size


def bar_chart(
    values: Mapping[str, float],
    *,
    title: str = "",
    value_label: str = "",
    width: float = 440.0,
    bar_height: float = 20.0,
) -> Scene:
    """Horizontal bars from zero, one below the other, with their names to the left and their values at their ends.

    A value that is not finite gets its name for it and no bar. Raises ValueError when there is nothing to draw or the
    picture is too small.

    >>> bar_chart({"conv2d": 320, "dense": 54090}, title="parameters").width
    440.0
    """
    if not values:
        raise ValueError("bar_chart: there is nothing to draw; give at least one value, such as {'dense': 100}.")
    check_size("bar_chart", width, 120.0)
    numbers = {name: float(value) for name, value in values.items()}
    names = {name: shorten(name, LABEL_SIZE, 0.4 * width) for name in numbers}
    finite = [number for number in numbers.values() if math.isfinite(number)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    if low == high:
        high = 1.0
    room = max(text_width(_value_text(number), TICK_SIZE) for number in numbers.values()) + 8.0
    left = CHART_MARGIN + max(text_width(name, LABEL_SIZE) for name in names.values()) + 10.0
    axis = Axis(low, high, left + (room if low < 0 else 0.0), width - CHART_MARGIN - room)
    top = CHART_MARGIN + (CHART_TITLE_SIZE + 14.0 if title else 0.0)
    bottom = top + len(numbers) * (bar_height + 8.0)
    shapes: list[Element] = []
    if title:
        text = shorten(title, CHART_TITLE_SIZE, width - 2 * CHART_MARGIN, bold=True)
        shapes.append(Text(CHART_MARGIN, CHART_MARGIN + CHART_TITLE_SIZE, text, CHART_TITLE_SIZE, True, fill=INK))
    for index, (name, number) in enumerate(numbers.items()):
        shapes.extend(_bar(axis, names[name], number, left - 10.0, top + index * (bar_height + 8.0) + 4.0, bar_height))
    zero = axis.place(0.0)
    shapes.append(Path(polyline([(zero, top), (zero, bottom)]), AXIS, 1.0))
    height = bottom + CHART_MARGIN
    if value_label:
        text = shorten(value_label, LABEL_SIZE, axis.end - axis.start)
        shapes.append(Text((axis.start + axis.end) / 2, height + 4.0, text, LABEL_SIZE, False, "middle", SOFT_INK))
        height += LABEL_SIZE + 6.0
    return Scene(width, height, tuple(shapes), PAPER, title or "Bar chart")


def _bar(axis: Axis, name: str, number: float, name_end: float, y: float, height: float) -> Iterator[Element]:
    middle = y + height / 2
    yield Text(name_end, baseline(middle, LABEL_SIZE), name, LABEL_SIZE, False, "end", INK)
    zero = axis.place(0.0)
    tip = axis.place(number) if math.isfinite(number) else zero
    if tip != zero:
        yield Rectangle(min(zero, tip), y, abs(tip - zero), height, SERIES_COLORS[0], None, 0.0, 2.0)
    y = baseline(middle, TICK_SIZE)
    if number < 0:
        yield Text(tip - 6.0, y, _value_text(number), TICK_SIZE, False, "end", SOFT_INK)
    else:
        yield Text(tip + 6.0, y, _value_text(number), TICK_SIZE, False, "start", SOFT_INK)


def _value_text(number: float) -> str:
    if not math.isfinite(number):
        return str(number)
    if number == int(number) and abs(number) < 1e15:
        return f"{int(number):,}"
    return f"{number:.4g}"
