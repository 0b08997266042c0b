"""Where in a model an edit takes place: layers, their calls and tensors by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from ...trainer.core.graph import Node
from ...trainer.core.tensor import Tensor
from ..call import LayerCall
from ..layer import Layer
from ..plan import Plan, Step

Place = str | Tensor | Layer | LayerCall


def results_of(step: Step) -> list[Tensor]:
    """Tensors that a step makes."""
    return step.output_tensors() if isinstance(step, LayerCall) else list(step.outputs)


def sources_of(step: Step) -> list[Tensor]:
    """Tensors that a step takes, constants and weights among them."""
    return step.input_tensors() if isinstance(step, LayerCall) else [x for x in step.inputs if x is not None]


def step_name(step: Step) -> str:
    """What a step is called in messages: the layer's name, or the name of the operation's first result."""
    if isinstance(step, LayerCall):
        return step.layer.name
    return (step.outputs[0].name if step.outputs else None) or step.primitive.name


class Places:
    """The names that lead into a model: layers, single calls of shared layers (`"dense:1"`), and tensors."""

    def __init__(self, model: Any, plan: Plan, task: str) -> None:
        self.model = model
        self.plan = plan
        self.task = task
        self._tensors: dict[str, Tensor] | None = None

    def calls(self, name: str) -> list[LayerCall]:
        """The calls of the layer of a name, in order."""
        return [step for step in self.plan.layer_calls() if step.layer.name == name]

    def tensors(self) -> dict[str, Tensor]:
        """Tensors by the names of inputs, outputs, of the file that was opened, and of `model.tensors()`."""
        if self._tensors is None:
            inner = self.model.tensors()
            found = {x.name: x for x in inner.values() if x.name is not None}
            outputs = dict(zip(self.model.output_names, self.plan.output_tensors, strict=True))
            inputs = dict(zip(self.model.input_names, self.plan.input_tensors, strict=True))
            self._tensors = {**inner, **found, **outputs, **inputs}
        return self._tensors

    def steps(self, place: Place) -> list[Step]:
        """The steps meant by a name, tensor, layer or call: all calls of a layer, one call with `name:number`."""
        if isinstance(place, LayerCall):
            return [self._own(place, [s for s in self.plan.steps if s is place])]
        if isinstance(place, Layer):
            return self._at_least_one([s for s in self.plan.layer_calls() if s.layer is place], place.name)
        if isinstance(place, Tensor):
            return [self._own(place, [s for s in self.plan.steps if any(x is place for x in results_of(s))])]
        if calls := self.calls(place):
            return list(calls)
        name, _, number = place.rpartition(":")
        if number.isdigit() and (calls := self.calls(name)):
            if int(number) >= len(calls):
                raise ValueError(
                    f"{self.task}: layer '{name}' of model '{self.model.name}' is called {len(calls)} "
                    f"time{'s' if len(calls) > 1 else ''}, there is no call {number}; the first one is '{name}:0'"
                )
            return [calls[int(number)]]
        if place in self.model.input_names:
            raise ValueError(f"{self.task}: '{place}' is an input of model '{self.model.name}', and no layer")
        return [self._own(place, self._making(self.tensor(place)))]

    def step(self, place: Place) -> Step:
        """The only step meant; raises `ValueError` for a shared layer without a number."""
        found = self.steps(place)
        if len(found) > 1:
            raise ValueError(
                f"{self.task}: layer '{step_name(found[0])}' is called {len(found)} times; say which call is meant: "
                f"{', '.join(repr(f'{step_name(found[0])}:{i}') for i in range(len(found)))}"
            )
        return found[0]

    def tensor(self, place: Place) -> Tensor:
        """The tensor of a name, or the only result of a layer."""
        if isinstance(place, Tensor):
            return place
        if isinstance(place, str):
            if place in self.model.input_names:
                return self.tensors()[place]
            if not self._is_layer(place):
                return self._named_tensor(place)
        results = results_of(self.step(place))
        if len(results) != 1:
            raise ValueError(
                f"{self.task}: {place!r} gives {len(results)} tensors; pass the one that is meant, such as "
                f"model.get_layer({step_name(self.step(place))!r}).output[0]"
            )
        return results[0]

    def _is_layer(self, place: str) -> bool:
        name, _, number = place.rpartition(":")
        return bool(self.calls(place) or (number.isdigit() and self.calls(name)))

    def _named_tensor(self, name: str) -> Tensor:
        found = self.tensors().get(name)
        if found is not None:
            return found
        if "/" in name:
            try:
                return self.model.get_layer(name).output
            except (ValueError, AttributeError):
                pass
        raise ValueError(f"{self.task}: {self._unknown(name)}")

    def _unknown(self, name: str) -> str:
        layers = list(dict.fromkeys(call.layer.name for call in self.plan.layer_calls()))
        known = [*layers, *self.tensors()]
        close = difflib.get_close_matches(name, known, 3)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
        listed = layers or list(self.tensors())
        return (
            f"model '{self.model.name}' has no layer or tensor {name!r}{hint} It has: "
            f"{', '.join(listed[:30])}{', ...' if len(listed) > 30 else ''} (tensors: model.tensors())"
        )

    def _making(self, tensor: Tensor) -> list[Step]:
        return [step for step in self.plan.steps if any(x is tensor for x in results_of(step))]

    def _own(self, place: Place, found: Sequence[Step]) -> Step:
        return self._at_least_one(found, place)[0]

    def _at_least_one(self, found: Sequence[Step], place: Any) -> list[Step]:
        if not found:
            raise ValueError(
                f"{self.task}: {place!r} is not made by a step of model '{self.model.name}' itself; take a layer or "
                "tensor of this model (inside a nested model: by its path, 'encoder/conv')"
            )
        return list(found)


def boundary(steps: Iterable[Step], plan: Plan) -> tuple[list[Tensor], list[Tensor]]:
    """What enters and what leaves a set of steps: tensors made elsewhere in the model, and those used elsewhere."""
    inside = {id(step) for step in steps}
    chosen = [step for step in plan.steps if id(step) in inside]
    made = {id(x) for step in chosen for x in results_of(step)}
    others = [step for step in plan.steps if id(step) not in inside]
    known = {id(x) for x in plan.input_tensors} | {id(x) for step in others for x in results_of(step)}
    used = {id(x) for step in others for x in sources_of(step)} | {id(x) for x in plan.output_tensors}
    entering = {id(x): x for step in chosen for x in sources_of(step) if id(x) not in made and id(x) in known}
    leaving = {id(x): x for step in chosen for x in results_of(step) if id(x) in used}
    return list(entering.values()), list(leaving.values())


def is_operation(step: Step) -> bool:
    """Whether a step is an operation outside of layers."""
    return isinstance(step, Node)
