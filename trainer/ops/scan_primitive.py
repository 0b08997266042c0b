"""Scan: a body applied along the first axis with a carried state. ONNX: Scan. Its gradient is a scan backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.dims import Dim, Size
from ..core.emitter import Emitter, Value
from ..core.graph import Graph
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .arithmetic import add, subtract
from .bodies import bind, compile_body, known_sizes, placeholders, replay, size_names, trace_body
from .create import zeros
from .gather import take_primitive

__all__: list[str] = []

# `body` is a graph with inputs (carries, slices of sequences, captured) and results (carries, slices of results).
# `may_be_empty`: the number of steps is found when the model runs, and may be 0.


def _infer(
    *inputs: TensorSpec, body: Graph, carries: int, sequences: int, reverse: bool, may_be_empty: bool,
    sizes: tuple[Size, ...],
) -> tuple[TensorSpec, ...]:  # fmt: skip
    return _specs(body, carries, inputs[carries].shape[0])


def _specs(body: Graph, carries: int, length: Size) -> tuple[TensorSpec, ...]:
    shapes = [(length, *x.shape) if i >= carries else x.shape for i, x in enumerate(body.results)]
    return tuple(TensorSpec(shape, x.dtype) for shape, x in zip(shapes, body.results, strict=True))


def _run(
    *arrays: np.ndarray, body: Graph, carries: int, sequences: int, reverse: bool, may_be_empty: bool,
    sizes: tuple[int, ...],
) -> tuple[np.ndarray, ...]:  # fmt: skip
    carried, rest = list(arrays[:carries]), arrays[carries + sequences :]
    streams = arrays[carries : carries + sequences]
    length = streams[0].shape[0]
    if not length and len(body.results) == carries:
        return tuple(carried)
    # an empty sequence still tells the shapes of its slices
    first = [s[0] if length else np.zeros(s.shape[1:], s.dtype) for s in streams]
    step = compile_body(body, [*carried, *first, *rest], known_sizes(body, sizes))
    if not length:
        with np.errstate(all="ignore"):
            made = step(*carried, *first, *rest)[carries:]
        return (*carried, *[np.zeros((0, *r.shape), r.dtype) for r in made])
    stacked: list[np.ndarray] = []
    for i in range(length - 1, -1, -1) if reverse else range(length):
        results = step(*carried, *[s[i] for s in streams], *rest)
        carried = results[:carries]
        if not stacked:
            stacked = [np.empty((length, *r.shape), r.dtype) for r in results[carries:]]
        for whole, part in zip(stacked, results[carries:], strict=True):
            whole[i] = part
    return (*carried, *stacked)


def _lower(
    emit: Emitter, *values: Value, body: Graph, carries: int, sequences: int, reverse: bool, may_be_empty: bool,
    sizes: tuple[Size, ...],
) -> tuple[Value, ...]:  # fmt: skip
    if may_be_empty:
        return _lower_as_loop(emit, values, body, carries, sequences, reverse)
    used = carries + sequences
    bind(emit, body.inputs[used:], values[used:])
    direction, stacked = int(reverse), len(body.results) - carries
    return emit.many(
        "Scan",
        *values[:used],
        specs=_specs(body, carries, values[carries].shape[0]),
        body=emit.subgraph(Graph(body.inputs[:used], body.results, outside=body.inputs[used:]), "scan_body"),
        num_scan_inputs=sequences,
        scan_input_directions=[direction] * sequences,
        scan_output_directions=[direction] * stacked if stacked else None,
    )


def _lower_as_loop(
    emit: Emitter, values: Sequence[Value], body: Graph, carries: int, sequences: int, reverse: bool
) -> tuple[Value, ...]:
    """A Loop that picks the slices itself: onnxruntime refuses a Scan over no steps."""
    used, length = carries + sequences, values[carries].shape[0]
    streams, rest = placeholders([v.spec for v in values[carries:used]]), body.inputs[used:]
    bind(emit, [*streams, *rest], values[carries:])
    counter, going = placeholders([TensorSpec((), np.int64), TensorSpec((), bool)])
    place = subtract(np.int64(-1), counter) if reverse else counter
    slices = [take_primitive(x, place, axis=0) for x in streams]
    results = replay(body, [*body.inputs[:carries], *slices, *rest])
    inner = Graph([counter, going, *body.inputs[:carries]], [going, *results], outside=[*streams, *rest])
    start = emit.constant(np.array(True))
    specs = _specs(body, carries, length)
    found = emit.many(
        "Loop", emit.size(length), start, *values[:carries], specs=specs, body=emit.subgraph(inner, "loop_body")
    )
    if not reverse:
        return found
    # results were stacked in the order of the steps
    first, end = emit.constant([-1], np.int64), emit.constant([np.iinfo(np.int64).min], np.int64)
    axis = emit.constant([0], np.int64)
    return (*found[:carries], *[emit("Slice", x, first, end, axis, first) for x in found[carries:]])


def _floating(tensors: Sequence[Any], offset: int = 0, wanted: Sequence[bool] | None = None) -> list[int]:
    """Positions, counted from `offset`, of the floating-point tensors among those wanted."""
    return [offset + i for i, x in enumerate(tensors) if x.dtype.kind == "f" and (wanted is None or wanted[offset + i])]


def _joint_vjp(
    gradients: Sequence[Tensor | None], outputs: Sequence[Tensor], inputs: Sequence[Tensor], needed: Sequence[bool],
    *, body: Graph, carries: int, sequences: int, reverse: bool, may_be_empty: bool, sizes: tuple[Size, ...],
) -> list[Tensor | None]:  # fmt: skip
    """Run forwards once more keeping every carried state, then backwards through the body's gradient."""
    used = carries + sequences
    starts, streams, rest = list(inputs[:carries]), list(inputs[carries:used]), list(inputs[used:])
    with_history = Graph(body.inputs, [*body.results[:carries], *body.inputs[:carries]])
    history = apply_scan(with_history, starts, streams, rest, reverse, may_be_empty)[carries:]
    return backward_scan(body, starts, [*history, *streams], rest, gradients, needed, reverse, may_be_empty)


