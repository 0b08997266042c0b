"""Loops of converted code: Python's own where each step is known, ONNX's Loop and Scan where tensors decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import user_line
from ..core.tensor import Tensor
from ..ops.control import scan, while_loop
from ..ops.convert import convert_to_tensor
from .branches import and_, branch, condition, symbolic
from .iteration import Collected, Counter, Steps, steps_of
from .loop_state import LoopState
from .places import Contents, variables_of
from .refusals import Missing, refuse

__all__: list[str] = []


def while_(test: Callable[[], Any], step: Callable[[], Any], variables: Any) -> None:
    """`while test(): step()`: from the first test on that is a tensor, a Loop."""
    while True:
        decision = condition(test())
        if isinstance(decision, Tensor):
            return _loop(test, step, variables)
        if not decision:
            return None
        step()


def _loop(test: Callable[[], Any], step: Callable[[], Any], variables: Any) -> None:
    state = LoopState(variables_of(variables), "while")

    def whole_step() -> None:
        test()  # what it assigns with `:=` is the step's
        step()

    state.settle(lambda: (), lambda _: whole_step())
    _refuse_growing(state, "while")

    def ask(*values: Any) -> Any:
        return state.on(values, lambda: condition(test()))

    def body(*values: Any) -> Any:
        return state.on(values, whole_step, results=True)

    start = state.start()
    if not start:
        refuse(
            "a `while` on a tensor whose step changes no tensor, number or variable: it would never end",
            "Assign what the condition reads inside the loop.",
        )
    state.finish(while_loop(ask, body, tuple(start)))
    test()


def for_(iterable: Any, step: Callable[[Any], Any], going: Callable[[], Any] | None, variables: Any) -> None:
    """`for item in iterable: step(item)`; `going` tells whether no `break` has happened."""
    if isinstance(iterable, Counter):
        return _count(iterable, step, going, variables)
    steps = steps_of(iterable)
    if steps is not None:
        return _scan(steps, step, going, variables)
    if isinstance(symbolic(iterable), Tensor):
        iterable = symbolic(iterable)
    for item in iterable:
        decision = True if going is None else condition(going())
        if isinstance(decision, Tensor):
            branch(decision, lambda item=item: step(item), None, variables)
        elif not decision:
            break
        else:
            step(item)
    return None


def _count(numbers: Counter, step: Callable[[Any], Any], going: Callable[[], Any] | None, variables: Any) -> None:
    """`for i in range(tensor)`: a Loop that counts."""
    state = LoopState(variables_of(variables), "for")
    state.may_be_empty = True
    first = convert_to_tensor(numbers.start, "int32")
    unbroken = going or (lambda: True)
    state.settle(lambda: first[None], step)
    _refuse_growing(state, "for i in range(n)")

    def ask(number: Any, *values: Any) -> Any:
        inside = numbers.goes_on(number)
        return state.on(values, lambda: condition(and_(inside, unbroken)))

    def body(number: Any, *values: Any) -> Any:
        return (number + numbers.step, *state.on(values, lambda: step(number), results=True))

    found = while_loop(ask, body, (first, *state.start()))
    state.finish(found[1:])


def _refuse_growing(state: LoopState, loop: str) -> None:
    if state.growing:
        refuse(
            f"a list grows inside a `{loop}` whose number of steps only the model's run shows",
            "Run over a size that is known beforehand, such as `for row in x` or `for i in range(x.shape[0])`, whose "
            "results can be stacked; or keep one tensor of fixed size and write into it with ops.where or "
            "ops.slice_update.",
        )


def _scan(steps: Steps, step: Callable[[Any], Any], going: Callable[[], Any] | None, variables: Any) -> None:
    state = LoopState(variables_of(variables), "for")

    def masked(item: Any) -> None:
        decision = True if going is None else condition(going())
        if isinstance(decision, Tensor):
            state.is_masked = True
            branch(decision, lambda: step(item), None, variables)
        else:
            step(item)

    state.settle(lambda: steps.streams, masked)

    def body(carry: Any, item: Any) -> Any:
        after = state.on(carry, lambda: masked(item), results=True)
        return after, state.grown()

    lists = [place.owner for place in state.growing]
    found, made = scan(body, tuple(state.start()), steps.streams, length=steps.length)
    state.finish(found)
    for owner, collected in zip(lists, made, strict=True):
        collect(owner, collected, step, variables)


def collect(owner: list[Any], steps: list[Any], step: Callable[..., Any], variables: Any) -> None:
    """After the loop, variables that hold the list hold what was collected; the list itself cannot be used."""
    if len(steps) != 1:
        refuse(
            f"a loop of unknown length appends {len(steps)} times to one list in a step",
            "Append to several lists, or append one ops.stack([...]) and reshape after the loop.",
        )
    result = Collected(list(owner), steps[0])
    cells = [*variables_of(variables), *_read_by(step)]
    held = [place for place in cells if place.get() is owner]
    for place in held:
        place.set(result)
    line = user_line(2)
    owner[:] = [
        Missing(
            f"a list that a loop of unknown length filled is reached by another way than its variable\n  {line}\n  "
            "Keep it in a local variable, and stack it (ops.stack(found)) before passing it on."
        )
    ]


def _read_by(step: Callable[..., Any]) -> list[Any]:
    """Variables of the user's function that the step reads."""
    from_closure = variables_of(step)
    return [place for place in from_closure if not isinstance(place, Contents)]
