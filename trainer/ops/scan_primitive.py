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
    specs = _infer(*[v.spec for v in values], body=body, carries=carries, sequences=sequences, reverse=reverse, sizes=sizes)
    direction = int(reverse)
    return emit.many(
        "Scan",
        *values[:used],
        specs=specs,
        body=emit.subgraph(inner, "scan_body"),
        num_scan_inputs=sequences,
        scan_input_directions=[direction] * sequences,
        scan_output_directions=[direction] * (len(specs) - carries) if len(specs) > carries else None,
    )


def _joint_vjp(
    gradients: Sequence[Tensor], outputs: Sequence[Tensor], inputs: Sequence[Tensor], needed: Sequence[bool],
    *, body: Graph, carries: int, sequences: int, reverse: bool, sizes: tuple[Size, ...],
) -> list[Tensor | None]:  # fmt: skip
    """Run forwards once more keeping every carried state, then backwards through the body's gradient."""
    starts, streams = list(inputs[:carries]), list(inputs[carries : carries + sequences])
    rest = list(inputs[carries + sequences :])
    with_history = Graph(body.inputs, [*body.results[:carries], *body.inputs[:carries]])
    history = apply_scan(with_history, starts, streams, rest, reverse)[carries:]
    float_carries = [i for i in range(carries) if starts[i].dtype.kind == "f"]
    float_rest = [i for i, x in enumerate(rest) if x.dtype.kind == "f" and needed[carries + sequences + i]]
    float_results = [i for i, x in enumerate(body.results) if i >= carries and x.dtype.kind == "f"]
    float_streams = [i for i, x in enumerate(streams) if x.dtype.kind == "f" and needed[carries + i]]
    wanted = [*float_carries, *[carries + i for i in float_streams], *[carries + sequences + i for i in float_rest]]
    count = len(float_carries)

    def backwards(carried: list[Tensor], totals: list[Tensor], slices: list[Tensor], rest: list[Tensor]) -> list[Tensor]:
        cotangents: list[Tensor | None] = [None] * len(body.results)
        for i, g in zip([*float_carries, *float_results], [*carried, *slices[carries + sequences :]], strict=True):
            cotangents[i] = g
        found = FUNCTIONS["graph_vjp"](body, [*slices[: carries + sequences], *rest], cotangents, wanted)
        parts = found[count + len(float_streams) :]
        return [*found[:count], *[add(t, p) for t, p in zip(totals, parts, strict=True)], *found[count : count + len(float_streams)]]

    seeds = [gradients[i] for i in float_carries] + [zeros(rest[i].shape, rest[i].dtype) for i in float_rest]
    slices = [*history, *streams, *[gradients[i] for i in float_results]]
    made = placeholders([body.inputs[i].spec for i in float_carries] + [body.inputs[carries + sequences + i].spec for i in float_rest])
    results = [body.results[i] for i in float_results]
    parts = placeholders([*[x.spec for x in body.inputs[: carries + sequences]], *[x.spec for x in results]])
    outside = placeholders([x.spec for x in body.inputs[carries + sequences :]])
    traced = trace_body(lambda: backwards(made[:count], made[count:], parts, outside))
    graph = Graph([*made, *parts, *outside], traced.results)
    found = apply_scan(graph, seeds, slices, rest, not reverse)
    answer: list[Tensor | None] = [None] * len(inputs)
    places = [*float_carries, *[carries + sequences + i for i in float_rest], *[carries + i for i in float_streams]]
    for place, g in zip(places, found, strict=True):
        answer[place] = g
    return answer


scan_primitive = Primitive("scan", _run, _infer, _lower, joint_vjp=_joint_vjp, residuals="inputs")


def apply_scan(
    body: Graph, starts: Sequence[Tensor], streams: Sequence[Tensor], rest: Sequence[Tensor], reverse: bool
) -> list[Tensor]:
    """Last carries and stacked results of a body over sequences (axis 0 is the steps)."""
    sizes: tuple[Dim, ...] = size_names(body)
    return list(
        scan_primitive(
            *starts, *streams, *rest, body=body, carries=len(starts), sequences=len(streams), reverse=reverse, sizes=sizes
        )
    )
