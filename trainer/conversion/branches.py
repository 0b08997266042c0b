"""Branches of converted code: Python's own where the condition is known, ONNX's If where it is a tensor."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.dims import Dim, UndecidableSize, equal
from ..core.errors import ShapeError, format_shape, user_line
from ..core.graph import Graph
from ..core.state import state
from ..core.tensor import Tensor
from ..core.variable import Variable
from ..ops.bodies import Body, trace_body
from ..ops.branch_primitives import choose_body
from ..ops.broadcast import reshape
from ..ops.comparison import equal as tensors_equal
from ..ops.comparison import logical_and, logical_not, logical_or
from ..ops.convert import cast, convert_to_tensor
from .merging import Conflict, Pairs, as_leaf, build, is_numeric, snapshot, unify
from .places import Contents, Journal, Place, assign, variables_of
from .refusals import Missing, is_missing, refuse

__all__: list[str] = []

def symbolic(value: Any) -> Tensor | None:
    """The tensor whose value is not known yet that a value is, or reads; None for what Python knows."""
    if isinstance(value, Variable) and state.traces:
        value = value.read()
    return value if isinstance(value, Tensor) and value.array is None else None


def condition(value: Any) -> bool | Tensor:
    """The truth of a value: Python's, or a boolean scalar of the graph."""
    tensor = symbolic(value)
    if tensor is None and isinstance(value, Dim):
        try:
            return bool(value)
        except UndecidableSize:
            tensor = convert_to_tensor(value)
    if tensor is None:
        return bool(value)
    if tensor.shape != ():
        if any(size != 1 for size in tensor.shape):
            refuse(
                f"a condition must be a single truth value, got shape {format_shape(tensor.shape)}",
                "Use ops.any(condition) or ops.all(condition) for one choice, or ops.where(condition, a, b) to choose "
                "element by element.",
                ShapeError,
            )
        tensor = reshape(tensor, ())
    return tensor if tensor.dtype == np.dtype(bool) else cast(tensor, bool)


def decided(value: Any) -> Any:
    """A value whose truth Python itself asks for next; refused when only the model can know it."""
    if isinstance(condition(value), Tensor):
        refuse(
            f"the condition {value!r} is known only when the model runs, and stands where control flow is not "
            "converted: with `:=` in a later operand, or a branch with `return`, `break` or `continue` inside `try` "
            "or `with`",
            "Assign the result in the branch and return it after the block, or compute the `:=` value before.",
        )
    return value


class Outcome(NamedTuple):
    """What a branch did: its result, what its variables hold, what it changed elsewhere, and the graph of it."""

    result: Any
    raw: list[Any]
    values: list[Any]
    journal: Journal
    body: Body


def follow(function: Callable[[], Any] | None, places: list[Place]) -> Outcome:
    """Run a branch on what is there, note all it changes, and undo it."""
    raw: list[Any] = []
    results: list[Any] = []
    journal = Journal()

    def traced() -> list[Any]:
        with journal:
            results.append(None if function is None else snapshot(function()))
            raw.extend(place.get() for place in places)
            results.append([snapshot(value) for value in raw])
        return []

    before = [place.get() for place in places]
    try:
        body = trace_body(traced)
    finally:
        for place, value in zip(places, before, strict=True):
            place.set(value)
    return Outcome(results[0], raw, results[1], journal, body)


def branch(test: Any, then: Callable[[], Any], otherwise: Callable[[], Any] | None, variables: Any) -> Any:
    """`if test: then() else: otherwise()`; `variables` names those that the branches assign."""
    decision = condition(test)
    if not isinstance(decision, Tensor):
        chosen = then if decision else otherwise
        return None if chosen is None else chosen()
    places = variables_of(variables)
    entry = [place.get() for place in places]
    left, right = follow(then, places), follow(otherwise, places)
    pairs, plans = Pairs(), []
    result = _merged(None, left.result, right.result, pairs)
    for i, place in enumerate(places):
        if not (left.raw[i] is entry[i] and right.raw[i] is entry[i]):
            plans.append((place, _merged(place, left.values[i], right.values[i], pairs)))
    own = {place.key for place in places}
    changed = {**left.journal.places, **right.journal.places}
    for key, place in changed.items():
        if key in own:
            continue
        now = snapshot(place.get())
        sides = left.journal.after.get(key, now), right.journal.after.get(key, now)
        plans.append((place, _merged(place, *sides, pairs)))
    tensors = _chosen(decision, left, right, pairs)
    for place, template in plans:
        value = template if is_missing(template) else build(template, tensors)
        if place.key in own:
            place.set(value)
        else:
            assign(place, value)
    return build(result, tensors)


def _chosen(decision: Tensor, left: Outcome, right: Outcome, pairs: Pairs) -> list[Any]:
    """The tensors for the slots, as results of a choice in the graph."""
    bodies = []
    for side, leaves in ((left.body, pairs.left), (right.body, pairs.right)):
        made = trace_body(lambda leaves=leaves: [as_leaf(x, s) for x, s in zip(leaves, pairs.specs, strict=True)])
        bodies.append(Body(made.results, made.results, side.assigned, side.start))
    if not pairs.specs and not left.body.assigned and not right.body.assigned:
        return []
    return choose_body(decision, bodies)


