"""What was passed to a model, held against its inputs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..trainer import ops
from ..trainer.core import tree
from ..trainer.core.dims import Dim, UndecidableSize, equal, solve, substitute
from ..trainer.core.errors import ShapeError, format_shape
from ..trainer.core.tensor import Tensor
from .layer import map_shapes
from .plan import Plan


def match_inputs(plan: Plan, inputs: Any, mask: Any) -> list[Any]:
    """The tensors that were passed, in the order of the model's inputs; checked against what the model expects."""
    structure = plan.inputs
    given = _flatten_like(plan, structure, inputs)
    expected = plan.input_tensors
    if len(given) != len(expected):
        raise ShapeError(f"expected {_describe(structure)}, got {len(given)} tensor{'s' if len(given) != 1 else ''}")
    masks = tree.flatten(mask) if mask is not None else [None] * len(given)
    result = []
    for x, reference, m in zip(given, expected, masks, strict=False):
        tensor = match_one(x, reference)
        if m is not None and isinstance(tensor, Tensor) and tensor.mask is None:
            tensor.mask = m
        result.append(tensor)
    return result


def _flatten_like(plan: Plan, structure: Any, inputs: Any) -> list[Any]:
    """Leaves of what was passed: by key for dictionaries (of keys, or of input names), by order otherwise."""
    if isinstance(inputs, dict):
        names = list(structure) if isinstance(structure, dict) else [x.name for x in plan.input_tensors]
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ShapeError(f"missing input{'s' if len(missing) > 1 else ''} {missing}; got {sorted(inputs)}")
        if isinstance(structure, dict):
            return [leaf for key in tree.sorted_keys(structure) for leaf in tree.flatten(inputs[key])]
        return [inputs[name] for name in names]
    if isinstance(inputs, (list, tuple)):
        if isinstance(structure, dict) and len(inputs) == len(structure):
            places = list(structure)
            return [x for key in tree.sorted_keys(structure) for x in tree.flatten(inputs[places.index(key)])]
        return tree.flatten(list(inputs))
    return [inputs]


def _describe(structure: Any) -> str:
    leaves = tree.flatten(structure)
    if isinstance(structure, dict):
        return f"a dictionary with the keys {sorted(structure)}"
    return "one input" if len(leaves) == 1 else f"{len(leaves)} inputs ({', '.join(x.name or 'input' for x in leaves)})"


def named_like_inputs(plan: Plan, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Shapes with sizes that are not known (None) named as in the model's inputs: equal names are equal sizes."""
    given: list[tuple[Any, ...]] = []
    map_shapes(given.append, list(shapes))
    own = [x.shape for x in plan.input_tensors]
    if [len(shape) for shape in given] != [len(shape) for shape in own]:
        return shapes
    sizes: dict[str, Any] = {}
    pairs = [pair for shape, expected in zip(given, own, strict=True) for pair in zip(shape, expected, strict=True)]
    for size, expected in sorted(pairs, key=lambda pair: len(str(pair[1]))):
        if isinstance(size, int) and isinstance(expected, Dim):
            with suppress(UndecidableSize):
                solve(expected, size, sizes)
    remaining = iter(own)

    def named(shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(substitute(e, sizes) if s is None else s for s, e in zip(shape, next(remaining), strict=True))

    return tuple(map_shapes(named, list(shapes)))


def match_one(x: Any, reference: Tensor) -> Any:
    """One input brought to the expected dtype and, for a last axis of size 1, rank; `ShapeError` if it cannot."""
    if x is None:
        return None
    tensor = x if isinstance(x, Tensor) else ops.convert_to_tensor(x)
    mask = tensor.mask
    shape, expected = tensor.shape, reference.shape
    if len(shape) == len(expected) + 1 and shape[-1] == 1:
        tensor = ops.reshape(tensor, shape[:-1])
    elif len(shape) == len(expected) - 1 and expected[-1] == 1:
        tensor = ops.reshape(tensor, (*shape, 1))
    fits = len(tensor.shape) == len(expected) and all(
        equal(a, b) is not False for a, b in zip(tensor.shape[1:], expected[1:], strict=True)
    )
    has_fixed_batch = bool(expected) and isinstance(expected[0], int)
    fits = fits and (not has_fixed_batch or equal(tensor.shape[0], expected[0]) is not False)
    if not fits:
        raise ShapeError(
            f"input '{reference.name}': expected shape {format_shape(expected)}, got {format_shape(shape)}"
            + advice(shape, expected)
        )
    if tensor.dtype != reference.dtype:
        tensor = ops.cast(tensor, reference.dtype)
    if mask is not None and tensor.mask is None:
        tensor.mask = mask
    return tensor


def advice(shape: tuple[Any, ...], expected: tuple[Any, ...]) -> str:
    """What a shape that does not fit most likely needs."""
    if tuple(shape) == tuple(expected[1:]):
        return "; the batch axis is missing: pass x[None] for a single sample"
    if len(shape) == len(expected) - 1 and tuple(shape[1:]) == tuple(expected[1:-1]):
        return "; the last axis (channels) is missing: pass x[..., None]"
    if len(shape) == len(expected) == 4 and tuple(shape[1:]) == (expected[3], *expected[1:3]):
        return "; the data is channels first: pass np.moveaxis(x, 1, -1)"
    return ""
