"""Seeds and generators: where random operations take their numbers from (Keras name: `keras.random.SeedGenerator`)."""

from __future__ import annotations

import random as python_random
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.draws import own_draws
from ..core.errors import DtypeError
from ..core.tensor import Tensor
from ..core.variable import Variable
from .random_bits import WORD, advance_primitive, hash_word, random_bits

__all__: list[str] = []


class SeedGenerator:
    """A source of seeds: every `next()` gives another one. Its state is a variable of two uint32 words, and is saved.

    `seed` is an integer, or None for one from the operating system. Raises `TypeError` for anything else.
    Source: Keras name `keras.random.SeedGenerator`.

    >>> import sardonyx as sx
    >>> generator = sx.random.SeedGenerator(7)
    >>> first, second = generator.next(), generator.next()
    >>> first.tolist() != second.tolist(), generator.state.numpy().tolist()
    (True, [7, 2])
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise TypeError(f"SeedGenerator: expected an integer seed or None, got {seed!r} ({type(seed).__name__})")
        self.name = name or "seed_generator"
        self._initial_seed = None if seed is None else int(seed)
        start = make_default_seed() if seed is None else int(seed)
        self.state = Variable(seed_words(start), dtype="uint32", trainable=False, name="seed_generator_state")

    def next(self, ordered: bool = True) -> Tensor:
        """The present seed, shape (2,) of uint32; the state moves on (in a trace, as an effect of the graph)."""
        present = self.state.read()
        self.state.assign(advance_primitive(present))
        return present

    def reset(self, seed: int | None = None) -> None:
        """Back to the first state, or to that of another seed."""
        start = self._initial_seed if seed is None else seed
        self.state.assign(seed_words(make_default_seed() if start is None else start))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make an equal generator."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A generator from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<SeedGenerator name={self.name}, seed={self._initial_seed}>"


def seed_words(seed: int) -> np.ndarray:
    """An integer as a seed: its low 32 bits, mixed with higher ones if it has any, and the counter at zero."""
    low, high = seed & WORD, (seed >> 32) & WORD
    return np.array([low ^ hash_word(high, low, high) if high and seed >= 0 else low, 0], np.uint32)


def make_default_seed() -> int:
    """A seed from Python's generator, so that `set_random_seed` governs it (Keras name: `make_default_seed`)."""
    with own_draws():
        return python_random.randint(1, 1 << 30)


_global: dict[str, SeedGenerator] = {}


def global_seed_generator() -> SeedGenerator:
    """The generator that random operations without a seed use."""
    if "generator" not in _global:
        _global["generator"] = SeedGenerator(name="global_seed_generator")
    return _global["generator"]


def draw_seed(seed: Any) -> Tensor:
    """The seed an operation uses: an integer's own, a generator's next, or for None the global generator's next.

    A row of `random.split` (two uint32 words) stands for itself. Raises `TypeError` or `DtypeError` for anything else.
    """
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return Tensor(seed_words(int(seed)))
    if isinstance(seed, Variable):
        seed = seed.read()
    if isinstance(seed, np.ndarray):
        seed = Tensor(seed)
    if isinstance(seed, Tensor):
        if seed.dtype != np.uint32 or seed.shape != (2,):
            raise DtypeError(f"seed: expected two words of uint32, shape (2,), got {seed.dtype.name} {seed.shape}")
        return seed
    raise TypeError(
        f"seed: expected an integer, a SeedGenerator, a row of random.split, or None, got {seed!r} "
        f"({type(seed).__name__})"
    )


def split(seed: Any, num: int = 2) -> Tensor:
    """`num` independent seeds from one: shape (num, 2) of uint32, each row a `seed=` (jax name: `random.split`).

    >>> import sardonyx as sx
    >>> first, second = sx.random.split(7)
    >>> x, y = sx.random.normal((3,), seed=first), sx.random.normal((3,), seed=second)
    >>> bool(sx.ops.all(x == y))
    False
    """
    if isinstance(num, bool) or not isinstance(num, int) or num < 1:
        raise ValueError(f"split: expected a positive number of seeds, got {num!r}")
    return random_bits(draw_seed(seed), (num, 2), "seeds")


def seeded(numbers: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A kernel whose first argument, a seed's two words, becomes a NumPy generator."""

    def run(seed: np.ndarray, *arrays: np.ndarray, **attributes: Any) -> np.ndarray:
        words = seed.tolist()
        return numbers(np.random.Generator(np.random.Philox(key=words[0] << 32 | words[1])), *arrays, **attributes)

    return run
