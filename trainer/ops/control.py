"""Control flow (Keras names: `ops.cond`, `ops.scan`, ...): Python where values are known, If, Loop, Scan elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import tree
from ..core.dims import Size, agree
from ..core.errors import ShapeError, format_shape
from ..core.graph import Graph
from ..core.spec import TensorSpec
from ..core.tensor import Tensor
from ..core.variable import Variable
from .bodies import captured, check_alike, is_symbolic, is_watched, outer_value, placeholders, trace_body
from .branch_primitives import choose, pack
from .convert import cast, convert_to_tensor
from .create import zeros
from .join import concatenate, stack
from .loop_primitive import apply_loop
from .scan_primitive import apply_scan

__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"]


def _tensor(leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, Tensor):
        return leaf
    return leaf.read() if isinstance(leaf, Variable) else convert_to_tensor(leaf)


def _tensors(structure: Any) -> Any:
    return tree.map_structure(_tensor, structure)


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """The result of `true_fn()` or `false_fn()`, chosen by a boolean scalar (ONNX: If; Keras name: `ops.cond`).

    With a symbolic `pred` both functions are traced; their results must agree in structure, shape and dtype.
    Raises `ShapeError` where they do not.

    >>> import sardonyx as sx
    >>> x = sx.ops.convert_to_tensor(3.0)
    >>> float(sx.ops.cond(x > 0, lambda: x * 2, lambda: -x))
    6.0
    """
    predicate = _predicate("cond", pred)
    return choose(predicate, true_fn, false_fn)


def _predicate(name: str, value: Any) -> Tensor:
    tensor = _tensor(value)
    if tensor.shape != ():
        raise ShapeError(f"{name}: expected a scalar condition, got shape {format_shape(tensor.shape)}")
    return tensor if tensor.dtype == np.dtype(bool) else cast(tensor, bool)


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: Size | None = None,
    reverse: bool = False, unroll: Any = 1,
) -> tuple[Any, Any]:  # fmt: skip
    """Apply `carry, y = f(carry, x)` along axis 0 of `xs`; the last carry and the stacked `y` (ONNX: Scan).

    `init` and `xs` are structures of tensors; `xs=None` with `length` runs so many steps. `reverse` starts at the end,
    results stay at their place. Raises `ShapeError` when the carry changes shape or dtype. Keras name: `ops.scan`.

    >>> import sardonyx as sx
    >>> total, sums = sx.ops.scan(lambda c, x: (c + x, c + x), sx.ops.zeros(()), sx.ops.arange(1.0, 4.0))
    >>> float(total), sums.tolist()
    (6.0, [1.0, 3.0, 6.0])
    """
    carry, streams = _tensors(init), _tensors(xs)
    steps = _length("scan", [x for x in tree.flatten(streams) if x is not None], length)
    if not is_symbolic(carry, streams) and isinstance(steps, int):
        return _scan_eagerly(f, carry, streams, steps, reverse)
    return _scan_symbolically(f, carry, streams, steps, reverse)


def _length(name: str, streams: Sequence[Tensor], length: Any) -> Size:
    sizes = [x.shape[0] for x in streams if x.shape]
    if len(sizes) < len(streams):
        raise ShapeError(f"{name}: xs must have an axis of steps, got a scalar")
    if length is not None:
        sizes.append(length)
    if not sizes:
        raise ValueError(f"{name}: expected xs or length, got neither")
    for size in sizes[1:]:
        if not agree(sizes[0], size):
            raise ShapeError(f"{name}: expected the same number of steps everywhere, got {sizes[0]} and {size}")
    return sizes[0]


def _scan_eagerly(f: Any, carry: Any, streams: Any, steps: int, reverse: bool) -> tuple[Any, Any]:
    collected: list[Any] = []
    for i in range(steps - 1, -1, -1) if reverse else range(steps):
        carry_before = carry
        carry, y = f(carry, tree.map_structure(lambda x, i=i: None if x is None else x[i], streams))
        carry, y = _tensors(carry), _tensors(y)
        check_alike("scan: the carry before and after a step", tree.flatten(carry_before), tree.flatten(carry))
        collected.append(y)
    if not collected:
        return carry, None if steps else _scan_symbolically(f, carry, streams, 0, reverse)[1]
    if reverse:
        collected.reverse()
    return carry, tree.map_structure(lambda *parts: None if parts[0] is None else stack(parts), *collected)


def _scan_symbolically(f: Any, carry: Any, streams: Any, steps: Size, reverse: bool) -> tuple[Any, Any]:
    starts = tree.flatten(carry)
    sequences = [x for x in tree.flatten(streams) if x is not None]
    plain = sequences or [zeros((steps,), "int32")]  # ONNX's Scan needs something to run along
    slices = placeholders([TensorSpec(x.shape[1:], x.dtype) for x in plain])
    carried = placeholders([x.spec for x in starts])
    traced = trace_body(lambda: f(tree.pack_sequence_as(carry, carried), pack(streams, slices[: len(sequences)])))
    if not isinstance(traced.structure, tuple) or len(traced.structure) != 2:
        raise ValueError("scan: expected f to return two values, the carry and a result (or None)")
    after, made = tree.flatten(traced.structure[0]), traced.structure[1]
    check_alike("scan: the carry before and after a step", starts, after)
    variables = list(traced.assigned)
    ends = [*after, *traced.assigned.values()]
    inputs = [*carried, *[v.symbol() for v in variables], *slices]
    results = [x for x in tree.flatten(made) if x is not None]
    reads = captured(inputs, [*ends, *results], traced.start)
    body = Graph([*inputs, *reads], [*ends, *results])
    found = apply_scan(body, [*starts, *[v.read() for v in variables]], plain, [outer_value(x) for x in reads], reverse)
    for variable, value in zip(variables, found[len(starts) : len(ends)], strict=True):
        variable.assign(value)
    return tree.pack_sequence_as(carry, found[: len(starts)]), pack(made, found[len(ends) :])


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """`while cond(*vars): vars = body(*vars)` (ONNX: Loop; Keras name: `ops.while_loop`).

    Gradients pass through it, of any order: what is carried from step to step is kept then, so that memory grows with
    the number of steps. Raises `ShapeError` when a variable changes shape or dtype.

    >>> import sardonyx as sx
    >>> int(sx.ops.while_loop(lambda i: i < 10, lambda i: (i * 2,), (1,))[0])
    16
    """
    many = isinstance(loop_vars, (tuple, list))
    values = [_tensors(v) for v in (loop_vars if many else [loop_vars])]
    start = _predicate("while_loop", cond(*values))
    if is_symbolic(start, values):
        values = _while_symbolically(cond, body, values, start, maximum_iterations)
    else:
        count = 0
        while start and count != maximum_iterations:
            after = _as_list(body(*values))
            check_alike("while_loop: the variables before and after a step", tree.flatten(values), tree.flatten(after))
            values, count = after, count + 1
            start = _predicate("while_loop", cond(*values))
    return tree.rebuild(loop_vars, values) if many else values[0]


def _as_list(result: Any) -> list[Any]:
    return [_tensors(v) for v in (result if isinstance(result, (tuple, list)) else [result])]


def _while_symbolically(cond: Any, body: Any, values: list[Any], start: Tensor, limit: int | None) -> list[Any]:
    flat = tree.flatten(values)
    carried = placeholders([x.spec for x in flat])

    def step() -> Any:
        after = _as_list(body(*tree.pack_sequence_as(values, carried)))
        return _predicate("while_loop", cond(*after)), after

    traced = trace_body(step)
    check_alike("while_loop: the variables before and after a step", flat, traced.results[1:])
    variables = list(traced.assigned)
    inputs = [*carried, *[v.symbol() for v in variables]]
    results = [*traced.results, *traced.assigned.values()]
    reads = captured(inputs, results, traced.start)
    starts, rest = [*flat, *[v.read() for v in variables]], [outer_value(x) for x in reads]
    watched = any(is_watched(x) for x in [*starts, *rest])
    found = apply_loop(start, Graph([*inputs, *reads], results), starts, rest, -1 if limit is None else limit, watched)
    for variable, value in zip(variables, found[len(flat) :], strict=True):
        variable.assign(value)
    return tree.pack_sequence_as(values, found[: len(flat)])


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """`for i in range(lower, upper): val = body_fun(i, val)` (ONNX: Scan or Loop; Keras name: `ops.fori_loop`).

    >>> import sardonyx as sx
    >>> float(sx.ops.fori_loop(0, 4, lambda i, total: total + 2.0, 0.0))
    8.0
    """
    value = _tensors(init_val)
    if is_symbolic(lower, upper):
        limits = [convert_to_tensor(lower, "int32"), convert_to_tensor(upper, "int32")]
        found = while_loop(lambda i, *_: i < limits[1], lambda i, v: (i + 1, body_fun(i, v)), (limits[0], value))
        return found[1]
    start, end = int(lower), int(upper)
    if not is_symbolic(value):
        for i in range(start, end):
            value = _tensors(body_fun(i, value))
        return value
    steps = convert_to_tensor(np.arange(start, end, dtype=np.int32))
    return scan(lambda carry, i: (body_fun(i, carry), None), value, steps)[0]


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` applied to every slice along axis 0, results stacked (ONNX: Scan; Keras name: `ops.map`).

    >>> import sardonyx as sx
    >>> sx.ops.map(lambda row: row * 2, sx.ops.convert_to_tensor([[1, 2], [3, 4]])).tolist()
    [[2, 4], [6, 8]]
    """
    return scan(lambda carry, x: ((), f(x)), (), xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` applied to every slice along axis 0 (Keras name: `ops.vectorized_map`); the same as `map` here."""
    return map(function, elements)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clipped to the branches there are (ONNX: If; Keras name: `ops.switch`).

    >>> import sardonyx as sx
    >>> int(sx.ops.switch(1, [lambda x: x, lambda x: x * 10], 4))
    40
    """
    if not branches:
        raise ValueError("switch: expected at least one branch, got none")
    number = _tensor(index)
    if number.shape != ():
        raise ShapeError(f"switch: expected a scalar index, got shape {format_shape(number.shape)}")
    if number.array is not None:
        return branches[min(max(int(number.array), 0), len(branches) - 1)](*operands)

    def choice(first: int) -> Any:
        if first == len(branches) - 1:
            return branches[first](*operands)
        return choose(number <= first, lambda: branches[first](*operands), lambda: choice(first + 1))

    return choice(0)


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes of an associative `f` along an axis of known length, in log2(length) steps (Hillis and Steele 1986).

    Keras name: `ops.associative_scan`.

    >>> import sardonyx as sx
    >>> sx.ops.associative_scan(lambda a, b: a + b, sx.ops.convert_to_tensor([1, 2, 3, 4])).tolist()
    [1, 3, 6, 10]
    """
    values = _tensors(elems)
    leaves = tree.flatten(values)
    length = leaves[0].shape[axis]
    if not isinstance(length, int):
        raise ShapeError(f"associative_scan: expected a known length along axis {axis}, got {length}; use ops.scan")

    def part(x: Tensor, where: slice) -> Tensor:
        index: list[Any] = [slice(None)] * len(x.shape)
        index[axis] = where
        return x[tuple(index)]

    distance = 1
    while distance < length:
        near, far = slice(distance, None), slice(None, length - distance)
        edge = slice(length - distance, None) if reverse else slice(None, distance)
        late = tree.map_structure(lambda x: part(x, near), values)  # noqa: B023 - used within the iteration
        early = tree.map_structure(lambda x: part(x, far), values)  # noqa: B023
        joined = _tensors(f(late, early) if reverse else f(early, late))
        kept = tree.map_structure(lambda x: part(x, edge), values)  # noqa: B023
        order = (lambda a, b: [b, a]) if reverse else (lambda a, b: [a, b])
        values = tree.map_structure(lambda a, b: concatenate(order(a, b), axis=axis), kept, joined)  # noqa: B023
        distance *= 2
    return values
