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
from .arithmetic import add
from .bodies import bind, compile_body, known_sizes, placeholders, size_names, trace_body
from .create import zeros

__all__: list[str] = []

# `body` is a graph with inputs (carries, slices of sequences, captured) and results (carries, slices of results).


def _infer(
    *inputs: TensorSpec, body: Graph, carries: int, sequences: int, reverse: bool, sizes: tuple[Size, ...]
) -> tuple[TensorSpec, ...]:
    length = inputs[carries].shape[0]
    results = body.results
    stacked = [TensorSpec((length, *x.shape), x.dtype) for x in results[carries:]]
    return (*[TensorSpec(x.shape, x.dtype) for x in results[:carries]], *stacked)


def _run(
    *arrays: np.ndarray, body: Graph, carries: int, sequences: int, reverse: bool, sizes: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    carried, rest = list(arrays[:carries]), arrays[carries + sequences :]
    streams = arrays[carries : carries + sequences]
    length = streams[0].shape[0]
    named = known_sizes(body, sizes)
    # an empty sequence still tells the shapes of its slices
    first = [s[0] if length else np.zeros(s.shape[1:], s.dtype) for s in streams]
    step = compile_body(body, [*carried, *first, *rest], named)
    stacked: list[np.ndarray] = []
    for i in range(length - 1, -1, -1) if reverse else range(length):
        results = step(*carried, *[s[i] for s in streams], *rest)
        carried = results[:carries]
        if not stacked:
            stacked = [np.empty((length, *r.shape), r.dtype) for r in results[carries:]]
        for whole, part in zip(stacked, results[carries:], strict=True):
            whole[i] = part
    if not length:
        stacked = [np.zeros((0, *r.shape), r.dtype) for r in step(*carried, *first, *rest)[carries:]]
    return (*carried, *stacked)


def _lower(
    emit: Emitter, *values: Value, body: Graph, carries: int, sequences: int, reverse: bool, sizes: tuple[Size, ...]
) -> tuple[Value, ...]:
    used = carries + sequences
    bind(emit, body.inputs[used:], values[used:])
    inner = Graph(body.inputs[:used], body.results)
    length, results, direction = values[carries].shape[0], body.results, int(reverse)
    specs = [TensorSpec((length, *x.shape) if i >= carries else x.shape, x.dtype) for i, x in enumerate(results)]
    return emit.many(
        "Scan",
        *values[:used],
        specs=tuple(specs),
        body=emit.subgraph(inner, "scan_body"),
        num_scan_inputs=sequences,
        scan_input_directions=[direction] * sequences,
        scan_output_directions=[direction] * (len(specs) - carries) if len(specs) > carries else None,
    )


def _floating(tensors: Sequence[Any], offset: int = 0, wanted: Sequence[bool] | None = None) -> list[int]:
    """Positions, counted from `offset`, of the floating-point tensors among those wanted."""
    return [
        offset + i for i, x in enumerate(tensors) if x.dtype.kind == "f" and (wanted is None or wanted[offset + i])
    ]


def _joint_vjp(
    gradients: Sequence[Tensor], outputs: Sequence[Tensor], inputs: Sequence[Tensor], needed: Sequence[bool],
    *, body: Graph, carries: int, sequences: int, reverse: bool, sizes: tuple[Size, ...],
) -> list[Tensor | None]:  # fmt: skip
    """Run forwards once more keeping every carried state, then backwards through the body's gradient."""
    used = carries + sequences
    starts, streams, rest = list(inputs[:carries]), list(inputs[carries:used]), list(inputs[used:])
    with_history = Graph(body.inputs, [*body.results[:carries], *body.inputs[:carries]])
    history = apply_scan(with_history, starts, streams, rest, reverse)[carries:]
    carried, along = _floating(starts), _floating(streams, carries, needed)
    shared, made = _floating(rest, used, needed), _floating(body.results[carries:], carries)
    seeds = [gradients[i] for i in carried] + [zeros(inputs[i].shape, inputs[i].dtype) for i in shared]
    slices = [*history, *streams, *[gradients[i] for i in made]]
    graph = _backward_body(body, used, carried, along, shared, made)
    found = apply_scan(graph, seeds, slices, rest, not reverse)
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


scan_primitive = Primitive("scan", _run, _infer, _lower, joint_vjp=_joint_vjp, residuals="inputs")


def apply_scan(
    body: Graph, starts: Sequence[Tensor], streams: Sequence[Tensor], rest: Sequence[Tensor], reverse: bool
) -> list[Tensor]:
    """Last carries and stacked results of a body over sequences (axis 0 is the steps)."""
    if not body.results:
        return []
    sizes: tuple[Dim, ...] = size_names(body)
    counts = {"carries": len(starts), "sequences": len(streams)}
    return list(scan_primitive(*starts, *streams, *rest, body=body, **counts, reverse=reverse, sizes=sizes))
