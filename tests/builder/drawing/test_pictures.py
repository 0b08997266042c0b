"""Scenes, their SVG and PNG, and writing them to files."""

import builtins
import importlib
import io
import os
import xml.etree.ElementTree as ET
from pathlib import Path as FilePath

import numpy as np
import pytest

from sardonyx.builder.drawing import Circle, Group, Path, Rectangle, Scene, Text, check_path, to_png, to_svg, write
from sardonyx.builder.drawing.scene import bounds, split_arrow
from sardonyx.builder.drawing.text import shorten, text_width, wrap

LINE = (("M", 10.0, 10.0), ("L", 10.0, 50.0))


def scene(*children) -> Scene:
    return Scene(100, 60, children, title="a scene")


def pixels(picture: Scene, scale: float = 1.0) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(to_png(picture, scale))).convert("RGB"))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Rectangle(1, 2, 10, 20), (1, 2, 11, 22)),
        (Rectangle(1, 2, 10, 20, stroke="#000000", stroke_width=2), (0, 1, 12, 23)),
        (Circle(5, 5, 2, "#000000"), (3, 3, 7, 7)),
        (Path(LINE, stroke_width=2), (9, 9, 11, 51)),
        (Path(LINE, stroke_width=2, arrow="end"), (6.5, 6.5, 13.5, 53.5)),
        (Group((Group((Circle(0, 0, 1, "#000000"),), 1, 2),), 10, 20), (10, 21, 12, 23)),
        (Text(10, 10, "MM", 10), (10, 2.4, 26.66, 12.4)),
        (Text(10, 10, "MM", 10, anchor="middle"), (1.67, 2.4, 18.33, 12.4)),
        (Text(10, 10, "MM", 10, anchor="end", vertical=True), (2.4, 10, 12.4, 26.66)),
    ],
)
def test_bounds(shape, expected):
    assert bounds([shape]) == pytest.approx(expected)


def test_bounds_of_nothing():
    assert bounds([]) == (0, 0, 0, 0)


@pytest.mark.parametrize(("arrow", "tip", "kept"), [("end", (10, 50), 0), ("start", (10, 10), 1)])
def test_arrow_heads_end_where_the_path_does(arrow, tip, kept):
    commands, head = split_arrow(Path(LINE, arrow=arrow))
    assert head[0] == tip
    assert commands[kept] == LINE[kept]
    assert commands[1 - kept] != LINE[1 - kept]


@pytest.mark.parametrize("text", ["Dense", "(batch, 28, 28, 1)", "block_12_expand", "中文", "é"])
def test_bold_is_wider_and_size_scales(text):
    assert text_width(text, 20) == pytest.approx(2 * text_width(text, 10))
    assert text_width(text, 10, bold=True) > text_width(text, 10) > 0


@pytest.mark.parametrize("text", ["", "a", "word " * 30, "x" * 200, "a_long/path.with:many|breaks", "CamelCase" * 9])
@pytest.mark.parametrize("width", [20.0, 60.0, 150.0])
def test_wrapped_and_shortened_text_fits(text, width):
    lines = wrap(text, 10, width, max_lines=3)
    assert 1 <= len(lines) <= 3
    assert all(text_width(line, 10) <= width for line in lines)
    assert text_width(shorten(text, 10, width), 10) <= width
    if not any("…" in line for line in lines):
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[(batch, 8, 8), (batch, 16)]", ["[(batch, 8, 8),", "(batch, 16)]"]),
        ("GlobalAveragePooling2D", ["GlobalAverage", "Pooling2D"]),
        ("short", ["short"]),
    ],
)
def test_breaks_come_where_a_reader_expects_them(text, lines):
    assert wrap(text, 10, 80) == lines


def test_svg_is_well_formed_and_keeps_text():
    strange = 'a <b> & "c" \x00 ünïcode 中'
    shapes = (Text(1, 2, strange), Path(LINE, dash=(4.0, 2.0), arrow="end"), Circle(1, 1, 1, "#123456"))
    picture = scene(Group(shapes, 3, 4, tooltip="<tip>"), Rectangle(0, 0, 9, 9, "#eeeeee", "#000000", 1, 3, "top"))
    root = ET.fromstring(to_svg(picture))
    assert root.attrib["viewBox"] == "0 0 100 60"
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{name}text")] == [strange.replace("\x00", "\ufffd")]
    assert [title.text for title in root.iter(f"{name}title")] == ["a scene", "<tip>"]
    assert len(list(root.iter(f"{name}polygon"))) == 1
    assert to_svg(picture) == to_svg(picture)


def test_png_shows_what_the_scene_holds():
    """A filled box, a stroke and a circle in their places, at two scales; white elsewhere."""
    picture = scene(
        Rectangle(10, 10, 20, 20, "#ff0000"), Path((("M", 50.0, 5.0), ("L", 50.0, 55.0)), "#0000ff", 4),
        Circle(80, 30, 8, "#00ff00"),
    )  # fmt: skip
    for scale in (1, 3):
        image = pixels(picture, scale)
        assert image.shape == (60 * scale, 100 * scale, 3)
        colors = {(20, 20): (255, 0, 0), (50, 30): (0, 0, 255), (80, 30): (0, 255, 0), (5, 5): (255, 255, 255)}
        assert {(x, y): tuple(image[y * scale, x * scale].tolist()) for x, y in colors} == colors


