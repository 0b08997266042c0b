"""Model: a layer that can be trained, looked at, cut, saved and exported, however it was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..trainer.conversion import in_trace
from ..trainer.core import tree
from ..trainer.core.dims import Dim, is_fresh
from ..trainer.core.spec import TensorSpec, as_shape
from ..trainer.core.tensor import Tensor
from ..trainer.core.told import tells_line
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.core.variable import Variable
from . import later
from .call import CallContext, contexts
from .freezing import Freezing
from .inner_tensors import plan_between
from .input import InputLayer
from .layer import Layer, map_shapes
from .matching import match_inputs
from .model_files import ModelFiles
from .model_names import find_layer, output_names, weight_names
from .model_training import ModelTraining
from .plan import Plan
from .settings import read_settings, refuse_changes
from .signature import call_signature

if TYPE_CHECKING:
    from .check_report import CheckReport


class Model(ModelFiles, ModelTraining, Freezing, Layer):
    """A network: layers put together by a subclass's `call`, by `Model(inputs, outputs)`, or by `Sequential`.

    After its first call, `build(input_shape)` or `trace(*signature)`, a subclassed model is a graph like any other:
    `summary`, `input`, `output`, `get_layer(path).output`, cutting with `Model(model.input, tensors)`, export.

    >>> import sardonyx as sx
    >>> x = sx.Input((4,))
    >>> model = sx.Model(x, sx.layers.Dense(2)(x))
    >>> model.count_params()
    10
    """

    UNTRACKED: ClassVar[frozenset[str]] = Layer.UNTRACKED | {
        "_plan", "_training", "_sessions", "_settings", "_signature", "_input_layers", "_recorded", "_steps",
        "_rehearsals", "_untracked_loss",
    }  # fmt: skip

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional_call(args, kwargs):
            from_class = FUNCTIONAL_CLASS[0]
            return from_class.__new__(from_class, *args, **kwargs)
        model = super().__new__(cls, *args, **kwargs)
        model._plan = None
        model._view = None
        model._settings = {}
        model._signature = None
        model._input_layers = []
        model._recorded = []
        model._rehearsals = {}
        model._training = None
        model._sessions = {}
        return model

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _is_functional_call(args, kwargs):
            inputs = kwargs.pop("inputs", args[0] if args else None)
            outputs = kwargs.pop("outputs", args[1] if len(args) > 1 else None)
            super().__init__(**kwargs)
            self._set_plan(inputs, outputs)
        elif args:
            raise TypeError(
                f"{type(self).__name__}: Model(inputs, outputs) takes tensors made with Input; got "
                f"{', '.join(type(a).__name__ for a in args)}"
            )
        else:
            super().__init__(**kwargs)

    def _set_plan(self, inputs: Any, outputs: Any) -> None:
        """Become the graph between the given tensors."""
        self._follow(plan_between(inputs, outputs))

    def _follow(self, plan: Plan) -> None:
        """Become the graph of a plan."""
        self._plan = plan
        named = [(x, x.name and x.name.replace("/", ".")) for x in self._plan.input_tensors]  # inner tensors of files
        self._input_layers = [InputLayer(input_tensor=x, name=name) for x, name in named]
        self.plan_variables = self._plan.variables()
        self.built = True

    # -- structure -------------------------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """Inputs, layer calls and outputs; of a subclassed model, found by tracing its `call` in inference mode.

        A subclassed model is traced anew when an attribute, global or NumPy array that its `call` reads has changed.
        Raises `ValueError` before the model knows the shapes of its inputs.
        """
        if self._plan is not None:
            return self._plan
        if self._view is None or read_settings(self) != self._settings:
            self._view = self._trace_plan(self.signature())
        return self._view

    def _trace_plan(self, signature: tuple[list[Any], dict[str, Any]]) -> Plan:
        args, kwargs = self.symbolic_arguments(signature)
        self._forget_recorded()
        before = read_settings(self)
        with Trace(records=True) as trace:
            contexts.stack.append(CallContext(False, []))
            try:
                outputs = self._call_in_mode(args, kwargs, False)
            finally:
                contexts.stack.pop()
        self._recorded = trace.calls
        self._settings = read_settings(self)
        refuse_changes(before, self._settings)
        outputs = tree.map_structure(lambda x: x.read() if isinstance(x, Variable) else x, outputs)
        tensors = [x for value in (*args, *kwargs.values()) for x in tree.flatten(value) if isinstance(x, Tensor)]
        inputs = args[0] if len(args) == 1 and not kwargs else tensors
        return Plan(inputs, outputs)

    def _forget_recorded(self) -> None:
        """Layers forget the calls of this model's graph before; those made for other models stay."""
        for call in self._recorded:
            if call in call.layer._calls:
                call.layer._calls.remove(call)
        self._recorded = []

    def symbolic_arguments(self, signature: tuple[list[Any], dict[str, Any]] | None = None) -> tuple[Any, Any]:
        """Symbolic inputs in the place of the specs of a signature, the model's own by default, named after them."""
        positional, keywords = self.signature() if signature is None else signature
        names = self.argument_names()
        args = [_placeholders(x, names[i] if i < len(names) else "inputs") for i, x in enumerate(positional)]
        return args, {name: _placeholders(x, name) for name, x in keywords.items()}

    def argument_names(self) -> Sequence[str]:
        """Names of the arguments of `call`."""
        return call_signature(type(self)).names

    def _call_in_mode(self, args: Any, kwargs: dict[str, Any], training: bool) -> Any:
        """Run `call` itself, without a scope of its own: names inside begin with the layers' names."""
        takes = call_signature(type(self)).takes_training
        return in_trace(self.call)(*args, **kwargs, **({"training": training} if takes else {}))

    def signature(self) -> tuple[list[Any], dict[str, Any]]:
        """Specs of the arguments of `call`, as seen in the first call, `build` or `trace`."""
        if self._plan is not None:
            return [tree.map_structure(lambda x: None if x is None else x.spec, self._plan.inputs)], {}
        if self._signature is None:
            raise ValueError(
                f"model '{self.name}' ({type(self).__name__}) does not know the shapes of its inputs yet: call it "
                f"once on "
                "data, call build(input_shape), or trace(sx.TensorSpec((None, ...)))"
            )
        return self._signature

    def trace(self, *specs: Any, **keyword_specs: Any) -> Model:
        """Fix the arguments of `call` as specs (with the batch), build the weights, find the graph; gives the model."""
        self._signature = (_share_batch(list(specs)), _share_batch(dict(keyword_specs)))
        self._view = None
        self.built = True
        self._view = self._trace_plan(self._signature)
        return self

    def build(self, input_shape: Any = None) -> None:
        """Build all weights for an input shape with the batch (or a structure of shapes)."""
        if self._plan is not None or input_shape is None:
            self.built = True
            return
        if self._signature is None:
            self.trace(map_shapes(self._input_spec_for, input_shape))

    def _input_spec_for(self, shape: Any) -> TensorSpec:
        sizes = ["batch", *shape[1:]] if shape and shape[0] is None else shape
        return TensorSpec(as_shape(tuple(sizes)), self.compute_dtype)

    def build_from_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Remember the specs of a first call: the batch free, other sizes as seen. True when all is built by it."""
        self._signature = (
            tree.map_structure(_spec_of, list(args)),
            {k: tree.map_structure(_spec_of, v) for k, v in kwargs.items() if k not in ("training", "mask")},
        )
        self._view = None
        self.built = type(self).build is Model.build
        return self.built

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The computation: the plan of a functional model; a subclass writes its own."""
        if self._plan is None:
            raise NotImplementedError(f"model '{self.name}': class {type(self).__name__} does not define call()")
        return self._plan.run(match_inputs(self._plan, inputs, mask))

    def child_layers(self) -> list[Layer]:
        """Direct sub-layers: those of the plan in order of use, then any others held in attributes."""
        planned = self._plan.layers() if self._plan is not None else []
        held = super().child_layers()
        return list({id(x): x for x in [*planned, *held]}.values())

    @property
    def layers(self) -> list[Layer]:
        """Layers of the model, inputs first."""
        return [*self._input_layers, *self.child_layers()]

    @property
    def input(self) -> Any:
        """Symbolic inputs, in the structure in which they are passed."""
        return self.plan.inputs

    @property
    def output(self) -> Any:
        """Symbolic outputs, in the structure in which they are returned."""
        return self.plan.outputs

    @property
    def inputs(self) -> list[Tensor]:
        """Symbolic inputs as a list."""
        return self.plan.input_tensors

    @property
    def outputs(self) -> list[Tensor]:
        """Symbolic outputs as a list."""
        return self.plan.output_tensors

    @property
    def input_shape(self) -> Any:
        """Shapes of the inputs; None for sizes not known."""
        return tree.map_structure(_plain_shape, self.plan.inputs)

    @property
    def output_shape(self) -> Any:
        """Shapes of the outputs; None for sizes not known."""
        return tree.map_structure(_plain_shape, self.plan.outputs)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [x.name or f"input_{i}" for i, x in enumerate(self.plan.input_tensors)]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: dictionary keys, or the names of the layers that make them."""
        return output_names(self.plan)

    @tells_line
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name, by path through nested layers ("encoder/block_2/conv"), or by index.

        In a model out of an ONNX file, names of nodes and of their results in the file find their layer, too.

        Raises `ValueError` with the names there are, and the closest ones.
        """
        from_index = self.layers
        if index is not None:
            if not -len(from_index) <= index < len(from_index):
                raise ValueError(f"model '{self.name}' has {len(from_index)} layers; there is no layer {index}")
            return from_index[index]
        if name is None:
            raise ValueError("get_layer: give a name or an index")
        return find_layer(self, name)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor between operations, for cutting a model anywhere: by its name in the ONNX file that the model
        came from, or that of its node.
        """
        from_nodes: dict[str, Tensor] = {}
        pending = list(self.plan.output_tensors)
        known = {id(x) for x in self.plan.input_tensors}
        nodes: dict[int, Any] = {}
        while pending:
            x = pending.pop()
            node = x.symbol.node if x.symbol is not None else None
            if node is None or id(x) in known or node.index in nodes:
                continue
            nodes[node.index] = node
            pending.extend(s for s in node.inputs if s is not None)
        for index in sorted(nodes):
            node = nodes[index]
            base = "/".join(part for part in (node.path, node.primitive.name) if part)
            for i, x in enumerate(node.outputs):
                own = x.symbol.name if x.symbol is not None else None
                base_name = base if len(node.outputs) == 1 else f"{base}:{i}"
                name, count = own or base_name, 1
                while name in from_nodes:
                    name, count = f"{own or base}_{count}", count + 1
                from_nodes[name] = x
        return from_nodes

    def check(self, x: Any = None, y: Any = None) -> CheckReport:
        """What is wrong with the model, or most likely not as meant: a report, empty when nothing is found.

        Looks at the graph of both modes, losses and metrics of `compile`, and, where given, samples `x` and targets
        `y`; trains nothing. See `CheckReport` and `Finding`. Raises `ValueError` before the inputs' shapes are known.

        >>> import sardonyx as sx
        >>> sx.Sequential([sx.Input((4,)), sx.layers.Dense(3), sx.layers.Softmax()], name="net").check()
        Check of 'net' (Sequential): no findings
        """
        return later.check_model(self, x, y)

    def weight_names(self) -> dict[Variable, str]:
        """A unique name for each variable, from where it stands in the model: `encoder/dense/kernel`."""
        return weight_names(self)


FUNCTIONAL_CLASS: list[Any] = []


def _is_functional_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the arguments are those of Model(inputs, outputs)."""
    if "inputs" in kwargs and "outputs" in kwargs:
        return True
    given = [*args[:2], *(kwargs[k] for k in ("inputs", "outputs") if k in kwargs)]
    return len(given) == 2 and all(any(isinstance(x, Tensor) for x in tree.flatten(g)) for g in given)


def _placeholders(argument: Any, name: str) -> Any:
    """Symbolic inputs for the specs of an argument of `call`, named after it, and after the keys inside it."""
    leaves = []
    for path, x in tree.flatten_with_path(argument):
        keys = [str(key) for key in path]
        own = keys[-1] if keys and isinstance(path[-1], str) else "_".join([name, *keys])
        leaves.append(symbolic_input(x, x.name or own) if isinstance(x, TensorSpec) else x)
    return tree.pack_sequence_as(argument, leaves)


def _share_batch(specs: Any) -> Any:
    """Specs of which the first axes left open are one size, the batch."""
    return tree.map_structure(
        lambda x: TensorSpec(("batch", *x.shape[1:]), x.dtype, x.name)
        if isinstance(x, TensorSpec) and x.shape and is_fresh(x.shape[0])
        else x,
        specs,
    )


def _spec_of(x: Any) -> Any:
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        return x
    sizes = tuple("batch" if i == 0 and not isinstance(size, Dim) else size for i, size in enumerate(x.shape))
    return TensorSpec(sizes, x.dtype, getattr(x, "name", None))


def _plain_shape(x: Any) -> Any:
    return None if x is None else tuple(None if isinstance(size, Dim) else size for size in x.shape)
