"""What inference costs: predict beside a bare onnxruntime session, eager calls beside PyTorch, imports and exports.

Run with `python benchmarks/inference.py`; see the README here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import CASES, their_data
from threadpoolctl import threadpool_limits
from torch import nn

import sardonyx as sx
from sardonyx.builder.prediction import inference_session

REPEATS = 9

IMPORT = """
import time
start = time.process_time()
import numpy
between = time.process_time()
import sardonyx
print(between - start, time.process_time() - between)
"""

FIRST_STEP = """
import numpy, sardonyx, time
model = sardonyx.Sequential([sardonyx.Input((784,)), sardonyx.layers.Dense(256, "relu"), sardonyx.layers.Dense(10)])
model.compile("adam", "mse")
model.fit(numpy.zeros((32, 784), "float32"), numpy.zeros((32, 10), "float32"), verbose=0)
print(time.process_time())
"""


def fastest(runs: dict[str, Callable[[], Any]], calls: int) -> dict[str, float]:
    """Seconds a call of each, of this thread's processor time: the best of several series taken in turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(REPEATS):
        for name, run in runs.items():
            start = time.thread_time()
            for _ in range(calls):
                run()
            best[name] = min(best[name], (time.thread_time() - start) / calls)
    return best


def in_new_process(program: str) -> list[float]:
    """What a program prints, the least of several runs; bytecode is written by the first."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        command = [sys.executable, "-c", program]
        texts = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                 for _ in range(REPEATS)]  # fmt: skip
    return [min(values) for values in zip(*[map(float, text.split()) for text in texts], strict=True)]


def row(what: str, ours: float, other: str, theirs: float, bar: str) -> None:
    """One line: milliseconds, their ratio and difference, and what was aimed at."""
    print(f"{what:34}{ours * 1e3:10.3f}{theirs * 1e3:10.3f}  {other:22}{ours / theirs:7.2f}"
          f"{(ours - theirs) * 1e6:10.0f}  {bar}", flush=True)  # fmt: skip


def measure_predict(name: str) -> None:
    """`predict` of one and of 256 samples beside a bare run of the same session."""
    case = CASES[name]
    model = case.ours(sx)
    for count, bar in ((1, "difference <= 30"), (256, "ratio <= 1.3")):
        x = np.random.default_rng(0).normal(size=(count, *case.shape)).astype("float32")
        model.predict(x, verbose=0)
        running = inference_session(model).running
        feed = {running.get_inputs()[0].name: x}
        runs = {"ours": lambda x=x: model.predict(x, verbose=0), "bare": lambda f=feed, r=running: r.run(None, f)}
        best = fastest(runs, 200 if count == 1 else 5)
        row(f"predict, {name}, {count}", best["ours"], "InferenceSession.run", best["bare"], bar)


def vgg(k: Any) -> Any:
    """Two blocks of two convolutions each, on images of 32 x 32."""
    layers = [k.Input((32, 32, 3))]
    for filters in (64, 128):
        layers += [k.layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(2)]
        layers.append(k.layers.MaxPooling2D(2))
    return k.Sequential([*layers, k.layers.Flatten(), k.layers.Dense(128, activation="relu"), k.layers.Dense(10)])


def their_vgg() -> nn.Module:
    """The same for PyTorch."""
    parts: list[nn.Module] = []
    before = 3
    for filters in (64, 128):
        for _ in range(2):
            parts += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU()]
            before = filters
        parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(128 * 64, 128), nn.ReLU(), nn.Linear(128, 10))


def measure_eager() -> None:
    """`model(x)` on NumPy beside PyTorch's eager mode."""
    model, theirs = vgg(sx), their_vgg().eval()
    for count in (1, 16):
        x = np.random.default_rng(0).normal(size=(count, 32, 32, 3)).astype("float32")
        samples = their_data(x)

        def eager(samples: torch.Tensor = samples) -> Any:
            with torch.inference_mode():
                return theirs(samples)

        best = fastest({"ours": lambda x=x: model(x), "theirs": eager}, 3)
        row(f"model(x), VGG-like, {count}", best["ours"], "PyTorch eager", best["theirs"], "ratio <= 3")


def measure_export() -> None:
    """Export of small networks."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("tiny", "mlp", "cnn"):
            model = CASES[name].ours(sx)
            best = fastest({"ours": lambda m=model: m.export(Path(folder) / "m.onnx")}, 1)
            row(f"export, {name}", best["ours"], "bar", 0.05, "ratio <= 1")


def main() -> None:
    """Print one row a measurement."""
    torch.set_num_threads(1)
    print(f"{'processor time, ms':34}{'ours':>10}{'other':>10}  {'':22}{'ratio':>7}{'diff., us':>10}  bar")
    with threadpool_limits(1):
        measure_predict("mlp")
        measure_predict("cnn")
        measure_eager()
        measure_export()
    base, own = in_new_process(IMPORT)
    row("import sardonyx, above numpy", own, "import numpy", base, "ours <= 100")
    row("first step of an MLP, from start", in_new_process(FIRST_STEP)[0], "bar", 1.0, "ratio <= 1")


if __name__ == "__main__":
    main()
