"""One seed for everything that is random in a program (Keras name: `keras.utils.set_random_seed`)."""

from __future__ import annotations

import random

import numpy as np

from .ops.seed import SeedGenerator, global_seed_generator

__all__ = ["SeedGenerator", "set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Reset Python's `random`, NumPy's global generator and the global `SeedGenerator`.

    `seed` is an integer in [0, 2**32). Raises `ValueError` for anything else. Keras name: `utils.set_random_seed`.

    >>> import sardonyx as sx
    >>> from sardonyx.trainer.seed import set_random_seed
    >>> set_random_seed(3)
    >>> first = sx.random.normal((2,)).tolist()
    >>> set_random_seed(3)
    >>> first == sx.random.normal((2,)).tolist()
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 1 << 32:
        raise ValueError(f"set_random_seed: expected an integer from 0 to 2**32 - 1, got {seed!r}")
    np.random.seed(int(seed))  # noqa: NPY002 - users' own code draws from NumPy's global generator, and it shall repeat
    global_seed_generator().reset(int(seed))
    random.seed(int(seed))  # last: loading numpy.random for the first time draws from it