def test_png_strips_join_without_a_seam(monkeypatch):
    from sardonyx.builder.drawing import png

    curve = (("M", 5.0, 5.0), ("C", 90.0, 5.0, 5.0, 55.0, 90.0, 55.0))
    picture = scene(Path(curve, "#000000", 3, arrow="end"), Rectangle(20, 20, 30, 30, None, "#ff0000", 2, 5))
    whole = pixels(picture, 2)
    monkeypatch.setattr(png, "_STRIP_PIXELS", 1)
    np.testing.assert_array_equal(pixels(picture, 2), whole)


@pytest.mark.parametrize("anchor", ["start", "middle", "end"])
@pytest.mark.parametrize("vertical", [False, True])
@pytest.mark.parametrize("content", ["Dense (batch, 10)", "→ × ∞ …", "WWWW_iiii", "ñandú 中"])
def test_png_text_stays_in_its_bounds(anchor, vertical, content):
    text = Text(150, 150, content, 13, True, anchor, "#000000", vertical)
    image = pixels(Scene(300, 300, (text,)), 2)
    rows, columns = np.nonzero(image[:, :, 0] < 200)
    left, top, right, bottom = bounds([text])
    assert len(rows) > 50
    assert left - 1.5 <= columns.min() / 2
    assert columns.max() / 2 <= right + 1.5
    assert top - 1.5 <= rows.min() / 2
    assert rows.max() / 2 <= bottom + 1.5


def test_png_text_wider_than_its_estimate_is_made_smaller(monkeypatch):
    """With a font half as wide again as Helvetica, as a fallback font may be."""
    png = importlib.import_module("sardonyx.builder.drawing.png")
    font = png._font
    monkeypatch.setattr(png, "_font", lambda face, size: font(face, 1.5 * size))
    text = Text(10, 30, "a long name of a layer", 13)
    columns = np.nonzero(pixels(Scene(400, 60, (text,)), 2)[:, :, 0] < 200)[1]
    assert columns.max() / 2 <= 10 + text.width + 1.5
    assert columns.max() / 2 >= 10 + text.width - 5


def test_png_dashes_leave_gaps():
    line = (("M", 0.0, 30.0), ("L", 100.0, 30.0))
    dark = pixels(scene(Path(line, "#000000", 4, dash=(10.0, 10.0))))[30, :, 0] < 128
    assert np.count_nonzero(np.diff(dark.astype(int))) == 9
    assert 45 <= dark.sum() <= 55


def test_png_of_a_huge_scene_gets_smaller_then_an_error(monkeypatch):
    from sardonyx.builder.drawing import png

    monkeypatch.setattr(png, "_LARGEST_PIXELS", 1500)
    assert pixels(scene(), 2).shape[1] == 50
    monkeypatch.setattr(png, "_LARGEST_PIXELS", 100)
    with pytest.raises(ValueError, match=r"100 x 60 pixels, too large for a PNG .* write an .svg file instead"):
        to_png(scene())


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_bad_scale(scale):
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match="scale must be a positive number"):
        to_png(scene(), scale)


def test_png_without_pillow(monkeypatch, tmp_path):
    importing = builtins.__import__

    def without_pillow(name, *arguments, **keywords):
        if name.startswith("PIL"):
            raise ImportError(name)
        return importing(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ImportError, match=r"pip install sardonyx\[plot\].*\.svg"):
        write(tmp_path / "a.png", scene())
    assert write(tmp_path / "a.svg", scene()).exists()


@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.SVG"])
def test_write(name, tmp_path):
    if name.endswith("png"):
        pytest.importorskip("PIL")
    target = tmp_path / name
    assert write(str(target), scene(Text(5, 20, "text"))) == target
    first = target.read_bytes()
    assert first[:4] == (b"\x89PNG" if name.endswith("png") else b"<?xm")
    write(target, scene(Text(5, 20, "text")))
    assert target.read_bytes() == first
    assert os.listdir(tmp_path) == [name]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "a.svg"
    target.write_text("old")

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(target, scene())
    assert os.listdir(tmp_path) == ["a.svg"]
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("a.jpg", ValueError, "written as .svg or .png; .*a.jpg' ends in '.jpg'"),
        ("picture", ValueError, "picture' has no ending"),
        ("missing/a.svg", FileNotFoundError, "missing' does not exist; create it before writing 'a.svg'"),
        ("file/a.svg", NotADirectoryError, "file' is a file, not a folder"),
        ("folder.svg", IsADirectoryError, "folder.svg' is a folder; give the picture another name"),
    ],
)
def test_paths_that_cannot_be_written(path, error, message, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(error, match=message):
        write(tmp_path / path, scene())


def test_what_is_no_path():
    with pytest.raises(TypeError, match="must be a string or a path, got int"):
        check_path(3)  # pyright: ignore[reportArgumentType]


def test_unwritable_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written to; choose another for 'a.svg'"):
        check_path(FilePath(tmp_path) / "a.svg")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rectangle(0, 0, -1, 5), "width and height must not be negative"),
        (lambda: Path(()), "the first command must be"),
        (lambda: Path((("L", 1.0, 2.0),)), "the first command must be"),
        (lambda: Path((("M", 1.0, 2.0), ("Q", 1.0, 2.0))), "is none of"),
        (lambda: to_svg(scene(Circle(float("nan"), 0, 1, "#000000"))), "every coordinate must be a finite number"),
    ],
)
def test_scene_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
