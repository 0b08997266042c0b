"""Random tensors (Keras name: `keras.random`): the same seed gives the same numbers in NumPy and in onnxruntime.

`seed` is an integer (the same numbers at every call), a `SeedGenerator` (others at every call), a row of `split`, or
None for the global generator, which `set_random_seed` resets. Shapes may hold symbolic sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Shape
from ..core.dtypes import as_dtype
from ..core.errors import DtypeError
from ..core.primitive import Primitive, unsupported_lowering
from ..core.spec import TensorSpec, as_shape
from ..core.tensor import Tensor
from .arithmetic import add, multiply, subtract
from .convert import cast, convert_to_tensor
from .random_bits import check_seed
from .random_dropout import dropout
from .random_samples import integers_primitive, normal_primitive, truncated_normal_primitive, uniform_primitive
from .random_selection import categorical, shuffle
from .seed import SeedGenerator, draw_seed, global_seed_generator, seeded, split

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "global_seed_generator",
    "normal",
    "randint",
    "shuffle",
    "split",
    "truncated_normal",
    "uniform",
]


def _shape(shape: Any) -> Shape:
    return as_shape((shape,) if isinstance(shape, (int, np.integer)) else shape)


def _float(name: str, dtype: Any) -> np.dtype:
    kind = as_dtype(dtype)
    if kind.kind != "f":
        raise DtypeError(f"{name}: expected a floating-point dtype, got {kind.name}; random.randint gives integers")
    return kind


def _is_number(*values: Any) -> bool:
    return all(isinstance(v, (int, float, np.integer, np.floating)) for v in values)


def uniform(shape: Sequence[Any], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Numbers equally likely everywhere in [minval, maxval), of a shape (Keras name: `random.uniform`).

    With an integer dtype, whole numbers as from `randint`.

    >>> import sardonyx as sx
    >>> x = sx.random.uniform((1000,), 2.0, 3.0, seed=1).numpy()
    >>> bool(x.min() >= 2 and x.max() < 3)
    True
    """
    if as_dtype(dtype).kind in "iu":
        return randint(shape, minval, maxval, dtype, seed)
    kind = _float("uniform", dtype)
    if not _is_number(minval, maxval):
        low = cast(minval, kind)
        unit = uniform_primitive(draw_seed(seed), shape=_shape(shape), low=0.0, high=1.0, dtype=kind)
        return add(multiply(unit, subtract(cast(maxval, kind), low)), low)
    return uniform_primitive(draw_seed(seed), shape=_shape(shape), low=float(minval), high=float(maxval), dtype=kind)


def normal(shape: Sequence[Any], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Normally distributed numbers (Box and Muller 1958; Keras name: `random.normal`)."""
    kind = _float("normal", dtype)
    if not _is_number(mean, stddev):
        unit = normal_primitive(draw_seed(seed), shape=_shape(shape), mean=0.0, stddev=1.0, dtype=kind)
        return add(multiply(unit, cast(stddev, kind)), cast(mean, kind))
    return normal_primitive(
        draw_seed(seed), shape=_shape(shape), mean=float(mean), stddev=abs(float(stddev)), dtype=kind
    )


def truncated_normal(
    shape: Sequence[Any], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Normal numbers within two standard deviations of the mean (Keras name: `random.truncated_normal`)."""
    kind = _float("truncated_normal", dtype)
    out = truncated_normal_primitive(draw_seed(seed), shape=_shape(shape), dtype=kind)
    if not (_is_number(stddev) and stddev == 1):
        out = multiply(out, cast(stddev, kind))
    return out if _is_number(mean) and mean == 0 else add(out, cast(mean, kind))


def randint(shape: Sequence[Any], minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Whole numbers equally likely in [minval, maxval) (Keras name: `random.randint`).

    Raises `ValueError` for an empty interval or one of more than 2**31 numbers.

    >>> import sardonyx as sx
    >>> sorted(set(sx.random.randint((100,), 0, 3, seed=1).tolist()))
    [0, 1, 2]
    """
    kind = as_dtype(dtype)
    if kind.kind not in "iu":
        raise DtypeError(f"randint: expected an integer dtype, got {kind.name}; random.uniform gives fractions")
    low, high = int(minval), int(maxval)
    if not 0 < high - low <= 2**31:
        raise ValueError(f"randint: expected minval < maxval, at most 2**31 apart, got {low} and {high}")
    limits = np.iinfo(kind)
    if low < limits.min or high - 1 > limits.max:
        raise ValueError(f"randint: numbers from {low} to {high - 1} do not fit {kind.name}")
    return integers_primitive(draw_seed(seed), shape=_shape(shape), low=low, span=high - low, dtype=kind)


def _eager_infer(seed: TensorSpec, *parameters: TensorSpec, shape: Shape, dtype: np.dtype) -> TensorSpec:
    check_seed(seed)
    return TensorSpec(shape, dtype)


def _eager(name: str, numbers: Any) -> Primitive:
    """A distribution that NumPy's generator draws; ONNX has no operators for its rejection loops."""

    def run(generator: np.random.Generator, *parameters: np.ndarray, shape: Shape, dtype: np.dtype) -> np.ndarray:
        drawn = numbers(generator, *parameters, tuple([size.__index__() for size in shape]))
        return np.asarray(drawn, dtype)

    return Primitive(name, seeded(run), _eager_infer, unsupported_lowering(name), residuals="none")


gamma_primitive = _eager("random_gamma", lambda generator, alpha, size: generator.gamma(alpha, size=size))
beta_primitive = _eager("random_beta", lambda generator, alpha, beta, size: generator.beta(alpha, beta, size))
binomial_primitive = _eager(
    "random_binomial", lambda generator, counts, p, size: generator.binomial(counts.astype(np.int64), p, size)
)


def _checked(name: str, parameter: str, value: Any, low: float, high: float = np.inf, open: bool = False) -> Tensor:
    """A parameter as a tensor; raises `ValueError` when a known value lies outside of its range."""
    tensor = convert_to_tensor(value)
    if tensor.array is not None and tensor.array.size:
        smallest, largest = tensor.array.min(), tensor.array.max()
        # written so that NaN fails
        if not (smallest > low if open else smallest >= low) or not largest <= high:
            bounds = f"above {low}" if open else f"between {low} and {high}"
            raise ValueError(f"{name}: expected {parameter} {bounds}, got {smallest} to {largest}")
    return tensor


def gamma(shape: Sequence[Any], alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Gamma-distributed numbers of shape `alpha`, rate 1; on the NumPy core only (Keras name: `random.gamma`)."""
    kind = _float("gamma", dtype)
    return gamma_primitive(
        draw_seed(seed), _checked("gamma", "alpha", alpha, 0.0, open=True), shape=_shape(shape), dtype=kind
    )


def beta(shape: Sequence[Any], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Beta-distributed numbers; on the NumPy core only (Keras name: `random.beta`)."""
    kind = _float("beta", dtype)
    first = _checked("beta", "alpha", alpha, 0.0, open=True)
    second = _checked("beta", "beta", beta, 0.0, open=True)
    return beta_primitive(draw_seed(seed), first, second, shape=_shape(shape), dtype=kind)


def binomial(shape: Sequence[Any], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """How many of `counts` trials succeed; on the NumPy core only (Keras name: `random.binomial`)."""
    kind = _float("binomial", dtype)
    trials = _checked("binomial", "counts", counts, 0.0)
    chance = _checked("binomial", "probabilities", probabilities, 0.0, 1.0)
    return binomial_primitive(draw_seed(seed), trials, chance, shape=_shape(shape), dtype=kind)
