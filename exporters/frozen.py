"""Graphs of somebody's ONNX file that run on onnxruntime inside of our graphs, without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..trainer.core.dims import Dim, fresh
from ..trainer.core.dtypes import dtype_name
from ..trainer.core.emitter import Value
from ..trainer.core.errors import DtypeError, ShapeError
from ..trainer.core.primitive import Primitive
from ..trainer.core.spec import TensorSpec
from ..trainer.core.state import state
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace, symbolic_input
from .fragments import Fragment
from .frozen_lowering import write_nodes
from .lazy import onnx
from .mapped import filled
from .operators import Sizes, UnsupportedOperatorError
from .protos import element_code, element_type, plain_array
from .runtime import explain, session

KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc")
"""Domains of operators that come with onnxruntime."""

UNKNOWN_SHAPE = (UnsupportedOperatorError, NotImplementedError, ShapeError, DtypeError, ValueError, TypeError)


class FrozenGraph:
    """A piece of a file with its session.

    label: what it is called in messages
    threads: how many a session takes
    """

    def __init__(self, fragment: Fragment, label: str, threads: Callable[[], int]) -> None:
        self.fragment = fragment
        self.label = label
        self.threads = threads
        self.weights = tuple(fragment.weights)
        self.dtypes = _dtypes(fragment)
        self._running: Any = None
        self._made_for: list[Any] = []
        self._specs: dict[Any, list[tuple[tuple[Any, ...], np.dtype]]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenGraph:
        raise TypeError(f"{self.label}: a session cannot be copied; make the layer anew from its fragment")

    def proto(self, specs: Sequence[TensorSpec], arrays: Mapping[str, np.ndarray]) -> Any:
        """The nodes as a file of their own, with the values of weights; sizes of inputs by name where they have one."""
        model = type(self.fragment.model)()
        model.CopyFrom(self.fragment.model)
        source = self.fragment.source
        model = filled(model, source.mappings if source is not None else None)
        graph = model.graph
        for x, spec in zip(graph.input, specs, strict=True):
            shape = [size if isinstance(size, int) else str(size) for size in spec.shape]
            x.CopyFrom(onnx.helper.make_tensor_value_info(x.name, element_code(spec.dtype), shape))
        graph.initializer.extend(plain_array(np.ascontiguousarray(a), name) for name, a in arrays.items())
        kept = [node for node in graph.node if not (node.output and node.output[0] in arrays)]
        if len(kept) < len(graph.node):
            del graph.node[:]
            graph.node.extend(kept)
        return model

    def running(self, inputs: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Any:
        """The session for weights of the moment; sizes are free."""
        key = [*[x.dtype for x in inputs], *[x.ndim for x in inputs], *weights]
        same = len(key) == len(self._made_for) and all(
            a is b or (not isinstance(a, np.ndarray) and a == b) for a, b in zip(key, self._made_for, strict=True)
        )
        if not same:
            free = [TensorSpec([fresh() for _ in x.shape], x.dtype) for x in inputs]
            self._running = self._session(self.proto(free, dict(zip(self.weights, weights, strict=True))))
            self._made_for = key
        return self._running

    def _session(self, proto: Any, optimize: bool = True) -> Any:
        try:
            return session(proto.SerializeToString(), optimize=optimize, threads=self.threads())
        except Exception as error:
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise self._unknown_operators(proto) or explain(error, {}) from error

    def _unknown_operators(self, proto: Any) -> Exception | None:
        own = {(f.domain, f.name) for f in proto.functions}
        strange = sorted({
            f"{n.op_type} of '{n.domain}'" for n in proto.graph.node
            if n.domain not in KNOWN_DOMAINS and (n.domain, n.op_type) not in own
        })  # fmt: skip
        if not strange:
            return None
        return UnsupportedOperatorError(
            f"{self.label}: onnxruntime does not know the operator{'s' if len(strange) > 1 else ''} "
            f"{', '.join(strange)}: they come from a library of their own. Replace them by others, or give inputs= and "
            "outputs= for a part of the file without them"
        )

    def specs(self, given: Sequence[TensorSpec], arrays: Sequence[np.ndarray]) -> list[TensorSpec]:
        """Specs of the results; sizes that cannot be told from the inputs' are new ones."""
        key = tuple((spec.shape, spec.dtype) for spec in given)
        if key not in self._specs:
            self._specs[key] = self._inferred(given, arrays)
        known = self._specs[key]
        return [TensorSpec([fresh() if size is None else size for size in shape], dtype) for shape, dtype in known]

    def _inferred(self, given: Sequence[TensorSpec], arrays: Sequence[np.ndarray]) -> list[Any]:
        try:
            return self._by_our_operators(given)
        except UNKNOWN_SHAPE:
            return self._by_runtime(given, arrays)

    def _by_our_operators(self, given: Sequence[TensorSpec]) -> list[Any]:
        traces, tapes, scopes = state.traces, state.tapes, state.scopes
        state.traces, state.tapes, state.scopes = [], [], []
        try:
            with Trace():
                found = self.fragment.run([symbolic_input(spec) for spec in given])
                found = [x.tensor() if isinstance(x, Sizes) else x for x in found]
        finally:
            state.traces, state.tapes, state.scopes = traces, tapes, scopes
        if not all(isinstance(x, Tensor) for x in found):
            raise UnsupportedOperatorError("no tensor")
        return [(x.shape, x.dtype) for x in found]

    def _by_runtime(self, given: Sequence[TensorSpec], arrays: Sequence[np.ndarray]) -> list[Any]:
        """As onnxruntime tells them, which knows operators that we do not."""
        proto = self.proto(given, dict(zip(self.weights, arrays, strict=True)))
        known = {str(size): size for spec in given for size in spec.shape if isinstance(size, Dim)}
        found = []
        for x in self._session(proto, optimize=False).get_outputs():
            shape = tuple(size if isinstance(size, int) else known.get(size) for size in x.shape)
            found.append((shape, np.dtype(NUMPY_TYPES.get(x.type, "O"))))
        return found


