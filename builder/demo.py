"""The main job: one digit classifier in all three styles and a loop of its own, trained, exported, run, compared."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..trainer import losses, metrics, optimizers
from ..trainer.data.datasets import digits
from ..trainer.gradient import GradientTape
from ..trainer.seed import set_random_seed
from ..trainer.threads import limited_threads
from . import drawing, layers
from .input import Input
from .model import Model
from .plot import plot_model
from .prediction import run_file
from .sequential import Sequential

CLASSES = 10


def convolutional_layers() -> list[Any]:
    """The layers of the classifier, but for the last."""
    return [
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2"),
        layers.MaxPooling2D(name="pool"),
        layers.BatchNormalization(momentum=0.9, name="norm"),
        layers.Flatten(name="flatten"),
        layers.Dense(64, activation="relu", name="dense"),
        layers.Dropout(0.3, name="dropout"),
    ]


def sequential_model() -> Model:
    """A stack of layers."""
    head = layers.Dense(CLASSES, activation="softmax", name="digit")
    return Sequential([Input((8, 8, 1), name="image"), *convolutional_layers(), head], name="sequential")


def functional_model() -> Model:
    """A graph: a second path around the second convolution is added to it."""
    image = Input((8, 8, 1), name="image")
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_1")(image)
    x = layers.Add(name="around")([x, layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2")(x)])
    x = layers.BatchNormalization(momentum=0.9, name="norm")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Dense(64, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))
    x = layers.Dropout(0.3, name="dropout")(x)
    return Model(image, layers.Dense(CLASSES, activation="softmax", name="digit")(x), name="functional")


class SubclassedModel(Model):
    """A class whose `call` is Python."""

    def __init__(self, name: str = "subclassing") -> None:
        super().__init__(name=name)
        self.body = convolutional_layers()
        self.head = layers.Dense(CLASSES, activation="softmax", name="digit")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Through the body, layer by layer, to the head."""
        x = inputs
        for layer in self.body:
            x = layer(x)
        return self.head(x)


@dataclass
class Result:
    """A row of the table."""

    style: str
    parameters: int
    seconds: float
    accuracy_numpy: float
    accuracy_runtime: float
    difference: float
    curves: dict[str, list[float]]
    file: Path


def load() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Scans as float32 in [0, 1] with a channel axis."""
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    scale = np.float32(1 / 16)
    return (x_train[..., None] * scale, y_train), (x_test[..., None] * scale, y_test)


def train_by_fit(model: Model, train: Any, test: Any, epochs: int, verbose: Any) -> dict[str, list[float]]:
    """compile and fit."""
    model.compile(optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(*train, batch_size=64, epochs=epochs, validation_data=test, verbose=verbose).history


def train_by_tape(model: Model, train: Any, test: Any, epochs: int, verbose: Any) -> dict[str, list[float]]:
    """A loop of one's own under a GradientTape."""
    optimizer, loss_function = optimizers.Adam(2e-3), losses.SparseCategoricalCrossentropy()
    loss, accuracy = metrics.Mean(), metrics.SparseCategoricalAccuracy()
    curves: dict[str, list[float]] = {"loss": [], "accuracy": [], "val_accuracy": []}
    (x, y), (x_test, y_test) = train, test
    for epoch in range(epochs):
        loss.reset_state()
        accuracy.reset_state()
        order = np.random.default_rng(epoch).permutation(len(x))
        for start in range(0, len(x), 64):
            batch = order[start : start + 64]
            with GradientTape() as tape:
                predictions = model(x[batch], training=True)
                value = loss_function(y[batch], predictions)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(value, variables), variables)
            loss.update_state(value)
            accuracy.update_state(y[batch], predictions)
        held_out = float((np.asarray(model(x_test, training=False)).argmax(-1) == y_test).mean())
        for name, number in zip(curves, (float(loss.result()), float(accuracy.result()), held_out), strict=True):
            curves[name].append(number)
        if verbose:
            print(f"tape {epoch + 1:>2}/{epochs}  loss {curves['loss'][-1]:.4f}  held out {held_out:.4f}")
    return curves


def run_style(style: str, model: Model, trainer: Any, epochs: int, folder: Path, verbose: Any) -> Result:
    """Train, export, run the file in onnxruntime, compare."""
    train, test = load()
    started = time.perf_counter()
    with limited_threads():
        curves = trainer(model, train, test, epochs, verbose)
    seconds = time.perf_counter() - started
    file = folder / f"{style}.onnx"
    model.export(file)
    with limited_threads():
        on_numpy = model.predict(test[0], runtime="numpy", verbose=0)
    on_runtime = run_file(file, test[0])[0]
    return Result(
        style=style,
        parameters=model.count_params(),
        seconds=seconds,
        accuracy_numpy=float((on_numpy.argmax(-1) == test[1]).mean()),
        accuracy_runtime=float((on_runtime.argmax(-1) == test[1]).mean()),
        difference=float(np.abs(on_numpy - on_runtime).max()),
        curves=curves,
        file=file,
    )


def table(results: Sequence[Result]) -> str:
    """The results, aligned."""
    rows = [("style", "parameters", "seconds", "accuracy NumPy", "accuracy onnxruntime", "largest difference")]
    rows += [
        (
            r.style, f"{r.parameters:,}", f"{r.seconds:.1f}", f"{r.accuracy_numpy:.4f}", f"{r.accuracy_runtime:.4f}",
            f"{r.difference:.1e}",
        )
        for r in results
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def draw(results: Sequence[Result], model: Model, folder: Path) -> list[Path]:
    """Learning curves and the graph of a model, as SVG and, where Pillow is installed, PNG."""
    charts = [
        drawing.line_chart(
            {r.style: r.curves[name] for r in results}, title=title, x_label="epoch", log_y=name == "loss",
        )
        for title, name in (("loss", "loss"), ("accuracy on held-out scans", "val_accuracy"))
    ]  # fmt: skip
    written = []
    for ending in (".svg", ".png"):
        curves, graph = folder / f"learning_curves{ending}", folder / f"model{ending}"
        try:
            drawing.write(curves, drawing.figure_grid(charts, columns=2))
            plot_model(model, graph, show_shapes=True, show_layer_names=True, show_layer_activations=True)
        except ImportError:
            print("PNG pictures need Pillow: pip install sardonyx[plot]; the SVG ones are there")
            break
        written += [curves, graph]
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="sardonyx demo", description="Train a digit classifier in every style.")
    parser.add_argument("--output", type=Path, default=Path("sardonyx-demo"), help="folder for files and pictures")
    parser.add_argument("--epochs", type=int, default=8, help="epochs for each style")
    parser.add_argument("--seed", type=int, default=7, help="seed of everything that is random")
    parser.add_argument("--quiet", action="store_true", help="print the table only")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    verbose = 0 if options.quiet else 1
    styles = [
        ("sequential", sequential_model, train_by_fit),
        ("functional", functional_model, train_by_fit),
        ("subclassing", SubclassedModel, train_by_fit),
        ("tape", lambda: SubclassedModel("tape"), train_by_tape),
    ]
    results, models = [], {}
    for style, make, trainer in styles:
        set_random_seed(options.seed)
        models[style] = make()
        if verbose:
            print(f"\n{style}")
        results.append(run_style(style, models[style], trainer, options.epochs, options.output, verbose))
    print(f"\n{table(results)}\n")
    pictures = draw(results, models["functional"], options.output)
    for path in [*(r.file for r in results), *pictures]:
        print(f"wrote {path}")
    return 0
