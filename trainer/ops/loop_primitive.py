"""Loop: a body repeated while a condition holds. ONNX: Loop. Its gradient goes back over the carried values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.dims import Size, fresh
from ..core.emitter import Emitter, Value
from ..core.graph import Graph
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from ..core.trace import symbolic_input
from .bodies import bind, compile_body, known_sizes, size_names
from .scan_primitive import backward_scan

__all__: list[str] = []

BOOL = TensorSpec((), bool)

# `body` has inputs (carries, captured) and results (whether to go on, carries). With `records`, the loop also gives
# each carry as it was before every step, stacked along a new first axis: what a gradient needs to go back.


def _infer(
    going: TensorSpec, *inputs: TensorSpec, body: Graph, carries: int, limit: int, records: bool,
    sizes: tuple[Size, ...],
) -> tuple[TensorSpec, ...]:  # fmt: skip
    ends = [TensorSpec(x.shape, x.dtype) for x in inputs[:carries]]
    if not records:
        return tuple(ends)
    steps = fresh("steps")
    return (*ends, *[TensorSpec((steps, *x.shape), x.dtype) for x in ends])


def _run(
    going: np.ndarray, *arrays: np.ndarray, body: Graph, carries: int, limit: int, records: bool,
    sizes: tuple[int, ...],
) -> tuple[np.ndarray, ...]:  # fmt: skip
    values, rest = list(arrays[:carries]), arrays[carries:]
    go_on, count = bool(going), 0
    step = compile_body(body, arrays, known_sizes(body, sizes)) if go_on else None
    history: list[list[np.ndarray]] = []
    while go_on and step is not None and count != limit:
        if records:
            history.append(values)
        results = step(*values, *rest)
        go_on, values, count = bool(results[0]), results[1:], count + 1
    if not records:
        return tuple(values)
    stacked = [np.stack(steps) for steps in zip(*history, strict=True)]
    return (*values, *(stacked or [np.zeros((0, *v.shape), v.dtype) for v in values]))


def _lower(
    emit: Emitter, going: Value, *values: Value, body: Graph, carries: int, limit: int, records: bool,
    sizes: tuple[Size, ...],
) -> tuple[Value, ...]:  # fmt: skip
    bind(emit, body.inputs[carries:], values[carries:])
    counter = symbolic_input(TensorSpec((), np.int64), "iteration")
    carried = body.inputs[:carries]
    results = [*body.results, *carried] if records else body.results
    inner = Graph([counter, symbolic_input(BOOL, "going"), *carried], results, outside=body.inputs[carries:])
    trips = None if limit < 0 else emit.constant(np.array(limit, np.int64))
    specs = _infer(
        going.spec, *[v.spec for v in values], body=body, carries=carries, limit=limit, records=records, sizes=sizes
    )
    return emit.many("Loop", trips, going, *values[:carries], specs=specs, body=emit.subgraph(inner, "loop_body"))


def _joint_vjp(
    gradients: Sequence[Tensor | None], outputs: Sequence[Tensor], inputs: Sequence[Tensor], needed: Sequence[bool],
    *, body: Graph, carries: int, limit: int, records: bool, sizes: tuple[Size, ...],
) -> list[Tensor | None]:  # fmt: skip
    """Back over the carries of each step: recorded the first time, or else by running forwards once more."""
    if not any(wanted and x.dtype.kind == "f" for x, wanted in zip(inputs, needed, strict=True)):
        return [None] * len(inputs)
    recorded, upstream = outputs[carries:], gradients[carries:]
    if not records:
        again = while_primitive(*inputs, body=body, carries=carries, limit=limit, records=True, sizes=sizes)
        recorded, upstream = again[carries:], [None] * carries
    step = Graph(body.inputs, [*body.results[1:], *body.inputs[:carries]])
    starts, rest = inputs[1 : carries + 1], inputs[carries + 1 :]
    cotangents = [*gradients[:carries], *upstream]
    found = backward_scan(step, starts, recorded, rest, cotangents, needed[1:], reverse=False, may_be_empty=True)
    return [None, *found]


while_primitive = Primitive(
    "while_loop", _run, _infer, _lower, joint_vjp=_joint_vjp,
    tags={"makes_sizes": True, "takes_missing_gradients": True},
)  # fmt: skip


def apply_loop(
    going: Tensor, body: Graph, starts: Sequence[Tensor], rest: Sequence[Tensor], limit: int, records: bool
) -> list[Tensor]:
    """Last values of what a body carries from step to step, for as long as it says to go on."""
    attributes = {"body": body, "carries": len(starts), "limit": limit, "records": records, "sizes": size_names(body)}
    return list(while_primitive(going, *starts, *rest, **attributes))[: len(starts)]
