"""Rooms that are loaded when one of their names is asked for."""

import importlib
import subprocess
import sys

import pytest

import sardonyx as sx
from sardonyx.builder import drawing
from sardonyx.trainer.core.later import executed_later, loaded_later

LATER = [
    "builder.drawing.svg", "builder.drawing.diagram", "builder.saving", "builder.loading", "builder.checkpoint",
    "builder.weights_file", "builder.training_export", "exporters.convert", "exporters.engine", "exporters.operators",
    "trainer.conversion.functions", "trainer.losses.loss", "trainer.metrics.metric", "trainer.optimizers.base",
]  # fmt: skip
"""Modules that importing the library does not load."""
OF_OTHERS = {"onnx", "onnxruntime", "PIL", "urllib.request", "ssl", "email", "hashlib", "shutil"}


def test_names_come_from_their_modules():
    load, names = loaded_later(drawing.__name__, {"to_png": ".png", "svg": ".svg"})
    assert load("to_png").__module__ == "sardonyx.builder.drawing.png"
    assert load("svg").__name__ == "sardonyx.builder.drawing.svg"
    assert {"to_png", "__all__"} <= set(names())
    with pytest.raises(AttributeError, match=r"module 'sardonyx.builder.drawing' has no attribute 'nothing'"):
        load("nothing")


def test_import_leaves_them_alone():
    program = "import sys, sardonyx; print(*[name for name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert sx.__name__ in loaded
    unwanted = {
        "onnx",
        "onnxruntime",
        "PIL",
        "urllib.request",
        "ssl",
        "email",
        "hashlib",
        "shutil",
        *(f"{sx.__name__}.{m}" for m in LATER),
    }
    assert not unwanted & set(loaded)


ROOMS = ["builder.drawing", "builder.persistence", "builder.later", "exporters", "models", "trainer.conversion", ""]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_found(room: str):
    module = importlib.import_module(f"{sx.__name__}.{room}".rstrip("."))
    for name in module.__all__:
        assert getattr(module, name) is not None and name in dir(module)


PACKAGE = {
    "__init__.py": "from . import later_names",
    "later_names.py": "",
    "waiting/__init__.py": "from .inner import COUNT, added",
    "waiting/inner.py": "import builtins\nCOUNT = builtins.executions = getattr(builtins, 'executions', 0) + 1\n"
    "def added(): return COUNT + 1",
}


FIRST = {
    "module": lambda package: importlib.import_module("waiting_test.waiting.inner"),
    "package": lambda package: importlib.import_module("waiting_test.waiting"),
    "name": lambda package: package.waiting.added,
}


@pytest.mark.parametrize("first", FIRST)
def test_a_package_that_waits_is_executed_once(first, tmp_path, monkeypatch):
    """Whichever of its names or modules is asked for first."""
    for name, text in PACKAGE.items():
        file = tmp_path / "waiting_test" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("builtins.executions", 0, raising=False)
    package = importlib.import_module("waiting_test")
    waiting = executed_later("waiting_test", "waiting")
    assert "waiting_test.waiting.inner" not in sys.modules
    FIRST[first](package)
    assert waiting.added() == 2
    assert "added" in dir(waiting) and sys.modules["waiting_test.waiting"] is waiting
    with pytest.raises(AttributeError, match="nothing"):
        _ = waiting.nothing
    for name in [name for name in sys.modules if name.startswith("waiting_test")]:
        del sys.modules[name]


def test_a_missing_module_is_told():
    with pytest.raises(ImportError, match=r"the module sardonyx\.trainer\.nothing is missing"):
        executed_later("sardonyx.trainer", "nothing")
