"""ONNX models as functions of tensors: nodes in order, each by its entry in the table of operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..trainer.core.errors import DtypeError, ShapeError
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from .lazy import onnx
from .node_reading import ReadGraph, ReadNode, plain_domain
from .operators import LIVING, RAW, SIZE_OPERATORS, Call, Sizes, UnsupportedOperatorError
from .protos import attribute_value
from .schemas import attribute_defaults, function_of

Value = Any
Scope = dict[str, Any]


class Program:
    """The nodes of an ONNX model, to be run on eager or symbolic tensors.

    model: a `ModelProto`, checked by `limits.check_file` if it comes from a stranger
    weights: for initializers and results of nodes by name, what stands for them instead (variables)

    With `training` set, normalization and dropout behave as in training, dropout with the generator `seed`.
    """

    def __init__(self, model: Any, weights: Mapping[str, Variable] | None = None) -> None:
        self.model = model
        self.weights = dict(weights or {})
        self.training = False
        self.seed: Any = None
        self.opsets = opset_versions(model)
        self.functions = {(plain_domain(f.domain), f.name, getattr(f, "overload", "")): f for f in model.functions}
        self.bodies: dict[tuple[str, ...], list[ReadNode]] = {}
        self.whole = ReadGraph(model.graph, self.opsets, self.weights)

    @property
    def inputs(self) -> list[Any]:
        """The graph's inputs (`ValueInfoProto`) that have no value in the file."""
        return [x for x in self.model.graph.input if x.name not in self.whole.given]

    @property
    def outputs(self) -> list[str]:
        """Names of the results."""
        return self.whole.outputs

    def __call__(self, values: Mapping[str, Value]) -> list[Value]:
        """The results for inputs by name; an initializer that is an input too may be given, or left as it is."""
        return self.run_graph(self.whole, {}, dict(values))

    def run_graph(self, graph: ReadGraph, outer: Scope, inputs: Scope) -> list[Value]:
        """The results of a graph whose nodes may read values of the graph around it."""
        weights = self.weights if graph is self.whole else {}
        scope: Scope = {**outer, **graph.constants, **weights, **inputs}
        for node in graph.nodes:
            self.run_node(node, scope, {})
        return [_named(scope, name, "an output of the graph") for name in graph.outputs]

    def run_node(self, node: ReadNode, scope: Scope, references: Mapping[str, Any]) -> None:
        """One node: its results are added to the scope."""
        inputs = [_named(scope, name, f"an input of {node.operator}") if name else None for name in node.inputs]
        call = node.call
        if node.unfinished:
            attributes = dict(call.attributes)
            for name, reference in node.references.items():
                if reference in references:
                    attributes[name] = references[reference]
            for name, graph in node.graphs.items():
                attributes[name] = self._body(graph, scope)
            call = replace(call, attributes=attributes)
        for name, result in zip(node.outputs, self._apply(call, node, inputs), strict=False):
            if name:
                scope[name] = result

    def _body(self, graph: ReadGraph, scope: Scope) -> Callable[..., list[Value]]:
        """A graph among attributes as a function of values."""

        def run(*values: Value) -> list[Value]:
            return self.run_graph(graph, scope, dict(zip(graph.inputs, values, strict=False)))

        run.inputs, run.outputs = len(graph.inputs), len(graph.outputs)  # pyright: ignore[reportFunctionMemberAccess]
        run.operators = frozenset(node.operator for node in graph.nodes)  # pyright: ignore[reportFunctionMemberAccess]
        run.result_types = graph.result_types  # pyright: ignore[reportFunctionMemberAccess]
        return run

    def _apply(self, call: Call, node: ReadNode, inputs: list[Value]) -> list[Value]:
        own = self.functions.get(node.key)
        if own is not None:
            return self._run_function(own, call, inputs, opset_versions(own))
        function = node.function
        if self.training and call.operator in LIVING and not node.domain:
            return list(LIVING[call.operator](call, self.seed, *inputs))
        if function is None:
            body = function_of(node.domain, node.proto, call.version, inputs)
            if body is None:
                raise UnsupportedOperatorError(_unsupported(call, node.domain))
            defaults = attribute_defaults(node.domain, call.operator, call.version)
            whole = replace(call, attributes={**defaults, **call.attributes})
            return self._run_function(body, whole, inputs, {**self.opsets, **opset_versions(body)})
        try:
            return apply_operator(call, function, inputs, node.domain)
        except (ShapeError, DtypeError, ValueError) as error:
            if str(error).startswith(call.label):
                raise
            raise type(error)(f"{call.label} (version {call.version}): {error}") from error
        except (IndexError, TypeError, KeyError, AttributeError, ZeroDivisionError, AssertionError) as error:
            raise ValueError(
                f"{call.label} (version {call.version}): its inputs or attributes do not fit the operator "
                f"({type(error).__name__}: {error})"
            ) from error

    def _run_function(self, function: Any, call: Call, inputs: list[Value], opsets: Mapping[str, int]) -> list[Value]:
        """A function of the file, or the definition of an operator as a function, in place."""
        given = [*inputs, *[None] * (len(function.input) - len(inputs))]
        scope: Scope = dict(zip(function.input, given, strict=False))
        references = {a.name: attribute_value(a, None) for a in function.attribute_proto}
        references.update(call.attributes)
        for inner in function.node:
            self.run_node(ReadNode(inner, opsets), scope, references)
        return [scope.get(name) for name in function.output]


