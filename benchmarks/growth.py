"""How the time of everything done with a model grows with its layers, and of a step with batch and width.

Run with `python benchmarks/growth.py [--style functional] [--layers 250 500 1000 2000]`; see the README here.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import sardonyx as sx

WIDTH = 8
STEPS = 4


def sequential(depth: int, width: int = WIDTH) -> Any:
    """A stack of dense layers."""
    return sx.Sequential([sx.Input((width,)), *(sx.layers.Dense(width, activation="tanh") for _ in range(depth))])


def functional(depth: int, width: int = WIDTH) -> Any:
    """Dense layers, each added to what it was given."""
    inputs = x = sx.Input((width,))
    for _ in range(depth):
        x = sx.layers.Add()([x, sx.layers.Dense(width, activation="tanh")(x)])
    return sx.Model(inputs, x)


@sx.saving.register_keras_serializable("growth")
class Stacked(sx.Model):
    """Dense layers in a list of a class of the user's, each added to what it was given."""

    def __init__(self, depth: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth, self.width = depth, width
        self.stack = [sx.layers.Dense(width, activation="tanh") for _ in range(depth)]

    def call(self, x: Any) -> Any:
        """All layers in turn."""
        for layer in self.stack:
            x = x + layer(x)
        return x


def subclassed(depth: int, width: int = WIDTH) -> Any:
    """A subclassed model, with its weights."""
    model = Stacked(depth, width)
    model(np.zeros((2, width), "float32"))
    return model


STYLES = {"sequential": sequential, "functional": functional, "subclassed": subclassed}


def spent(action: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds of processor time, the least of several."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        found.append(time.process_time() - start)
    return min(found)


def times(make: Callable[..., Any], depth: int, folder: Path) -> dict[str, float]:
    """Seconds of everything done with a model of one depth."""
    made: list[Any] = []
    build = spent(lambda: made.append(make(depth)))
    model, file = made[0], folder / "model.onnx"
    x = np.zeros((32, WIDTH), "float32")
    found = {"build": build}
    for name, jit_compile in (("step", False), ("compiled", True)):
        model.compile("sgd", "mse", jit_compile=jit_compile)
        found[f"{name}, first"] = spent(lambda: model.fit(x, x, verbose=0, epochs=2))
        found[name] = spent(lambda: model.fit(x, x, verbose=0, epochs=STEPS)) / STEPS
    return {
        **found,
        "clone": spent(lambda: sx.models.clone_model(model)),
        "summary": spent(lambda: model.summary(print_fn=lambda text: None)),
        "save": spent(lambda: model.save(file)),
        "load": spent(lambda: sx.saving.load_model(file)),
        "export": spent(lambda: model.export(folder / "exported.onnx")),
        "first predict": spent(lambda: model.predict(x, verbose=0)),
        "predict": spent(lambda: model.predict(x, verbose=0), 5),
    }


def print_growth(title: str, sizes: Sequence[int], rows: dict[str, list[float]], scale: float, order: int) -> None:
    """A table of milliseconds, and the power of the size with which each grows from the first to the last size."""
    print(f"{title:18}" + "".join(f"{size:>10}" for size in sizes) + f"{'power':>8}{'expected':>10}")
    for name, values in rows.items():
        power = np.log(values[-1] / values[0]) / np.log(sizes[-1] / sizes[0])
        print(f"{name:18}" + "".join(f"{value * scale:10.2f}" for value in values) + f"{power:8.2f}{order:10}")
    print(flush=True)


def step_time(depth: int, width: int, batch: int) -> float:
    """Seconds of one step on NumPy."""
    model = sequential(depth, width)
    model.compile("sgd", "mse", jit_compile=False)
    x = np.zeros((batch, width), "float32")
    model.fit(x, x, batch_size=batch, verbose=0)
    return spent(lambda: model.fit(x, x, batch_size=batch, epochs=STEPS, verbose=0), 3) / STEPS


def main() -> None:
    """Print a table for the layers of each style, one for the batch and one for the width."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--style", nargs="*", default=list(STYLES), choices=list(STYLES))
    parser.add_argument("--layers", nargs="*", type=int, default=[250, 500, 1000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for style in given.style:
            times(STYLES[style], 4, Path(name))  # what is done once a process
            found = [times(STYLES[style], depth, Path(name)) for depth in given.layers]
            rows = {key: [one[key] for one in found] for key in found[0]}
            print_growth(f"{style}, ms", given.layers, rows, 1e3, 1)
    batches, widths = [512, 1024, 2048, 4096], [512, 1024, 2048]
    print_growth("batch, ms", batches, {"step": [step_time(4, 128, n) for n in batches]}, 1e3, 1)
    print_growth("width, ms", widths, {"step": [step_time(2, n, 256) for n in widths]}, 1e3, 2)


if __name__ == "__main__":
    main()
