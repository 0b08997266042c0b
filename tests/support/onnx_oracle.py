"""The node cases that the ONNX standard ships with itself, made in memory."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterable
from typing import Any


def node_cases(operators: Iterable[str], skipped: Iterable[str] = ()) -> list[Any]:
    """Cases of one node each, of the given operators; those with a skipped word in their name are left out.

    Only the operators' own modules are imported: making all 1,900 cases takes ten seconds.
    """
    wanted = set(operators)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node

        modules = {name.replace("_", ""): name for _, name, _ in pkgutil.iter_modules(node.__path__)}
        for operator in wanted:
            importlib.import_module(f"{node.__name__}.{modules[operator.lower()]}")
        made = {case.name: case for case in node._NodeTestCases}
    return [
        case
        for name, case in sorted(made.items())
        if len(case.model.graph.node) == 1
        and case.model.graph.node[0].op_type in wanted
        and not any(word in name for word in skipped)
    ]


def attributes_of(node: Any) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    from onnx.helper import get_attribute_value

    return {a.name: get_attribute_value(a) for a in node.attribute}
