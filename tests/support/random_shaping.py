"""Operations of random models that move elements and change shapes."""

from __future__ import annotations

from random import Random
from typing import Any

from model_plans import Size
from random_operations import ANY, OPERATIONS, axis, known_axis, operation

import sardonyx as sx

ops = sx.ops
__all__ = ["OPERATIONS"]


def _newshape(r: Random, x: Any) -> dict[str, Any]:
    rank = len(x.shape)
    sizes: list[Any] = [Size(0, i) if r.random() < 0.7 or not isinstance(s, int) else s for i, s in enumerate(x.shape)]
    kind = r.randrange(7)
    if kind == 0:
        sizes = [Size(0, 0), -1]
    elif kind == 1:
        sizes[r.randrange(rank)] = -1
    elif kind == 2 and rank > 2:
        sizes = [*sizes[:-2], -1]
    elif kind == 3:
        i, over = r.randrange(rank), r.choice([2, 2, 3])
        sizes[i : i + 1] = [Size(0, i, over=over), over] if r.random() < 0.7 else [-1, over]
    elif kind == 4:
        i = r.randrange(rank)
        sizes[i : i + 1] = [1, sizes[i]]
    elif kind == 5:
        sizes = [-1]
    else:
        sizes = [-1, *sizes[1:]] if r.random() < 0.5 else [sizes[0], *sizes[:0:-1]]
    return {"newshape": tuple(sizes)}


def _bound(r: Random, i: int) -> Any:
    choice = r.random()
    if choice < 0.4:
        return None
    return r.randint(-4, 4) if choice < 0.75 else Size(0, i, over=r.choice([1, 2, 2, 3]), plus=r.choice([0, 0, -1, 1]))


def _key(r: Random, x: Any) -> dict[str, Any]:
    parts: list[Any] = []
    for i, size in enumerate(x.shape):
        choice = r.random()
        if choice < 0.3:
            parts.append(slice(None))
        elif choice < 0.75:
            parts.append(slice(_bound(r, i), _bound(r, i), r.choice([None, None, None, 1, 2, -1, -1, -2])))
        elif choice < 0.9 and i:
            parts.append(r.choice([0, -1]) if not isinstance(size, int) or size < 3 else r.randint(-3, 2))
        else:
            parts.append(slice(None))
        if r.random() < 0.08:
            parts.append(None)
    if r.random() < 0.3:
        parts = [..., *parts[-r.randint(1, len(parts)) :]]
    elif r.random() < 0.3:
        parts = [*parts[: r.randint(1, len(parts))], *([...] if r.random() < 0.5 else [])]
    return {"key": tuple(parts)}


def _swap(r: Random, x: Any) -> dict[str, Any]:
    return {"axis1": axis(r, x), "axis2": axis(r, x)}


def _order(r: Random, x: Any) -> dict[str, Any]:
    order = list(range(len(x.shape)))
    r.shuffle(order)
    return {"axes": r.choice([None, tuple(order), tuple(order)])}


def _indices(r: Random, x: Any) -> dict[str, Any] | None:
    place = known_axis(r, x)
    if place is None:
        return None
    size = x.shape[place]
    indices = [r.randint(-size, size - 1) for _ in range(r.randint(1, 4))]
    return {"indices": r.choice([indices, [indices, indices], indices[0]]), "axis": place}


def _sections(r: Random, x: Any) -> dict[str, Any] | None:
    place = known_axis(r, x)
    if place is None:
        return {"indices_or_sections": r.choice([1, [1]]), "axis": axis(r, x)}
    size = x.shape[place]
    divisors = [d for d in (1, 2, 3, 4) if size % d == 0]
    cut = sorted(r.randint(0, size) for _ in range(r.randint(1, 2)))
    return {"indices_or_sections": r.choice([r.choice(divisors), cut]), "axis": place}


def _widths(r: Random, x: Any) -> dict[str, Any]:
    mode = r.choice(["constant", "constant", "reflect", "symmetric", "edge"])
    mirrors = mode in ("reflect", "symmetric")
    widths = []
    for size in x.shape:  # an axis of unknown size may be too short to be mirrored
        most = 2 if not mirrors else 1 if isinstance(size, int) and size > 1 else 0
        widths.append((r.randint(0, most), r.randint(0, most)))
    return {"pad_width": tuple(widths), "mode": mode}


operation("reshape", ops.reshape, _newshape, kinds="fib")
operation("get_item", lambda x, key: x[key], _key, kinds="fib")
operation("get_item_again", lambda x, key: x[key], _key, kinds="fib")
operation("transpose", ops.transpose, _order, kinds="fib")
operation("swapaxes", ops.swapaxes, _swap, kinds="fib")
operation("moveaxis", ops.moveaxis, lambda r, x: {"source": axis(r, x), "destination": axis(r, x)}, kinds="fib")
operation("expand_dims", ops.expand_dims, lambda r, x: {"axis": r.randint(-len(x.shape) - 1, len(x.shape))},
          (1, 2, 3, 4), "fib")  # fmt: skip
operation("squeeze", ops.squeeze, lambda r, x: {"axis": r.choice([i for i, s in enumerate(x.shape) if s == 1] or [-1])}
          if r.random() < 0.8 or not all(isinstance(s, int) for s in x.shape) else {"axis": None})  # fmt: skip
operation("ravel", ops.ravel)
operation("take", ops.take, _indices, kinds="fib")
operation("gather_by_array", lambda x, indices, axis: x[(slice(None),) * axis + (indices,)], _indices, kinds="fib")
operation("take_along", lambda x, axis: ops.take_along_axis(x, ops.argsort(x, axis=axis), axis=axis),
          lambda r, x: {"axis": axis(r, x)})  # fmt: skip
