"""The quick start: four layers in a row learn to read handwritten digits.

Data: 5,000 digits of MNIST; with --small the 1,797 smaller scans that come with sardonyx.
"""

from pathlib import Path

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers


def main(small: bool = False, out: Path = common.OUT) -> dict[str, float]:
    """Train, measure on held-out digits, export, check; the picture shows the digits it was least sure of."""
    sx.utils.set_random_seed(1)
    out.mkdir(parents=True, exist_ok=True)
    (x, y), (x_test, y_test) = scans() if small else common.mnist()

    model = sx.Sequential([
        sx.Input(x.shape[1:], name="image"),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(10, activation="softmax", name="digit"),
    ])  # fmt: skip
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=10, validation_data=(x_test, y_test), verbose=2)

    file = out / "quick_start.onnx"
    model.export(file)
    comparison = sx.exporters.compare(model, file, x_test)  # NumPy against onnxruntime
    assert comparison, comparison

    probabilities = model.predict(x_test, verbose=0)
    guesses = probabilities.argmax(axis=-1)
    unsure = probabilities.max(axis=-1).argsort()[:40]
    common.picture_of(1 - x_test[unsure].reshape(4, 10, *x.shape[1:]), out / "quick_start.png", scale=2)
    print("least sure of, read as:", *guesses[unsure].reshape(4, 10), sep="\n")
    return {"accuracy": float(np.mean(guesses == y_test)), "difference": comparison.largest}


def scans() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The bundled digits, 8 x 8 pixels from 0 to 1."""
    (x, y), (x_test, y_test) = sx.datasets.digits.load_data()
    return (x / np.float32(16), y), (x_test / np.float32(16), y_test)


if __name__ == "__main__":
    common.run(main)
