"""Steps run again where sizes that were numbers are symbolic, with the constants that hard-code them repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...trainer.core import tree
from ...trainer.core.dims import Dim, UndecidableSize, names
from ...trainer.core.errors import DtypeError, ShapeError, format_shape
from ...trainer.core.graph import Graph, Node, names_in
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
from .repairs import attribute_choices, operand_choices, whole_axis

ATTEMPTS = 40
"""How often all steps are run again with other choices before it is said that there is no way."""

READINGS = 8
"""How many ways to read the numbers inside one layer are tried."""

MISFITS = (ShapeError, DtypeError, UndecidableSize, ValueError, NotImplementedError)
"""What shape inference raises, and what operators of files do whose arithmetic a symbolic size does not take."""


class Choices:
    """Which of several repairs that fit is taken: the likeliest; when that was wrong, the last choice goes first."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.reached = 0

    def take(self, candidates: Iterator[Callable[[], Any]], fits: Callable[[Any], str | None]) -> Any:
        """The result of the candidate to be tried now; raises the first misfit where there is none left.

        Candidates whose results have the shapes of one before are the same.
        """
        if self.reached == len(self.taken):
            self.taken.append(0)
        wanted, place = self.taken[self.reached], self.reached
        self.reached += 1
        seen: list[Any] = []
        first: Exception | None = None
        for candidate in candidates:
            try:
                found = candidate()
                problem = fits(found)
            except MISFITS as error:
                first = first or error
                continue
            shapes = [getattr(x, "shape", None) for x in found]
            if problem is not None:
                first = first or ShapeError(problem)
            elif shapes not in seen:
                seen.append(shapes)
                if len(seen) > wanted:
                    return found
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
        self, primitive: Any, values: list[Any], attributes: dict[str, Any], old: list[Any], fits: Any,
        choices: Choices | None = None,
    ) -> list[Any]:  # fmt: skip
        """The results of a primitive, with its attributes or operands repaired where need be."""
        new = [() if x is None else x.shape for x in values]

        def candidates() -> Iterator[Callable[[], Any]]:
            if primitive.name == "take" and (whole := whole_axis(self.known, values, attributes, old)) is not None:
                yield lambda: [whole]
            for choice in attribute_choices(primitive.name, self.known, attributes, old, new):
                yield lambda choice=choice: tree.flatten(primitive(*values, **choice))
            for operands in operand_choices(self.known, values):
                yield lambda operands=operands: tree.flatten(primitive(*operands, **attributes))

        return (choices or self.choices).take(candidates(), fits)

    # -- layers ----------------------------------------------------------------------------------------------------

    def _layer(self, call: LayerCall) -> list[Any]:
        layer = self._nested.get(id(call.layer))
        if layer is None and self._is_fixed(call):
            return self._nested_model(call)
        is_model = getattr(call.layer, "_plan", None) is not None

        can_open = not is_model and not _follows_mode(call.layer) and bool(call.input_tensors())

        def candidates() -> Iterator[Callable[[], Any]]:
            if can_open and _cuts_to_size(call):
                yield lambda: self._opened(call, Choices())
            yield lambda: tree.flatten(self._called(call, layer))
            if is_model:
                yield lambda: self._nested_model(call)
                return
            yield from self._with_other_arguments(call, layer)
            if can_open:
                choices = Choices()
                for _ in range(READINGS):
                    yield lambda: self._opened(call, choices)
                    if not choices.next():
                        break

        try:
            return self.choices.take(candidates(), lambda found: self._misfit(call, found))
        except MISFITS as error:
            raise self._told(call, error) from None

    def _is_fixed(self, call: LayerCall) -> bool:
        """Whether a nested model says a number for a size that is freed."""
        inner = getattr(call.layer, "_plan", None)
        if inner is None:
            return False
        arguments, _ = self.draft.arguments(call)
        given = [x for x in tree.flatten(arguments) if x is not None]
        return any(
            isinstance(size, int) and self.known.is_freed(actual)
            for x, value in zip(inner.input_tensors, given, strict=True)
            for size, actual in zip(x.shape, value.shape, strict=True)
        )

    def _called(self, call: LayerCall, layer: Any) -> Any:
        arguments, keywords = self.draft.arguments(call)
        run = self.draft.twins.layer(call.layer) if layer is None else layer
        self.draft.forget_file(call, run, [arguments, keywords])
        return run(*arguments, **keywords)

    def _with_other_arguments(self, call: LayerCall, layer: Any) -> Iterator[Callable[[], Any]]:
        """Calls where constants among the arguments, such as first states, are made as long as the batch."""
        arguments, keywords = self.draft.arguments(call)
        both = [arguments, keywords]
        flat = tree.flatten(both)
        values = [x if isinstance(x, (Tensor, Variable)) else None for x in flat]
        for operands in operand_choices(self.known, values):
            args, named = tree.pack_sequence_as(
                both, [x if value is None else value for x, value in zip(flat, operands, strict=True)]
            )
            run = self.draft.twins.layer(call.layer) if layer is None else layer
            yield lambda run=run, args=args, named=named: tree.flatten(run(*args, **named))

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
        if not _is_determined(made):
            raise ShapeError(
                f"{self.draft.task}: the model '{made.name}' uses sizes that cannot be told from what enters it; "
                "take it apart first: "
                f"sx.editing.split(model, {made.name!r})"
            )
        self._nested[id(call.layer)] = made
        return tree.flatten(made(*arguments))

    def _opened(self, call: LayerCall, choices: Choices) -> list[Any]:
        """A layer whose settings hold a size: its operations as a nested model of its name."""
        sources = list({id(x): x for x in call.input_tensors() if x.array is None}.values())
        values = [self.draft.value(x) for x in sources]
        inputs = [Input(batch_shape=x.shape, dtype=x.dtype) for x in values]
        outputs = self._operations(call, sources, inputs, choices)
        single = outputs[0] if len(outputs) == 1 else outputs
        made: Any = Functional(inputs[0] if len(inputs) == 1 else inputs, single, name=call.layer.name)
        if _is_determined(made):
            return tree.flatten(made(values[0] if len(values) == 1 else values))
        again = Choices()
        again.taken = list(choices.taken)
        return self._operations(call, sources, values, again)

    def _operations(self, call: LayerCall, sources: list[Tensor], values: list[Any], choices: Choices) -> list[Any]:
        """The operations inside of a call, on other tensors."""
        known: dict[int, Any] = {id(x): y for x, y in zip(sources, values, strict=True)}
        for node in Graph(sources, call.output_tensors()).nodes:
            operands = [None if x is None else self._operand(x, known) for x in node.inputs]
            old = [() if x is None else x.shape for x in node.inputs]
            found = self.choices_of(
                node.primitive,
                operands,
                node.attributes,
                old,
                lambda made, node=node: self._misfit(node, made),
                choices,
            )
            known.update((id(x), y) for x, y in zip(node.outputs, found, strict=True))
        return [known[id(x)] for x in call.output_tensors()]

    def _operand(self, x: Tensor, known: dict[int, Any]) -> Any:
        if id(x) in known:
            return known[id(x)]
        return self.draft.value(x)

    def _told(self, step: Step, error: Exception) -> ShapeError:
        if str(error).startswith(self.draft.task):
            return ShapeError(str(error))
        return ShapeError(
            f"{self.draft.task}: '{step_name(step)}' is made for the size that is to be free: {error}\n  Leave that "
            f"size fixed, or put layers there that take any size (such as GlobalAveragePooling2D before a Dense): "
            f"sx.editing.insert, sx.editing.replace(model, {step_name(step)!r}, ...)"
        )


