"""Functions of tensors and variables, traced once for each signature and run whole by onnxruntime."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import exporters
from ..exporters.resident import release
from ..exporters.runtime import engine_device
from ..trainer.conversion import in_trace
from ..trainer.core import tree
from ..trainer.core.collection import uncollected
from ..trainer.core.device import asked_device, canonical_device
from ..trainer.core.errors import SymbolicValueError
from ..trainer.core.spec import TensorSpec
from ..trainer.core.state import state
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import trace
from ..trainer.ops.memory import give_back
from ..trainer.threads import step_threads
from .seen import Seen
from .settings import plain_values, read_surroundings, refuse_changes


class Compiled:
    """One trace of a function: the engine that runs it, and the structure of its results."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any], device: str) -> None:
        specs = tree.map_structure(_spec, [list(args), kwargs])
        graph = trace(function, *specs[0], **specs[1])
        self.structure = graph.outputs
        self.leaves = tree.flatten(graph.outputs)
        self.names = list(graph.outputs) if is_flat(graph.outputs) else None
        give_back()  # of the first step, which ran on NumPy, so that the engine can have it
        self.engine = exporters.Engine(graph, device, step_threads())

    def __call__(self, arrays: list[np.ndarray]) -> Any:
        """Results as arrays, in the function's structure."""
        results = iter(self.engine(arrays))
        return tree.pack_sequence_as(self.structure, [None if x is None else next(results) for x in self.leaves])

    def logs(self, arrays: list[np.ndarray]) -> Any:
        """Results that are logs of a step, numbers as such where they are a flat dictionary."""
        if self.names is None:
            return self(arrays)
        return {name: x if x.ndim else x.item() for name, x in zip(self.names, self.engine(arrays), strict=True)}

    @property
    def nbytes(self) -> int:
        """Bytes of all variables."""
        return sum(math.prod(v.shape) * v.dtype.itemsize for v in self.engine.state.variables)

    def release(self) -> None:
        """Bring the values of all variables back to Python."""
        for variable in self.engine.state.variables:
            release(variable)
        self.engine.let_go()


def arrays_of(leaves: list[Any]) -> list[np.ndarray]:
    """The arrays among the leaves of arguments, as onnxruntime reads them."""
    values = [x.numpy() if isinstance(x, Tensor) else x for x in leaves if isinstance(x, (Tensor, np.ndarray))]
    return [np.ascontiguousarray(x).reshape(x.shape) for x in values]


def signature_of(leaves: list[Any]) -> tuple[Any, ...]:
    """What of the leaves of arguments decides which trace serves: shapes and dtypes of arrays, all else by value."""
    return tuple(
        [(x.shape, x.dtype.str) if isinstance(x, (Tensor, np.ndarray)) else (type(x), _by_value(x)) for x in leaves]
    )


def is_flat(structure: Any) -> bool:
    """Whether logs are a dictionary of tensors in the order in which they are flattened."""
    return type(structure) is dict and all(isinstance(x, Tensor) for x in structure.values()) and (
        list(structure) == sorted(structure)
    )  # fmt: skip


def kinds_of(data: tuple[Any, ...]) -> list[Any] | None:
    """Shapes and dtypes of a batch of plain arrays; None for any other."""
    return [(x.shape, x.dtype) for x in data] if all(type(x) is np.ndarray for x in data) else None


def are_like(data: tuple[Any, ...], kinds: list[Any]) -> bool:
    """Whether data are arrays of known shapes and dtypes."""
    if len(data) != len(kinds):
        return False
    for x, (shape, dtype) in zip(data, kinds, strict=True):
        if type(x) is not np.ndarray or x.shape != shape or x.dtype != dtype:
            return False
    return True


def _by_value(x: Any) -> Any:
    try:
        hash(x)
    except TypeError:
        return _Same(x)
    return x


