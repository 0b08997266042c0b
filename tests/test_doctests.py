"""Every example in a docstring or a guide runs and prints what it says."""

import doctest
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from house_rules import PACKAGE, House

ROOT = Path(__file__).resolve().parent.parent
MODULES = [name for name in House.standing_at(ROOT).modules if name != "__main__"]
GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Finder(doctest.DocTestFinder):
    """Finds functions made by a decorator of another module too, which doctest takes for that module's."""

    def _from_module(self, module: ModuleType | None, object: Any) -> bool:
        own = module is not None and inspect.isfunction(object) and object.__module__ == module.__name__
        return own or super()._from_module(module, object)  # pyright: ignore[reportAttributeAccessIssue]


def run(examples: doctest.DocTest) -> None:
    """Run one docstring, floats printed short. One that imports the package has no names but those it imports, as
    when a reader types it; one of an inner function may use the names of its module."""
    if any(f"import {PACKAGE}" in example.source for example in examples.examples):
        examples.globs.clear()
    report: list[str] = []
    with np.printoptions(precision=4, suppress=True):
        doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(examples, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or PACKAGE)
def test_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)
    monkeypatch.chdir(tmp_path)
    for examples in Finder().find(module):
        run(examples)


@pytest.mark.parametrize("guide", GUIDES)
def test_guides(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / guide).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run(doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, guide, guide, 0))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (">>> import numpy\n>>> numpy.array([1 / 3])\narray([0.3333])", True),
        (">>> 1 + 1\n3", False),
        (">>> Path is not None\nTrue", True),
        (">>> import sardonyx as sx\n>>> Path is not None\nTrue", False),
    ],
)
def test_an_example_can_fail(text: str, passes: bool):
    examples = doctest.DocTestParser().get_doctest(text, {"Path": Path}, "sample", None, 0)
    if passes:
        run(examples)
    else:
        with pytest.raises(AssertionError, match="Failed example"):
            run(examples)