operation("split", lambda x, **o: list(ops.split(x, **o)), _sections, kinds="fib")
operation("unstack", lambda x, axis: list(ops.unstack(x, axis=axis)), lambda r, x: {"axis": known_axis(r, x) or -1})
operation("array_split", lambda x, **o: list(ops.array_split(x, **o)),
          lambda r, x: {"indices_or_sections": r.randint(1, 3), "axis": axis(r, x)})  # fmt: skip
operation("pad", ops.pad, _widths, kinds="fi")
operation("tile", ops.tile, lambda r, x: {"repeats": tuple(r.randint(1, 2) for _ in x.shape)}, kinds="fib")
operation("repeat", ops.repeat, lambda r, x: {"repeats": r.randint(1, 3), "axis": r.choice([None, axis(r, x)])},
          kinds="fib")  # fmt: skip
operation("broadcast_to", ops.broadcast_to,
          lambda r, x: {"shape": (*([2] if r.random() < 0.5 else []), *[Size(0, i) for i in range(len(x.shape))])},
          (1, 2, 3, 4), "fib")  # fmt: skip
operation("arange_add", lambda x: x + ops.cast(ops.arange(x.shape[-1]), "float32") / 8)
operation("position_mask", lambda x: x * ops.cast(ops.arange(x.shape[1])[None] % 2, "float32")[..., None], ranks=(3,))
operation("causal", lambda x: x * ops.cast(ops.tri(x.shape[-2], x.shape[-1]), "float32"), ranks=(2, 3, 4))
operation("eye", lambda x: x + ops.eye(x.shape[-1]), ranks=(2, 3))
operation("full", lambda x, value: x + ops.full(x.shape[1:], value), lambda r, x: {"value": 0.25}, (2, 3, 4))
operation("linspace", lambda x: x * ops.linspace(0.0, 1.0, 4)[:, None, None], ranks=(2,))
operation("depth_to_space", ops.depth_to_space, lambda r, x: {"block_size": 2}, (4,))
operation("space_to_depth", ops.space_to_depth, lambda r, x: {"block_size": 2}, (4,))
operation("slice", ops.slice, lambda r, x: {
    "start_indices": tuple(0 if i == 0 else r.randint(0, 1) for i in range(len(x.shape))),
    "shape": tuple(Size(0, i) if i == 0 or not isinstance(s, int) else max(1, s - 1) for i, s in enumerate(x.shape)),
})  # fmt: skip
operation("drop_half", lambda x: x[:, : x.shape[1] // 2], ranks=(2, 3, 4))
operation("shift", lambda x: ops.concatenate([ops.zeros_like(x[:, :1]), x[:, :-1]], axis=1), ranks=(2, 3, 4))
operation("pairs", lambda x: x[:, : x.shape[1] // 2 * 2].reshape((-1, x.shape[1] // 2, 2, *x.shape[2:])),
          ranks=(2, 3, 4), kinds="fi")  # fmt: skip
operation("merge_batch", lambda x: x.reshape((x.shape[0] * x.shape[1], *x.shape[2:])), ranks=(3, 4))
operation("split_again", lambda x: x.reshape((-1, x.shape[1] * x.shape[2])).reshape(x.shape), ranks=(3,))
operation("matmul_self", lambda x: ops.matmul(x, ops.swapaxes(x, -1, -2)) / 4, ranks=(2, 3, 4))
operation("matmul_constant", lambda x, n: ops.matmul(x, ops.ones((x.shape[-1], n))) / 4,
          lambda r, x: {"n": r.randint(1, 3)})  # fmt: skip
operation("matmul", lambda a, b: ops.matmul(a, ops.swapaxes(b, -1, -2)) / 4, ranks=(2, 3, 4), count=2, alike=True)
operation("einsum", lambda a, b, text: ops.einsum(text, a, b) / 4,
          lambda r, x: {"text": r.choice(["bij,bkj->bik", "bij,bij->bi", "bij,bik->bjk", "bi...,bi...->b..."])},
          (3,), count=2, alike=True)  # fmt: skip
operation("einsum_one", lambda x, text: ops.einsum(text, x),
          lambda r, x: {"text": r.choice(["bij->bji", "bij->bi", "b...->...b", "bi...->b..."])}, (3,))  # fmt: skip
operation("outer", lambda a, b: a[:, :, None] * b[:, None, :], ranks=(2,), count=2)
operation("tensordot", lambda a, b: ops.tensordot(a, b, axes=([1, 2], [1, 2])) / 8, ranks=(3,), count=2, alike=True)
operation("dot_attention", lambda a, b: ops.softmax(a @ ops.swapaxes(b, 1, 2), axis=-1) @ b, ranks=(3,), count=2)
operation("broadcast_rows", lambda a, b: a[:, None] + b[None] if len(a.shape) == len(b.shape) else a + b,
          ranks=ANY[:3], count=2)  # fmt: skip
operation("segment_sum", lambda x: ops.segment_sum(x, ops.arange(x.shape[0]) * 0, num_segments=2), ranks=(2, 3))
operation("scatter", lambda x: ops.scatter_update(x, [[0]], x[:1] * 0 + 1), ranks=(2, 3))
operation(
    "cumulative_mean",
    lambda x: ops.cumsum(x, axis=1) / ops.cast(ops.arange(1, x.shape[1] + 1), "float32")[:, None],
    ranks=(3,),
)
