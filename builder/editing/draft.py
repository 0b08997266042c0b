"""A model while it is edited: its plan, what stands in the place of some of its steps, and the model that comes out.

The steps are run again on new symbolic inputs. So every edit is checked by shape inference when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...trainer.core import tree
from ...trainer.core.dims import contains_dim, substitute_tree
from ...trainer.core.errors import DtypeError, ShapeError, SymbolicValueError
from ...trainer.core.tensor import Tensor
from ...trainer.core.trace import Trace
from ...trainer.core.variable import Variable
from ..call import LayerCall
from ..functional import Functional
from ..input import Input
from ..layer import Layer
from ..model import Model
from ..model_names import give_names, given_names
from ..plan import Plan, Step, bind
from ..saving import user_metadata
from .modes import mode_arguments
from .places import Places, boundary, results_of, sources_of, step_name
from .twins import Twins

Make = Callable[..., Any]
Enter = Callable[[Tensor, str], tuple[Tensor, Tensor]]


@dataclass(eq=False)
class Block:
    """Steps that something else stands for.

    entering, leaving: the tensors that go in, and those whose place the results of `make(*values)` take
    """

    steps: list[Step]
    make: Make
    entering: list[Tensor]
    leaving: list[Tensor]
    done: bool = field(default=False)


def new_input(x: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """An input of the same shape, element type and name, and the value that it gives: itself."""
    made = Input(batch_shape=x.shape, dtype=x.dtype, name=name)
    return made, made


class Draft:
    """An edit of one model.

    task: the edit as the user wrote it, for messages
    copies: whether the result gets copies of the weights instead of sharing them
    """

    def __init__(self, model: Any, task: str, copies: bool = False, plan: Plan | None = None) -> None:
        self.task = task
        self.model = model
        whole = plan_of(model, task)
        self.plan = whole if plan is None else plan
        self.twins = Twins(copies)
        self.places = Places(model, whole, task)
        self.known: dict[int, Any] = {}
        self._dropped = mode_arguments(model, whole)
        self._blocks: dict[int, Block] = {}
        self._sizes: dict[str, Any] = {}
        self._arguments: dict[int, Callable[[Tensor, Any], Any]] = {}
        self.wrap: dict[int, Callable[[Any], Any]] = {}
        self.run_step: Callable[[Step], list[Any]] = self.repeat

    # -- what is to be different -----------------------------------------------------------------------------------

    def substitute(self, steps: Sequence[Step], make: Make) -> Block:
        """Let `make(*values)` stand for steps; it gets what enters them and gives what leaves, one value or several."""
        entering, leaving = boundary(steps, self.plan)
        block = Block(list(steps), make, entering, leaving)
        self._blocks.update((id(step), block) for step in steps)
        return block

    def before(self, step: Step, change: Callable[[Tensor, Any], Any]) -> None:
        """Let a step take `change(tensor, value)` instead of the value of each tensor among its arguments."""
        self._arguments[id(step)] = change

    # -- the model that comes out ----------------------------------------------------------------------------------

    def build(
        self,
        enter: Enter = new_input,
        leave: Callable[[Any], Any] = lambda outputs: outputs,
        name: str | None = None,
        input_names: Sequence[str] | None = None,
    ) -> Any:
        """The edited model, a functional one.

        enter: makes an input from the old one and its name, and the value that the old one has then
        leave: makes the outputs from those of the steps
        """
        names = input_names or [x.name or f"input_{i}" for i, x in enumerate(self.plan.input_tensors)]
        inputs: dict[int, Tensor] = {}
        values: list[Any] = []
        with Trace(records=True):
            for x, own in zip(self.plan.input_tensors, names, strict=True):
                inputs[id(x)], value = enter(x, own)
                values.append(value)
            outputs = leave(self.run(values))
        structure = tree.map_structure(lambda x: None if x is None else inputs[id(x)], self.plan.inputs)
        return self.finished(structure, outputs, name)

    def run(self, values: Sequence[Any]) -> Any:
        """The outputs of the steps for values of the inputs, inside an open trace."""
        self.known = dict(zip(map(id, self.plan.input_tensors), values, strict=True))
        self._sizes = bind(self.plan.input_tensors, values)
        self._wrap_all(self.plan.input_tensors)
        for step in self.plan.steps:
            self.take(step)
        outputs = tree.map_structure(self.value, self.plan.outputs)
        give_names(outputs, given_names(self.plan.outputs))
        return outputs

    def finished(self, inputs: Any, outputs: Any, name: str | None = None) -> Any:
        """A functional model between new tensors, with what the edited one was besides its graph."""
        try:
            made = Functional(inputs, outputs, name=name or self.model.name)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{self.task}: {error}") from None
        if metadata := user_metadata(self.model):
            made._metadata = metadata
        return made

    def value(self, x: Any) -> Any:
        """What a tensor, variable or argument of the old model is in the new one."""
        if isinstance(x, Variable):
            return self.twins.variable(x)
        if not isinstance(x, Tensor):
            return substitute_tree(x, self._sizes)
        if id(x) in self.known:
            return self.known[id(x)]
        if x.symbol is not None and x.symbol.variable is not None:
            return self.twins.variable(x.symbol.variable)
        if x.array is None:
            self._demand(x)
        return self.known.get(id(x), x)

    # -- running the steps again -----------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        block = self._blocks.get(id(step))
        if block is None:
            self._store(step, results_of(step), self.run_step(step))
        elif step is block.steps[-1] and not block.done:
            self._run_block(block)

    def _demand(self, x: Tensor) -> None:
        """Run the block that makes a tensor which a step outside needs before the block's last step is reached."""
        for block in self._blocks.values():
            if not block.done and any(x is made for made in block.leaving):
                self._run_block(block)
                return

    def _run_block(self, block: Block) -> None:
        block.done = True
        missing = [x for x in block.entering if id(x) not in self.known]
        if missing:
            made = [step for step in self.plan.steps if any(x is missing[0] for x in results_of(step))]
            between = next((step_name(s) for s in made), missing[0].name)
            raise ValueError(
                f"{self.task}: '{between}' takes from these layers and gives back to them, so that they are no unit; "
                "take it in as well"
            )
        values = [self.value(x) for x in block.entering]
        results = self.told(block.steps[0], lambda: tree.flatten(block.make(*values)))
        if len(results) != len(block.leaving):
            raise ValueError(
                f"{self.task}: what takes the place of '{step_name(block.steps[-1])}' gives {len(results)} tensors, "
                f"and {len(block.leaving)} are used by the rest of the model"
            )
        self._store(block.steps[-1], block.leaving, results)

    def _store(self, step: Step, tensors: Sequence[Tensor], results: Sequence[Any]) -> None:
        self.known.update((id(x), y) for x, y in zip(tensors, results, strict=True))
        for x, y in zip(tensors, results, strict=True):
            name = x.symbol.name if x.symbol is not None else None
            if name and isinstance(y, Tensor) and y.symbol is not None and y.symbol.name is None:
                y.symbol.name = name
        self._wrap_all(tensors)

    def _wrap_all(self, tensors: Sequence[Tensor]) -> None:
        for x in tensors:
            if id(x) in self.wrap:
                self.known[id(x)] = self.wrap[id(x)](self.known[id(x)])

    def repeat(self, step: Step, layer: Any = None) -> list[Any]:
        """The results of a step in the new model; of another layer in its place, if one is given."""
        arguments, keywords = self.arguments(step)
        if isinstance(step, LayerCall):
            run = self.twins.layer(step.layer) if layer is None else layer
            self.forget_file(step, run, [arguments, keywords])
        else:
            run = step.primitive
        return self.told(step, lambda: tree.flatten(run(*arguments, **keywords)))

    def forget_file(self, step: LayerCall, layer: Any, given: Any) -> None:
        """A layer that stood for nodes of a file does so no more where it is called on other shapes: constants of the
        nodes may say the old ones."""
        if getattr(layer, "lifted", None) is None:
            return
        old = [tuple(substitute_tree(x.shape, self._sizes)) for x in step.input_tensors()]
        new = [tuple(x.shape) for x in tree.flatten(given) if isinstance(x, (Tensor, Variable))]
        if old != new:
            layer.lifted = None

    def arguments(self, step: Step) -> tuple[list[Any], dict[str, Any]]:
        """Arguments of a step in the new model: values for tensors, everything else as it was."""
        change = self._arguments.get(id(step))

        def fill(x: Any) -> Any:
            value = self.value(x)
            return change(x, value) if change is not None and isinstance(x, Tensor) and x.array is None else value

        if not isinstance(step, LayerCall):
            attributes = step.attributes
            if self._sizes and contains_dim(tuple(attributes.values())):
                attributes = {name: substitute_tree(value, self._sizes) for name, value in attributes.items()}
            return [None if x is None else fill(x) for x in step.inputs], attributes
        dropped = self._dropped.get(id(step), ())
        keywords = {name: value for name, value in step.kwargs.items() if name not in dropped}
        return tree.map_structure(fill, list(step.args)), tree.map_structure(fill, keywords)

    def told(self, step: Step, work: Callable[[], Any]) -> Any:
        """The result of running something; an error is told with the edit, and with the step that no longer fits."""
        try:
            return work()
        except (ShapeError, DtypeError, SymbolicValueError) as error:
            if str(error).startswith(self.task):
                raise
            advice = f"Replace '{step_name(step)}' as well, or change what it is given{self._given(step)}"
            raise type(error)(f"{self.task}: '{step_name(step)}' does not fit here: {error}\n  {advice}") from None

    def _given(self, step: Step) -> str:
        """Whose results a step takes."""
        made = {id(x): step_name(each) for each in self.plan.steps for x in results_of(each)}
        names = list(dict.fromkeys(made[id(x)] for x in sources_of(step) if id(x) in made))
        return f", which was the result of {' and '.join(map(repr, names))}" if names else ""

    def user_layer(self, layer: Any) -> Any:
        """A layer that the user brings: itself, or a twin if another model has it; automatic names become unique."""
        if not isinstance(layer, Layer):
            return layer
        if layer._calls and not isinstance(layer, Model):
            layer = self.twins.layer(layer)
        taken = {call.layer.name for call in self.plan.layer_calls()}
        if layer.name in taken and layer._arguments.get("name") is None:
            layer.name = unique_name(layer.name, taken)
        return layer


def unique_name(name: str, taken: set[str]) -> str:
    """A name like this one that is not taken yet."""
    found, count = name, 1
    while found in taken:
        found, count = f"{name}_{count}", count + 1
    return found


def plan_of(model: Any, task: str) -> Plan:
    """The plan of a model; raises `TypeError` for what is none, `ValueError` for one that is not built."""
    if not isinstance(model, Model):
        raise TypeError(
            f"{task}: expected a model, got {type(model).__name__}; open a file with sx.models.load_model(path)"
        )
    try:
        return model.plan
    except ValueError as error:
        raise ValueError(f"{task}: {error}") from None
