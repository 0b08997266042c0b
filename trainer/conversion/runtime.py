"""What converted code calls: every name here is one that `expressions`, `statements` and `mutations` write."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import branches, functions, loops, places
from .refusals import refuse

__all__ = ["Runtime", "converted", "why_unconverted"]

IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "//": operator.ifloordiv,
    "%": operator.imod, "**": operator.ipow, "@": operator.imatmul, "&": operator.iand, "|": operator.ior,
    "^": operator.ixor, "<<": operator.ilshift, ">>": operator.irshift,
}  # fmt: skip


def augmented(sign: str, left: Any, right: Any) -> Any:
    """`left += right` and its like: the new value of `left`."""
    if isinstance(left, (list, dict, set, np.ndarray)):
        places.touch(left)
    return IN_PLACE[sign](left, right)


def raised(error: Any) -> Any:
    """What a `raise` raises: refused where a tensor decides whether it is reached."""
    if places.open_.journals:
        refuse(
            f"`raise` of {error!r} in a branch or loop that depends on a tensor: a graph cannot stop with an error",
            "Check the values before the model is called; shapes and dtypes can be checked outside of the branch.",
        )
    return error


class Runtime:
    """The functions of converted code."""

    branch = staticmethod(branches.branch)
    result = staticmethod(branches.result)
    choice = staticmethod(branches.choice)
    and_ = staticmethod(branches.and_)
    or_ = staticmethod(branches.or_)
    not_ = staticmethod(branches.not_)
    compare = staticmethod(branches.compare)
    compare_chain = staticmethod(branches.compare_chain)
    decided = staticmethod(branches.decided)
    asserted = staticmethod(branches.asserted)
    while_ = staticmethod(loops.while_)
    for_ = staticmethod(loops.for_)
    list_of = staticmethod(functions.list_of)
    callee = staticmethod(functions.callee)
    set_attribute = staticmethod(places.set_attribute)
    set_item = staticmethod(places.set_item)
    delete_attribute = staticmethod(places.delete_attribute)
    delete_item = staticmethod(places.delete_item)
    changing = staticmethod(places.changing)
    augmented = staticmethod(augmented)
    raised = staticmethod(raised)


functions.use_runtime(Runtime)
converted, why_unconverted = functions.converted, functions.why_unconverted
