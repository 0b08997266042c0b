"""Several inputs, several outputs: a support desk reads about a function, says who answers for it and how long it is.

Every ticket is a real function of the standard library, NumPy, SciPy, scikit-learn or scikit-image: its name and its
documentation as text, and a few numbers about its signature. Two answers are learnt from them: the department, that
is, the library's part where the function lives, and the effort, the lines of code that are behind it.
"""

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers
from sardonyx.builder.drawing import bar_chart, figure_grid, line_chart, write

DEPARTMENTS = {
    "text": "string re textwrap difflib codecs shlex csv json.decoder json.encoder html.parser gettext argparse "
    "pprint tokenize locale configparser optparse email.message email.header xml.dom.minidom xml.etree.ElementTree",
    "files": "os shutil pathlib tempfile zipfile tarfile gzip bz2 lzma glob fnmatch fileinput io filecmp mmap mailbox",
    "network": "socket ssl ipaddress http.client http.server http.cookiejar urllib.request urllib.parse smtplib ftplib "
    "imaplib poplib socketserver selectors xmlrpc.client xmlrpc.server email.utils uuid",
    "concurrency": "threading queue asyncio.events asyncio.base_events asyncio.streams asyncio.tasks asyncio.locks "
    "asyncio.queues asyncio.subprocess multiprocessing.pool multiprocessing.managers multiprocessing.context "
    "multiprocessing.shared_memory concurrent.futures subprocess sched contextvars",
    "arrays": "numpy numpy.linalg numpy.fft numpy.ma numpy.polynomial.polynomial numpy.polynomial.chebyshev "
    "numpy.lib.stride_tricks scipy.linalg scipy.sparse scipy.sparse.linalg",
    "statistics": "scipy.stats statistics random scipy.stats.mstats scipy.stats.qmc",
    "signals": "scipy.signal scipy.ndimage scipy.fft scipy.interpolate scipy.integrate scipy.optimize",
    "learning": "sklearn.cluster sklearn.linear_model sklearn.ensemble sklearn.svm sklearn.metrics sklearn.tree "
    "sklearn.preprocessing sklearn.model_selection sklearn.decomposition sklearn.feature_extraction.text "
    "sklearn.neighbors sklearn.naive_bayes sklearn.manifold sklearn.mixture sklearn.pipeline sklearn.impute",
    "images": "skimage.color skimage.draw skimage.exposure skimage.feature skimage.filters skimage.measure "
    "skimage.morphology skimage.restoration skimage.segmentation skimage.transform skimage.util skimage.registration",
}
TITLE_WORDS, BODY_WORDS, VOCABULARY = 6, 40, 4000
NUMBERS = ("parameters", "with defaults", "keyword-only", "takes *args", "takes **kwargs", "words of documentation")


def functions_of(module: Any) -> Iterator[Any]:
    """Public functions of a module, and the methods of its public classes, that are written in Python."""
    for name, member in inspect.getmembers(module):
        if not name.startswith("_"):
            members = vars(member).items() if inspect.isclass(member) else [(name, member)]
            found = [inspect.unwrap(m) for n, m in members if callable(m) and not n.startswith("_")]
            yield from (f for f in found if inspect.isfunction(f) and words(f.__doc__ or ""))


def words(text: str) -> list[str]:
    """Words in lower case; `read_csv` and `readCSV` are two words each."""
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())


def tickets(departments: list[str]) -> list[tuple[list[str], list[str], list[float], int, float]]:
    """Title, body, numbers, department and effort of every function; one that stands in several modules comes once."""
    found = {}
    for number, department in enumerate(departments):
        for module in DEPARTMENTS[department].split():
            for function in functions_of(importlib.import_module(module)):
                code, body = function.__code__, words(function.__doc__)
                lines = len({line for _, _, line in code.co_lines() if line})
                optional = len(function.__defaults__ or ())
                flags = [bool(code.co_flags & flag) for flag in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS)]
                numbers = [code.co_argcount, optional, code.co_kwonlyargcount, *flags, np.log1p(len(body))]
                found.setdefault(function.__doc__, (words(function.__name__), body, numbers, number, np.log10(lines)))
    return list(found.values())


def to_indices(texts: list[list[str]], vocabulary: dict[str, int], length: int) -> np.ndarray:
    """Words as numbers: 0 after the end, 1 for a word that is not in the vocabulary."""
    indices = [[vocabulary.get(word, 1) for word in text] for text in texts]
    return sx.utils.pad_sequences(indices, maxlen=length, padding="post", truncating="post")


