"""Rearrangement of axes by a pattern of names (Keras name: `ops.rearrange`; the notation of einops)."""

from __future__ import annotations

import re
from typing import Any

from ..core.dims import Shape, Size, equal, product
from ..core.errors import ShapeError, format_shape
from ..core.tensor import Tensor
from .axes import transpose
from .broadcast import reshape
from .convert import convert_to_tensor

__all__ = ["rearrange"]

Group = list[str]
_TOKEN = re.compile(r"\s*(\(|\)|\.\.\.|1|[A-Za-z][A-Za-z0-9_]*)")


def rearrange(tensor: Any, pattern: str, **axes_lengths: Any) -> Tensor:
    """Axes split, permuted and merged as a pattern says: names in parentheses are one axis, `...` stands for the rest.

    `axes_lengths`: sizes of names that the shape does not determine. Lowers to at most Reshape, Transpose, Reshape.
    Raises `ValueError` for a pattern that cannot be read, `ShapeError` when it does not fit the tensor.

    >>> import sardonyx as sx
    >>> sx.ops.rearrange(sx.ops.zeros((2, 6, 5)), "b (h w) c -> b c h w", h=3).shape
    (2, 5, 3, 2)
    """
    x = convert_to_tensor(tensor)
    left, right = _sides(pattern, len(x.shape))
    sizes = _sizes_of(x.shape, left, dict(axes_lengths), pattern)
    names = [name for group in left for name in group]
    wanted = [name for group in right for name in group]
    if sorted(names) != sorted(wanted):
        raise ValueError(f"rearrange: both sides of {pattern!r} must name the same axes, got {names} and {wanted}")
    x = reshape(x, [sizes[name] for name in names])
    x = transpose(x, [names.index(name) for name in wanted])
    return reshape(x, [product([sizes[name] for name in group]) for group in right])


def _sides(pattern: str, rank: int) -> tuple[list[Group], list[Group]]:
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"rearrange: a pattern has one '->', got {pattern!r}")
    left, right = (_groups(side, pattern) for side in sides)
    rest = [f"...{i}" for i in range(rank - sum(group != ["..."] for group in left))]
    if (["..."] not in left and rest) or len(left) - (["..."] in left) > rank:
        raise ShapeError(f"rearrange: {pattern!r} does not fit a tensor with {rank} axes")
    return _without_ellipsis(left, rest), _without_ellipsis(right, rest)


def _without_ellipsis(groups: list[Group], rest: list[str]) -> list[Group]:
    found: list[Group] = []
    for group in groups:
        if group == ["..."]:
            found += [[name] for name in rest]
        else:
            found.append([part for name in group for part in (rest if name == "(...)" else [name])])
    return found


def _groups(side: str, pattern: str) -> list[Group]:
    """Each axis as a list of names; `1` is an axis of no name."""
    groups: list[Group] = []
    inside = False
    position, text = 0, side.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        token = match.group(1) if match else ""
        if match is None or (token == "(" and inside) or (token == ")" and not inside):
            raise ValueError(f"rearrange: cannot read {text[position:]!r} in the pattern {pattern!r}")
        position = match.end()
        if token in "()":
            inside = token == "("
            if inside:
                groups.append([])
        elif inside:
            groups[-1] += [] if token == "1" else ["(...)" if token == "..." else token]
        else:
            groups.append([] if token == "1" else [token])
    names = [name for group in groups for name in group]
    if inside or len(set(names)) != len(names):
        raise ValueError(f"rearrange: unbalanced parentheses or a name used twice in {pattern!r}")
    return groups


def _sizes_of(shape: Shape, groups: list[Group], lengths: dict[str, Any], pattern: str) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    unused = set(lengths) - {name for group in groups for name in group}
    if unused:
        raise ValueError(f"rearrange: {sorted(unused)} given, but not named in {pattern!r}")
    for size, group in zip(shape, groups, strict=True):
        unknown = [name for name in group if name not in lengths]
        known = product([lengths[name] for name in group if name in lengths])
        if len(unknown) > 1:
            raise ShapeError(f"rearrange: give the sizes of all but one of {group} in {pattern!r}, got {lengths}")
        rest = size // known if unknown and equal(known, 0) is not True else 1
        if equal(rest * known, size) is not True:
            raise ShapeError(
                f"rearrange: axis of size {size} of {format_shape(shape)} does not divide into {group} "
                f"with {lengths or 'no sizes given'}"
            )
        sizes.update({name: lengths.get(name, rest) for name in group})
    return sizes
