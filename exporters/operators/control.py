"""Control flow: If, Loop and Scan, with bodies that read values from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .table import Call, UnsupportedOperatorError, operator
from .values import Sizes, Value, known

UNROLLED = 512
"""Steps up to which a loop of a known length becomes that many copies of its body when its values are symbolic."""


def _plain(x: Value) -> Value:
    """A value that may leave a body: sizes become tensors."""
    return x.tensor() if isinstance(x, Sizes) else x.read() if hasattr(x, "read") else x


@operator("If", raw=True)
def choose(call: Call, condition: Any) -> tuple[Value, ...]:
    """The results of one of two graphs."""
    branches = call.get("then_branch"), call.get("else_branch")
    chosen = known(condition)
    if chosen is not None:
        return tuple(branches[0 if bool(chosen.reshape(-1)[0]) else 1]())
    squeezing = ["Squeeze" in body.operators for body in branches]
    if isinstance(condition, Sizes) and squeezing[0] != squeezing[1]:
        results = branches[0](), branches[1]()
        if any(len(x.shape) != len(y.shape) for x, y in zip(*results, strict=True)):
            return tuple(results[0 if squeezing[0] else 1])  # where the size is not 1, Squeeze is the error
    predicate = ops.reshape(_plain(condition), ())
    then, otherwise = (lambda b=b: [_decision(_tensor(call, x)) for x in b()] for b in branches)
    return tuple(ops.cond(predicate, then, otherwise))


def _decision(x: Tensor) -> Tensor:
    """A truth value as a scalar: files mix those with vectors of one, for conditions take both."""
    return ops.reshape(x, ()) if x.dtype.kind == "b" and x.shape == (1,) else x


def _tensor(call: Call, x: Value) -> Tensor:
    plain = _plain(x)
    if not isinstance(plain, Tensor):
        raise UnsupportedOperatorError(
            f"{call.label}: a sequence leaves a graph that depends on the model's inputs; only tensors can. Keep this "
            "part in onnxruntime, or join the sequence into a tensor inside of the graph."
        )
    return plain


@operator("Loop", raw=True)
def loop(call: Call, limit: Any, condition: Any, *carried: Value) -> tuple[Value, ...]:
    """A graph repeated, up to a number of times and as long as a condition holds; some results are stacked."""
    body = call.get("body")
    count = None if limit is None else known(_plain(limit))
    start = None if condition is None else known(_plain(condition))
    if (limit is not None and count is None) or (condition is not None and start is None):
        return _loop_symbolically(call, body, limit, condition, carried)
    values, stacked = list(carried), [[] for _ in range(body.outputs - 1 - len(carried))]
    last = None if count is None else int(count.reshape(-1)[0])
    goes_on: Any = True if start is None else bool(start.reshape(-1)[0])
    step = 0
    while goes_on and (last is None or step < last):
        results = body(Tensor(np.asarray(step, np.int64)), Tensor(np.asarray(True)), *values)
        decided = known(_plain(results[0]))
        if decided is None or (step >= UNROLLED and any(_is_symbolic(x) for x in results[1:])):
            return _loop_symbolically(call, body, limit, condition, carried)
        goes_on = bool(decided.reshape(-1)[0])
        values = list(results[1 : 1 + len(carried)])
        for kept, x in zip(stacked, results[1 + len(carried) :], strict=True):
            kept.append(_plain(x))
        step += 1
    return (*values, *[ops.stack(kept) if kept else ops.zeros((0,)) for kept in stacked])


def _is_symbolic(x: Value) -> bool:
    return isinstance(x, Tensor) and x.array is None


def _loop_symbolically(call: Call, body: Any, limit: Any, condition: Any, carried: Sequence[Value]) -> Any:
    """A loop whose end is only known when the model runs."""
    if isinstance(limit, Sizes) and (condition is None or _is_true(_plain(condition))):
        return _loop_of_size(call, body, limit.array.reshape(-1)[0], carried)
    if body.outputs - 1 - len(carried):
        raise UnsupportedOperatorError(
            f"{call.label}: the loop stacks results, and how often it runs depends on the model's inputs. Keep this "
            "part in onnxruntime, or give the number of steps as a constant."
        )
    most = np.asarray(2**62, np.int64) if limit is None else ops.reshape(_plain(limit), ())
    begin = Tensor(np.asarray(True)) if condition is None else ops.reshape(_plain(condition), ())

    def step(i: Tensor, _: Tensor, *values: Tensor) -> tuple[Any, ...]:
        found = [_tensor(call, x) for x in body(i, Tensor(np.asarray(True)), *values)]
        return (ops.add(i, Tensor(np.asarray(1, np.int64))), ops.reshape(found[0], ()), *found[1:])

    start = (Tensor(np.asarray(0, np.int64)), begin, *[_tensor(call, x) for x in carried])
    found = ops.while_loop(lambda i, going, *_: ops.logical_and(going, ops.less(i, most)), step, start)
    return tuple(found[2:])


def _is_true(value: Value) -> bool:
    found = known(value)
    return found is not None and bool(found.reshape(-1)[0])


def _loop_of_size(call: Call, body: Any, length: Any, carried: Sequence[Value]) -> tuple[Value, ...]:
    """A loop that runs as often as a size says, results stacked: a scan over the numbers of its steps."""

    def step(carry: Any, i: Tensor) -> Any:
        found = [_plain(x) for x in body(ops.reshape(i, ()), Tensor(np.asarray(True)), *carry)]
        if not _is_true(found[0]):
            raise UnsupportedOperatorError(
                f"{call.label}: the loop may end before its last step, which is only known when it runs, and stacks "
                "results. Keep this part on onnxruntime: load_model(path, frozen='unsupported')."
            )
        made = [_tensor(call, x) for x in found[1:]]
        return made[: len(carried)], made[len(carried) :]

    start = [_tensor(call, x) for x in carried]
    last, stacked = ops.scan(step, start, ops.arange(length, dtype="int64"))
    return (*last, *stacked)


def _from_first(x: Tensor, axis: int, backwards: bool) -> Tensor:
    moved = ops.moveaxis(x, axis, 0) if axis else x
    return ops.flip(moved, 0) if backwards else moved


@operator("Scan", since=9, raw=True)
def scan(call: Call, *inputs: Value) -> tuple[Tensor, ...]:
    """A graph applied to the slices of tensors in turn, a state handed on."""
    body, count = call.get("body"), call.get("num_scan_inputs")
    tensors = [_tensor(call, x) for x in inputs]
    states, streams = tensors[: len(tensors) - count], tensors[len(tensors) - count :]
    made = body.outputs - len(states)
    axes, ways = call.get("scan_input_axes") or [0] * count, call.get("scan_input_directions") or [0] * count
    plain = [_from_first(x, a % len(x.shape), bool(w)) for x, a, w in zip(streams, axes, ways, strict=True)]

    def step(carry: Any, xs: Any) -> Any:
        found = [_tensor(call, x) for x in body(*carry, *xs)]
        return found[: len(states)], found[len(states) :]

    last, results = ops.scan(step, states, plain)
    axes, ways = call.get("scan_output_axes") or [0] * made, call.get("scan_output_directions") or [0] * made
    turned = [ops.flip(x, 0) if w else x for x, w in zip(results, ways, strict=True)]
    return (*last, *[ops.moveaxis(x, 0, a % len(x.shape)) for x, a in zip(turned, axes, strict=True)])


@operator("Scan", since=8, raw=True)
def scan_batch(call: Call, lengths: Any, *inputs: Value) -> tuple[Tensor, ...]:
    """Version 8: for each entry of a batch on its own, with `directions`; sequences of full length only."""
    if lengths is not None:
        raise UnsupportedOperatorError(f"{call.label}: sequence lengths of version 8 are not read; use version 9")
    tensors = [_tensor(call, x) for x in inputs]
    options = {**call.attributes, "scan_input_directions": call.get("directions")}
    inner = Call(call.operator, call.name, 9, options, call.wanted)
    rows = [scan(inner, *[x[i] for x in tensors]) for i in range(int(tensors[0].shape[0]))]  # pyright: ignore
    return tuple(ops.stack(parts) for parts in zip(*rows, strict=True))