def make_model(departments: int, statistics: np.ndarray) -> sx.Model:
    """Title, body and numbers to the department's probabilities and the logarithm of the lines."""
    title = sx.Input((TITLE_WORDS,), dtype="int32", name="title")
    body = sx.Input((BODY_WORDS,), dtype="int32", name="body")
    numbers = sx.Input((len(NUMBERS),), name="numbers")
    meaning = layers.Embedding(VOCABULARY, 48, mask_zero=True, name="meaning")  # of words, in titles and bodies alike
    normalized = layers.Normalization(name="normalized")
    normalized.adapt(statistics)
    x = layers.Concatenate(name="all")([
        layers.GRU(32, name="title_in_order")(meaning(title)),
        layers.GlobalAveragePooling1D(name="body_on_average")(meaning(body)),
        normalized(numbers),
    ])
    x = layers.Dropout(0.4, name="dropout")(layers.Dense(64, activation="relu", name="shared")(x))
    return sx.Model(
        {"title": title, "body": body, "numbers": numbers},
        {
            "department": layers.Dense(departments, activation="softmax", name="department")(x),
            "effort": layers.Dense(1, name="effort")(x),
        },
        name="support_desk",
    )


def main(small: bool = False, out: Path = common.OUT) -> dict[str, float]:
    """Train, measure both answers on functions not seen, show some; the picture is the accuracy by department."""
    sx.utils.set_random_seed(5)
    out.mkdir(parents=True, exist_ok=True)
    departments = ["text", "files", "network", "concurrency", "arrays"] if small else list(DEPARTMENTS)
    data = tickets(departments)
    order = np.random.default_rng(5).permutation(len(data))
    titles, bodies, numbers, department, effort = zip(*[data[i] for i in order], strict=True)
    test = len(data) // 5
    counts = Counter(word for text in (*titles[test:], *bodies[test:]) for word in text)
    vocabulary = {word: index for index, (word, _) in enumerate(counts.most_common(VOCABULARY - 2), start=2)}
    x = {
        "title": to_indices(titles, vocabulary, TITLE_WORDS),
        "body": to_indices(bodies, vocabulary, BODY_WORDS),
        "numbers": np.array(numbers, np.float32),
    }
    y = {"department": np.array(department), "effort": np.array(effort, np.float32)[:, None]}
    (x_test, x), (y_test, y) = [
        [{name: array[part] for name, array in arrays.items()} for part in (slice(test), slice(test, None))]
        for arrays in (x, y)
    ]

    model = make_model(len(departments), x["numbers"])
    model.compile(
        sx.optimizers.Adam(2e-3),
        loss={"department": "sparse_categorical_crossentropy", "effort": "mean_squared_error"},
        loss_weights={"department": 1.0, "effort": 2.0},
        metrics={"department": ["accuracy"], "effort": ["mean_absolute_error"]},
    )
    epochs = 4 if small else 12
    history = model.fit(x, y, epochs=epochs, validation_data=(x_test, y_test), verbose=2).history
    model.summary()

    file = out / "support_desk.onnx"
    model.export(file)
    comparison = sx.exporters.compare(model, file, x_test)
    assert comparison, comparison
    answers = model.predict(x_test, verbose=0)
    guesses, truth = answers["department"].argmax(axis=-1), y_test["department"]
    print("\n" + common.table([
        ("ticket", "department", "guess", "lines", "guess"),
        *((" ".join(titles[i]), departments[truth[i]], departments[guesses[i]], round(10 ** effort[i]),
           round(10 ** answers["effort"][i].item())) for i in range(12)),
    ]))  # fmt: skip
    right = {name: float(np.mean(guesses[truth == i] == i)) for i, name in enumerate(departments)}
    curves = {name: history[name] for name in ("department_accuracy", "val_department_accuracy")}
    charts = [bar_chart(right, title="right answers by department"), line_chart(curves, title="while training")]
    write(out / "support_desk.png", figure_grid(charts))

    error = np.abs(answers["effort"] - y_test["effort"]).mean()
    error_of_the_median = np.abs(np.median(y["effort"]) - y_test["effort"]).mean()
    return {
        "tickets": len(data),
        "accuracy": float(np.mean(guesses == truth)),
        "share of the largest department": float(np.bincount(truth).max() / len(truth)),
        "lines wrong by a factor of": float(10**error),
        "the median wrong by a factor of": float(10**error_of_the_median),
        "difference": comparison.largest,
    }


if __name__ == "__main__":
    common.run(main)