NUMPY_TYPES = {
    "tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2", "tensor(int64)": "i8",
    "tensor(int32)": "i4", "tensor(int16)": "i2", "tensor(int8)": "i1", "tensor(uint8)": "u1", "tensor(uint16)": "u2",
    "tensor(uint32)": "u4", "tensor(uint64)": "u8", "tensor(bool)": "?",
}  # fmt: skip
"""onnxruntime's names of element types."""


def _dtypes(fragment: Fragment) -> list[np.dtype | None]:
    """The element types of the inputs, as far as the file says them."""
    known: dict[str, np.dtype] = {}
    if fragment.source is not None:
        graph = fragment.source.frame.graph
        for x in (*graph.input, *graph.value_info):
            if x.type.HasField("tensor_type"):
                known[x.name] = element_type(x.type.tensor_type.elem_type)
    return [known.get(name) for name in fragment.inputs]


def _run(*arrays: np.ndarray, graph: FrozenGraph) -> Any:
    count = len(graph.fragment.inputs)
    inputs, weights = arrays[:count], arrays[count:]
    _check_types(graph, [TensorSpec(x.shape, x.dtype) for x in inputs])
    running = graph.running(inputs, weights)
    feed = {name: np.ascontiguousarray(x) for name, x in zip(graph.fragment.inputs, inputs, strict=True)}
    try:
        found = running.run(list(graph.fragment.outputs), feed)
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            raise ValueError(f"{graph.label}: {explain(error, {})}") from error
        raise
    return tuple(found) if len(found) > 1 else found[0]


def _check_types(graph: FrozenGraph, specs: Sequence[TensorSpec]) -> None:
    for name, spec, wanted in zip(graph.fragment.inputs, specs, graph.dtypes, strict=True):
        if wanted is not None and spec.dtype != wanted:
            raise DtypeError(
                f"{graph.label}: the input '{name}' is {dtype_name(wanted)} in the file, got {dtype_name(spec.dtype)}; "
                f"convert it before: ops.cast(x, {dtype_name(wanted)!r})"
            )


def _infer(*specs: TensorSpec, graph: FrozenGraph) -> Any:
    count = len(graph.fragment.inputs)
    _check_types(graph, specs[:count])
    arrays = [variable.array for variable in graph.fragment.weights.values()]
    found = graph.specs(specs[:count], arrays)
    return tuple(found) if len(found) > 1 else found[0]


def _refuse(gradients: Any, outputs: Any, inputs: Any, needed: Sequence[bool], *, graph: FrozenGraph) -> Any:
    """There is no gradient through onnxruntime."""
    what = "its weights" if not any(needed[: len(graph.fragment.inputs)]) else "what is trained before it"
    raise ValueError(
        f"{graph.label} runs on onnxruntime and has no gradient, but {what} would need one. Freeze that "
        "(model.freeze, layer.trainable = False), give stop_gradient=True to the layer, or open the file to be edited "
        "and trained: load_model(path) without frozen="
    )


def _lower(emit: Any, *values: Value, graph: FrozenGraph) -> Any:
    count = len(graph.fragment.inputs)
    arrays = [variable.array for variable in graph.fragment.weights.values()]
    specs = graph.specs([x.spec for x in values[:count]], arrays)
    names = dict(zip((*graph.fragment.inputs, *graph.weights), values, strict=True))
    made = write_nodes(emit, graph.fragment, names, specs, graph.label)
    return tuple(made) if len(made) > 1 else made[0]


frozen_graph = Primitive(
    "frozen_graph", _run, _infer, _lower, joint_vjp=_refuse, residuals="none", tags={"makes_sizes": True}
)
"""Refuses to be differentiated."""

constant_graph = Primitive("constant_graph", _run, _infer, _lower, residuals="none", tags={"makes_sizes": True})
"""The same as a constant to differentiation."""
