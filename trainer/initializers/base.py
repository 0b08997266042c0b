"""What all initializers share: a registry, and the seed of those that draw."""

from __future__ import annotations

import copy
from typing import Any

from ..ops.seed import SeedGenerator, make_default_seed
from ..registry import Registry


class Initializer:
    """A function `(shape, dtype) -> tensor` that fills new weights; subclasses write `__call__`."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The values, of the given shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """An initializer from what `get_config` returned."""
        return cls(**config)

    def clone(self) -> Initializer:
        """An equal initializer with a state of its own."""
        return copy.deepcopy(self)


INITIALIZERS = Registry("initializer", "initializers", Initializer)


class RandomInitializer(Initializer):
    """An initializer that draws: an integer seed gives the same values every time, a generator other ones each time.

    Without a seed, one is chosen when the initializer is made. Raises `TypeError` for any other seed.
    """

    def __init__(self, seed: int | SeedGenerator | dict[str, Any] | None = None) -> None:
        if isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed.get("config", seed))
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, SeedGenerator))):
            raise TypeError(f"{type(self).__name__}: seed must be an integer or a SeedGenerator, got {seed!r}")
        self._given_seed = seed
        self.seed: int | SeedGenerator = make_default_seed() if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        seed = self._given_seed
        return {"seed": seed if seed is None or isinstance(seed, int) else {"config": seed.get_config()}}
