"""Files of others that are damaged, or made to do harm, are refused with a sentence that says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from their_files import write

import sardonyx as sx


def cut_off(data: bytes) -> bytes:
    return data[: len(data) // 2]


def edited(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        change(model)
        return model.SerializeToString()

    return edit


def far_away(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")


def forged(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="sardonyx.place", value="0:0")


DAMAGES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("cut off", cut_off, "is not an ONNX file, or is cut off"),
    ("no initializer", edited(lambda m: m.graph.initializer.pop(0)), "but no node, input or initializer before gives"),
    ("a circle", edited(lambda m: m.graph.node[0].input.__setitem__(0, "y")), "but no node, input or initializer"),
    ("no output", edited(lambda m: setattr(m.graph.output[0], "name", "z")), "'z' as an output of the graph"),
    ("outside the folder", edited(far_away), "'../secret' is not a file under the model's folder"),
    ("a forged place", edited(forged), "external data of tensor 'w'"),
    ("huge", edited(lambda m: m.graph.initializer[0].dims.append(2**40)), "more than"),
    ("another size", edited(lambda m: m.graph.initializer[0].dims.append(2)), "bytes of data where its shape needs"),
    ("negative", edited(lambda m: m.graph.initializer[0].dims.append(-1)), "has the negative size -1"),
    ("no such type", edited(lambda m: setattr(m.graph.initializer[0], "data_type", 99)), "the unknown element type 99"),
    ("no type of an input", edited(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 99)),
     "has the unknown element type 99"),
    ("one input", edited(lambda m: m.graph.node[0].input.pop()), "cannot be opened"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damaged_and_hostile_files_are_told(tmp_path: Path, damage: Callable[[bytes], bytes], message: str):
    path = write(tmp_path, "plain")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises((ValueError, NotImplementedError), match=message):
        sx.models.load_model(path)


def test_flipped_bits_never_raise_anything_else(tmp_path: Path):
    path = write(tmp_path, "channels last")
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(content)
        for place in random.integers(0, len(content), 3):
            changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(changed))
        try:
            sx.models.load_model(path)
        except (ValueError, NotImplementedError):
            continue
