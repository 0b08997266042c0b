"""Clipping of gradients by value, by norm, and by the norm of all of them."""

from __future__ import annotations

from typing import Any

from .. import ops


def check(kind: str, clipnorm: Any, clipvalue: Any, global_clipnorm: Any) -> None:
    """Raise `ValueError` unless at most one is given, and positive."""
    given = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
    used = {name: value for name, value in given.items() if value is not None}
    if len(used) > 1:
        raise ValueError(f"{kind}: only one of clipnorm, clipvalue and global_clipnorm may be set; got {used}")
    for name, value in used.items():
        if value <= 0:
            raise ValueError(f"{kind}: {name} must be positive, got {value}")


def clip(
    gradients: list[Any], clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None
) -> list[Any]:
    """The gradients, clipped in the one way that is asked for."""
    if clipnorm:
        return [_to_norm(g, clipnorm) for g in gradients]
    if global_clipnorm:
        norm = ops.sqrt(sum((ops.sum(ops.square(g)) for g in gradients[1:]), ops.sum(ops.square(gradients[0]))))
        scale = global_clipnorm / ops.maximum(norm, global_clipnorm)
        return [g * ops.cast(scale, g.dtype) for g in gradients]
    if clipvalue:
        return [ops.clip(g, -clipvalue, clipvalue) for g in gradients]
    return gradients


def _to_norm(gradient: Any, limit: float) -> Any:
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * (limit / ops.maximum(norm, limit))
