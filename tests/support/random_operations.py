"""Operations of random models: how each is applied, to what, and with which random options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import sardonyx as sx

ops = sx.ops


@dataclass(frozen=True)
class Operation:
    """How an operation is applied; the ranks (with the batch) and kinds of elements it takes; random options for it.

    `draw`: options for the operands, None where there are none. `count`: how many operands; `alike`: of one shape.
    """

    run: Callable[..., Any]
    ranks: tuple[int, ...]
    kinds: str
    draw: Callable[[Random, Any], dict[str, Any] | None]
    count: int = 1
    alike: bool = False


OPERATIONS: dict[str, Operation] = {}
ANY = (1, 2, 3, 4, 5)


def operation(
    name: str, run: Callable[..., Any], draw: Any = None, ranks: Any = ANY, kinds: str = "f", count: int = 1,
    alike: bool = False,
) -> None:  # fmt: skip
    """A line of the table."""
    OPERATIONS[name] = Operation(run, tuple(ranks), kinds, draw or (lambda r, x: {}), count, alike)


def axis(r: Random, x: Any, first: int = 0) -> int:
    """An axis, counted from the front or the end."""
    rank = len(x.shape)
    found = r.randrange(min(first, rank - 1), rank) if rank else 0
    return found - rank if r.random() < 0.4 else found


def axes(r: Random, x: Any) -> Any:
    """None, an axis, or several."""
    choice = r.random()
    if choice < 0.15:
        return None
    if choice < 0.7 or len(x.shape) < 2:
        return axis(r, x)
    rank = len(x.shape)
    return tuple(i - rank if r.random() < 0.3 else i for i in sorted(r.sample(range(rank), r.randint(1, rank))))


def known_axis(r: Random, x: Any) -> int | None:
    """An axis whose size is a number above 0."""
    found = [i for i, size in enumerate(x.shape) if isinstance(size, int) and size > 0]
    return r.choice(found) if found else None


def _reduction(r: Random, x: Any) -> dict[str, Any]:
    return {"axis": axes(r, x), "keepdims": r.random() < 0.5}


def _axis(r: Random, x: Any) -> dict[str, Any]:
    return {"axis": axis(r, x)}


def _count(r: Random, x: Any) -> dict[str, Any]:
    """How many of the last axis to take: an axis of unknown size has one at least."""
    size = x.shape[-1] if x.shape else 1
    return {"k": r.randint(1, min(3, size)) if isinstance(size, int) and size else 1}


SMOOTH: dict[str, Callable[[Any], Any]] = {
    "relu": ops.relu, "tanh": ops.tanh, "sigmoid": ops.sigmoid, "exp": lambda x: ops.exp(ops.tanh(x)),
    "log": lambda x: ops.log(ops.abs(x) + 0.5), "sqrt": lambda x: ops.sqrt(ops.square(x) + 0.1), "gelu": ops.gelu,
    "softplus": ops.softplus, "silu": ops.silu, "elu": ops.elu, "sin": ops.sin, "square": ops.square, "erf": ops.erf,
    "leaky_relu": ops.leaky_relu, "log_sigmoid": ops.log_sigmoid, "softsign": ops.softsign, "selu": ops.selu,
    "hard_sigmoid": ops.hard_sigmoid, "relu6": ops.relu6, "negative": lambda x: -x, "abs": abs, "cos": ops.cos,
    "rsqrt": lambda x: ops.rsqrt(ops.square(x) + 0.2), "log1p": lambda x: ops.log1p(ops.abs(x)),
    "reciprocal": lambda x: 1 / (ops.abs(x) + 0.7), "cube": lambda x: ops.tanh(x) ** 3, "reverse": lambda x: 1 - x,
    "stop": ops.stop_gradient, "arctan": ops.arctan, "sinh": lambda x: ops.sinh(ops.tanh(x)), "copy": ops.copy,
    "expm1": lambda x: ops.expm1(ops.tanh(x)), "half": lambda x: x / 2, "mish": sx.activations.mish,
    "hard_silu": ops.hard_silu, "celu": ops.celu, "tanh_shrink": ops.tanh_shrink, "soft_shrink": ops.soft_shrink,
}  # fmt: skip
for _name, _run in SMOOTH.items():
    operation(_name, _run)

for _name in ("sum", "mean", "max", "min", "prod", "std", "var", "logsumexp", "amax", "median", "ptp"):
    if _name == "prod":
        operation(_name, lambda x, **o: ops.prod(ops.tanh(x), **o), _reduction)
    else:
        operation(_name, getattr(ops, _name), _reduction)
operation("count_nonzero", ops.count_nonzero, lambda r, x: {"axis": axes(r, x)}, kinds="ib")
operation("any", ops.any, _reduction, kinds="b")
operation("all", ops.all, _reduction, kinds="b")
operation("sum_integers", ops.sum, _reduction, kinds="ib")
operation("max_integers", ops.max, _reduction, kinds="i")
operation("norm", ops.norm, lambda r, x: {"ord": r.choice([1, 2]), "axis": axis(r, x), "keepdims": r.random() < 0.5})
operation("argmax", ops.argmax, lambda r, x: {"axis": axis(r, x), "keepdims": r.random() < 0.5}, kinds="fi")
operation("argmin", ops.argmin, lambda r, x: {"axis": r.choice([None, axis(r, x)])})
operation("softmax", ops.softmax, _axis)
operation("log_softmax", ops.log_softmax, _axis)
operation("sparsemax", ops.sparsemax, _axis)
operation("cumsum", ops.cumsum, lambda r, x: {"axis": r.choice([None, axis(r, x)])}, kinds="fi")
operation("cumprod", lambda x, **o: ops.cumprod(ops.tanh(x), **o), _axis)
operation("sort", ops.sort, _axis, kinds="fi")
operation("argsort", ops.argsort, _axis)
operation("flip", ops.flip, lambda r, x: {"axis": axes(r, x)}, kinds="fib")
operation("roll", ops.roll, lambda r, x: {"shift": r.randint(-3, 5), "axis": r.choice([None, axis(r, x)])}, kinds="fi")
operation("glu", ops.glu, _axis)
operation(
    "normalize", lambda x, **o: ops.normalize(x + 3, **o), lambda r, x: {"axis": axis(r, x), "order": r.choice([1, 2])}
)
operation("triu", ops.triu, lambda r, x: {"k": r.randint(-1, 1)}, (2, 3, 4))
operation("tril", ops.tril, lambda r, x: {"k": r.randint(-1, 1)}, (2, 3, 4))
operation("diagonal", ops.diagonal, lambda r, x: {"offset": r.choice([0, 0, 1, -1]), "axis1": -2, "axis2": -1}, (3, 4))
operation("trace", ops.trace, lambda r, x: {"axis1": -2, "axis2": -1}, (3, 4))
operation("rot90", ops.rot90, lambda r, x: {"k": r.randint(-1, 3), "axes": r.choice([(1, 2), (2, 1)])}, (3, 4))
operation("clip", ops.clip, lambda r, x: {"x_min": -0.5, "x_max": 0.7})
operation("nan_to_num", ops.nan_to_num)
operation("round", lambda x: ops.round(x * 2) / 2)
operation("floor", ops.floor)
operation("sign", ops.sign)
operation(
    "cast", ops.cast, lambda r, x: {"dtype": r.choice(["float32", "int32", "bool", "float32", "int64"])}, kinds="fib"
)
operation("remainder", lambda x, number: x % number, lambda r, x: {"number": r.randint(1, 5)}, kinds="i")
operation("quotient", lambda x, number: x // number, lambda r, x: {"number": r.choice([1, 2, -2, 3])}, kinds="fi")
operation("integer_arithmetic", lambda x, number: x * number - 1, lambda r, x: {"number": r.randint(-2, 3)}, kinds="i")
operation("compare", lambda x, kind: {"<": x < 0.1, ">=": x >= 1, "==": x == 1}[kind],
          lambda r, x: {"kind": r.choice(["<", ">=", "=="])}, kinds="fi")  # fmt: skip
operation("logical_not", ops.logical_not, kinds="b")
operation("one_hot", ops.one_hot, lambda r, x: {"num_classes": r.randint(1, 5), "axis": r.choice([-1, -1, 0, 1])},
          (1, 2, 3), "i")  # fmt: skip
operation("top_k", ops.top_k, _count)
operation("shape", lambda x: ops.sum(x) + ops.cast(ops.shape(x)[0], "float32"))
operation("size", lambda x: x * 0.5 + ops.cast(ops.size(x), "float32") / 64)
operation("zeros_like", lambda x: x - ops.ones_like(x) + ops.zeros_like(x), kinds="fi")
operation("moments", lambda x, **o: list(ops.moments(x, **o)), lambda r, x: {"axes": (axis(r, x),)})
operation("logical", lambda a, b, kind: {"and": a & b, "or": a | b, "xor": a ^ b}[kind],
          lambda r, x: {"kind": r.choice(["and", "or", "xor"])}, kinds="b", count=2, alike=True)  # fmt: skip

for _name in ("add", "subtract", "multiply", "maximum", "minimum", "hypot", "logaddexp"):
    operation(_name, getattr(ops, _name), count=2, alike=True)
operation("arctan2", lambda a, b: ops.arctan2(a, b + 0.3), count=2, alike=True)  # arctan2(x, x): rounding decides
operation("divide", lambda a, b: a / (ops.abs(b) + 1), count=2, alike=True)
operation("power", lambda a, b: (ops.abs(a) + 0.5) ** ops.tanh(b), count=2, alike=True)
operation("less", lambda a, b: a < b, count=2, alike=True, kinds="fi")
operation("where", lambda a, b: ops.where(a > b, a * 2, b), count=2, alike=True)
operation(
    "stack",
    lambda *xs, axis: ops.stack(list(xs), axis=axis),
    _axis,
    kinds="fib",
    count=2,
    alike=True,
    ranks=(1, 2, 3, 4),
)
operation(
    "concatenate", lambda *xs, axis: ops.concatenate(list(xs), axis=axis), _axis, kinds="fib", count=2, alike=True
)
operation("append", ops.append, _axis, count=2, alike=True)
operation("inner", ops.inner, count=2, alike=True, ranks=(1, 2))
operation("mask_multiply", lambda a, b: a * ops.cast(b > 0, a.dtype), count=2, alike=True)
