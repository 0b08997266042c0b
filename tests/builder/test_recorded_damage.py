"""Recorded computations in files that somebody changed are refused before anything is built of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from recorded_models import ROWS, Chain, traced

from sardonyx.builder.loading import load_model


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> Path:
    """A saved model, what was recorded of it edited."""
    path = folder / "m.onnx"
    traced(Chain, ROWS)().save(path)
    proto = onnx.load(path)
    entry = next(p for p in proto.metadata_props if p.key == "sardonyx.model")
    record = json.loads(entry.value)
    edit(record["architecture"]["recorded"])
    entry.value = json.dumps(record)
    path.write_bytes(proto.SerializeToString())
    return path


def program(recorded: dict[str, Any]) -> dict[str, Any]:
    return recorded["programs"][0]


def first_operation(recorded: dict[str, Any]) -> dict[str, Any]:
    block = recorded["parts"]["blocks"][1][0][1]["recorded"]
    return next(step for step in block["programs"][0]["steps"] if "operation" in step)


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def call_itself(recorded: dict[str, Any]) -> None:
    program(recorded)["steps"][0] = {"layer": 0, "arguments": [{"class_name": "__value__", "config": [0, 0]}]}


HOSTILE: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("nothing", lambda r: r.clear(), "is missing"),
    ("programs are a number", lambda r: r.update(programs=3), "programs is no list"),
    ("a program is a number", lambda r: r.update(programs=[3]), "holds what is no dictionary"),
    ("no steps", lambda r: program(r).pop("steps"), "lacks steps"),
    ("an unknown mode", lambda r: program(r).update(training="x"), "mode 'x'"),
    ("inputs are no specs", lambda r: program(r).update(inputs=[1]), "inputs are no specs"),
    ("a step of no kind", lambda r: program(r)["steps"].append({}), "is none of operation"),
    ("a reference forward", lambda r: program(r).update(outputs={"class_name": "__value__", "config": [99, 0]}),
     "refers to"),
    ("a reference back", lambda r: program(r).update(outputs={"class_name": "__value__", "config": [-1, 0]}),
     "refers to"),
    ("constants alone", lambda r: first_operation(r).update(inputs=[1.0], attributes={}), "constants alone"),
    ("an unknown operation", lambda r: first_operation(r).update(operation="os.system"), "'os.system' is not known"),
    ("no such layer", lambda r: program(r)["steps"][0].update(layer=77), "no layer 77"),
    ("a circle", call_itself, "calls itself"),
    ("deep nesting", lambda r: r.update(deep=deep(500)), "nests more than"),
    ("a negative size", lambda r: r["variables"].append({"shape": [-1]}), "has the shape"),
    ("a huge weight", lambda r: r["variables"].append({"shape": [2**40]}), "too large"),
    ("a part of no kind", lambda r: r["parts"].update(x=["variable", 99]), "damaged .IndexError"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("what", "edit", "message"), HOSTILE, ids=[h[0] for h in HOSTILE])
def test_damaged_recordings_are_refused(what: str, edit: Callable[[Any], Any], message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=message):
        load_model(change(tmp_path, edit))
