"""Peak memory of a training step beside PyTorch's, each in a process of its own."""

import subprocess
import sys

import pytest

START = """
import resource, sys
import numpy as np

def peak():
    # kilobytes, but bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

x = np.random.default_rng(0).standard_normal((64, 28, 28, 1), dtype=np.float32)
y = np.arange(64) % 10
"""
OURS = """
import sardonyx as sx
layers = sx.layers
model = sx.Sequential([
    sx.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(64, 3, activation="relu"),
    layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10),
])
model.compile("adam", sx.losses.SparseCategoricalCrossentropy(from_logits=True))
def step():
    model.train_on_batch(x, y)
"""
THEIRS = """
import torch
from torch import nn
torch.set_num_threads(1)
model = nn.Sequential(
    nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
)
optimizer = torch.optim.Adam(model.parameters())
images, targets = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(y)
def step():
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), targets).backward()
    optimizer.step()
"""
MEASURE = """
before = peak()
for _ in range(5):
    step()
print(peak() - before)
"""


def megabytes(library):
    """What five steps add to the largest size the process ever had."""
    # a process starts with the peak of the one that starts it: with a shell between, that is not the test runner's
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", START + library + MEASURE]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(finished.stdout)


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_of_a_convolutional_network_takes_at_most_twice_the_memory_of_pytorch(jit_compile):
    pytest.importorskip("torch")
    pytest.importorskip("resource")
    ours = megabytes(OURS.replace("from_logits=True)", f"from_logits=True), jit_compile={jit_compile}"))
    theirs = megabytes(THEIRS)
    assert theirs > 10
    assert 10 < ours <= 2 * theirs, f"{ours:.0f} MB, PyTorch {theirs:.0f} MB"
