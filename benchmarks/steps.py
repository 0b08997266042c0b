"""Times of a training step in `fit` beside PyTorch's eager mode: one thread each, taken in turns, the best of several.

Run with `python benchmarks/steps.py [model ...]`; see the README beside this file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

import sardonyx as sx

layers = sx.layers


class Case(NamedTuple):
    """One network in both libraries, and how it is trained."""

    ours: Callable[[], Any]
    theirs: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int
    batch: int
    batches: int
    repeats: int


def dense(*widths: int) -> tuple[Callable[[], Any], Callable[[], nn.Module]]:
    """A network of dense layers, relu between them."""

    def ours() -> Any:
        hidden = [layers.Dense(width, activation="relu") for width in widths[1:-1]]
        return sx.Sequential([sx.Input((widths[0],)), *hidden, layers.Dense(widths[-1])])

    def theirs() -> nn.Module:
        parts = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*parts[:-1])

    return ours, theirs


def our_images() -> Any:
    """conv32-conv64-pool-dense128 on images of 28 x 28."""
    convolutions = [layers.Conv2D(filters, 3, activation="relu") for filters in (32, 64)]
    head = [layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
    return sx.Sequential([sx.Input((28, 28, 1)), *convolutions, *head])


def their_images() -> nn.Module:
    """The same network in PyTorch."""
    convolutions = nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*convolutions, nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10))


CASES = {
    "tiny": Case(*dense(20, 64, 64, 3), (20,), 3, 32, 100, 9),
    "mlp": Case(*dense(784, 512, 256, 10), (784,), 10, 128, 10, 9),
    "cnn": Case(our_images, their_images, (28, 28, 1), 10, 64, 3, 5),
}


def our_epoch(case: Case, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """One epoch of `fit`."""
    model = case.ours()
    model.compile("adam", sx.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: model.fit(x, y, batch_size=case.batch, verbose=0)


def their_epoch(case: Case, x: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """One epoch of the loop that PyTorch users write: shuffled batches, the loss read after each step."""
    model, loss_of = case.theirs(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    images = torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x)
    targets = torch.tensor(y)

    def epoch() -> None:
        for rows in torch.randperm(len(targets)).split(case.batch):
            optimizer.zero_grad()
            loss = loss_of(model(images[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            loss.item()

    return epoch


def measure(case: Case) -> list[float]:
    """Milliseconds a step of both: the best epoch of several, taken in turns."""
    generator = np.random.default_rng(0)
    count = case.batch * case.batches
    x = generator.standard_normal((count, *case.shape), dtype=np.float32)
    y = generator.integers(0, case.classes, count)
    epochs = our_epoch(case, x, y), their_epoch(case, x, y)
    best = [float("inf")] * 2
    for _ in range(case.repeats + 1):
        for i, epoch in enumerate(epochs):
            start = time.perf_counter()
            epoch()
            best[i] = min(best[i], (time.perf_counter() - start) * 1000 / case.batches)
    return best


def main(names: list[str]) -> None:
    """Print one row a model."""
    torch.set_num_threads(1)
    print(f"{'model':8}{'ours, ms':>10}{'torch, ms':>11}{'ratio':>8}")
    with threadpool_limits(1):
        for name in names or CASES:
            ours, theirs = measure(CASES[name])
            print(f"{name:8}{ours:10.3f}{theirs:11.3f}{ours / theirs:8.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
