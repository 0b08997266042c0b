"""Primitives: the operations of which everything is made, each defined once.

A primitive states five facts: `run` (NumPy arrays to arrays), `infer` (specs to specs, symbolic sizes included, and
the sentence of every shape error), `vjp` (its gradient, written in operations, hence differentiable and exportable),
`lower` (its ONNX operators), and its name. A primitive is an operator one would like to see when the exported file is
opened; whatever can be expressed in others without loss is a plain function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .constants import own_constant
from .dims import contains_dim
from .emitter import Emitter, Value
from .errors import DtypeError, ShapeError, format_shape, user_line
from .graph import Node, note_sizes
from .operators import FUNCTIONS
from .spec import TensorSpec
from .state import state
from .tensor import Symbol, Tensor
from .variable import Variable

ndarray = np.ndarray
new_tensor = object.__new__

Rule = Callable[..., Tensor | None]
"""Gradient for one input: `rule(gradient, output, *inputs, **attributes)`; the result may be broadcast-shaped."""

JointRule = Callable[..., Sequence[Tensor | None]]
"""Gradients for all inputs: `rule(gradients, outputs, inputs, needed, **attributes)`, one entry an input.

Outputs on which nothing depends have a gradient of zeros, or None with the tag `takes_missing_gradients`."""

Residuals = Literal["all", "inputs", "outputs", "none"]


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """An operation with its kernel, its shape rule, its gradient and its ONNX form.

    run: `(*arrays, **attributes) -> array or tuple of arrays`
    infer: `(*specs, **attributes) -> TensorSpec or tuple of them`; raises `ShapeError` or `DtypeError`
    lower: `(emit, *values, **attributes) -> Value or tuple of them`
    vjp: one `Rule` (or None) per input, or None: not differentiable. Broadcasting is undone by the caller.
    joint_vjp: instead of `vjp`, where gradients of several inputs share work or inputs are variadic
    residuals: which arrays the gradient reads; the others are not kept alive (only their specs are)
    """

    name: str
    run: Callable[..., Any]
    infer: Callable[..., Any]
    lower: Callable[..., Value | tuple[Value, ...]]
    vjp: tuple[Rule | None, ...] | None = None
    joint_vjp: JointRule | None = None
    residuals: Residuals = "all"
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        """Apply to tensors, variables or None (an input left out): eagerly, or as a node if any is symbolic."""
        arrays = []
        for x in inputs:
            if type(x) is Tensor and (array := x.array) is not None:
                arrays.append(array)
            else:
                return self._apply_general(inputs, attributes)
        return self.apply_arrays(arrays, inputs, attributes)

    def apply_arrays(self, arrays: Sequence[Any], inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """Run the kernel on the arrays of eager inputs, and show the application to the open tapes."""
        try:
            results = self.run(*arrays, **attributes)
        except Exception as error:
            return _explain(self, inputs, attributes, error)
        if type(results) is tuple:
            outputs = tuple([Tensor(r if type(r) is ndarray else np.asarray(r)) for r in results])
            if state.tapes:
                record(self, inputs, attributes, outputs)
            return outputs
        # Tensor(...) without the call of __init__, which costs as much as all the rest here
        output = new_tensor(Tensor)
        output.array = results if type(results) is ndarray else np.asarray(results)
        output.symbol = output.mask = None
        output.key = 0
        if state.tapes:
            record(self, inputs, attributes, (output,))
        return output

    def _apply_general(self, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """Apply to inputs of which some are no eager tensors."""
        arrays = []
        for x in inputs:
            if x is None:
                arrays.append(None)
            elif isinstance(x, Variable):
                if state.traces:
                    return apply_symbolic(self, inputs, attributes)
                arrays.append(x.array)
            elif isinstance(x, Tensor):
                if x.array is None:
                    return apply_symbolic(self, inputs, attributes)
                arrays.append(x.array)
            else:
                return self(*[as_input(x) for x in inputs], **attributes)
        return self.apply_arrays(arrays, inputs, attributes)

    def __repr__(self) -> str:
        return f"<Primitive {self.name}>"


def as_input(value: Any) -> Any:
    """A tensor for anything that is not yet tensor, variable or None."""
    if value is None or isinstance(value, (Tensor, Variable)):
        return value
    return FUNCTIONS["convert_to_tensor"](value)


def record(
    primitive: Primitive, inputs: Sequence[Any], attributes: Mapping[str, Any], outputs: tuple[Tensor, ...]
) -> None:
    """Show an application to the open tapes."""
    for x in inputs:
        if type(x) is not Tensor and x is not None:
            inputs = tuple([x.read() if isinstance(x, Variable) else x for x in inputs])
            break
    for tape in state.tapes:
        tape.record(primitive, inputs, attributes, outputs)


def apply_symbolic(primitive: Primitive, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Apply to inputs of which some are symbolic: infer the result's spec and make a node of the graph."""
    tensors = [_symbolic_input(x) for x in inputs]
    specs = [None if x is None else x.spec for x in tensors]
    try:
        inferred = primitive.infer(*specs, **attributes)
    except (ShapeError, DtypeError) as error:
        raise at_user_line(with_operation(error, primitive, specs)) from None
    many = type(inferred) is tuple
    node = Node(primitive, tuple(tensors), dict(attributes), inferred if many else (inferred,), user_line(2))
    node.outputs = tuple(Tensor(None, Symbol(spec, node, i)) for i, spec in enumerate(node.specs))
    note_sizes(node)
    if state.tapes:
        record(primitive, tensors, attributes, node.outputs)
    return node.outputs if many else node.outputs[0]