class _Same:
    """Stands for one object in a signature, and keeps it, so that no other can come to have its number."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _spec(x: Any) -> Any:
    return TensorSpec(x.shape, x.dtype) if isinstance(x, (Tensor, np.ndarray)) else x


class _Surroundings:
    """What a function may read besides its arguments, at one moment: a trace has it fixed."""

    def __init__(self, function: Any) -> None:
        self.settings, met = read_surroundings(function)
        self.models = [Seen(x) for x in met if hasattr(x, "walk_layers")]
        self.objects = [x for x in met if not hasattr(x, "walk_layers")]
        self.values = [plain_values(x) for x in self.objects]

    def are_same(self, function: Any) -> bool:
        """Whether all is as it was; that a layer was called in between is no change."""
        if [plain_values(x) for x in self.objects] != self.values or read_surroundings(function)[0] != self.settings:
            return False
        if all(seen.is_unchanged() for seen in self.models):
            return True
        now = _Surroundings(function)
        if now.of_models() != self.of_models():
            return False
        self.models = now.models
        return True

    def of_models(self) -> list[Any]:
        """Plain values of all layers, as they were when they were looked at."""
        return [(seen.plain, seen.settings) for seen in self.models]


class Function:
    """A Python function and its traces; see `function`."""

    def __init__(self, python_function: Callable[..., Any], device: str | None = None) -> None:
        self.python_function = python_function
        self.device = device if device is None else canonical_device(device)
        self.traces: dict[Any, Compiled | None] = {}
        self.calls = 0
        self.surroundings: _Surroundings | None = None
        functools.update_wrapper(self, python_function)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method: a function of its own for each object."""
        if instance is None:
            return self
        name = f"_function_{self.python_function.__name__}"
        known = vars(instance).get(name)
        if known is None:
            known = Function(self.python_function.__get__(instance, owner), self.device)
            object.__setattr__(instance, name, known)
        return known

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's results; inside a trace or under a tape of the caller's, the function itself runs."""
        leaves = tree.flatten([list(args), kwargs])
        if state.traces or state.tapes or any(isinstance(x, Tensor) and x.array is None for x in leaves):
            return in_trace(self.python_function)(*args, **kwargs)
        device = asked_device(self.device)
        if device == "cuda":
            engine_device(device)
        self.calls += 1
        if self.calls == 1:
            return self.python_function(*args, **kwargs)  # makes the weights and the optimizer's state
        if self.surroundings is not None and not self.surroundings.are_same(self.python_function):
            self.traces = {key: trace for key, trace in self.traces.items() if trace is None}
        key = (device, len(args), tuple(sorted(kwargs)), signature_of(leaves))
        if key not in self.traces:
            before = _Surroundings(self.python_function)
            self.traces[key], error = try_compile(self.python_function, args, kwargs, device)
            self.surroundings = _Surroundings(self.python_function)
            if error is None:
                error = self._change(before, key)
            if error is not None:
                result = self.python_function(*args, **kwargs)  # raises what is the function's own
                warn_not_compiled(f"function '{getattr(self.python_function, '__name__', 'call')}'", error)
                return result
        compiled = self.traces[key]
        if compiled is None:
            return self.python_function(*args, **kwargs)
        return tree.map_structure(lambda x: None if x is None else Tensor(x), compiled(arrays_of(leaves)))

    def _change(self, before: _Surroundings, key: Any) -> Exception | None:
        """Why a trace is of no use: the function changes numbers or arrays that it reads."""
        try:
            refuse_changes(before.settings, (self.surroundings or before).settings)
        except SymbolicValueError as error:
            self.traces[key] = None
            return error
        return None

    def release(self) -> None:
        """Bring the values of all variables back to Python, as it happens by itself when one is looked at."""
        for compiled in self.traces.values():
            if compiled is not None:
                compiled.release()


def try_compile(
    python_function: Callable[..., Any], args: Any, kwargs: dict[str, Any], device: str
) -> tuple[Compiled | None, Exception | None]:
    """The function compiled, or why it cannot be.

    Whatever the reason, Python may be able to run it: what cannot be traced, what ONNX has no operator for, what
    onnxruntime refuses.
    """
    try:
        with uncollected():
            return Compiled(python_function, args, kwargs, device), None
    except Exception as error:  # see above
        if device == "cuda" and isinstance(error, RuntimeError):
            raise  # a GPU that is asked for is a demand
        return None, error


def warn_not_compiled(what: str, error: Exception) -> None:
    """Say once why something runs on NumPy."""
    warnings.warn(f"{what} runs on NumPy, not compiled: {error}", stacklevel=3)


def function(python_function: Callable[..., Any] | None = None, *, device: str | None = None) -> Any:
    """Compile a function of tensors and variables, such as a training step with a `GradientTape` (TensorFlow's name).

    It is traced once for each combination of shapes, dtypes and Python arguments, and run whole by onnxruntime:
    reads and assignments of variables, gradients and optimizers included. The very first call runs on NumPy, so that
    weights are made. What cannot be traced or expressed in ONNX runs on NumPy, after one warning that says why.

    device: "cpu", or "cuda", which must be there; without it the scope `sx.device` around the call decides, and
        without that a GPU is used where onnxruntime has one

    Python values other than arrays are fixed in a trace: other arguments, globals, closure variables, attributes of the
    user's own objects, plain settings of layers and optimizers, or frozen layers make another trace.

    >>> import sardonyx as sx
    >>> weight = sx.Variable(1.0)
    >>> @sx.function
    ... def step(x):
    ...     with sx.GradientTape() as tape:
    ...         loss = (weight * x - 6.0) ** 2
    ...     weight.assign_sub(0.1 * tape.gradient(loss, weight))
    ...     return loss
    >>> losses = [float(step(sx.ops.convert_to_tensor(2.0))) for _ in range(20)]
    >>> round(float(weight), 3)
    3.0
    """
    if python_function is None:
        return lambda decorated: Function(decorated, device)
    return Function(python_function, device)
