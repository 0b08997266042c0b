"""Steps run again where sizes that were numbers are symbolic, with the constants that hard-code them repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...trainer.core import tree
from ...trainer.core.dims import UndecidableSize
from ...trainer.core.errors import DtypeError, ShapeError, format_shape
from ...trainer.core.graph import Graph, Node
from ...trainer.core.tensor import Tensor
from ...trainer.core.variable import Variable
from ..call import LayerCall
from ..functional import Functional
from ..input import Input
from ..plan import Step
from ..signature import call_signature
from .draft import Draft
from .known_sizes import KnownSizes
from .places import results_of, step_name
from .repairs import attribute_choices, operand_choices

ATTEMPTS = 40
"""How often all steps are run again with other choices before it is said that there is no way."""

MISFITS = (ShapeError, DtypeError, UndecidableSize)


class Choices:
    """Which of several repairs that fit is taken: the likeliest; when that was wrong, the last choice goes first."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.reached = 0

    def take(self, candidates: Iterator[Callable[[], Any]], fits: Callable[[Any], str | None]) -> Any:
        """The result of the candidate to be tried now; raises the first misfit where there is none left."""
        if self.reached == len(self.taken):
            self.taken.append(0)
        wanted, place = self.taken[self.reached], self.reached
        self.reached += 1
        first: Exception | None = None
        for candidate in candidates:
            try:
                found = candidate()
                problem = fits(found)
            except MISFITS as error:
                problem, first = str(error), first or error
            else:
                if problem is None:
                    if wanted == 0:
                        return found
                    wanted -= 1
                else:
                    first = first or ShapeError(problem)
        del self.taken[place:]  # nothing is left to be tried here: the choice before this one was wrong
        raise first or ShapeError("no other shape fits here")

    def next(self) -> bool:
        """Go on to the next combination of choices; False if there is none."""
        if not self.taken:
            return False
        self.taken[-1] += 1
        self.reached = 0
        return True