def backward_scan(
    body: Graph, starts: Sequence[Tensor], slices: Sequence[Tensor], rest: Sequence[Tensor],
    gradients: Sequence[Tensor | None], needed: Sequence[bool], reverse: bool, may_be_empty: bool,
) -> list[Tensor | None]:  # fmt: skip
    """Gradients of all inputs of a body that was applied step by step, from the last step to the first.

    `slices`: for every step the carries before it, then the slices of sequences; `gradients` of the last carries and
    of the stacked results, None where nothing depends on them.
    """
    carries, used = len(starts), len(slices)
    inputs = [*starts, *slices[carries:], *rest]
    carried, along = _floating(starts), _floating(slices[carries:], carries, needed)
    shared = _floating(rest, used, needed)
    made = [i for i in _floating(body.results[carries:], carries) if gradients[i] is not None]
    seeds = [gradients[i] if i < carries else None for i in [*carried, *shared]]
    seeds = [
        zeros(inputs[i].shape, inputs[i].dtype) if g is None else g
        for i, g in zip([*carried, *shared], seeds, strict=True)
    ]
    upstream = [g for i in made if (g := gradients[i]) is not None]
    graph = _backward_body(body, used, carried, along, shared, made)
    found = apply_scan(graph, seeds, [*slices, *upstream], rest, not reverse, may_be_empty)
    answer: list[Tensor | None] = [None] * len(inputs)
    for place, g in zip([*carried, *shared, *along], found, strict=True):
        answer[place] = g
    return answer


def _backward_body(
    body: Graph, used: int, carried: list[int], along: list[int], shared: list[int], made: list[int]
) -> Graph:
    """One step backwards. Carries: gradients of the carries, and sums of those of captured tensors; sequences: the
    body's carries and slices as they were, and gradients of its results; results: gradients of its slices."""
    own = placeholders([x.spec for x in body.inputs])
    incoming = placeholders([body.inputs[i].spec for i in carried])
    totals = placeholders([body.inputs[i].spec for i in shared])
    upstream = placeholders([body.results[i].spec for i in made])
    cotangents: list[Tensor | None] = [None] * len(body.results)
    for i, g in zip([*carried, *made], [*incoming, *upstream], strict=True):
        cotangents[i] = g

    def step() -> list[Tensor]:
        found = FUNCTIONS["graph_vjp"](body, own, cotangents, [*carried, *along, *shared])
        first, last = len(carried), len(carried) + len(along)
        sums = [add(total, part) for total, part in zip(totals, found[last:], strict=True)]
        return [*found[:first], *sums, *found[first:last]]

    results = trace_body(step).results
    return Graph([*incoming, *totals, *own[:used], *upstream, *own[used:]], results)


scan_primitive = Primitive(
    "scan", _run, _infer, _lower, joint_vjp=_joint_vjp, residuals="inputs", tags={"takes_missing_gradients": True}
)


def apply_scan(
    body: Graph, starts: Sequence[Tensor], streams: Sequence[Tensor], rest: Sequence[Tensor], reverse: bool,
    may_be_empty: bool = False,
) -> list[Tensor]:  # fmt: skip
    """Last carries and stacked results of a body over sequences (axis 0 is the steps)."""
    if not body.results:
        return []
    sizes: tuple[Dim, ...] = size_names(body)
    attributes = {"carries": len(starts), "sequences": len(streams), "reverse": reverse, "may_be_empty": may_be_empty}
    return list(scan_primitive(*starts, *streams, *rest, body=body, sizes=sizes, **attributes))
