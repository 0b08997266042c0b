"""What holds for every edited model: it runs in onnxruntime, is saved, described and trained like any other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import sardonyx as sx

DRAW = np.random.default_rng(7)


def arrays(structure: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in sx.tree.flatten(structure)]


def close(a: Sequence[np.ndarray], b: Sequence[np.ndarray], tolerance: float = 2e-5) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def in_runtime(model: Any, values: Sequence[np.ndarray], folder: Path) -> list[np.ndarray]:
    """The outputs of the exported file, inputs by name."""
    model.export(folder / "edited.onnx")
    session = onnxruntime.InferenceSession(str(folder / "edited.onnx"), providers=["CPUExecutionProvider"])
    assert [x.name for x in session.get_inputs()] == model.input_names
    assert [x.name for x in session.get_outputs()] == model.output_names
    return session.run(None, dict(zip(model.input_names, values, strict=True)))


def check_edited(model: Any, values: Sequence[np.ndarray], expected: Any, folder: Path, whole: bool = True) -> None:
    """Values on the NumPy core and in onnxruntime; if `whole`, saving, JSON, summary and drawing, too."""
    assert isinstance(model, sx.Functional)
    given = values[0] if len(values) == 1 else list(values)
    close(arrays(model(given)), arrays(expected))
    close(in_runtime(model, values, folder), arrays(expected))
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    if not whole:
        return
    model.save(folder / "saved.onnx")
    loaded = sx.models.load_model(folder / "saved.onnx")
    close(arrays(loaded(given)), arrays(expected))
    assert (loaded.input_names, loaded.output_names) == (model.input_names, model.output_names)
    assert sx.models.model_from_json(model.to_json()).output_shape == model.output_shape
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert lines
    sx.utils.plot_model(model, to_file=str(folder / "model.svg"))


def trains(model: Any, values: Sequence[np.ndarray]) -> None:
    """One step of training changes what is to be trained."""
    before = [v.numpy() for v in model.trainable_variables]
    given = values[0] if len(values) == 1 else list(values)
    targets = sx.tree.map_structure(lambda x: np.asarray(x) + 1, model(given))
    model.compile(optimizer=sx.optimizers.SGD(0.1), loss="mse")
    model.fit(given, targets, verbose=0)
    after = [v.numpy() for v in model.trainable_variables]
    assert before
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
