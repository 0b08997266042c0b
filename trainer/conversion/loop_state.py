"""The state of a loop: what a step changes is found by tracing it, until nothing new shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core import tree
from ..core.errors import SymbolicValueError, user_line
from ..core.spec import TensorSpec, same_shape
from ..core.tensor import Tensor
from ..ops.bodies import placeholders, trace_body
from .merging import (
    NUMBERS,
    Conflict,
    Constant,
    Pairs,
    Slot,
    as_leaf,
    build,
    common_spec,
    described,
    is_numeric,
    same,
    snapshot,
    unify,
)  # fmt: skip
from .places import ABSENT, Contents, Journal, Place, assign
from .refusals import Missing, is_missing, refuse

__all__: list[str] = []


class Carried:
    """A variable that steps pass on: its structure, and the spec of every tensor in it."""

    def __init__(self, entry: Any, template: Any, specs: list[TensorSpec], starts: list[Any]) -> None:
        self.entry, self.template, self.specs, self.starts = entry, template, specs, starts


class LoopState:
    """Variables of a loop, by what a step does to them.

    A variable that no step changes keeps its Python value. One that a step changes is carried, as a tensor. One that
    has no value before the loop, or none of the same kind, belongs to one step: reading it earlier is refused.
    """

    def __init__(self, places: list[Place], kind: str) -> None:
        self.kind = kind
        self.line = user_line(2)
        self.is_masked = False
        self.may_be_empty = kind == "while"
        self.own = places
        self.places: list[Place] = list(places)
        self.entry: list[Any] = [place.get() for place in places]
        self.carried: dict[Any, Carried] = {}
        self.local: dict[Any, Missing] = {}
        self.results: dict[Any, Carried] = {}
        self.growing: list[Contents] = []
        self._grown: list[list[Any]] = []

    # --- finding out

    def settle(self, streams: Callable[[], Any], step: Callable[[Any], Any]) -> None:
        """Trace the step again and again, until every variable keeps the place it was given."""
        for _ in range(64):
            masked = self.is_masked
            found: list[Any] = []
            trace_body(self._probe, streams(), step, found)
            if not self._learn(found) and masked == self.is_masked:
                return
        raise AssertionError("a loop's state does not settle")

    def _probe(self, streams: Any, step: Callable[[Any], Any], found: list[Any]) -> list[Any]:
        """Trace one step, for what the places hold after it."""
        items = tree.map_structure(lambda x: placeholders([TensorSpec(x.shape[1:], x.dtype)])[0], streams)
        own = [x for carried in self._slots() for x in placeholders(carried.specs)]
        found += self._run(own, lambda: step(items))
        return []

    def _slots(self) -> list[Carried]:
        """Variables that have tensors among the loop's own: carried ones, and results of the last step."""
        return [found for p in self.places if (found := self.carried.get(p.key) or self.results.get(p.key)) is not None]

    def _run(self, tensors: Sequence[Any], step: Callable[[], Any]) -> list[Any]:
        """Put the state of a step in, run it, give what the places hold after it, and undo it all."""
        before = [place.get() for place in self.places]
        self._put(list(tensors))
        try:
            with Journal() as journal:
                step()
                after = [place.get() for place in self.places]
                after = [x if x is e else snapshot(x) for x, e in zip(after, self.entry, strict=True)]
        finally:
            for place, value in zip(self.places, before, strict=True):
                place.set(value)
        known = {place.key for place in self.places}
        for key, place in journal.places.items():
            if key not in known:
                self.places.append(place)
                self.entry.append(journal.before[key])
                after.append(journal.after[key])
        pairs = zip(self.places, after, strict=True)
        return [journal.after.get(p.key, x) if isinstance(p, Contents) else x for p, x in pairs]

    def _put(self, tensors: list[Any]) -> None:
        """Give every place what it holds at the start of a step."""
        for place, entry in zip(self.places, self.entry, strict=True):
            found = self.carried.get(place.key) or self.results.get(place.key)
            if found is not None:
                own, tensors = tensors[: len(found.specs)], tensors[len(found.specs) :]
                if place.key in self.carried or self.is_masked:
                    place.set(build(found.template, own))
                    continue
            if place.key in self.local or place.key in self.results:
                place.set(self.local.get(place.key, ABSENT))
            else:
                place.set(entry)

    def _learn(self, after: list[Any]) -> bool:
        """Whether a step did something to a variable that was not known of it."""
        learned = False
        self._grown = []
        for place, entry, value in zip(self.places, self.entry, after, strict=True):
            if place in self.growing or self._grows(place, entry, value):
                learned |= self._note_growth(place, entry, value)
            elif place.key in self.carried:
                learned |= self._check(place, self.carried[place.key], value)
            elif place.key in self.local:
                learned |= self._note_result(place, value)
            elif entry is ABSENT or is_missing(entry):
                if value is not entry:
                    self.local[place.key] = entry
                    self._note_result(place, value)
                    learned = True
            elif not same(entry, value):
                self._carry(place, entry, value)
                learned = True
        return learned

    def _grows(self, place: Place, entry: Any, value: Any) -> bool:
        """Whether a step appended to a list."""
        is_list = isinstance(place, Contents) and isinstance(entry, list) and len(value) > len(entry)
        return is_list and all(a is b for a, b in zip(entry, value[: len(entry)], strict=True))

    def _note_growth(self, place: Any, entry: Any, value: Any) -> bool:
        if self._grows(place, entry, value):
            self._grown.append(value[len(entry) :])
            if place not in self.growing:
                self.growing.append(place)
                return True
        return False

    def _carry(self, place: Place, entry: Any, value: Any) -> None:
        pairs = Pairs()
        try:
            if isinstance(place, Contents) and (isinstance(entry, set) or len(entry) != len(value)):
                refuse(
                    f"{place.name} changes its length inside a loop whose number of steps only the model knows",
                    "Append once in every step, without a condition, and stack the list after the loop.",
                )
            template = self._unified(entry, value, pairs)
            self.carried[place.key] = Carried(entry, template, pairs.specs, pairs.left)
        except Conflict as conflict:
            self.local[place.key] = self._conflicting(place, conflict)

    def _unified(self, entry: Any, value: Any, pairs: Pairs) -> Any:
        """As `unify`; in a `for`, which takes a step at least, a number at the start takes the shape of a tensor."""
        if not self.may_be_empty and isinstance(entry, NUMBERS) and isinstance(value, Tensor) and value.shape:
            dtype = common_spec(entry, value[(0,) * len(value.shape)]).dtype
            return pairs.add(entry, value, TensorSpec(value.shape, dtype))
        return unify(entry, value, pairs)

    def _conflicting(self, place: Place, conflict: Conflict) -> Missing:
        return Missing(
            f"variable '{place.name}' changes in a `{self.kind}` loop of unknown length: before and after a step it is "
            f"{conflict.text}\n  {self.line}\n  A loop keeps structure, shape and dtype: give the variable a first "
            "value of that shape and dtype (ops.zeros(...)), or append to a list and stack it.",
            conflict.kind,
        )

    def _check(self, place: Place, known: Carried, value: Any) -> bool:
        """Hold a carried variable against what a step made of it; its first value may be a number of another kind."""
        pairs = Pairs()
        try:
            self._unified(known.entry, value, pairs)
            if len(pairs.specs) != len(known.specs):
                raise Conflict(f"{described(known.entry)}, then {described(value)}", SymbolicValueError)
        except Conflict as conflict:
            return self._retire(place, conflict)
        both = zip(pairs.specs, known.specs, strict=True)
        if all(a.dtype == b.dtype and same_shape(a.shape, b.shape) for a, b in both):
            return False
        known.specs = pairs.specs
        return True

    def _retire(self, place: Place, conflict: Conflict) -> bool:
        """A variable that cannot be carried belongs to one step alone."""
        del self.carried[place.key]
        self.local[place.key] = self._conflicting(place, conflict)
        return True

    def _note_result(self, place: Place, value: Any) -> bool:
        """A variable of one step has a value after the loop too where a step is sure, or where nobody looks."""
        sure = not self.may_be_empty and self.local[place.key] is ABSENT
        is_whole = place.added or (sure and all(is_numeric(x) for x in tree.flatten(value)))
        if is_missing(value) or not is_whole:
            return False
        known = self.results.get(place.key)
        if known is not None:
            return False
        pairs = Pairs()
        template = unify(ABSENT, value, pairs, filled=True)
        self.results[place.key] = Carried(ABSENT, template, pairs.specs, pairs.left)
        return True

    # --- the loop itself

    def start(self) -> list[Any]:
        """The first values of the loop's tensors."""
        return [as_leaf(x, s) for c in self._slots() for x, s in zip(c.starts, c.specs, strict=True)]

    def on(self, tensors: Sequence[Any], action: Callable[[], Any], results: bool = False) -> Any:
        """Run an action on a state: its result, or the state after it."""
        found: list[Any] = []
        after = self._run(list(tensors), lambda: found.append(action()))
        return tuple(self._leaves(after)) if results else found[0]

    def _leaves(self, after: list[Any]) -> list[Any]:
        """The tensors of the state after a step."""
        found: list[Any] = []
        self._grown = []
        for place, entry, value in zip(self.places, self.entry, after, strict=True):
            if self._grows(place, entry, value):
                self._grown.append(value[len(entry) :])
            known = self.carried.get(place.key) or self.results.get(place.key)
            if known is not None:
                found += [as_leaf(x, s) for x, s in zip(_slot_values(known.template, value), known.specs, strict=True)]
        return found

    def grown(self) -> list[list[Any]]:
        """What a step appended to lists."""
        return self._grown

    def finish(self, tensors: Sequence[Any]) -> None:
        """After the loop: carried variables hold its results, variables of one step what is known of them."""
        rest = list(tensors)
        for place in self.places:
            known = self.carried.get(place.key) or self.results.get(place.key)
            if known is not None:
                own, rest = rest[: len(known.specs)], rest[len(known.specs) :]
                self._set(place, build(known.template, own))
            elif place.key in self.local:
                missing = self.local[place.key]
                self._set(place, self._unassigned(place) if missing is ABSENT else missing)

    def _set(self, place: Place, value: Any) -> None:
        if place in self.own:
            place.set(value)
        else:
            assign(place, value)

    def _unassigned(self, place: Place) -> Missing:
        return Missing(
            f"variable '{place.name}' is assigned only inside a `{self.kind}` loop that may take no step\n"
            f"  {self.line}\n  Assign it before the loop, with the shape and dtype it has inside."
        )


def _slot_values(template: Any, value: Any) -> list[Any]:
    """The leaves of a value that stand in the slots of its structure, in the order of the slots."""
    if isinstance(template, Slot):
        return [value]
    if isinstance(template, Constant):
        return []
    if isinstance(template, dict):
        return [leaf for key, part in template.items() for leaf in _slot_values(part, value[key])]
    return [leaf for part, v in zip(template, value, strict=True) for leaf in _slot_values(part, v)]
