"""Einstein summation: products of tensors whose axes have names, summed over the names that the result lacks."""

from __future__ import annotations

import string
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.dims import Size, equal
from ..core.emitter import Emitter, Value
from ..core.errors import DtypeError, ShapeError, format_shape
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .contraction import contract
from .convert import promote_all
from .create import eye, ones
from .linalg import matmul_primitive

__all__ = ["einsum"]


def _sizes(pattern: str, shapes: list[tuple[Size, ...]]) -> dict[str, Size]:
    """The size of each label; 1 gives way to others."""
    sizes: dict[str, Size] = {}
    for labels, shape in zip(pattern.split("->", maxsplit=1)[0].split(","), shapes, strict=True):
        for label, size in zip(labels, shape, strict=True):
            known = sizes.get(label, 1)
            same = equal(known, size)
            if known == 1:
                sizes[label] = size
            elif size != 1 and same is not True:
                raise ShapeError(
                    f"in {pattern!r}, '{label}' stands for sizes {known} and {size} of "
                    f"{' and '.join(map(format_shape, shapes))}, which {'differ' if same is False else 'may differ'}"
                )
    return sizes


def _einsum_infer(*operands: TensorSpec, pattern: str) -> TensorSpec:
    for x in operands[1:]:
        if x.dtype != operands[0].dtype:
            raise DtypeError(f"expected operands of one dtype, got {operands[0].dtype.name} and {x.dtype.name}")
    sizes = _sizes(pattern, [x.shape for x in operands])
    return TensorSpec([sizes[label] for label in pattern.split("->")[1]], operands[0].dtype)


def _einsum_lower(emit: Emitter, *operands: Value, pattern: str) -> Value:
    spec = _einsum_infer(*[x.spec for x in operands], pattern=pattern)
    dtype = spec.dtype
    if dtype.name not in ("float32", "float64", "int32", "int64"):
        dtype = np.dtype(np.float32 if dtype.kind == "f" else np.int32)
    numbers = [emit.cast(x, dtype) for x in operands]
    return emit.cast(emit("Einsum", *numbers, equation=pattern, spec=TensorSpec(spec.shape, dtype)), spec.dtype)


def _einsum_vjp(
    gradients: tuple[Tensor], outputs: Any, inputs: tuple[Tensor, ...], needed: tuple[bool, ...], *, pattern: str
) -> list[Tensor | None]:
    return [_operand_gradient(gradients[0], inputs, i, pattern) if need else None for i, need in enumerate(needed)]


def _operand_gradient(g: Tensor, inputs: tuple[Tensor, ...], place: int, pattern: str) -> Tensor:
    """The others and the gradient, summed to the operand's labels.

    A label that stands there twice is a diagonal: one of the two gets a name of its own, tied by an identity matrix.
    A label that nobody else has was summed away: ones spread the gradient along it.
    """
    sides, result = pattern.split("->")
    labels = sides.split(",")
    others = [x for i, x in enumerate(inputs) if i != place]
    names = [label for i, label in enumerate(labels) if i != place]
    sizes = dict(zip(labels[place], inputs[place].shape, strict=True))
    free = [c for c in string.ascii_letters if c not in pattern]
    target = ""
    for label in labels[place]:
        if label in target:
            fresh = free.pop()
            others.append(eye(sizes[label], dtype=g.dtype))
            names.append(label + fresh)
            label = fresh
        target += label
    alone = [c for c in dict.fromkeys(labels[place]) if c not in result and all(c not in n for n in names)]
    for label in alone:
        others.append(ones((sizes[label],), g.dtype))
        names.append(label)
    return einsum_primitive(g, *others, pattern=",".join([result, *names]) + "->" + target)


einsum_primitive = Primitive(
    name="einsum",
    run=lambda *operands, pattern: contract(pattern, *operands),
    infer=_einsum_infer,
    lower=_einsum_lower,
    joint_vjp=_einsum_vjp,
    residuals="inputs",
)


@lru_cache(maxsize=1024)
def canonical(subscripts: str, ranks: tuple[int, ...]) -> str:
    """Subscripts without spaces, `...` replaced by letters, and the result written out."""
    text = subscripts.replace(" ", "")
    sides = text.split("->")
    terms = sides[0].split(",")
    if len(sides) > 2 or any(
        c not in string.ascii_letters for c in text.replace("...", "").replace("->", "").replace(",", "")
    ):
        raise ValueError(f"einsum: subscripts are letters, ',', '...' and one '->', got {subscripts!r}")
    if len(terms) != len(ranks):
        raise ValueError(f"einsum: {subscripts!r} describes {len(terms)} operands, got {len(ranks)}")
    unused = [c for c in string.ascii_uppercase + string.ascii_lowercase if c not in text]
    widest = max(
        (rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True) if "..." in t), default=0
    )
    rest = "".join(unused[: max(widest, 0)])
    expanded = [_expanded(t, rank, rest, subscripts) for t, rank in zip(terms, ranks, strict=True)]
    letters = "".join(t.replace("...", "") for t in terms)
    if len(sides) == 2:
        result = sides[1].replace("...", rest)
    else:
        result = rest + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    unknown = sorted(set(result) - set("".join(expanded)))
    if unknown or len(set(result)) != len(result):
        raise ValueError(f"einsum: the result of {subscripts!r} must hold each label of the operands at most once")
    return ",".join(expanded) + "->" + result


def _expanded(term: str, rank: int, rest: str, subscripts: str) -> str:
    named = len(term.replace("...", ""))
    if (rank < named) if "..." in term else (rank != named):
        raise ShapeError(f"einsum: {term!r} in {subscripts!r} does not fit an operand with {rank} axes")
    width = rank - named
    return term.replace("...", rest[len(rest) - width :] if width else "")


def _as_matmul(pattern: str) -> bool:
    """Whether the pattern is a matrix product as it stands: `...ab,bc->...ac` or `Zab,Zbc->Zac`."""
    sides, result = pattern.split("->")
    terms = sides.split(",")
    if len(terms) != 2 or len(terms[0]) < 2 or len(terms[1]) < 2:
        return False
    left, right = terms
    batch = left[:-2] if len(right) > 2 else ""
    plain = right[:-2] == batch and left[-1] == right[-2] and result == left[:-1] + right[-1]
    return plain and len(set(left + right[-1:])) == len(left) + 1


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Einstein summation (ONNX: Einsum, or MatMul where it is one).

    `subscripts`: a letter for each axis, as in "bij,bjk->bik"; `...` stands for further axes, which broadcast; a
    letter twice in one operand is its diagonal; without "->" the letters that occur once are the result, in order.
    Raises `ValueError` for subscripts that cannot be read, `ShapeError` when they do not fit the operands.

    >>> import sardonyx as sx
    >>> sx.ops.einsum("ij,j->i", [[1, 2], [3, 4]], [1, 10]).tolist()
    [21, 43]
    >>> sx.ops.einsum("ii", [[1, 2], [3, 4]]).item()
    5
    """
    if kwargs:
        raise TypeError(f"einsum: unknown arguments {sorted(kwargs)}")
    if not operands:
        raise ValueError("einsum: expected at least one operand")
    tensors = promote_all(*operands)
    pattern = canonical(subscripts, tuple([len(x.shape) for x in tensors]))
    if _as_matmul(pattern) and equal(tensors[0].shape[-1], tensors[1].shape[-2]) is True:
        return matmul_primitive(*tensors)
    return einsum_primitive(*tensors, pattern=pattern)