def _symbolic_input(value: Any) -> Tensor | None:
    value = as_input(value)
    if isinstance(value, Variable):
        return value.read() if state.traces else value.symbol()
    if value is not None:
        own_constant(value)
    return value


def with_operation(error: Exception, primitive: Primitive, specs: Sequence[TensorSpec | None]) -> Exception:
    """The same error, its message opened with the operation's name."""
    text = str(error)
    return error if text.startswith(f"{primitive.name}:") else type(error)(f"{primitive.name}: {text}")


def at_user_line(error: Exception) -> Exception:
    """The same error, closed with the user's line that applied the operation."""
    line = user_line(2)
    return error if line is None else type(error)(f"{error}\n  at {line}")


def _explain(primitive: Primitive, inputs: Sequence[Any], attributes: Mapping[str, Any], error: Exception) -> Any:
    """What to do when a kernel raised: a symbolic size among the attributes makes a node, bad shapes a clear error."""
    if contains_dim(tuple(attributes.values())):
        return apply_symbolic(primitive, inputs, attributes)
    specs = [None if x is None else TensorSpec(x.shape, x.dtype) for x in inputs]
    try:
        inferred = primitive.infer(*specs, **attributes)
    except (ShapeError, DtypeError) as known:
        raise at_user_line(with_operation(known, primitive, specs)) from None
    made = inferred if type(inferred) is tuple else (inferred,)
    is_nothing = all(0 in spec.shape and not contains_dim(spec.shape) for spec in made)
    if not is_nothing or not isinstance(error, (ValueError, IndexError)):
        if any(spec is not None and 0 in spec.shape for spec in specs):
            shapes = " and ".join(format_shape(spec.shape) for spec in specs if spec is not None)
            raise ShapeError(f"{primitive.name}: not defined for an empty tensor; got shapes {shapes}") from error
        raise error
    outputs = tuple(Tensor(np.empty(spec.shape, spec.dtype)) for spec in made)  # not every kernel runs on nothing
    if state.tapes:
        record(primitive, inputs, attributes, outputs)
    return outputs if type(inferred) is tuple else outputs[0]


def plain_arrays(tensors: Sequence[Any]) -> list[Any] | None:
    """The arrays of eager tensors while nothing records, so that a gradient may run as a kernel; None otherwise."""
    if state.tapes or state.traces:
        return None
    arrays = [x.array for x in tensors]
    for array in arrays:
        if array is None:
            return None
    return arrays


def unsupported_lowering(name: str) -> Callable[..., Value]:
    """A lowering for what ONNX cannot express; raises `NotImplementedError` with the operation's name."""

    def lower(emit: Emitter, *values: Value, **attributes: Any) -> Value:
        raise NotImplementedError(
            f"{name}: ONNX has no operator for this, so the model cannot be exported. "
            "Leave the operation out of the exported part, or run it on the NumPy core."
        )

    return lower
