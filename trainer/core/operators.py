"""Operators and NumPy-like methods that tensors and variables share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .dtypes import as_dtype
from .errors import user_line

if TYPE_CHECKING:
    from .tensor import Tensor

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Operations by name, filled by `trainer.ops`: operators and methods call them."""


class Operators:
    """Python's operators and NumPy's methods, each one an operation of `sardonyx.ops`."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return FUNCTIONS["add"](self, other)

    def __radd__(self, other: Any) -> Tensor:
        return FUNCTIONS["add"](other, self)

    def __sub__(self, other: Any) -> Tensor:
        return FUNCTIONS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return FUNCTIONS["subtract"](other, self)

    def __mul__(self, other: Any) -> Tensor:
        return FUNCTIONS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return FUNCTIONS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return FUNCTIONS["divide"](other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return FUNCTIONS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return FUNCTIONS["floor_divide"](other, self)

    def __mod__(self, other: Any) -> Tensor:
        return FUNCTIONS["mod"](self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return FUNCTIONS["mod"](other, self)

    def __pow__(self, other: Any) -> Tensor:
        return FUNCTIONS["power"](self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return FUNCTIONS["power"](other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return FUNCTIONS["matmul"](other, self)

    def __and__(self, other: Any) -> Tensor:
        return FUNCTIONS["logical_and"](self, other)

    def __rand__(self, other: Any) -> Tensor:
        return FUNCTIONS["logical_and"](other, self)

    def __or__(self, other: Any) -> Tensor:
        return FUNCTIONS["logical_or"](self, other)

    def __ror__(self, other: Any) -> Tensor:
        return FUNCTIONS["logical_or"](other, self)

    def __xor__(self, other: Any) -> Tensor:
        return FUNCTIONS["logical_xor"](self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return FUNCTIONS["logical_xor"](other, self)

    def __lt__(self, other: Any) -> Tensor:
        return FUNCTIONS["less"](self, other)

    def __le__(self, other: Any) -> Tensor:
        return FUNCTIONS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Tensor:
        return FUNCTIONS["greater"](self, other)

    def __ge__(self, other: Any) -> Tensor:
        return FUNCTIONS["greater_equal"](self, other)

    def __neg__(self) -> Tensor:
        return FUNCTIONS["negative"](self)

    def __abs__(self) -> Tensor:
        return FUNCTIONS["absolute"](self)

    def __invert__(self) -> Tensor:
        return FUNCTIONS["logical_not"](self)

    def __pos__(self) -> Tensor:
        return FUNCTIONS["convert_to_tensor"](self)

    def __getitem__(self, index: Any) -> Tensor:
        return FUNCTIONS["get_item"](self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        line = user_line(2)
        raise TypeError(
            "x[index] = value: tensors are not changed in place."
            + (f"\n  {line}" if line else "")
            + "\n  Write x = ops.slice_update(x, start_indices, updates) for a block, x = ops.scatter_update(x, "
            "indices, updates) for single places, or x = ops.where(mask, value, x)."
        )

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return FUNCTIONS["transpose"](self)

    def astype(self, dtype: Any) -> Tensor:
        """The tensor converted to another element type."""
        return FUNCTIONS["cast"](self, as_dtype(dtype))

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return FUNCTIONS["reshape"](self, _sequence(shape))

    def transpose(self, *axes: Any) -> Tensor:
        """The tensor with permuted axes, reversed when none are given."""
        return FUNCTIONS["transpose"](self, _sequence(axes) or None)

    def flatten(self) -> Tensor:
        """The elements in one axis."""
        return FUNCTIONS["reshape"](self, (-1,))

    def sum(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.sum` of the tensor."""
        return _reduce("sum", self, axis, keepdims, numpy)

    def mean(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.mean` of the tensor."""
        return _reduce("mean", self, axis, keepdims, numpy)

    def max(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.max` of the tensor."""
        return _reduce("max", self, axis, keepdims, numpy)

    def min(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.min` of the tensor."""
        return _reduce("min", self, axis, keepdims, numpy)

    def prod(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.prod` of the tensor."""
        return _reduce("prod", self, axis, keepdims, numpy)

    def all(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.all` of the tensor."""
        return _reduce("all", self, axis, keepdims, numpy)

    def any(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.any` of the tensor."""
        return _reduce("any", self, axis, keepdims, numpy)

    def var(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.var` of the tensor."""
        return _reduce("var", self, axis, keepdims, numpy)

    def std(self, axis: Any = None, keepdims: bool = False, **numpy: Any) -> Tensor:
        """`ops.std` of the tensor."""
        return _reduce("std", self, axis, keepdims, numpy)


def _sequence(arguments: tuple[Any, ...]) -> Any:
    """Arguments given one by one or as a single sequence."""
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)) else arguments


def _reduce(name: str, x: Any, axis: Any, keepdims: bool, numpy: dict[str, Any]) -> Tensor:
    """A reduction as a method; `np.mean(x)` comes here too, with NumPy's own arguments, of which only defaults fit."""
    given = [key for key, value in numpy.items() if value is not None and value is not False]
    if given:
        raise TypeError(f"x.{name}: unknown argument {given[0]!r}; use ops.{name}(x, axis, keepdims)")
    return FUNCTIONS[name](x, axis=axis, keepdims=bool(keepdims))
