"""Charts: data inside of the axes, legend outside of the data, gaps where values are missing, round ticks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardonyx.builder.drawing import Circle, Path, Rectangle, Text, bar_chart, figure_grid, line_chart, to_png, to_svg
from sardonyx.builder.drawing.scene import bounds, flatten, shape_bounds
from sardonyx.builder.drawing.theme import SERIES_COLORS
from sardonyx.builder.drawing.ticks import linear_ticks, log_tick_texts, log_ticks, tick_texts

NAN, INFINITY = math.nan, math.inf
numbers = st.floats(allow_nan=True, allow_infinity=True)


def shapes_of(scene, kind):
    return [shape for shape in flatten(scene.children) if isinstance(shape, kind)]


def curves(scene):
    """The drawn lines and points of the data: legend entries are left out."""
    lines = [path for path in shapes_of(scene, Path) if path.stroke in SERIES_COLORS and path.stroke_width < 2]
    return lines + shapes_of(scene, Circle)


def texts(scene):
    return [text.text for text in shapes_of(scene, Text)]


@pytest.mark.parametrize(
    ("values", "lines", "dots"),
    [
        ([1, 2, 3], 1, 0),
        ([1, NAN, 3], 0, 2),
        ([1, 2, NAN, 3, 4], 2, 0),
        ([NAN, 2, 3, INFINITY], 1, 0),
        ([5], 0, 1),
        ([NAN, NAN], 0, 0),
        ([], 0, 0),
        ([2, 2, 2], 1, 0),
        ([0, 0], 1, 0),
        ([-1e-12, 1e12], 1, 0),
        ([0.0, 5e-324], 1, 0),
        ([1e299, -1e299], 1, 0),
    ],
)
def test_gaps(values, lines, dots):
    scene = line_chart({"loss": values})
    drawn = curves(scene)
    assert sum(isinstance(shape, Path) for shape in drawn) == lines
    assert sum(isinstance(shape, Circle) for shape in drawn) == dots
    assert ("no finite values" in texts(scene)) == (not drawn)


@given(st.lists(st.lists(numbers, max_size=8), min_size=1, max_size=3), st.booleans())
def test_any_values_can_be_drawn(values, log):
    finite = [0.0 if abs(v) < 1e-300 else v for series in values for v in series if abs(v) < 1e300]
    if log and finite and max(finite) <= 0:
        return
    scene = line_chart({f"s{i}": series for i, series in enumerate(values)}, log_y=log, y_label="y", title="t")
    to_svg(scene)
    left, top, right, bottom = bounds(scene.children)
    assert left >= -40
    assert top >= 0
    assert right <= scene.width + 40
    assert bottom <= scene.height
    frame = bounds([path for path in shapes_of(scene, Path) if path.stroke not in SERIES_COLORS])
    for shape in curves(scene):
        box = shape_bounds(shape)
        assert frame[0] - 2 <= box[0] < box[2] <= frame[2] + 2
        assert box[1] >= 37
        assert box[3] <= frame[3] + 2


@pytest.mark.parametrize("values", [[1e-299], [1e-299, 1e299], [5e-324, 1.0], [0.0, 1.0], [3.0]])
def test_log_axes_at_the_ends_of_what_floats_hold(values):
    scene = line_chart({"loss": values}, log_y=True)
    assert curves(scene)
    assert to_svg(scene)


def test_places_are_true():
    scene = line_chart({"loss": [0.0, 1.0, 4.0]}, x=[0, 10, 40])
    (line,) = curves(scene)
    (x0, y0), (x1, y1), (x2, y2) = (command[1:] for command in line.commands)
    assert (x1 - x0) * 4 == pytest.approx(x2 - x0)
    assert (y0 - y1) * 4 == pytest.approx(y0 - y2)
    assert y2 < y1 < y0
    scene = line_chart({"loss": [1.0, 10.0, 1000.0]}, log_y=True)
    (line,) = curves(scene)
    (_, y0), (_, y1), (_, y2) = (command[1:] for command in line.commands)
    assert (y0 - y1) * 3 == pytest.approx(y0 - y2)


def test_validation_is_dashed_in_the_colour_of_training():
    names = ["loss", "val_loss", "a/loss", "a/val_loss", "val_only"]
    scene = line_chart({name: [1.0, 2.0] for name in names})
    drawn = dict(zip(names, curves(scene), strict=True))
    assert [bool(path.dash) for path in drawn.values()] == [False, True, False, True, False]
    assert drawn["loss"].stroke == drawn["val_loss"].stroke != drawn["a/loss"].stroke == drawn["a/val_loss"].stroke
    assert drawn["val_only"].stroke not in (drawn["loss"].stroke, drawn["a/loss"].stroke)


def test_the_legend_is_outside_of_the_data():
    series = {f"model_{i}/loss": [1.0, 2.0, 3.0] for i in range(12)} | {"name" * 40: [1.0]}
    scene = line_chart(series, height=120)
    right = max(shape_bounds(shape)[2] for shape in curves(scene))
    entries = [path for path in shapes_of(scene, Path) if path.stroke in SERIES_COLORS and path.stroke_width >= 2]
    assert len(entries) == 13
    assert all(shape_bounds(entry)[0] > right for entry in entries)
    assert bounds(scene.children)[3] <= scene.height
    assert bounds(scene.children)[2] <= scene.width
    assert line_chart(series, legend=False).width == 440


def test_many_points_keep_their_extremes():
    values = [0.0] * 50_000
    values[777], values[40_000] = 9.0, -5.0
    (line,), (whole,) = curves(line_chart({"s": values})), curves(line_chart({"s": values[770:790]}))
    assert len(line.commands) < 5000
    assert len(whole.commands) == 20
    ys = [command[-1] for command in line.commands]
    assert min(ys) < ys[0] < max(ys)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 100, ["0", "20", "40", "60", "80", "100"]),
        (0.1, 0.37, ["0.10", "0.15", "0.20", "0.25", "0.30", "0.35"]),
        (-1, 1, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        (0, 4e-5, ["0", "1e-5", "2e-5", "3e-5", "4e-5"]),
        (0, 2e7, ["0", "5e6", "1e7", "1.5e7", "2e7"]),
        (5, 5, ["5"]),
    ],
)
def test_linear_ticks(low, high, ticks):
    assert tick_texts(linear_ticks(low, high)) == ticks


def test_epochs_are_integers():
    assert linear_ticks(1, 3, 10, whole=True) == [1, 2, 3]
    assert "1.5" not in texts(line_chart({"s": [1, 2]}))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-5, 1.0, ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]),
        (0.09, 1.1, ["0.1", "0.2", "0.5", "1"]),
        (3.0, 3.5, ["3", "3.1", "3.2", "3.3", "3.4", "3.5"]),
    ],
)
def test_log_ticks(low, high, ticks):
    assert log_tick_texts(log_ticks(low, high)) == ticks


def test_bars():
    scene = bar_chart({"a": 2.0, "b": -1.0, "c": 0, "d": NAN, "e": 1_234_567}, title="t", value_label="v")
    assert len(shapes_of(scene, Rectangle)) == 3
    assert {"2", "-1", "0", "nan", "1,234,567", "t", "v"} <= set(texts(scene))
    scene = bar_chart({"a": 2.0, "b": -1.0, "a_name_of_a_layer_that_is_much_too_long_for_a_chart" * 2: 1.0})
    (first, second, _) = shapes_of(scene, Rectangle)
    assert first.width == pytest.approx(2 * second.width)
    assert second.x + second.width == pytest.approx(first.x)
    left, top, right, bottom = bounds(scene.children)
    assert left >= 0
    assert top >= 0
    assert right <= scene.width
    assert bottom <= scene.height


def test_grid():
    charts = [line_chart({"s": [1.0, 2.0]}, title=str(index)) for index in range(5)]
    grid = figure_grid(charts, columns=3, title="all")
    assert grid.width >= 3 * charts[0].width
    assert grid.height >= 2 * charts[0].height
    assert {"all", "0", "4"} <= set(texts(grid))
    groups = [group for group in grid.children if not isinstance(group, Text)]
    places = {(group.dx, group.dy) for group in groups}
    assert len(places) == 5
    assert len({x for x, _ in places}) == 3
    assert figure_grid(charts[:1], columns=4).width < 2 * charts[0].width
    assert to_svg(grid) == to_svg(figure_grid(charts, columns=3, title="all"))


def test_charts_become_png():
    pytest.importorskip("PIL")
    series = {"loss": [1.0, 0.5, NAN, 0.2], "val_loss": [2.0, 1.0, 0.9, 0.8]}
    chart = line_chart(series, y_label="loss", x_label="epoch")
    assert to_png(chart, 1.0)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: line_chart({}), "there is no series to draw"),
        (lambda: line_chart({"a": [1.0]}, x=[1, 2]), "series 'a' has 1 values, but x has 2"),
        (lambda: line_chart({"a": [1.0]}, x=[NAN]), "every value of x must be a finite number"),
        (lambda: line_chart({"a": [0.0, -1.0]}, log_y=True), "log_y needs positive values"),
        (lambda: line_chart({"a": [1.0]}, width=10), "at least 160 x 120 pixels, got 10 x 280"),
        (lambda: bar_chart({}), "there is nothing to draw"),
        (lambda: bar_chart({"a": 1.0}, width=10), "bar_chart: a chart needs at least 160"),
        (lambda: figure_grid([]), "there is no chart to place"),
        (lambda: figure_grid([bar_chart({"a": 1.0})], columns=0), "columns must be at least 1, got 0"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
