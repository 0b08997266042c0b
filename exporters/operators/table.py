"""The table of ONNX operators that can be read: domain, name and version -> a function of our operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Function = Callable[..., Any]

TABLE: dict[tuple[str, str], list[tuple[int, Function]]] = {}
"""For each operator the functions that read it, each from a version of its domain on."""

RAW: set[str] = set()
"""Operators that take every element type as it is; for others bfloat16 is computed in float32."""


@dataclass(frozen=True)
class Call:
    """One node of a file as an operator's function sees it.

    version: of the operator's domain in the file
    attributes: Python values; tensors are NumPy arrays, graphs are functions of values
    wanted: for each output the node may give, whether it has a name
    """

    operator: str
    name: str
    version: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    wanted: tuple[bool, ...] = (True,)

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute, or the default where the node does not have it."""
        return self.attributes.get(attribute, default)

    def wants(self, output: int) -> bool:
        """Whether somebody may use an output."""
        return output < len(self.wanted) and self.wanted[output]

    @property
    def label(self) -> str:
        """The node in a message."""
        return f"{self.operator} '{self.name}'" if self.name else self.operator


class UnsupportedOperatorError(NotImplementedError):
    """A file uses an operator, or a form of one, that cannot be computed here."""


def operator(*names: str, since: int = 1, domain: str = "", raw: bool = False) -> Callable[[Function], Function]:
    """Register a function `(call, *inputs) -> value or tuple of values` for operators, from a version on."""

    def register(function: Function) -> Function:
        for name in names:
            TABLE.setdefault((domain, name), []).append((since, function))
            if raw:
                RAW.add(name)
        return function

    return register


def plain(names: Mapping[str, Function]) -> None:
    """Register operators without attributes that are one of our operations each."""
    for name, function in names.items():
        operator(name)(_without_call(function))


def _without_call(function: Function) -> Function:
    return lambda call, *inputs: function(*inputs)


def find(domain: str, name: str, version: int) -> Function | None:
    """The function that reads an operator in a version of its domain; None where there is none."""
    fitting = [entry for entry in TABLE.get((domain, name), []) if entry[0] <= version]
    return max(fitting, key=lambda entry: entry[0])[1] if fitting else None
