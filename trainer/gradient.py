"""Reverse-mode differentiation over the tape, of any order: rules are written in operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import ops
from .core import tree
from .core.dims import equal, product
from .core.errors import ShapeError, format_shape
from .core.operators import FUNCTIONS
from .core.primitive import JointRule
from .core.state import state
from .core.tape import Entry, Tape, key_of
from .core.tensor import Tensor
from .core.told import tells_line
from .core.variable import Variable


def reachable(entries: Sequence[Entry], sources: set[int]) -> set[int]:
    """Keys of everything that depends on the sources."""
    reach = set(sources)
    for entry in entries:
        if not reach.isdisjoint(entry.input_keys):
            reach.update(entry.output_keys)
    return reach


def backpropagate(
    entries: list[Entry], gradients: dict[int, Tensor], sources: set[int], release: bool = False
) -> dict[int, Tensor]:
    """Walk the tape backwards from seeded `gradients` (by key); returns those of the sources.

    With `release`, entries are dropped as they are used, so that their arrays can be freed.
    """
    reach = reachable(entries, sources)
    found: dict[int, Tensor] = {}
    for entry in _consume(entries) if release else reversed(entries):
        primitive, input_keys, inputs, attributes, output_keys, outputs = entry
        if len(output_keys) == 1:
            key = output_keys[0]
            if (g := gradients.pop(key, None)) is None:
                continue
            incoming = [g]
            if key in sources:
                found[key] = g
        else:
            incoming = [gradients.pop(key, None) for key in output_keys]
            if all(g is None for g in incoming):
                continue
            for key, g in zip(output_keys, incoming, strict=True):
                if g is not None and key in sources:
                    found[key] = g
        if primitive.joint_vjp is not None:
            needed = tuple([key in reach for key in input_keys])
            if True not in needed:
                continue
            passed = _apply_joint_rule(primitive.joint_vjp, entry, incoming, needed)
        elif primitive.vjp is None or (g := incoming[0]) is None:
            continue
        else:
            output = outputs[0]
            passed = [
                rule(g, output, *inputs, **attributes) if rule is not None and key in reach else None
                for rule, key in zip(primitive.vjp, input_keys, strict=True)
            ]
        for key, source, g in zip(input_keys, inputs, passed, strict=True):
            if g is None or key not in reach or source is None:
                continue
            if g.shape != source.shape:
                g = ops.sum_to(g, source.shape)
            known = gradients.get(key)
            gradients[key] = g if known is None else ops.add(known, g)
    for key in sources:
        if key in gradients:
            found[key] = gradients[key]
    return found


def _consume(entries: list[Entry]) -> Any:
    while entries:
        yield entries.pop()


def _apply_joint_rule(
    rule: JointRule, entry: Entry, incoming: Sequence[Tensor | None], needed: tuple[bool, ...]
) -> Sequence[Tensor | None]:
    takes_missing = entry.primitive.tags.get("takes_missing_gradients")
    if len(incoming) > 1 and not takes_missing and any(g is None for g in incoming):
        incoming = [
            ops.zeros(out.shape, out.dtype) if g is None else g for g, out in zip(incoming, entry.outputs, strict=True)
        ]
    return rule(tuple(incoming), entry.outputs, entry.inputs, needed, **entry.attributes)


class GradientTape:
    """Records operations for automatic differentiation (TensorFlow name: `tf.GradientTape`).

    Trainable variables are watched by themselves, other tensors after `watch`. A tape that is not `persistent`
    gives one gradient and frees its memory. Tapes nest: the outer one sees the inner one's gradient.

    >>> import sardonyx as sx
    >>> x = sx.Variable(3.0)
    >>> with sx.GradientTape() as tape:
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = persistent
        self._tape = Tape(watch_accessed_variables)
        self._used = False

    def __enter__(self) -> GradientTape:
        state.tapes.append(self._tape)
        return self

    def __exit__(self, *_: object) -> None:
        if self._tape in state.tapes:
            state.tapes.remove(self._tape)

    def watch(self, tensor: Any) -> None:
        """Record what happens to tensors or variables (a structure of them) from now on."""
        for leaf in tree.flatten(tensor):
            if isinstance(leaf, Variable):
                current = leaf.read()
                self._tape.watch_variable(leaf, current)
            elif isinstance(leaf, Tensor):
                self._tape.watch(leaf)
            else:
                raise TypeError(f"GradientTape.watch: expected tensors or variables, got {type(leaf).__name__}")

    def reset(self) -> None:
        """Forget everything recorded."""
        self._tape.entries.clear()
        self._tape.tracked.clear()
        self._tape.reads.clear()
        self._used = False

    def watched_variables(self) -> tuple[Variable, ...]:
        """Variables read while the tape was open, in order."""
        return tuple(self._tape.reads)

    def stop_recording(self) -> _Paused:
        """A context in which this tape records nothing."""
        return _Paused(self._tape)

    @tells_line
    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """Gradients of the sum of `target` (a structure) with respect to `sources`, in their structure.

        A source the target does not depend on gets None, or zeros with `unconnected_gradients="zero"`.
        Raises `RuntimeError` on a second call unless the tape is persistent.
        """
        if self._used and not self.persistent:
            raise RuntimeError(
                "GradientTape.gradient: a tape gives one gradient; use GradientTape(persistent=True) for more"
            )
        self._used = True
        flat = tree.flatten(sources)
        keys = [self._keys(source) for source in flat]
        with self.stop_recording():
            seeds = self._seeds(target, output_gradients)
            wanted = {key for group in keys for key in group}
            found = backpropagate(self._tape.entries, seeds, wanted, release=not self.persistent)
            results = [
                found[group[0]]
                if len(group) == 1 and group[0] in found
                else _total([found[key] for key in group if key in found], source, unconnected_gradients)
                for group, source in zip(keys, flat, strict=True)
            ]
        return tree.pack_sequence_as(sources, results)

    def jacobian(self, target: Any, sources: Any, unconnected_gradients: str = "none") -> Any:
        """Derivatives of every element of a tensor: for each source, shape `target.shape + source.shape`.

        Raises `ShapeError` when the number of elements of the target is not known.

        >>> import sardonyx as sx
        >>> x = sx.Variable([1.0, 2.0])
        >>> with sx.GradientTape() as tape:
        ...     y = x * x
        >>> tape.jacobian(y, x).numpy().tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        """
        total = product(target.shape)
        if not isinstance(total, int):
            raise ShapeError(
                f"GradientTape.jacobian: the target's shape {format_shape(target.shape)} must be known; fix its "
                f"sizes, or use "
                "gradient() of a sum"
            )
        was_persistent, self.persistent = self.persistent, True
        try:
            rows = []
            for i in range(total):
                seed = np.zeros(total, target.dtype)
                seed[i] = 1
                rows.append(tree.flatten(self.gradient(target, sources, seed.reshape(target.shape), "zero")))
        finally:
            self.persistent = was_persistent
        flat = tree.flatten(sources)
        unconnected = self.gradient_is_missing(target, flat) if unconnected_gradients == "none" else [False] * len(flat)
        results = [
            None if missing else ops.reshape(ops.stack([row[k] for row in rows]), (*target.shape, *source.shape))
            for k, (source, missing) in enumerate(zip(flat, unconnected, strict=True))
        ]
        return tree.pack_sequence_as(sources, results)

    def batch_jacobian(self, target: Any, source: Any, unconnected_gradients: str = "none") -> Any:
        """Derivatives of each sample's results by its own inputs: `(batch, *target.shape[1:], *source.shape[1:])`.

        For results that depend on their own sample alone, as without batch statistics. Only the sizes of a sample must
        be known. Raises `ShapeError` where they are not, or where the batches differ.

        >>> import sardonyx as sx
        >>> x = sx.ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> with sx.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = sx.ops.stack([x[:, 0] * x[:, 1], x[:, 0]], axis=1)
        >>> tape.batch_jacobian(y, x).numpy().tolist()
        [[[2.0, 1.0], [1.0, 0.0]], [[4.0, 3.0], [1.0, 0.0]]]
        """
        if not target.shape or not source.shape or equal(target.shape[0], source.shape[0]) is not True:
            raise ShapeError(
                "GradientTape.batch_jacobian: expected a target and a source with the same batch as first axis, got "
                f"{format_shape(target.shape)} and {format_shape(source.shape)}"
            )
        total = product(target.shape[1:])
        if not isinstance(total, int):
            raise ShapeError(
                f"GradientTape.batch_jacobian: sizes of a sample must be known, got {format_shape(target.shape)}"
            )
        if unconnected_gradients == "none" and self.gradient_is_missing(target, [source])[0]:
            return None
        was_persistent, self.persistent = self.persistent, True
        try:
            rows = []
            for i in range(total):
                seed = np.zeros((1, total), target.dtype)
                seed[0, i] = 1
                spread = ops.broadcast_to(seed.reshape((1, *target.shape[1:])), target.shape)
                rows.append(self.gradient(target, source, spread, "zero"))
        finally:
            self.persistent = was_persistent
        return ops.reshape(ops.stack(rows, axis=1), (*target.shape, *source.shape[1:]))

    def gradient_is_missing(self, target: Tensor, sources: Sequence[Any]) -> list[bool]:
        """For each source, whether the target does not depend on it."""
        missing = []
        for source in sources:
            keys = set(self._keys(source))
            missing.append(not keys or target.key not in reachable(self._tape.entries, keys))
        return missing

    def _keys(self, source: Any) -> list[int]:
        if isinstance(source, Variable):
            return self._tape.reads.get(source, [])
        if isinstance(source, Tensor):
            return [key_of(source)]
        raise TypeError(f"GradientTape.gradient: sources are tensors or variables, got {type(source).__name__}")

    def _seeds(self, target: Any, output_gradients: Any) -> dict[int, Tensor]:
        targets = [t.read() if isinstance(t, Variable) else t for t in tree.flatten(target)]
        given = [None] * len(targets) if output_gradients is None else tree.flatten(output_gradients)
        seeds: dict[int, Tensor] = {}
        for t, g in zip(targets, given, strict=True):
            if not isinstance(t, Tensor):
                raise TypeError(f"GradientTape.gradient: the target must be a tensor, got {type(t).__name__}")
            if t.key not in self._tape.tracked:
                continue
            if g is None and t.array is not None and not state.traces:
                seed = Tensor(np.ones(t.array.shape, t.array.dtype))
            else:
                seed = ops.ones_like(t) if g is None else ops.convert_to_tensor(g, dtype=t.dtype)
            seeds[t.key] = ops.add(seeds[t.key], seed) if t.key in seeds else seed
        return seeds


