"""Keras builds each network with random weights and statistics and saves them; read here, the outputs are equal."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from zoo import ARCHITECTURES, agree, arguments, images

import sardonyx as sx

# Not imported here: only the process that writes needs Keras, and its import takes seconds.
pytestmark = [
    pytest.mark.peers, pytest.mark.slow, pytest.mark.skipif(not importlib.util.find_spec("keras"), reason="no Keras")
]  # fmt: skip

SCRIPT = Path(__file__).parents[1] / "support" / "keras_zoo.py"
# One of each family, which must give the same in onnxruntime.
EXPORTED = (
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "VGG19",
    "Xception",
)  # fmt: skip
# A sample for every change, with all three kinds of file among it.
QUICK = ("ConvNeXtTiny", "EfficientNetB0", "MobileNet")
ENDINGS = (".weights.h5", ".h5", ".keras")


def small(architecture: str) -> dict[str, Any]:
    """Arguments with which both libraries build a small network whose outputs say much."""
    if architecture.startswith("NASNet"):
        return {**arguments(architecture), "include_top": False, "pooling": "avg", "classes": 1000}
    return {**arguments(architecture), "classifier_activation": None}  # logits say more than probabilities


def keras_writes(folder: Path, architectures: tuple[str, ...]) -> list[str]:
    """Let Keras write what `keras_zoo` says; returns the ending of each file of weights."""
    work = [(name, ENDINGS[ARCHITECTURES.index(name) % 3], small(name)) for name in architectures]
    refused = "NASNetMobile" in architectures  # by Keras 3.15 on PyTorch
    backend = {"KERAS_BACKEND": "torch"} if importlib.util.find_spec("torch") and not refused else {}
    subprocess.run(
        [sys.executable, SCRIPT, folder, json.dumps(work)], env={**os.environ, **backend}, check=True, cwd=folder
    )
    return [ending for _, ending, _ in work]


@pytest.mark.parametrize(
    "architectures",
    [QUICK, *(pytest.param((name,), marks=pytest.mark.nightly) for name in ARCHITECTURES if name not in QUICK)],
    ids="-".join,
)
def test_same_as_keras(architectures: tuple[str, ...], tmp_path: Path):
    for architecture, ending in zip(architectures, keras_writes(tmp_path, architectures), strict=True):
        facts = json.loads((tmp_path / f"{architecture}.json").read_text(encoding="utf-8"))
        expected = np.load(tmp_path / f"{architecture}.npy")
        path = tmp_path / f"{architecture}{ending}"
        model = getattr(sx.applications, architecture)(**{**small(architecture), "weights": path})
        path.unlink()
        assert [layer.name for layer in model.layers] == facts["names"]
        assert model.count_params() == facts["parameters"]
        batch = images(architecture)
        agree(model.predict(batch, verbose=0), expected)
        if architecture in EXPORTED:
            file = tmp_path / "model.onnx"
            model.export(file)
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            agree(session.run(None, {session.get_inputs()[0].name: batch})[0], expected)
