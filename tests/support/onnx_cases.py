"""The test cases of the onnx package, and how their results are compared."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")


class Case(NamedTuple):
    """A model with inputs and expected outputs, some of each a data set."""

    name: str
    model: Any
    data: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float

    @property
    def domains(self) -> set[str]:
        """The domains of operators that the model imports, ONNX's own left out."""
        return {entry.domain for entry in self.model.opset_import} - {"", "ai.onnx"}


def cases(kind: str) -> list[Case]:
    """All cases of a kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own making of expected values
        found = load_model_tests(kind=kind)
    return [case for entry in found if (case := _case(entry)) is not None]


def _case(entry: Any) -> Case | None:
    if entry.model is not None:
        return Case(entry.name, entry.model, entry.data_sets, entry.rtol, entry.atol)
    folder = Path(entry.model_dir)
    model = onnx.load(folder / "model.onnx")
    results = [x.type for x in model.graph.output]
    given = {x.name for x in model.graph.initializer}
    arguments = [x.type for x in model.graph.input if x.name not in given]
    data = []
    for each in sorted(folder.glob("test_data_set_*")):
        inputs = [_read(each / f"input_{i}.pb", kind) for i, kind in enumerate(arguments)]
        data.append((inputs, [_read(each / f"output_{i}.pb", kind) for i, kind in enumerate(results)]))
    return Case(entry.name, model, data, entry.rtol, entry.atol)


def _read(path: Path, kind: Any) -> Any:
    content = path.read_bytes()
    if kind.HasField("sequence_type"):
        sequence = onnx.SequenceProto()
        sequence.ParseFromString(content)
        return onnx.numpy_helper.to_list(sequence)
    if kind.HasField("optional_type"):
        optional = onnx.OptionalProto()
        optional.ParseFromString(content)
        return onnx.numpy_helper.to_optional(optional)
    tensor = onnx.TensorProto()
    tensor.ParseFromString(content)
    return tensor


def difference(expected: Any, found: Any, rtol: float, atol: float) -> str:
    """What is wrong with a result: nothing (an empty text), its type, shape, or values."""
    if isinstance(expected, onnx.TensorProto):
        expected = onnx.numpy_helper.to_array(expected)
    if isinstance(expected, (list, tuple)):
        if not isinstance(found, (list, tuple)) or len(found) != len(expected):
            return f"expected {len(expected)} values, got {found!r:.80}"
        return next(filter(None, (difference(e, f, rtol, atol) for e, f in zip(expected, found, strict=True))), "")
    expected = np.asarray(expected)
    if not isinstance(found, np.ndarray) or found.shape != expected.shape:
        return f"expected shape {expected.shape}, got {getattr(found, 'shape', found)}"
    if expected.dtype.kind in "OUST":
        return "" if expected.astype(str).tolist() == found.astype(str).tolist() else "other texts"
    if found.dtype != expected.dtype:
        return f"expected dtype {expected.dtype}, got {found.dtype}"
    if expected.dtype.num >= 256:  # types that NumPy cannot compare
        expected, found = expected.astype(np.float32), found.astype(np.float32)
        rtol, atol = max(rtol, 2**-6), max(atol, 2**-6)
    return "" if np.allclose(found, expected, rtol, atol, equal_nan=True) else "other values"
