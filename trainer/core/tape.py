"""The recording half of automatic differentiation: a linear tape in order of creation."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .spec import TensorSpec
from .tensor import Symbol, Tensor

if TYPE_CHECKING:
    from .primitive import Primitive
    from .variable import Variable

_keys = itertools.count(1)


class Entry(NamedTuple):
    """One application of a primitive; inputs and outputs that its gradient does not read are kept as specs only."""

    primitive: Primitive
    input_keys: tuple[int, ...]
    inputs: tuple[Tensor | None, ...]
    attributes: Mapping[str, Any]
    output_keys: tuple[int, ...]
    outputs: tuple[Tensor, ...]


class Tape:
    """Records what happens to watched tensors. Keys, not identities, so that arrays can be freed early."""

    __slots__ = ("entries", "reads", "tracked", "watches_variables")

    def __init__(self, watches_variables: bool = True) -> None:
        self.entries: list[Entry] = []
        self.tracked: set[int] = set()
        self.reads: dict[Variable, list[int]] = {}
        self.watches_variables = watches_variables

    def watch(self, tensor: Tensor) -> None:
        """Record what happens to a tensor from now on."""
        self.tracked.add(key_of(tensor))

    def read(self, variable: Variable, tensor: Tensor) -> None:
        """Note that a variable is read as `tensor`; trainable ones are watched."""
        if variable.trainable and self.watches_variables:
            self.watch_variable(variable, tensor)

    def watch_variable(self, variable: Variable, tensor: Tensor) -> None:
        """Watch one variable's present value."""
        key = tensor.key or key_of(tensor)
        if key not in self.tracked:
            self.tracked.add(key)
            self.reads.setdefault(variable, []).append(key)

    def record(
        self,
        primitive: Primitive,
        inputs: Sequence[Tensor | None],
        attributes: Mapping[str, Any],
        outputs: tuple[Tensor, ...],
    ) -> None:
        """Append an application if any of its inputs is tracked."""
        try:
            keys = tuple(map(get_key, inputs))
        except AttributeError:
            keys = tuple([0 if x is None else x.key for x in inputs])
        tracked = self.tracked
        if tracked.isdisjoint(keys):
            return
        output_keys = tuple(map(key_of, outputs))
        tracked.update(output_keys)
        residuals = primitive.residuals
        if residuals in ("none", "outputs"):
            inputs = tuple(map(spec_only, inputs))
        kept = outputs if residuals in ("all", "outputs") else tuple(map(spec_only, outputs))
        self.entries.append(new_entry(Entry, (primitive, keys, tuple(inputs), attributes, output_keys, kept)))


get_key = operator.attrgetter("key")
new_entry = tuple.__new__
_stand_ins: dict[tuple[tuple[int, ...], np.dtype], Tensor] = {}


def spec_only(tensor: Any) -> Any:
    """A stand-in that knows shape and dtype but does not keep the array alive, one for all arrays of that kind.

    Symbolic tensors hold no memory and stay themselves.
    """
    if tensor is None or (array := tensor.array) is None:
        return tensor
    kind = (array.shape, array.dtype)
    try:
        return _stand_ins[kind]
    except KeyError:
        if len(_stand_ins) > 4096:
            _stand_ins.clear()
        known = _stand_ins[kind] = Tensor(None, Symbol(TensorSpec(*kind)))
        return known


def key_of(tensor: Tensor) -> int:
    """The number by which tapes know a tensor."""
    if not tensor.key:
        tensor.key = next(_keys)
    return tensor.key
