"""Operators that stay whole: computed by NumPy, written as themselves, without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...trainer.core.emitter import Emitter, Value
from ...trainer.core.primitive import Primitive
from ...trainer.core.spec import TensorSpec
from ...trainer.core.state import state
from ...trainer.core.tensor import Tensor
from .table import Call, Function, operator
from .values import known

Options = tuple[tuple[str, Any], ...]


PRIMITIVES: dict[str, Primitive] = {}
"""The primitives of these operators by name, for those who read graphs."""


def frozen(attributes: Mapping[str, Any]) -> Options:
    """Attributes of a node as a value that never changes."""
    return tuple((name, tuple(x) if isinstance(x, list) else x) for name, x in sorted(attributes.items()))


def _listed(options: Options) -> dict[str, Any]:
    return {name: list(x) if isinstance(x, tuple) else x for name, x in options}


def opaque(
    name: str, infer: Callable[..., Any], sizes: bool = False, before: tuple[int, dict[str, Any]] = (0, {})
) -> Callable[[Function], Function]:
    """Register a function of constants as an operator that also stands in graphs.

    infer: `(call, *specs) -> spec or tuple of specs` of the results
    sizes: whether a size of the result is known only when the operator has run
    before: a version, and what older ones mean where they do not say it
    """

    def register(function: Function) -> Function:
        def call_of(version: int, options: Options) -> Call:
            return Call(name, "", version, _listed(options), (True,) * 8)

        def run(*arrays: Any, version: int, options: Options) -> Any:
            found = function(call_of(version, options), *[None if a is None else Tensor(a) for a in arrays])
            return tuple(x.array for x in found) if isinstance(found, tuple) else found.array

        def inferred(*specs: TensorSpec | None, version: int, options: Options) -> Any:
            return infer(call_of(version, options), *specs)

        def lower(emit: Emitter, *values: Value | None, version: int, options: Options) -> Any:
            found = infer(call_of(version, options), *[None if v is None else v.spec for v in values])
            specs = found if isinstance(found, tuple) else (found,)
            old = before[1] if version < before[0] else {}
            made = emit.many(name, *values, specs=specs, **{**old, **_listed(options)})
            return made if isinstance(found, tuple) else made[0]

        primitive = PRIMITIVES[name] = Primitive(
            name, run, inferred, lower, tags={"makes_sizes": True} if sizes else {}
        )

        def read(call: Call, *inputs: Any) -> Any:
            if not state.tapes and all(x is None or known(x) is not None for x in inputs):
                return function(call, *inputs)
            return primitive(*inputs, version=call.version, options=frozen(call.attributes))

        operator(name)(read)
        return function

    return register
