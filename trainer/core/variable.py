"""A value that persists between calls: a layer's weight, an optimizer's moment, a generator's state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from sys import getrefcount
from typing import Any, Protocol

import numpy as np

from .draws import own_draws
from .dtypes import as_dtype, dtype_name
from .errors import DtypeError, ShapeError, format_shape
from .operators import FUNCTIONS, Operators
from .spec import TensorSpec
from .state import state
from .tensor import Symbol, Tensor

new_tensor = object.__new__


class Home(Protocol):
    """Where an engine keeps a variable's value between its runs, in memory of its own."""

    def fetch(self) -> np.ndarray:
        """A copy of the value."""
        ...

    def changed(self) -> None:
        """The value was replaced from Python; to be taken over before the next run."""
        ...


class Variable(Operators):
    """A named, assignable tensor.

    `initializer` is an array-like, or a callable `(shape, dtype) -> array` together with `shape`.
    Reading it inside a trace yields a symbolic tensor, so a graph never freezes its value.

    >>> import sardonyx as sx
    >>> step = sx.Variable(0, dtype="int32", trainable=False, name="step")
    >>> step.assign_add(2).numpy().item()
    2
    """

    __hash__ = object.__hash__
    frozen = False  # made to be trained, and kept from it until its layer is freed

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
    ) -> None:
        value: Any = _later(initializer, shape, dtype)
        if value is None:
            value = _initial_value(initializer, shape, dtype)
        self.name = name or "variable"
        if "/" in self.name:
            raise ValueError(f"Variable name {name!r}: a name has no '/'; the path is built from the layers' names")
        self.path = "/".join([*(s.path for s in state.scopes[-1:] if s.path), self.name])
        self.trainable = trainable
        self.autocast = autocast
        self.aggregation = aggregation
        self.synchronization = synchronization
        self.regularizer: Callable[..., Any] | None = None
        self.constraint: Callable[..., Any] | None = None
        self.initializer = initializer if callable(initializer) else None
        self.version = 0
        self._home: Home | None = value if isinstance(value, _Undrawn) else None
        self._tensor: Tensor | None = Tensor(value) if isinstance(value, np.ndarray) else None
        self._symbol = Tensor(None, Symbol(TensorSpec(value.shape, value.dtype), variable=self, name=self.name))
        if self._home is not None and state.undrawn is not None:
            state.undrawn.append(self)

    @classmethod
    def holding(cls, array: np.ndarray, trainable: bool = True, name: str | None = None) -> Variable:
        """A variable whose value is an array as it is, not a copy: of a file that is mapped into memory."""
        variable = cls(np.zeros((), array.dtype), trainable=trainable, name=name)
        spec = TensorSpec(array.shape, array.dtype)
        variable._symbol = Tensor(None, Symbol(spec, variable=variable, name=variable.name))
        variable._tensor = Tensor(array)
        return variable

    @property
    def array(self) -> np.ndarray:
        """The current NumPy array, owned by the variable (for kernels; use `numpy()` to keep a copy)."""
        tensor = self._tensor
        return self._fetch().array if tensor is None else tensor.array  # pyright: ignore[reportReturnType]

    @property
    def value(self) -> Tensor:
        """The current value as a tensor; symbolic while tracing. Later updates do not reach into it."""
        if state.traces or state.tapes:
            return self.read()
        return self._fetch() if self._tensor is None else self._tensor

    def read(self) -> Tensor:
        """The tensor that stands for the variable right now, known to the open tapes."""
        if state.traces:
            tensor = state.traces[-1].read(self)
        else:
            tensor = self._tensor
            if tensor is None:
                tensor = self._fetch()
        for tape in state.tapes:
            tape.read(self, tensor)
        return tensor

    def symbol(self) -> Tensor:
        """The symbolic tensor that stands for the variable's value when a graph runs."""
        return self._symbol

    def numpy(self) -> np.ndarray:
        """A copy of the current value."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the value; fixed for the life of the variable."""
        return self._symbol.symbol.spec.shape  # pyright: ignore

    @property
    def dtype(self) -> np.dtype:
        """Element type; fixed for the life of the variable."""
        return self._symbol.symbol.spec.dtype  # pyright: ignore

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def assign(self, value: Any) -> Tensor:
        """Replace the value (same shape); inside a trace, record the assignment as an effect of the graph."""
        if isinstance(value, Variable):
            value = value.read()
        if (isinstance(value, Tensor) and value.array is None) or state.traces:
            return self._assign_symbolic(value)
        array = np.asarray(value.array if isinstance(value, Tensor) else value)
        self._check_shape(array.shape)
        is_result = isinstance(value, Tensor) and array.dtype == self.dtype
        tensor = self._tensor = Tensor(array if is_result else np.array(array, dtype=self.dtype))
        self.version += 1
        if self._home is not None:
            self._home.changed()
        return tensor

    def _assign_symbolic(self, value: Any) -> Tensor:
        if not state.traces:
            raise ValueError(
                f"variable '{self.path}': a symbolic tensor can be assigned only while a model or function is traced"
            )
        tensor = FUNCTIONS["convert_to_tensor"](value, dtype=self.dtype)
        self._check_shape(tensor.shape)
        state.traces[-1].assign(self, tensor)
        return tensor

    def assign_add(self, value: Any) -> Tensor:
        """Add to the value."""
        return self.assign(FUNCTIONS["add"](self.read(), value))

    def assign_sub(self, value: Any) -> Tensor:
        """Subtract from the value."""
        return self.assign(FUNCTIONS["subtract"](self.read(), value))

    def writable(self) -> np.ndarray:
        """The array, C-contiguous, for an update in place by a kernel; a copy if anybody else holds the present one.

        Holders are tensors given out, tapes whose gradient is still to come, and views. Reference counts tell, taken of
        attributes and never of local names, which some interpreters do not count: 2 is the attribute and the argument.
        """
        if self._tensor is None:
            self._fetch()
        is_shared = getrefcount(self._tensor) > 2 or getrefcount(self._tensor.array) > 2  # pyright: ignore
        is_fit = self.array.flags.owndata and self.array.flags.carray
        array = self.array if is_fit and not is_shared else self.array.copy()
        self.renew(array)
        return array

    def renew(self, array: np.ndarray) -> None:
        """Take an array of the variable's shape and dtype as the value, as it is."""
        tensor = self._tensor = new_tensor(Tensor)
        tensor.array = array
        tensor.symbol = tensor.mask = None
        tensor.key = 0
        self.version += 1
        if self._home is not None:
            self._home.changed()

    def settle(self, home: Home | None) -> None:
        """Let an engine keep the value: `home` is asked for it when it is wanted here; None brings it back for good."""
        if self._tensor is None:
            self._fetch()
        self._home = home

    def _fetch(self) -> Tensor:
        """A copy of the value that an engine keeps."""
        if self._home is None:
            raise RuntimeError(f"variable '{self.path}' has lost its value: the engine that kept it is gone")
        tensor = self._tensor = Tensor(self._home.fetch())
        return tensor

    def _check_shape(self, shape: tuple[Any, ...]) -> None:
        if tuple(shape) != self.shape:
            raise ShapeError(
                f"variable '{self.path}': expected a value of shape {format_shape(self.shape)}, got "
                f"{format_shape(shape)}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.read())

    def __int__(self) -> int:
        return int(self.read())

    def __float__(self) -> float:
        return float(self.read())

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        twin = Variable(self.numpy(), dtype=self.dtype, trainable=self.trainable, name=self.name)
        twin.path, twin.regularizer, twin.constraint = self.path, self.regularizer, self.constraint
        twin.initializer, twin.frozen = self.initializer, self.frozen
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={format_shape(self.shape)}, dtype={dtype_name(self.dtype)}>"


def outside_of(memory: np.ndarray, variables: Sequence[Variable]) -> list[int]:
    """Places of variables whose value is no view of some memory, or held by others; see `Variable.writable`."""
    return [
        i for i, v in enumerate(variables)
        if v._tensor is None or getrefcount(v._tensor) > 2 or getrefcount(v._tensor.array) > 2
        or v._tensor.array.base is not memory  # pyright: ignore[reportOptionalMemberAccess]
    ]  # fmt: skip


def note_changes(variables: Sequence[Variable]) -> None:
    """Values were changed where they lie, with nobody else holding them."""
    for v in variables:
        tensor = v._tensor
        if tensor is None or tensor.key:  # a tape knows the old value by its key
            v.renew(v.array)
            continue
        v.version += 1
        if v._home is not None:
            v._home.changed()


def note_moves(variables: Sequence[Variable]) -> None:
    """The engines that keep the values have changed them."""
    for v in variables:
        v._tensor = None
        v.version += 1


class _Undrawn:
    """A first value that is made when somebody asks for it."""

    def __init__(self, initializer: Callable[..., Any], shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.initializer = initializer
        self.shape = shape
        self.dtype = dtype

    def fetch(self) -> np.ndarray:
        """The value."""
        return _drawn(self.initializer, self.shape, self.dtype)

    def changed(self) -> None:
        """Another value was assigned, before or after this one was asked for."""


LATER = 1 << 14
"""Elements of a variable from which its first value can wait."""


@contextmanager
def first_values_later() -> Iterator[None]:
    """Inside, first values of large variables are not drawn before they are asked for; at the end those are that were
    not, unless others were assigned: for variables that are about to get the values of a file."""
    before, state.undrawn = state.undrawn, []
    try:
        yield
    finally:
        made, state.undrawn = state.undrawn, before
    for variable in made:
        variable.settle(None)


def _later(initializer: Any, shape: Sequence[int] | None, dtype: Any) -> _Undrawn | None:
    """A first value that can wait; None for others, unsound ones among them."""
    if state.undrawn is None or shape is None or not _is_function(initializer):
        return None
    if not all(isinstance(size, (int, np.integer)) for size in shape) or math.prod(shape) < LATER:
        return None
    return _Undrawn(initializer, tuple(int(size) for size in shape), as_dtype(dtype))


def _is_function(initializer: Any) -> bool:
    return callable(initializer) and not isinstance(initializer, (Tensor, Variable))


def _initial_value(initializer: Any, shape: Sequence[int] | None, dtype: Any) -> np.ndarray:
    if _is_function(initializer):
        if shape is None:
            raise ValueError("Variable: with a callable initializer, `shape` must be given")
        for size in shape:
            if not isinstance(size, (int, np.integer)):
                raise ShapeError(
                    f"Variable: every size of a variable must be a number, got shape {format_shape(tuple(shape))}; "
                    "fix that size in the model's Input"
                )
        return _drawn(initializer, tuple(int(size) for size in shape), as_dtype(dtype))
    array = np.array(initializer)
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"Variable: the initial value must be numbers, got {initializer!r}")
    if dtype is None:
        weak = not hasattr(initializer, "dtype") and array.dtype.kind == "f"
        dtype = None if weak else array.dtype
    return np.ascontiguousarray(array, dtype=as_dtype(dtype)).reshape(array.shape)


def _drawn(initializer: Callable[..., Any], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    with own_draws():
        made = initializer(shape, dtype=dtype_name(dtype))
    array = np.array(made.array if isinstance(made, Tensor) else made, dtype=dtype)
    if array.shape != shape:
        raise ShapeError(
            f"Variable: the initializer made shape {format_shape(array.shape)}, expected {format_shape(shape)}"
        )
    return array