def _merged(place: Place | None, left: Any, right: Any, pairs: Pairs) -> Any:
    """A template for a variable of two values, or what raises when it is used; for a result raises at once."""
    count = len(pairs.specs)
    try:
        return unify(left, right, pairs, filled=place is not None and place.added)
    except Conflict as conflict:
        for listed in (pairs.left, pairs.right, pairs.specs):
            del listed[count:]
        name = "the result" if place is None else f"variable '{place.name}'"
        if place is not None and (is_missing(left) or is_missing(right)):
            text = f"{name} is assigned in one branch only of a condition that is a tensor"
            hint = "Assign it before the `if`, or in both branches, with the same shape and dtype."
        else:
            text = f"{name} differs between the branches of a condition that is a tensor: {conflict.text}"
            hint = "Both branches must give the same structure, shape and dtype; for elements use ops.where."
        if isinstance(place, Contents):
            hint = (
                "Change it alike in both branches (append in each), or keep a tensor and choose its value: "
                "value = ops.where(condition, a, b)."
            )
        line = user_line(2)
        missing = Missing(f"{text}\n  {line}\n  {hint}", conflict.kind)
        if place is None or isinstance(place, Contents):
            raise missing.error() from None
        return missing


def result(value: Any) -> Any:
    """What a function returns: nothing that has no value."""
    for part in value if isinstance(value, (tuple, list)) else (value,):
        if is_missing(part):
            raise part.error()
    return value


def choice(test: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """`then() if test else otherwise()`."""
    return branch(test, then, otherwise, _no_variables)


def _no_variables() -> None:
    return None


def not_(value: Any) -> Any:
    """`not value`."""
    decision = condition(value)
    return logical_not(decision) if isinstance(decision, Tensor) else not decision


def and_(left: Any, right: Callable[[], Any]) -> Any:
    """`left and right()`."""
    return _short_circuit(left, right, is_and=True)


def or_(left: Any, right: Callable[[], Any]) -> Any:
    """`left or right()`."""
    return _short_circuit(left, right, is_and=False)


# Operations whose results are thrown away without harm when the left operand has decided already.
HARMLESS = {
    "absolute", "add", "all", "any", "cast", "equal", "exp", "expand_dims", "greater", "greater_equal", "isfinite",
    "isinf", "isnan", "less", "less_equal", "log", "logical_and", "logical_not", "logical_or", "max", "mean", "min",
    "multiply", "negative", "not_equal", "relu", "reshape", "sigmoid", "size_value", "sqrt", "square", "squeeze",
    "subtract", "sum", "tanh",
}  # fmt: skip


def _short_circuit(left: Any, right: Callable[[], Any], is_and: bool) -> Any:
    decision = condition(left)
    if not isinstance(decision, Tensor):
        return right() if decision == is_and else left
    outcome = follow(right, [])
    tensor = symbolic(left)
    is_truth = (tensor is None or tensor.dtype == np.dtype(bool)) and _is_truth(outcome.result)
    if not is_truth:
        return branch(decision, right, lambda: left, _no_variables) if is_and else branch(
            decision, lambda: left, right, _no_variables
        )
    made = [x for x in [outcome.result] if isinstance(x, Tensor)]
    nodes = [node for node in Graph([], made).nodes if node.index >= outcome.body.start]
    if outcome.journal.places or outcome.body.assigned or any(n.primitive.name not in HARMLESS for n in nodes):
        return branch(decision, right, lambda: False, _no_variables) if is_and else branch(
            decision, lambda: True, right, _no_variables
        )
    return (logical_and if is_and else logical_or)(decision, condition(right()))


def _is_truth(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.dtype == np.dtype(bool) and value.shape == ()
    return isinstance(value, bool)


ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "is not": operator.is_not,
}  # fmt: skip


def compare(sign: str, left: Any, right: Any) -> Any:
    """A comparison; of sizes whose order depends on the input, a truth value of the graph."""
    if sign in ("in", "not in"):
        found = _contains(right, left)
        return found if sign == "in" else not_(found)
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _compare_sizes(sign, left, right)
    return ORDER[sign](left, right)


def _compare_sizes(sign: str, left: Any, right: Any) -> Any:
    is_size = all(isinstance(x, (Dim, int, np.integer)) and not isinstance(x, bool) for x in (left, right))
    if not is_size:
        return ORDER[sign](left, right)
    try:
        if sign not in ("==", "!="):
            return ORDER[sign](left, right)
        known = equal(left, right)
        if known is not None:
            return known == (sign == "==")
    except UndecidableSize:
        pass
    return ORDER[sign](convert_to_tensor(left), convert_to_tensor(right))


def compare_chain(first: Any, *pairs: tuple[str, Callable[[], Any]]) -> Any:
    """`a < b < c`, every operand computed at most once."""
    sign, operand = pairs[0]
    value = operand()
    result = compare(sign, first, value)
    return result if len(pairs) == 1 else and_(result, lambda: compare_chain(value, *pairs[1:]))


def _contains(container: Any, element: Any) -> Any:
    """`element in container`: over tensors, whether any is equal."""
    inside = symbolic(container)
    if inside is not None:
        return tensors_equal(inside, element).any()
    listed = isinstance(container, (list, tuple, set, frozenset)) and all(is_numeric(x) for x in container)
    if listed and (symbolic(element) is not None or any(symbolic(x) is not None for x in container)):
        found: Any = False
        for x in container:
            found = or_(found, lambda x=x: tensors_equal(element, x))
        return found
    return element in container


def asserted(value: Any) -> Any:
    """The condition of an `assert`, which Python must know."""
    if isinstance(condition(value), Tensor):
        refuse(
            "`assert` on a tensor: a graph cannot stop with an error when the condition fails",
            "Check the values before the model is called, or assert on shapes and dtypes, which are known.",
        )
    return value
