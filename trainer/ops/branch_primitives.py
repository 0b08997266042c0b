"""A choice between two bodies (ONNX: If) as a primitive; its gradient is a choice too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import tree
from ..core.dims import Size
from ..core.emitter import Emitter, Value
from ..core.graph import Graph
from ..core.operators import FUNCTIONS
from ..core.primitive import Primitive
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from .bodies import Body, bind, captured, check_alike, compile_body, known_sizes, outer_value, size_names, trace_body

__all__: list[str] = []


def _cond_infer(
    predicate: TensorSpec, *inputs: TensorSpec, then_body: Graph, else_body: Graph, sizes: tuple[Size, ...]
) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(x.shape, x.dtype) for x in then_body.results)


def _cond_run(
    predicate: np.ndarray, *arrays: np.ndarray, then_body: Graph, else_body: Graph, sizes: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    chosen = then_body if predicate else else_body
    both = Graph(then_body.inputs, [*then_body.results, *else_body.results])
    return tuple(compile_body(chosen, arrays, known_sizes(both, sizes))(*arrays))


def _cond_lower(
    emit: Emitter, predicate: Value, *values: Value, then_body: Graph, else_body: Graph, sizes: tuple[Size, ...]
) -> tuple[Value, ...]:
    bind(emit, then_body.inputs, values)
    bind(emit, else_body.inputs, values)  # other tensors, where the bodies were read from a file
    return emit.many(
        "If",
        predicate,
        specs=tuple(TensorSpec(x.shape, x.dtype) for x in then_body.results),
        then_branch=emit.subgraph(Graph([], then_body.results, outside=then_body.inputs), "then"),
        else_branch=emit.subgraph(Graph([], else_body.results, outside=else_body.inputs), "else"),
    )


def _cond_vjp(
    gradients: Sequence[Tensor], outputs: Sequence[Tensor], inputs: Sequence[Tensor], needed: Sequence[bool],
    *, then_body: Graph, else_body: Graph, sizes: tuple[Size, ...],
) -> list[Tensor | None]:  # fmt: skip
    """The gradient is a choice too, between the gradients of the bodies."""
    wanted = [i for i, x in enumerate(inputs[1:]) if needed[i + 1] and x.dtype.kind == "f"]
    cotangents = [g if g.dtype.kind == "f" else None for g in gradients]

    def gradient_of(body: Graph) -> list[Tensor]:
        return FUNCTIONS["graph_vjp"](body, inputs[1:], cotangents, wanted)

    found = choose(inputs[0], lambda: gradient_of(then_body), lambda: gradient_of(else_body))
    answer: list[Tensor | None] = [None] * len(inputs)
    for i, g in zip(wanted, found, strict=True):
        answer[i + 1] = g
    return answer


cond_primitive = Primitive("cond", _cond_run, _cond_infer, _cond_lower, joint_vjp=_cond_vjp, residuals="inputs")


def choose(predicate: Tensor, then: Any, otherwise: Any) -> Any:
    """The structure that one of two functions gives; functions of nothing, which read tensors from outside."""
    if predicate.array is not None:
        return then() if predicate.array else otherwise()
    return choose_body(predicate, [trace_body(then), trace_body(otherwise)])


def choose_body(predicate: Tensor, bodies: Sequence[Body]) -> Any:
    """The structure that one of two traced functions gives, the first where the symbolic `predicate` holds."""
    variables = list(dict.fromkeys(v for body in bodies for v in body.assigned))
    results = [[*body.results, *[body.assigned.get(v, v.symbol()) for v in variables]] for body in bodies]
    check_alike("cond: the results of true_fn and false_fn", results[0], results[1])
    pairs = zip(results, bodies, strict=True)
    outside = {id(x): x for r, body in pairs for x in captured([], r, body.start)}
    reads = list(outside.values())
    then_body, else_body = (Graph(reads, r) for r in results)
    sizes = size_names(Graph(reads, results[0] + results[1]))
    made = cond_primitive(
        predicate, *[outer_value(x) for x in reads], then_body=then_body, else_body=else_body, sizes=sizes
    )
    for variable, value in zip(variables, made[len(bodies[0].results) :], strict=True):
        variable.assign(value)
    return pack(bodies[0].structure, made[: len(bodies[0].results)])


def pack(structure: Any, values: Sequence[Tensor]) -> Any:
    """Tensors in the structure of a body's results; None stays where it was."""
    rest = iter(values)
    return tree.pack_sequence_as(structure, [None if leaf is None else next(rest) for leaf in tree.flatten(structure)])
