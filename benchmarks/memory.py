"""Memory that training takes, beside PyTorch's: NumPy and compiled, each network and engine in a process of its own.

Run with `python benchmarks/memory.py [network ...] [--steps 30]`; see the README here.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from networks import CASES, Case, data, their_data
from steps import ENGINES, their_optimizer, their_step

import sardonyx as sx

RUNS = [*ENGINES, "torch"]
STATUS = Path("/proc/self/status")
NEEDED = (onnx.ModelProto, onnxruntime.SessionOptions)
"""Loaded before anything is measured, as PyTorch is: libraries are not what training takes."""


def megabytes(field: str) -> float:
    """A number of Linux's on this process: `VmRSS`, the memory it holds, or `VmHWM`, the most that it ever held."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def growth(name: str, engine: str, steps: int) -> float:
    """Megabytes that a network, its optimizer and so many steps add to what the libraries and the data hold."""
    case = CASES[name]
    x, y = data(case)
    count = steps * case.batch
    x, y = np.resize(x, (count, *x.shape[1:])), np.resize(y, count)
    samples, labels = their_data(x), torch.tensor(y)
    their_optimizer(torch.nn.Linear(1, 1))  # PyTorch imports parts of itself here
    gc.collect()
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # what was held before does not count as the most
    train_theirs(case, samples, labels) if engine == "torch" else train_ours(case, x, y, ENGINES[engine])
    return megabytes("VmHWM") - before


def train_ours(case: Case, x: np.ndarray, y: np.ndarray, jit_compile: bool) -> Any:
    """One epoch of `fit`."""
    model = case.ours(sx)
    loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(sx.optimizers.Adam(1e-3), loss, jit_compile=jit_compile)
    return model.fit(x, y, batch_size=case.batch, verbose=0)


def train_theirs(case: Case, samples: torch.Tensor, labels: torch.Tensor) -> None:
    """One epoch of the loop that PyTorch users write."""
    step = their_step(case.theirs())
    for rows in torch.randperm(len(labels)).split(case.batch):
        step(samples[rows], labels[rows])


def measure(name: str, engine: str, steps: int) -> float:
    """The growth in a new process, with one thread."""
    command = [sys.executable, __file__, name, "--steps", str(steps), "--engine", engine]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print one row a network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(CASES))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--engine", choices=RUNS, help="print the growth of this process, as a number")
    given = parser.parse_args()
    if not STATUS.exists():
        raise SystemExit("memory.py: the memory of a process is read from /proc, which only Linux has")
    if given.engine:
        torch.set_num_threads(1)
        sx.config.set_blas_threads(1)
        print(growth(given.networks[0], given.engine, given.steps))
        return
    print(f"{'':12}{'growth, MB':>{12 * len(RUNS)}}{'ratio':>22}")
    print(f"{'network':12}" + "".join(f"{run:>12}" for run in [*RUNS, "numpy"]) + f"{'compiled':>10}")
    for name in given.networks:
        found = {run: measure(name, run, given.steps) for run in RUNS}
        ratios = [found[engine] / found["torch"] for engine in ENGINES]
        print(f"{name:12}" + "".join(f"{found[run]:12.1f}" for run in RUNS) + f"{ratios[0]:12.2f}{ratios[1]:10.2f}")


if __name__ == "__main__":
    main()
