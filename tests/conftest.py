"""What every test shares: one package, few threads, nothing left to chance."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Two workers with as many BLAS threads as cores each would stand in each other's way. Set before NumPy is loaded.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
# Keras reads its backend when it is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")

# `python -m pytest` puts the current folder first. There lie `trainer`, `builder`, ...: the parts of our package, which
# must be reached as `sardonyx.trainer` only, never a second time under their bare names.
sys.path[:] = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != ROOT]

settings.register_profile("house", derandomize=True, database=None, deadline=None, max_examples=50)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def same_start() -> None:
    """Names count from the first and random numbers repeat, whatever ran before in the same worker."""
    from sardonyx.trainer import naming
    from sardonyx.trainer.core.dims import reset_fresh_names
    from sardonyx.trainer.seed import set_random_seed

    naming.reset_names()
    reset_fresh_names()
    set_random_seed(0)
