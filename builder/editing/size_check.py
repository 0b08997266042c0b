"""Whether a model whose sizes were freed computes what it did: tried on random data at several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...trainer.core import tree
from ...trainer.core.dims import Dim, names
from ...trainer.core.errors import ShapeError
from ...trainer.core.spec import TensorSpec
from ...trainer.ops import convert_to_tensor
from .known_sizes import KnownSizes

BATCHES = (2, 3)
TOLERANCE = 1e-3


def sample(spec: TensorSpec, numbers: Mapping[str, int], random: np.random.Generator) -> np.ndarray:
    """Random data of a shape; whole numbers are 0 and 1, which any table of rows has."""
    known = KnownSizes(numbers)
    shape = tuple(2 if isinstance(n, Dim) else n for n in map(known.at_origin, spec.shape))
    if spec.dtype.kind in "fc":
        return random.standard_normal(shape).astype(spec.dtype)
    return random.integers(0, 2, shape).astype(spec.dtype)


def run_told(model: Any, values: list[np.ndarray], task: str) -> list[np.ndarray]:
    """The outputs for values of the inputs. Raises `ShapeError` with the edit where the model does not take them."""
    try:
        return _run(model, values)
    except (ShapeError, ValueError) as error:
        shapes = ", ".join(str(x.shape) for x in values)
        raise ShapeError(f"{task}: the edited model does not take data of the shapes {shapes}: {error}") from None


def _run(model: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    remaining = iter([convert_to_tensor(x) for x in values])
    inputs = tree.map_structure(lambda x: None if x is None else next(remaining), model.plan.inputs)
    return [np.asarray(x) for x in tree.flatten(model(inputs, training=False)) if x is not None]


def _samples(model: Any, numbers: Mapping[str, int], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [sample(x.spec, numbers, random) for x in model.plan.input_tensors]


def check_same_results(old: Any, new: Any, origin: Mapping[str, int], task: str) -> None:
    """Raise `ValueError` unless both models give the same bits at the original sizes."""
    values = _samples(new, origin)
    for name, a, b in zip(old.output_names, _run(old, values), run_told(new, values, task), strict=True):
        if a.shape != b.shape or a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            raise ValueError(
                f"{task}: the output '{name}' is not what it was at the original sizes; please report this, with the "
                "model. check=False gives the model all the same"
            )


def check_other_sizes(old: Any, new: Any, origin: Mapping[str, int], task: str) -> None:
    """Raise `ValueError` where batches are not computed sample by sample, `ShapeError` where a size is refused."""
    others = {name: number for name, number in origin.items() if name != "batch"}
    if others:
        _run_larger(new, origin, others, task)
    if "batch" in origin:
        for count in BATCHES:
            _compare_batch(old, new, origin, count, task)


def _run_larger(new: Any, origin: Mapping[str, int], others: Mapping[str, int], task: str) -> None:
    problem: Exception | None = None
    for larger in (lambda n: n + 32, lambda n: 2 * n):
        numbers = {**origin, **{name: larger(number) for name, number in others.items()}}
        try:
            _run(new, _samples(new, numbers))
            return
        except (ShapeError, ValueError) as error:
            problem = problem or error
    raise ShapeError(
        f"{task}: the model does not take "
        f"{', '.join(f'{name} = {number + 32}' for name, number in others.items())}: {problem}"
    )


def _compare_batch(old: Any, new: Any, origin: Mapping[str, int], count: int, task: str) -> None:
    """Batches together and one after the other give the same; the freed batch is in the first axis of inputs."""
    is_freed = [bool(x.shape) and isinstance(x.shape[0], Dim) and "batch" in names(x.shape[0]) for x in new.inputs]
    parts = [_samples(new, origin, seed) for seed in range(count)]
    whole = [
        np.concatenate([part[i] for part in parts]) if freed else parts[0][i] for i, freed in enumerate(is_freed)
    ]  # fmt: skip
    for part in parts:
        part[:] = [x if freed else parts[0][i] for i, (x, freed) in enumerate(zip(part, is_freed, strict=True))]
    together, apart = run_told(new, whole, task), [_run(old, part) for part in parts]
    for i, (name, x) in enumerate(zip(new.output_names, new.outputs, strict=True)):
        axes = [a for a, size in enumerate(x.shape) if isinstance(size, Dim) and "batch" in names(size)]
        if not axes:
            raise ValueError(
                f"{task}: the output '{name}' of shape {x.shape} has no axis for the batch: the model puts samples "
                "together. Leave the batch fixed, or check=False"
            )
        expected = np.concatenate([results[i] for results in apart], axis=axes[0])
        if together[i].shape != expected.shape or not _close(together[i], expected):
            raise ValueError(
                f"{task}: with {count} times the batch, the output '{name}' is not that of the batches one by one: "
                "the model mixes samples, or a size could not be told from the batch. Leave the batch fixed, or "
                "check=False"
            )


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=1e-6))
    return bool(np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True))
