"""Rooms that are loaded when one of their names is asked for."""

import subprocess
import sys

import pytest

import sardonyx as sx
from sardonyx.builder import drawing
from sardonyx.trainer.core.later import loaded_later

LATER = ["builder.drawing.svg", "builder.drawing.diagram"]
"""Modules that importing the library does not load."""


def test_names_come_from_their_modules():
    load, names = loaded_later(drawing.__name__, {"to_png": "png"})
    assert load("to_png").__module__ == "sardonyx.builder.drawing.png"
    assert {"to_png", "__all__"} <= set(names())
    with pytest.raises(AttributeError, match=r"module 'sardonyx.builder.drawing' has no attribute 'nothing'"):
        load("nothing")


def test_every_public_name_of_a_room_is_found():
    for name in drawing.__all__:
        assert getattr(drawing, name) is not None and name in dir(drawing)


def test_import_leaves_them_alone():
    program = "import sys, sardonyx; print(*[name for name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert sx.__name__ in loaded
    unwanted = {"onnx", "onnxruntime", "PIL", "urllib.request", "ssl", "email", *(f"{sx.__name__}.{m}" for m in LATER)}
    assert not unwanted & set(loaded)
