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
from .operators import RAW, SIZE_OPERATORS, Call, Sizes, UnsupportedOperatorError, find
from .protos import attribute_value, tensor_array
from .schemas import attribute_defaults, function_of

Value = Any
Scope = dict[str, Any]


class Program:
    """The nodes of an ONNX model, to be run on eager or symbolic tensors.

    model: a `ModelProto`, checked by `limits.check_file` if it comes from a stranger
    weights: for initializers by name, what stands for them instead (variables)
    """

    def __init__(self, model: Any, weights: Mapping[str, Variable] | None = None) -> None:
        self.model = model
        self.weights = dict(weights or {})
        self.opsets = opset_versions(model)
        self.functions = {(_domain(f.domain), f.name, getattr(f, "overload", "")): f for f in model.functions}
        self.given = {x.name for x in model.graph.initializer} | {x.values.name for x in model.graph.sparse_initializer}

    @property
    def inputs(self) -> list[Any]:
        """The graph's inputs (`ValueInfoProto`) that have no value in the file."""
        return [x for x in self.model.graph.input if x.name not in self.given]

    @property
    def outputs(self) -> list[str]:
        """Names of the results."""
        return [x.name for x in self.model.graph.output]

    def __call__(self, values: Mapping[str, Value]) -> list[Value]:
        """The results for inputs by name; an initializer that is an input too may be given, or left as it is."""
        return self.run_graph(self.model.graph, {}, dict(values), self.opsets)

    def run_graph(self, graph: Any, outer: Scope, inputs: Scope, opsets: Mapping[str, int]) -> list[Value]:
        """The results of a graph whose nodes may read values of the graph around it."""
        scope: Scope = {**outer, **self._initializers(graph), **inputs}
        weights = self.weights if graph is self.model.graph else {}
        for node in graph.node:
            if weights and node.output and node.output[0] in weights:
                scope[node.output[0]] = weights[node.output[0]]
            else:
                self.run_node(node, scope, opsets, {})
        return [_named(scope, x.name, "an output of the graph") for x in graph.output]

    def _initializers(self, graph: Any) -> Scope:
        found: Scope = {}
        for tensor in graph.initializer:
            if graph is self.model.graph and tensor.name in self.weights:
                found[tensor.name] = self.weights[tensor.name]
            else:
                found[tensor.name] = Tensor(tensor_array(tensor))
        for sparse in graph.sparse_initializer:
            found[sparse.values.name] = Tensor(tensor_array(sparse))
        return found

    def run_node(self, node: Any, scope: Scope, opsets: Mapping[str, int], references: Mapping[str, Any]) -> None:
        """One node: its results are added to the scope."""
        inputs = [_named(scope, name, f"an input of {node.op_type}") if name else None for name in node.input]
        attributes: dict[str, Any] = {}
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                if attribute.ref_attr_name in references:
                    attributes[attribute.name] = references[attribute.ref_attr_name]
                continue
            attributes[attribute.name] = attribute_value(attribute, self._body(scope, opsets))
        domain = _domain(node.domain)
        wanted = tuple(bool(name) for name in node.output)
        call = Call(node.op_type, node.name, opsets.get(domain, 1), attributes, wanted)
        results = self._apply(call, domain, node, inputs, opsets)
        for name, result in zip(node.output, results, strict=False):
            if name:
                scope[name] = result

    def _body(self, scope: Scope, opsets: Mapping[str, int]) -> Callable[[Any], Callable[..., list[Value]]]:
        """Makes graphs among attributes into functions of values."""

        def function_of_graph(graph: Any) -> Callable[..., list[Value]]:
            names = [x.name for x in graph.input]

            def run(*values: Value) -> list[Value]:
                return self.run_graph(graph, scope, dict(zip(names, values, strict=False)), opsets)

            run.inputs, run.outputs = len(names), len(graph.output)  # pyright: ignore[reportFunctionMemberAccess]
            return run

        return function_of_graph

    def _apply(self, call: Call, domain: str, node: Any, inputs: list[Value], opsets: Mapping[str, int]) -> list[Value]:
        own = self.functions.get((domain, node.op_type, getattr(node, "overload", "")))
        if own is not None:
            return self._run_function(own, call, inputs, opset_versions(own))
        function = find(domain, node.op_type, call.version)
        if function is None:
            body = function_of(domain, node, call.version, inputs)
            if body is None:
                raise UnsupportedOperatorError(_unsupported(call, domain))
            defaults = attribute_defaults(domain, node.op_type, call.version)
            whole = replace(call, attributes={**defaults, **call.attributes})
            return self._run_function(body, whole, inputs, {**opsets, **opset_versions(body)})
        try:
            return apply_operator(call, function, inputs)
        except (ShapeError, DtypeError, ValueError) as error:
            if str(error).startswith(call.label):
                raise
            raise type(error)(f"{call.label} (version {call.version}): {error}") from error

    def _run_function(self, function: Any, call: Call, inputs: list[Value], opsets: Mapping[str, int]) -> list[Value]:
        """A function of the file, or the definition of an operator as a function, in place."""
        given = [*inputs, *[None] * (len(function.input) - len(inputs))]
        scope: Scope = dict(zip(function.input, given, strict=False))
        references = {a.name: attribute_value(a, None) for a in function.attribute_proto}
        references.update(call.attributes)
        for inner in function.node:
            self.run_node(inner, scope, opsets, references)
        return [scope.get(name) for name in function.output]


def apply_operator(call: Call, function: Callable[..., Any], inputs: Sequence[Value]) -> list[Value]:
    """One operator on values: sizes stay sizes where they can, weights are read, bfloat16 is computed in float32."""
    if any(isinstance(x, Sizes) for x in inputs):
        on_sizes = SIZE_OPERATORS.get(call.operator)
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
    return {_domain(entry.domain): entry.version for entry in proto.opset_import} or {"": 1}


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _unsupported(call: Call, domain: str) -> str:
    return (
        f"the file uses the operator {call.operator} of the domain '{domain or 'ai.onnx'}', version {call.version}"
        + (f", at the node '{call.name}'" if call.name else "")
        + ", which cannot be computed here. Keep that part in onnxruntime (exporters.session runs the file as it is), "
        "or replace the operator by others, or by a function of the file's own, and open it again."
    )
