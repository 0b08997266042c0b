"""Times of a training step in `fit` beside PyTorch's eager mode, on NumPy and compiled; losses are compared first.

Run with `python benchmarks/steps.py [network ...] [--threads 1] [--peers keras torch.compile]`; see the README here.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from networks import CASES, Case, data, their_data
from threadpoolctl import threadpool_limits
from torch import nn
from weights import copy_weights

import sardonyx as sx

ENGINES = {"numpy": False, "compiled": True}
REPEATS = 7
CLOCKS = "wall", "processor"
CHECKED = 24
"""Steps whose losses are compared: enough for NumPy to take its short way (`builder/flat_step.py`)."""
TOLERANCE = 1e-4
"""How far losses may be apart, of the first; more where PyTorch's own go as far apart after a `DISTURBANCE`."""
DISTURBANCE = 1e-7
"""A change of the weights as small as rounding: with BatchNorm, 24 steps make 3e-4 of it."""
SLACK = 4
"""How many times as far as PyTorch's own losses: rounding disturbs ours in each step."""
DAMPED = 1e-4
"""Adam's epsilon while losses are compared: gradients that are rounding errors must not become whole steps."""


def our_model(case: Case, theirs: nn.Module, jit_compile: bool, epsilon: float = 1e-7) -> Any:
    """Our network with PyTorch's weights, compiled with Adam."""
    model = case.ours(sx)
    copy_weights(model, theirs)
    loss = sx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(sx.optimizers.Adam(1e-3, epsilon=epsilon), loss, jit_compile=jit_compile)
    return model


def their_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Adam on what trains."""
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3, eps=1e-7)


def their_step(
    model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> Callable[[torch.Tensor, torch.Tensor], float]:
    """The step that PyTorch users write: the loss read after each."""
    optimizer = optimizer or their_optimizer(model)
    loss_of = nn.CrossEntropyLoss()

    def step(samples: torch.Tensor, labels: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_of(model(samples), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def their_losses(case: Case, theirs: nn.Module, x: np.ndarray, y: np.ndarray) -> list[float]:
    """PyTorch's losses of some steps on one batch.

    Keras adds epsilon to the root of the second moment as it is, PyTorch to the one with the bias corrected: here
    PyTorch gets the epsilon of each step that makes both the same.
    """
    optimizer = their_optimizer(theirs)
    step = their_step(theirs, optimizer)
    samples, labels = their_data(x[: case.batch]), torch.tensor(y[: case.batch])
    losses = []
    for count in range(1, CHECKED + 1):
        for group in optimizer.param_groups:
            group["eps"] = DAMPED / math.sqrt(1 - 0.999**count)
        losses.append(step(samples, labels))
    return losses


def disturbed(theirs: nn.Module) -> nn.Module:
    """A copy whose weights differ by as little as rounding makes."""
    other = copy.deepcopy(theirs)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1 + DISTURBANCE * torch.randn_like(parameter))
    return other


def check_losses(case: Case, x: np.ndarray, y: np.ndarray) -> float:
    """The largest relative difference of the losses of some steps, on either engine; raises if it is not small."""
    theirs = case.theirs()
    models = [our_model(case, theirs, jit, DAMPED) for jit in ENGINES.values()]
    yardstick = disturbed(theirs)
    expected = their_losses(case, theirs, x, y)
    batch = x[: case.batch], y[: case.batch]

    def distance(losses: Sequence[float]) -> float:
        return max(abs(a - b) / expected[0] for a, b in zip(losses, expected, strict=True))

    worst = 0.0
    for model in models:
        history = model.fit(*batch, batch_size=case.batch, epochs=CHECKED, shuffle=False, verbose=0).history
        worst = max(worst, distance(history["loss"]))
    allowed = max(TOLERANCE, SLACK * distance(their_losses(case, yardstick, x, y)))
    if worst > allowed:
        raise AssertionError(f"the losses differ by {worst:.1e} of the first; {allowed:.1e} are allowed")
    return worst


def epochs_of(case: Case, x: np.ndarray, y: np.ndarray, peers: Sequence[str]) -> dict[str, Callable[[], Any]]:
    """One epoch in each engine: shuffled batches, logs after each."""
    theirs = case.theirs()
    runs: dict[str, Callable[[], Any]] = {}
    for name, jit in ENGINES.items():
        model = our_model(case, theirs, jit)
        runs[name] = lambda model=model: model.fit(x, y, batch_size=case.batch, verbose=0)
    step = their_step(theirs)
    samples, labels = their_data(x), torch.tensor(y)

    def epoch() -> None:
        for rows in torch.randperm(len(labels)).split(case.batch):
            step(samples[rows], labels[rows])

    return {**runs, "torch": epoch, **{peer: PEERS[peer](case, x, y) for peer in peers}}


def compiled_torch(case: Case, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """PyTorch's network under `torch.compile`."""
    step = their_step(torch.compile(case.theirs()))  # pyright: ignore[reportArgumentType]
    samples, labels = their_data(x), torch.tensor(y)

    def epoch() -> None:
        for rows in torch.randperm(len(labels)).split(case.batch):
            step(samples[rows], labels[rows])

    return epoch


def keras_on_jax(case: Case, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """The same program with Keras in the place of sardonyx."""
    os.environ["KERAS_BACKEND"] = "jax"
    keras = importlib.import_module("keras")
    model = case.ours(keras)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: model.fit(x, y, batch_size=case.batch, verbose=0)


PEERS = {"torch.compile": compiled_torch, "keras": keras_on_jax}


def measure(case: Case, x: np.ndarray, y: np.ndarray, peers: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
    """Milliseconds of wall and of processor time a step: the best epoch of several, taken in turns."""
    runs = epochs_of(case, x, y, peers)
    best = {name: (float("inf"), float("inf")) for name in runs}
    for _ in range(REPEATS + 1):
        for name, epoch in runs.items():
            wall, used = time.perf_counter(), time.process_time()
            epoch()
            spent = time.perf_counter() - wall, time.process_time() - used
            best[name] = tuple(min(a, b * 1000 / case.batches) for a, b in zip(best[name], spent, strict=True))
    return best


def main() -> None:
    """Print one row a network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(CASES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", nargs="*", default=[], choices=list(PEERS))
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    sx.config.set_threads(given.threads)
    clock = int(given.threads == 1)  # what several threads spend together says nothing of how long one waits
    runs = [*ENGINES, "torch", *given.peers]
    spans = "".join(f"{name + ', ms':>{12 * len(runs)}}" for name in CLOCKS)
    print(f"{'':12}{spans}{'ratio, ' + CLOCKS[clock]:>22}{'losses':>9}")
    print(f"{'network':12}" + "".join(f"{k[:11]:>12}" for k in runs) * 2 + f"{'numpy':>12}{'compiled':>10}")
    with threadpool_limits(given.threads):
        for name in given.networks:
            case = CASES[name]
            x, y = data(case)
            difference = check_losses(case, x, y)
            best = measure(case, x, y, given.peers)
            wall = "".join(f"{best[k][0]:12.3f}" for k in runs)
            used = "".join(f"{best[k][1]:12.3f}" for k in runs)
            ratios = [best[k][clock] / best["torch"][clock] for k in ENGINES]
            print(f"{name:12}{wall}{used}{ratios[0]:12.2f}{ratios[1]:10.2f}{difference:9.0e}", flush=True)


if __name__ == "__main__":
    main()
