"""Layer: state and a computation, the block of which models are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..trainer import constraints, initializers, regularizers
from ..trainer.core import tree
from ..trainer.core.dims import Dim, Shape
from ..trainer.core.dtypes import as_dtype, dtype_name
from ..trainer.core.errors import ShapeError, format_shape
from ..trainer.core.spec import TensorSpec, as_shape
from ..trainer.core.state import state
from ..trainer.core.told import Told, tells_line
from ..trainer.core.trace import Trace, symbolic_input
from ..trainer.core.variable import Variable
from ..trainer.naming import automatic_name
from ..trainer.ops.seed import SeedGenerator
from .call import LayerCall, NamedScope, contexts
from .call_errors import tell_arguments
from .configuration import bind_arguments, layer_config, layer_from_config
from .freezing import set_trainable
from .layer_call import call_layer
from .signature import mark_builds
from .tracking import Settled, copied, owned, sub_layers, unique_variables, walk


class Layer(Told):
    """State (weights) and a computation (`call`) from tensors to tensors.

    Subclasses write `__init__` (configuration), `build(input_shape)` (weights, made with `add_weight`, once the
    input's shape is known) and `call(inputs)`. Sub-layers and variables are found in attributes, lists and
    dictionaries.

    >>> import sardonyx as sx
    >>> class Double(sx.layers.Layer):
    ...     def call(self, inputs):
    ...         return 2 * inputs
    >>> Double()(3.0).numpy().item()
    6.0
    """

    _calls: list[LayerCall]
    _call_losses: list[Any]
    _weights: list[Variable]
    _arguments: dict[str, Any]
    _settled: Settled | None
    built: bool
    lifted: Any = None  # of a layer read from an ONNX file: what it was there
    made_by = "autocast"
    UNTRACKED: ClassVar[frozenset[str]] = frozenset({"_calls", "_call_losses", "_view", "_arguments", "_settled"})

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        mark_builds(cls)
        layer = super().__new__(cls)
        layer._calls = []
        layer._call_losses = []
        layer._weights = []
        layer._settled = None
        layer._arguments = bind_arguments(cls, args, kwargs)
        layer.built = False
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            self._input_shape_argument = kwargs.pop("input_shape")
        if kwargs:
            many = "s" if len(kwargs) > 1 else ""
            raise ValueError(f"{type(self).__name__}: unknown argument{many} {', '.join(map(repr, kwargs))}")
        if name is not None and (not isinstance(name, str) or "/" in name or not name):
            raise ValueError(f"{type(self).__name__}: a layer's name is a text without '/', got {name!r}")
        self.name = name or automatic_name(type(self).__name__)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = bool(trainable)
        self._dtype = as_dtype(dtype.get("config", dtype).get("name") if isinstance(dtype, dict) else dtype)
        self.autocast = autocast
        self.supports_masking = False
        self.input_spec: Any = None

    # -- weights ---------------------------------------------------------------------------------------------------

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Make a variable that belongs to the layer; the default initializer is Glorot's uniform, zeros for integers.

        Raises `ShapeError` when a size is not a number yet: name the axis whose size the layer needs in Input.
        """
        sizes = () if shape is None else tuple(shape)
        unknown = [size for size in sizes if not isinstance(size, (int, np.integer))]
        if unknown:
            raise ShapeError(
                f"layer '{self.name}': the weight '{name or 'variable'}' needs sizes that are numbers, got "
                f"{format_shape(sizes)}; fix that axis in Input(shape=...), or in build(input_shape)"
            )
        kind = as_dtype(dtype or self._dtype)
        fill = initializer or ("glorot_uniform" if kind.kind == "f" else "zeros")
        with self._scope():
            variable = Variable(
                initializers.get(fill), sizes, kind, trainable, autocast, aggregation, name=name or "variable"
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        return variable

    add_variable = add_weight

    def _scope(self) -> _Scoped:
        """Weights are named after the innermost open call of the layer, or after the layer itself."""
        current = state.scopes[-1] if state.scopes else None
        is_own = isinstance(current, (LayerCall, NamedScope)) and current.layer is self
        path = f"{current.path}/{self.name}" if current else self.name
        return _Scoped(current if is_own else NamedScope(path, self))

    def build(self, *input_shapes: Any, **named_shapes: Any) -> None:
        """Make the weights for an input shape; called before the first `call`."""
        self.built = True

    def child_layers(self) -> list[Layer]:
        """Direct sub-layers, in the order of the attributes that hold them."""
        return sub_layers(self, Layer)

    def own_variables(self) -> list[Variable]:
        """Variables of the layer itself, not those of sub-layers; trainable ones first."""
        found = unique_variables([*self._weights, *owned(self, Variable)])
        return sorted(found, key=lambda v: not (v.trainable or v.frozen))

    def walk_layers(self) -> list[Layer]:
        """The layer and all layers below it, each once."""
        return walk(self, Layer)

    @property
    def weights(self) -> list[Variable]:
        """All variables of the layer and those below it, without the states of random generators."""
        return unique_variables([v for layer in self.walk_layers() for v in layer.own_variables()])

    @property
    def variables(self) -> list[Variable]:
        """`weights` and the states of random generators."""
        generators = [g for layer in self.walk_layers() for g in owned(layer, SeedGenerator)]
        return unique_variables([*self.weights, *[g.state for g in generators]])

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that training changes; those of frozen layers are not among them."""
        return self.find_trainable_variables() if self._settled is None else self._settled.trainable_variables()

    def find_trainable_variables(self) -> list[Variable]:
        """`trainable_variables`, looked for in all attributes now."""
        found: list[Variable] = []
        pending: list[Layer] = [self]
        seen: set[int] = set()
        while pending:
            layer = pending.pop()
            if id(layer) in seen or not layer.trainable:
                continue
            seen.add(id(layer))
            found.extend(v for v in layer.own_variables() if v.trainable)
            pending.extend(reversed(layer.child_layers()))
        return unique_variables(found)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Variables that training leaves alone, or that are updated in the forward pass."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trainable]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """`weights` without the trainable ones."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.weights if id(v) not in trainable]

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer; setting it sets it for all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        set_trainable(self, bool(value))

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of `weights`."""
        return [v.numpy() for v in self.weights]

    @tells_line
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assign values in the order of `weights`; nothing is changed unless all fit."""
        own = self.weights
        values = [np.asarray(w) for w in weights]
        if len(own) != len(values):
            unbuilt = "" if own or self.built else "; it has none before it is built: call it once, or build(shape)"
            raise ValueError(f"layer '{self.name}': expected {len(own)} weights, got {len(values)}{unbuilt}")
        for variable, value in zip(own, values, strict=True):
            if variable.shape != value.shape:
                raise ShapeError(
                    f"layer '{self.name}': weight '{variable.path}' has shape {format_shape(variable.shape)}, "
                    f"got a value of shape {format_shape(value.shape)}"
                )
        for variable, value in zip(own, values, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Number of elements of all weights."""
        return sum(int(np.prod(v.shape)) for v in self.weights)

    # -- calling ---------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; to be written by subclasses."""
        raise NotImplementedError(f"layer '{self.name}': class {type(self).__name__} does not define call()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return call_layer(self, args, kwargs)
        except TypeError as error:
            tell_arguments(self, args, kwargs, error)
            raise

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output, from that of the input; the same by default."""
        return previous_mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Specs of the output for specs (or tensors) of the input, without computing anything."""

        def placeholder(x: Any) -> Any:
            spec = TensorSpec(x.shape, x.dtype) if hasattr(x, "shape") else None
            return x if spec is None else symbolic_input(spec)

        with Trace():
            outputs = self(*tree.map_structure(placeholder, list(args)), **tree.map_structure(placeholder, kwargs))
        return tree.map_structure(lambda x: None if x is None else x.spec, outputs)

    def compute_output_shape(self, *input_shapes: Any, **named_shapes: Any) -> Any:
        """Shapes of the output for shapes of the input (with the batch); None for sizes not known."""
        specs = [shapes_to_specs(shape, self.compute_dtype) for shape in input_shapes]
        named = {k.removesuffix("_shape"): shapes_to_specs(v, self.compute_dtype) for k, v in named_shapes.items()}
        outputs = self.compute_output_spec(*specs, **named)
        return tree.map_structure(lambda s: tuple(None if isinstance(n, Dim) else n for n in s.shape), outputs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """`compute_output_spec` under its Keras name."""
        return self.compute_output_spec(*args, **kwargs)

    def add_loss(self, loss: Any) -> None:
        """Add a term to what training minimises; called inside `call`, it counts for that call."""
        values = loss if isinstance(loss, (list, tuple)) else [loss]
        if contexts.stack:
            contexts.stack[-1].losses.extend(values)
        else:
            self._call_losses.extend(values)

    @property
    def losses(self) -> list[Any]:
        """Terms added by `add_loss` and activity regularizers in the last call, and the weights' regularizers."""
        penalties = [v.regularizer(v) for v in self.trainable_variables if v.regularizer is not None]
        return [*self._call_losses, *penalties]

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's only recorded call."""
        call = self._only_call("input")
        held = [v for v in call.kwargs.values() if any(hasattr(x, "spec") for x in tree.flatten(v))]
        values = [*call.args, *held]
        return values[0] if len(values) == 1 else values

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's only recorded call."""
        return self._only_call("output").outputs

    def _only_call(self, what: str) -> LayerCall:
        # a model built from the layer may itself be a part of others: the layer's call in its own model is meant
        own = [call for call in self._calls if call.parent is None] if len(self._calls) > 1 else self._calls
        if len(own) == 1:
            return own[0]
        reason = (
            "it is not part of a model yet: call it on Input(...), or build the model that holds it (called inside a "
            "branch or loop that a tensor decides, it has no tensor outside; take the results of that: model.tensors())"
            if not self._calls
            else f"it is called {len(self._calls)} times; use layer.calls[i].outputs for one of them"
        )
        raise AttributeError(f"layer '{self.name}' has no single {what}: {reason}")

    @property
    def calls(self) -> list[LayerCall]:
        """Recorded calls on symbolic tensors, in order."""
        return list(self._calls)

    # -- configuration ---------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Name of the weights' element type."""
        return dtype_name(self._dtype)

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """Name of the element type floating-point inputs are converted to."""
        return dtype_name(self._dtype)

    @property
    def path(self) -> str:
        """Slash-separated names of the call in which the layer was last recorded; its name outside of models."""
        return self._calls[-1].path if self._calls else self.name

    def get_config(self) -> dict[str, Any]:
        """Arguments from which `from_config` makes the same layer, as JSON-able values.

        Collected from the constructor's parameters: an attribute of the same name, or else what was passed.
        Raises `TypeError` for an argument that JSON cannot hold; then write `get_config` in the class.
        """
        return layer_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from what `get_config` returned."""
        return layer_from_config(cls, config)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin._arguments = dict(self._arguments)
        for key, value in vars(self).items():
            if key not in self.UNTRACKED:
                twin.__dict__[key] = copied(self, key, value, memo)
        return twin

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


class _Scoped:
    def __init__(self, scope: Any) -> None:
        self.scope = scope

    def __enter__(self) -> None:
        state.scopes.append(self.scope)

    def __exit__(self, *_: object) -> None:
        state.scopes.pop()


def is_shape(value: Any) -> bool:
    """Whether a value is one shape, rather than a structure of shapes."""
    return isinstance(value, (tuple, list)) and all(x is None or isinstance(x, (int, np.integer, Dim)) for x in value)


def map_shapes(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply a function to each shape of a structure of shapes."""
    if value is None:
        return None
    if is_shape(value):
        return function(tuple(value))
    if isinstance(value, dict):
        return {k: map_shapes(function, v) for k, v in value.items()}
    return [map_shapes(function, v) for v in value]


def shapes_to_specs(value: Any, dtype: Any) -> Any:
    """Specs for a structure of shapes with the batch; None in front is the batch."""

    def spec(shape: Shape) -> TensorSpec:
        sizes: Iterable[Any] = ["batch", *shape[1:]] if shape and shape[0] is None else shape
        return TensorSpec(as_shape(tuple(sizes)), dtype)

    return map_shapes(spec, value)