class Freeing:
    """The steps of one model, or of a model nested in it, on inputs with freed sizes."""

    def __init__(self, draft: Draft, known: KnownSizes, choices: Choices) -> None:
        self.draft = draft
        self.known = known
        self.choices = choices
        self._nested: dict[int, Any] = {}
        draft.run_step = self.run

    def run(self, step: Step) -> list[Any]:
        """The results of a step, whose shapes at the original sizes are what they were."""
        results = self._layer(step) if isinstance(step, LayerCall) else self._operation(step)
        for x in results:
            if isinstance(x, Tensor):
                self.known.see(x.shape)
        return results

    def _misfit(self, step: Step, results: Sequence[Any]) -> str | None:
        """What is wrong with results: their shapes at the original sizes are not what they were."""
        for old, new in zip(results_of(step), results, strict=True):
            shape = tuple(map(self.known.at_origin, new.shape))
            if shape != tuple(map(self.known.at_origin, old.shape)):
                return f"expected shape {format_shape(old.shape)} at the original sizes, got {format_shape(shape)}"
        return None

    # -- operations ------------------------------------------------------------------------------------------------

    def _operation(self, step: Node) -> list[Any]:
        values, attributes = self.draft.arguments(step)
        old = [() if x is None else x.shape for x in step.inputs]
        try:
            return self.choices_of(step.primitive, values, attributes, old, lambda found: self._misfit(step, found))
        except MISFITS as error:
            raise self._told(step, error) from None

    def choices_of(
        self, primitive: Any, values: list[Any], attributes: dict[str, Any], old: list[Any], fits: Any
    ) -> list[Any]:
        """The results of a primitive, with its attributes or operands repaired where need be."""
        new = [() if x is None else x.shape for x in values]

        def candidates() -> Iterator[Callable[[], Any]]:
            for choice in attribute_choices(primitive.name, self.known, attributes, old, new):
                yield lambda choice=choice: tree.flatten(primitive(*values, **choice))
            for operands in operand_choices(self.known, values):
                yield lambda operands=operands: tree.flatten(primitive(*operands, **attributes))

        return self.choices.take(candidates(), fits)

    # -- layers ----------------------------------------------------------------------------------------------------

    def _layer(self, call: LayerCall) -> list[Any]:
        layer = self._nested.get(id(call.layer))
        try:
            results = tree.flatten(self._called(call, layer))
            problem = self._misfit(call, results)
            if problem is None:
                return results
            error: Exception = ShapeError(problem)
        except MISFITS as refused:
            error = refused
        if getattr(call.layer, "_plan", None) is not None:
            return self._nested_model(call)
        repaired = self._with_other_arguments(call, layer)
        if repaired is not None:
            return repaired
        if _follows_mode(call.layer) or not _has_operations(call):
            raise self._told(call, error) from None
        return self._opened(call, error)

    def _called(self, call: LayerCall, layer: Any) -> Any:
        arguments, keywords = self.draft.arguments(call)
        run = self.draft.twins.layer(call.layer) if layer is None else layer
        self.draft.forget_file(call, run, [arguments, keywords])
        return run(*arguments, **keywords)

    def _with_other_arguments(self, call: LayerCall, layer: Any) -> list[Any] | None:
        """The results where constants among the arguments, such as first states, are made as long as the batch."""
        arguments, keywords = self.draft.arguments(call)
        both = [arguments, keywords]
        flat = tree.flatten(both)
        values = [x if isinstance(x, (Tensor, Variable)) else None for x in flat]
        for operands in operand_choices(self.known, values):
            args, named = tree.pack_sequence_as(
                both, [x if value is None else value for x, value in zip(flat, operands, strict=True)]
            )
            run = self.draft.twins.layer(call.layer) if layer is None else layer
            try:
                results = tree.flatten(run(*args, **named))
            except MISFITS:
                continue
            if self._misfit(call, results) is None:
                return results
        return None

    def _nested_model(self, call: LayerCall) -> list[Any]:
        """A nested model on its new inputs: made anew in the same way, under the same name."""
        arguments, _ = self.draft.arguments(call)
        given = [x for x in tree.flatten(arguments) if x is not None]
        inner = Draft(call.layer, self.draft.task)
        inner.twins = self.draft.twins
        Freeing(inner, self.known, self.choices)._nested = self._nested
        shapes = {id(x): value.shape for x, value in zip(inner.plan.input_tensors, given, strict=True)}

        def enter(x: Tensor, name: str) -> tuple[Tensor, Tensor]:
            made = Input(batch_shape=shapes[id(x)], dtype=x.dtype, name=name)
            return made, made

        made = inner.build(enter, name=call.layer.name)
        self._nested[id(call.layer)] = made
        return tree.flatten(made(*arguments))

    def _opened(self, call: LayerCall, error: Exception) -> list[Any]:
        """A layer whose settings hold a size: its operations as a nested model of its name."""
        sources = list({id(x): x for x in call.input_tensors() if x.array is None}.values())
        values = [self.draft.value(x) for x in sources]
        inputs = [Input(batch_shape=x.shape, dtype=x.dtype) for x in values]
        known: dict[int, Any] = {id(x): y for x, y in zip(sources, inputs, strict=True)}
        for node in Graph(sources, call.output_tensors()).nodes:
            operands = [None if x is None else self._operand(x, known) for x in node.inputs]
            old = [() if x is None else x.shape for x in node.inputs]
            try:
                found = self.choices_of(
                    node.primitive, operands, node.attributes, old, lambda made, node=node: self._misfit(node, made)
                )
            except MISFITS:
                raise self._told(call, error) from None
            known.update((id(x), y) for x, y in zip(node.outputs, found, strict=True))
        outputs = [known[id(x)] for x in call.output_tensors()]
        single = outputs[0] if len(outputs) == 1 else outputs
        made: Any = Functional(inputs[0] if len(inputs) == 1 else inputs, single, name=call.layer.name)
        return tree.flatten(made(values[0] if len(values) == 1 else values))

    def _operand(self, x: Tensor, known: dict[int, Any]) -> Any:
        if id(x) in known:
            return known[id(x)]
        return self.draft.value(x)

    def _told(self, step: Step, error: Exception) -> ShapeError:
        return ShapeError(
            f"{self.draft.task}: '{step_name(step)}' is made for the size that is to be free: {error}\n  Leave that "
            f"size fixed, or put layers there that take any size (such as GlobalAveragePooling2D before a Dense): "
            f"sx.editing.insert, sx.editing.replace(model, {step_name(step)!r}, ...)"
        )


def _follows_mode(layer: Any) -> bool:
    """Whether a layer, or one inside it, does something else in training."""
    for each in layer.walk_layers():
        fragment = getattr(each, "fragment", None)
        if call_signature(type(each)).takes_training if fragment is None else fragment.is_living:
            return True
    return False


def _has_operations(call: LayerCall) -> bool:
    return bool(call.input_tensors()) and bool(call.output_tensors())
