"""Rooms that are loaded when one of their names is asked for."""

import importlib
import subprocess
import sys

import pytest

import sardonyx as sx
from sardonyx.builder import drawing
from sardonyx.trainer.core.later import loaded_later

LATER = [
    "builder.drawing.svg", "builder.drawing.diagram", "builder.saving", "builder.loading", "builder.checkpoint",
    "builder.weights_file", "builder.training_export",
]  # fmt: skip
"""Modules that importing the library does not load."""


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
    unwanted = {"onnx", "onnxruntime", "PIL", "urllib.request", "ssl", "email", *(f"{sx.__name__}.{m}" for m in LATER)}
    assert not unwanted & set(loaded)


ROOMS = ["builder.drawing", "builder.persistence", "builder.later", "models", ""]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_found(room: str):
    module = importlib.import_module(f"{sx.__name__}.{room}".rstrip("."))
    for name in module.__all__:
        assert getattr(module, name) is not None and name in dir(module)