def apply_operator(call: Call, function: Callable[..., Any], inputs: Sequence[Value], domain: str = "") -> list[Value]:
    """One operator on values: sizes stay sizes where they can, weights are read, bfloat16 is computed in float32."""
    if any(isinstance(x, Sizes) for x in inputs):
        on_sizes = SIZE_OPERATORS.get(call.operator) if not domain else None
        found = on_sizes(call, *inputs) if on_sizes is not None else None
        if found is not None:
            return [found]
    tensors = [x.read() if isinstance(x, Variable) else x for x in inputs]
    if call.operator not in RAW:
        tensors = [x.tensor() if isinstance(x, Sizes) else x for x in tensors]
    narrow = call.operator not in RAW and any(isinstance(x, Tensor) and _is_bfloat16(x.dtype) for x in tensors)
    if narrow:
        tensors = [_widened(x) for x in tensors]
    results = function(call, *tensors)
    found = list(results) if isinstance(results, tuple) else [results]
    return [_narrowed(x) for x in found] if narrow else found


def _is_bfloat16(dtype: np.dtype) -> bool:
    return dtype.name == "bfloat16"


def _widened(x: Value) -> Value:
    if isinstance(x, Tensor) and x.array is not None and _is_bfloat16(x.dtype):
        return Tensor(x.array.astype(np.float32))
    return x


def _narrowed(x: Value) -> Value:
    if isinstance(x, Tensor) and x.array is not None and x.dtype == np.float32:
        return Tensor(x.array.astype(onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)))
    return x


def _named(scope: Scope, name: str, what: str) -> Value:
    if name not in scope:
        raise ValueError(f"the file names '{name}' as {what}, but no node, input or initializer before gives it")
    return scope[name]


def opset_versions(proto: Any) -> dict[str, int]:
    """The version of each domain that a model or function imports."""
    return {plain_domain(entry.domain): entry.version for entry in proto.opset_import} or {"": 1}


def _unsupported(call: Call, domain: str) -> str:
    return (
        f"the file uses the operator {call.operator} of the domain '{domain or 'ai.onnx'}', version {call.version}"
        + (f", at the node '{call.name}'" if call.name else "")
        + ", which cannot be computed here. Keep that part on onnxruntime: load_model(path, frozen='unsupported') runs "
        "it there, frozen=True the whole file; or replace the operator by others, or by a function of the file's own."
    )