class _Paused:
    def __init__(self, tape: Tape) -> None:
        self.tape, self.position = tape, -1

    def __enter__(self) -> None:
        if self.tape in state.tapes:
            self.position = state.tapes.index(self.tape)
            state.tapes.remove(self.tape)

    def __exit__(self, *_: object) -> None:
        if self.position >= 0:
            state.tapes.insert(self.position, self.tape)


def _total(parts: list[Tensor], source: Any, unconnected: str) -> Tensor | None:
    if not parts:
        return ops.zeros(source.shape, source.dtype) if unconnected == "zero" else None
    total = parts[0]
    for part in parts[1:]:
        total = ops.add(total, part)
    return total


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the scalar value and its gradient with respect to the chosen arguments.

    >>> import sardonyx as sx
    >>> value, slope = sx.value_and_grad(lambda x: x * x)(3.0)
    >>> float(value), float(slope)
    (9.0, 6.0)
    """

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        chosen = [argnums] if isinstance(argnums, int) else list(argnums)
        prepared = list(arguments)
        for i in chosen:
            prepared[i] = tree.map_structure(_as_source, arguments[i])
        with GradientTape() as tape:
            tape.watch([prepared[i] for i in chosen])
            call = FUNCTIONS["converted"](function) if state.traces else function
            result = call(*prepared, **keywords)
        target = result[0] if has_aux else result
        gradients = tape.gradient(target, [prepared[i] for i in chosen], unconnected_gradients="zero")
        return result, gradients[0] if isinstance(argnums, int) else tuple(gradients)

    return wrapped


def _as_source(value: Any) -> Any:
    if isinstance(value, (Tensor, Variable)):
        return value
    return ops.convert_to_tensor(value, dtype=None if getattr(value, "dtype", None) is not None else "float")


def grad(function: Any, argnums: Any = 0) -> Any:
    """A function that returns the gradient of a scalar function; apply again for higher orders.

    Of a symbolic tensor, `grad(tensor, sources)` is its derivative by symbolic tensors that it was made from (by its
    sum, if it is no scalar): a tensor of the same model, to be trained on or exported as a further output.

    >>> import sardonyx as sx
    >>> float(sx.grad(sx.grad(lambda x: x * x * x))(2.0))
    12.0
    >>> x = sx.Input((3,))
    >>> sx.Model(x, sx.grad(sx.ops.sum(x**2, axis=1), x))([[1.0, 2.0, 3.0]]).tolist()
    [[2.0, 4.0, 6.0]]
    """
    if isinstance(function, Tensor):
        return FUNCTIONS["tensor_gradient"](function, argnums)
    both = value_and_grad(function, argnums)
    return lambda *arguments, **keywords: both(*arguments, **keywords)[1]
