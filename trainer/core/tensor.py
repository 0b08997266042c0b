"""The tensor: an array (eager), or the promise of one (symbolic)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import Shape
from .dtypes import dtype_name
from .errors import SymbolicValueError, format_shape, is_users_file, user_line
from .operators import FUNCTIONS, Operators
from .spec import TensorSpec
from .state import state

if TYPE_CHECKING:
    from .graph import Node
    from .variable import Variable


class Symbol:
    """Where a symbolic tensor comes from: a node's output, a variable, or an input of the graph (neither)."""

    __slots__ = ("index", "name", "node", "spec", "variable")

    def __init__(
        self,
        spec: TensorSpec,
        node: Node | None = None,
        index: int = 0,
        variable: Variable | None = None,
        name: str | None = None,
    ) -> None:
        self.spec = spec
        self.node = node
        self.index = index
        self.variable = variable
        self.name = name


class Tensor(Operators):
    """An n-dimensional array of one element type, eager (`array` set) or symbolic (`symbol` set).

    Operators and NumPy-like methods apply operations of `sardonyx.ops`. `np.asarray` works on eager tensors.

    >>> import sardonyx as sx
    >>> x = sx.ops.convert_to_tensor([[1.0, 2.0]])
    >>> (x + 1).numpy().tolist()
    [[2.0, 3.0]]
    """

    __slots__ = ("__weakref__", "array", "key", "mask", "symbol")
    array: np.ndarray | None
    symbol: Symbol | None
    key: int
    mask: Any

    def __init__(self, array: np.ndarray | None, symbol: Symbol | None = None) -> None:
        self.array = array
        self.symbol = symbol
        self.key = 0
        self.mask = None

    @property
    def is_symbolic(self) -> bool:
        """Whether the tensor has no value yet."""
        return self.array is None

    @property
    def spec(self) -> TensorSpec:
        """Shape and element type."""
        if self.symbol is not None:
            return self.symbol.spec
        array = self.value("spec")
        return TensorSpec(array.shape, array.dtype)

    @property
    def shape(self) -> Shape:
        """Sizes: integers, symbolic sizes where they are not known yet."""
        return self.symbol.spec.shape if self.array is None else self.array.shape  # pyright: ignore[reportOptionalMemberAccess]

    @property
    def dtype(self) -> np.dtype:
        """Element type; equal to its name, as in `x.dtype == "float32"`."""
        return self.symbol.spec.dtype if self.array is None else self.array.dtype  # pyright: ignore[reportOptionalMemberAccess]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    rank = ndim

    @property
    def size(self) -> Any:
        """Number of elements."""
        total: Any = 1
        for size in self.shape:
            total = total * size
        return total

    @property
    def name(self) -> str | None:
        """Name of a graph input or of a symbolic result; None for eager tensors."""
        return self.symbol.name if self.symbol is not None else None

    def value(self, attempt: str) -> np.ndarray:
        """The array; raises `SymbolicValueError` naming what was attempted when there is none yet."""
        if self.array is None:
            error = SymbolicValueError(symbolic_value_message(self, attempt))
            if state.traces and is_users_file(sys._getframe(2).f_code.co_filename):
                state.traces[0].refused = error  # the program may catch it and go on, with a value that is no value
            raise error
        return self.array

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array (shared memory: do not write into it)."""
        return self.value("x.numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.value("np.asarray(x)")
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        function = FUNCTIONS.get(ufunc.__name__)
        if method != "__call__" or kwargs or function is None:
            plain = [np.asarray(x) if isinstance(x, Tensor) else x for x in inputs]
            return getattr(ufunc, method)(*plain, **kwargs)
        return function(*inputs)

    def item(self) -> Any:
        """The single element as a Python number."""
        return self.value("x.item()").item()

    def tolist(self) -> Any:
        """The value as nested Python lists."""
        return self.value("x.tolist()").tolist()

    def __bool__(self) -> bool:
        return bool(self.value("bool(x), `if x`, `while x`, `x and y`"))

    def __int__(self) -> int:
        return int(self.value("int(x)"))

    def __float__(self) -> float:
        return float(self.value("float(x)"))

    def __index__(self) -> int:
        return self.value("using x as an index or a range").__index__()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor of rank 0")
        size = self.shape[0]
        if not isinstance(size, int):
            raise SymbolicValueError(symbolic_value_message(self, "len(x)"))
        return size

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a tensor of rank 0")
        if not isinstance(self.shape[0], int):
            raise SymbolicValueError(symbolic_value_message(self, "iterating over an axis of unknown size"))
        return (self[i] for i in range(self.shape[0]))

    def __format__(self, spec: str) -> str:
        return format(self.value("format(x, spec)").item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        if self.array is None:
            name = f", name={self.name!r}" if self.name else ""
            return f"<Tensor shape={format_shape(self.shape)}, dtype={dtype_name(self.dtype)}{name}>"
        return f"<Tensor shape={format_shape(self.shape)}, dtype={dtype_name(self.dtype)}, value=\n{self.array!r}>"

    def __eq__(self, other: object) -> Any:
        return FUNCTIONS["equal"](self, other)

    def __ne__(self, other: object) -> Any:
        return FUNCTIONS["not_equal"](self, other)

    def __hash__(self) -> int:
        if self.array is None:  # else `table.get(int(x), default)` would always give the default
            raise SymbolicValueError(symbolic_value_message(self, "looking x up in a dictionary or set"))
        return object.__hash__(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self if self.array is None else Tensor(self.array.copy())


def symbolic_value_message(tensor: Tensor, attempt: str) -> str:
    """Why a symbolic tensor has no value, the user's line, and the rewrite that works."""
    line = user_line(2)
    where = f"\n  {line}" if line else ""
    reason = FUNCTIONS["why_unconverted"](line.file, line.function) if line else None
    if reason:
        where += f"\n  Python's own if, while and for are not converted here: {reason}."
    return (
        f"{attempt}: the value of {tensor!r} is known only when the model runs, so Python cannot use it here.{where}\n"
        "  A choice: ops.where(condition, a, b) or ops.cond(condition, f, g). A loop: ops.while_loop, ops.fori_loop, "
        "ops.scan. A mask: multiply by ops.cast(condition, x.dtype). A size: x.shape[axis] works in shapes and "
        "arithmetic. A table: ops.take(values, x). A NumPy function: use the one of the same name in sardonyx.ops."
    )
