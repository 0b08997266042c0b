"""Initializers that draw random values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.dtypes import as_dtype
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from ..ops import random
from .base import INITIALIZERS, RandomInitializer


@INITIALIZERS.register()
class RandomNormal(RandomInitializer):
    """Normal with the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


@INITIALIZERS.register()
class TruncatedNormal(RandomNormal):
    """Normal, values beyond two standard deviations drawn again."""

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


@INITIALIZERS.register()
class RandomUniform(RandomInitializer):
    """Uniform between `minval` and `maxval`."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


@INITIALIZERS.register()
class VarianceScaling(RandomInitializer):
    """Zero mean, variance `scale / n` with n from `mode`: "fan_in", "fan_out" or "fan_avg".

    `distribution` is "truncated_normal", "untruncated_normal" or "uniform"; `input_axes` and `output_axes` name the
    axes that count as inputs and outputs, where they are not the last two.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ) -> None:
        if scale <= 0:
            raise ValueError(f"VarianceScaling: scale must be positive, got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f'VarianceScaling: mode must be "fan_in", "fan_out" or "fan_avg", got {mode!r}')
        distribution = {"normal": "truncated_normal"}.get(distribution, distribution)
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                'VarianceScaling: distribution must be "uniform", "truncated_normal" or "untruncated_normal", '
                f"got {distribution!r}"
            )
        super().__init__(seed)
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "truncated_normal":
            # 0.8796...: standard deviation of a standard normal truncated to two deviations
            return random.truncated_normal(shape, 0.0, math.sqrt(variance) / 0.87962566103423978, dtype, self.seed)
        return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        names = ("scale", "mode", "distribution", "input_axes", "output_axes")
        return {**{name: getattr(self, name) for name in names}, **super().get_config()}


def compute_fans(shape: Any, input_axes: Any = None, output_axes: Any = None) -> tuple[float, float]:
    """How many inputs and outputs a unit of a weight of this shape has."""
    sizes = tuple(shape)
    rank = len(sizes)
    if rank < 2:
        count = float(sizes[0]) if sizes else 1.0
        return count, count
    ins = {a % rank for a in _axes(input_axes, (rank - 2,))}
    outs = {a % rank for a in _axes(output_axes, (rank - 1,))}
    receptive = math.prod(size for i, size in enumerate(sizes) if i not in ins | outs)
    return (
        float(receptive * math.prod(sizes[i] for i in ins)),
        float(receptive * math.prod(sizes[i] for i in outs)),
    )


def _axes(axes: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    if axes is None:
        return default
    return (axes,) if isinstance(axes, int) else tuple(axes)


class _Preset(VarianceScaling):
    """Variance scaling with fixed scale, mode and distribution."""

    preset: tuple[float, str, str] = (1.0, "fan_in", "truncated_normal")

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        scale, mode, distribution = self.preset
        super().__init__(scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes") if name == "seed" or config[name]}


@INITIALIZERS.register()
class GlorotUniform(_Preset):
    """Uniform, variance 2 / (inputs + outputs) (Glorot and Bengio, 2010)."""

    preset = (1.0, "fan_avg", "uniform")


@INITIALIZERS.register()
class GlorotNormal(_Preset):
    """Truncated normal, variance 2 / (inputs + outputs) (Glorot and Bengio, 2010)."""

    preset = (1.0, "fan_avg", "truncated_normal")


@INITIALIZERS.register()
class HeNormal(_Preset):
    """Truncated normal, variance 2 / inputs (He et al., 2015)."""

    preset = (2.0, "fan_in", "truncated_normal")


@INITIALIZERS.register()
class HeUniform(_Preset):
    """Uniform, variance 2 / inputs (He et al., 2015)."""

    preset = (2.0, "fan_in", "uniform")


@INITIALIZERS.register()
class LecunNormal(_Preset):
    """Truncated normal, variance 1 / inputs (LeCun et al., 1998)."""

    preset = (1.0, "fan_in", "truncated_normal")


@INITIALIZERS.register()
class LecunUniform(_Preset):
    """Uniform, variance 1 / inputs (LeCun et al., 1998)."""

    preset = (1.0, "fan_in", "uniform")


@INITIALIZERS.register("OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """A matrix with orthonormal rows or columns, all axes but the last as one, times `gain` (Saxe et al., 2014)."""

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(
                f"Orthogonal initializer: expected at least two axes, got shape {format_shape(tuple(shape))}"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        flat = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(np.asarray(random.normal(flat, dtype="float64", seed=self.seed)))
        # signs of R's diagonal make the distribution uniform over orthogonal matrices
        q = q * np.sign(np.diag(r))
        return (self.gain * (q.T if rows < columns else q)).reshape(shape).astype(as_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"gain": self.gain, **super().get_config()}
