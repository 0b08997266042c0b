"""Kinds of files from few labels: the inner features of a network that tells other kinds apart.

The file is Google's Magika (Apache-2.0) as it comes in its package; get it with `pip install --no-deps magika`, or say
where it lies: `python examples/file_kinds.py --file model.onnx`. Data: files of NumPy, SciPy, scikit-learn, pandas and
Matplotlib, of kinds some of which are one to Magika, such as Cython's .pyx and .pxd. A new head on Magika's inner
features against logistic regression on how often each byte occurs, and on Magika's own answers.
"""

import importlib.util
from pathlib import Path

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers

LIBRARIES = ("numpy", "scipy", "sklearn", "pandas", "matplotlib")
KINDS = ("py", "pyi", "pyx", "pxd", "c", "f90", "txt", "csv", "afm", "so", "mat", "gz")
MOST = 36  # files of a kind
HALF, PADDING = 1024, 256  # bytes from either end that Magika looks at, and what stands where there are none


def main(small: bool = False, out: Path = common.OUT, file: Path | None = None) -> dict[str, float]:
    """Print the table, export the last network, and compare its accuracy in onnxruntime."""
    out.mkdir(parents=True, exist_ok=True)
    x, y = files(18 if small else MOST)
    half = len(y) // 2
    x_test, y_test, x, y = x[:half], y[:half], x[half:], y[half:]
    base = sx.models.load_model(file or installed_file())
    answers, answers_test = (base.predict(part, verbose=0) for part in (x, x_test))
    model = with_new_head(base)
    initial = model.get_weights()
    rows: list[tuple[str, ...]] = [("labels of each", "bytes", "answers", "new head")]
    results: dict[str, float] = {}
    for count in (1, 3) if small else (1, 3, 10):
        found = []
        for seed in range(1 if small else 3):
            sx.utils.set_random_seed(seed)
            chosen = balanced(y, count, seed)
            by_bytes = accuracy_of_regression(100, frequencies(x)[chosen], y[chosen], frequencies(x_test), y_test)
            by_answers = accuracy_of_regression(10, answers[chosen], y[chosen], answers_test, y_test)
            model.set_weights(initial)
            model.compile(sx.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
            model.fit(x[chosen], y[chosen], epochs=40, batch_size=16, verbose=0, cache_features=True)
            guesses = model.predict(x_test, verbose=0).argmax(axis=-1)
            found.append([by_bytes, by_answers, np.mean(guesses == y_test)])
        mean, deviation = np.mean(found, axis=0), np.std(found, axis=0)
        rows.append((f"{count}", *[f"{m:.1%} +-{d:.1%}" for m, d in zip(mean, deviation, strict=True)]))
        results |= {f"{name}, {count}": float(m) for name, m in zip(rows[0][1:], mean, strict=True)}
    print(common.table(rows))

    model.export(out / "file_kinds.onnx")
    session = sx.exporters.session(str(out / "file_kinds.onnx"))
    in_runtime = session.run(None, {"bytes": x_test})[0].argmax(axis=-1)
    results["accuracy"] = float(np.mean(guesses == y_test))
    results["accuracy in onnxruntime"] = float(np.mean(in_runtime == y_test))
    confusion = np.zeros((len(KINDS), len(KINDS)))
    np.add.at(confusion, (y_test, in_runtime), 1)
    common.picture_of_confusion(confusion, KINDS, out / "file_kinds.png")
    return results


def with_new_head(base: sx.Model) -> sx.Model:
    """Magika up to its classifier, frozen as every file is at first, and a classifier of our kinds."""
    classifier = [layer for layer in base.layers if isinstance(layer, layers.Dense)][-1]
    h = layers.LayerNormalization()(classifier.input)
    head = layers.Dense(len(KINDS), activation="softmax", kernel_initializer="zeros", name="kind")
    return sx.Model(base.input, head(h))


def accuracy_of_regression(strength: float, x: np.ndarray, y: np.ndarray, *held_out: np.ndarray) -> float:
    """Of logistic regression on held-out files and their kinds."""
    from sklearn.linear_model import LogisticRegression

    return float(LogisticRegression(C=strength, max_iter=1000).fit(x, y).score(*held_out))


def files(count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many files of each kind, shuffled: what Magika sees of them, and the kind's place in the list."""
    draw = np.random.default_rng(0)
    found = [importlib.util.find_spec(library) for library in LIBRARIES]
    folders = [Path(spec.origin).parent for spec in found if spec is not None and spec.origin is not None]
    if len(folders) < len(LIBRARIES):
        raise ModuleNotFoundError(f'this example reads files of {", ".join(LIBRARIES)}: pip install -e ".[examples]"')
    x, y = [], []
    for place, kind in enumerate(KINDS):
        paths = [p for folder in folders for p in sorted(folder.rglob(f"*.{kind}")) if p.stat().st_size > 64]
        x += [seen_by_magika(paths[i].read_bytes()) for i in draw.permutation(len(paths))[:count]]
        y += [place] * (len(x) - len(y))
    order = draw.permutation(len(y))
    return np.stack(x)[order], np.array(y)[order]


def balanced(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of so many labels of each kind."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.permutation(np.flatnonzero(y == kind))[:count] for kind in range(len(KINDS))])


def seen_by_magika(content: bytes) -> np.ndarray:
    """The first and the last bytes of a file, without the white space around them, as int32."""
    first, last = content[: 4 * HALF].lstrip()[:HALF], content[-4 * HALF :].rstrip()[-HALF:]
    tokens = np.full(2 * HALF, PADDING, np.int32)
    tokens[: len(first)] = np.frombuffer(first, np.uint8)
    tokens[2 * HALF - len(last) :] = np.frombuffer(last, np.uint8)
    return tokens


def frequencies(x: np.ndarray) -> np.ndarray:
    """Roots of how often each byte occurs, which serve better than the counts."""
    return np.sqrt([np.bincount(tokens, minlength=PADDING + 1) / len(tokens) for tokens in x])


def installed_file() -> Path:
    """The file in Magika's package, which is not imported."""
    package = importlib.util.find_spec("magika")
    places = (package.submodule_search_locations or []) if package is not None else []
    found = [path for place in places for path in Path(place).rglob("*.onnx")]
    if not found:
        raise FileNotFoundError("the example's file comes with a package: pip install --no-deps magika; or give --file")
    return found[0]


if __name__ == "__main__":
    common.run(main, file="the ONNX file, where the package magika is not installed")