def _is_determined(model: Any) -> bool:
    """Whether the sizes that a model's operations use follow from the sizes of its inputs, each by itself."""
    sizes = [size for x in model.plan.input_tensors for size in x.shape if isinstance(size, Dim)]
    known: set[str] = set()
    for _ in sizes:
        known.update(*[names(size) for size in sizes if len(names(size) - known) == 1])
    nodes = [step for step in model.plan.steps if not isinstance(step, LayerCall)]
    return names_in([tuple(node.attributes.values()) for node in nodes]) <= known


def _cuts_to_size(call: LayerCall) -> bool:
    """Whether a node of somebody's file takes a part of an axis or brings it to a size, by numbers."""
    is_theirs = getattr(call.layer, "fragment", None) is not None or getattr(call.layer, "lifted", None) is not None
    nodes = Graph(call.input_tensors(), call.output_tensors()).nodes if is_theirs else []
    return any(node.primitive.name in ("get_item", "resize", "split", "broadcast_to") for node in nodes)


def _follows_mode(layer: Any) -> bool:
    """Whether a layer, or one inside it, does something else in training."""
    for each in layer.walk_layers():
        fragment = getattr(each, "fragment", None)
        if call_signature(type(each)).takes_training if fragment is None else fragment.is_living:
            return True
    return False
