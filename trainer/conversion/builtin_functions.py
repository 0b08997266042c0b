"""Python's built-in functions in converted code: the graph's where a tensor is given and the meaning is the same."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.dims import Dim, maximum, minimum
from ..core.tensor import Tensor
from ..ops.broadcast import reshape
from ..ops.comparison import logical_and, logical_or
from ..ops.convert import cast, convert_to_tensor
from ..ops.reduce import all as reduce_all
from ..ops.reduce import any as reduce_any
from ..ops.reduce import max as reduce_max
from ..ops.reduce import min as reduce_min
from ..ops.reduce import sum as reduce_sum
from .branches import choice, condition, symbolic
from .iteration import Collected, Steps, enumerate_, range_, reversed_, zip_
from .refusals import refuse

__all__: list[str] = []


def _scalar(value: Any, name: str) -> Tensor:
    tensor = symbolic(value)
    assert tensor is not None
    if any(size != 1 for size in tensor.shape):
        refuse(
            f"{name}(x) of {tensor!r}: only a single element is a number",
            "Reduce it first (ops.sum, ops.mean, x[0]), or use ops.cast(x, dtype) for all elements.",
        )
    return tensor if tensor.shape == () else reshape(tensor, ())


def int_(*arguments: Any, **keywords: Any) -> Any:
    """`int`: a whole number cut towards zero."""
    if len(arguments) == 1 and isinstance(arguments[0], Dim):
        return arguments[0]
    if len(arguments) != 1 or symbolic(arguments[0]) is None:
        return int(*arguments, **keywords)
    tensor = _scalar(arguments[0], "int")
    return tensor if tensor.dtype.kind in "iu" else cast(tensor, "int32")


def float_(*arguments: Any) -> Any:
    """`float`: the default floating-point type."""
    if len(arguments) == 1 and isinstance(arguments[0], Dim):
        return convert_to_tensor(arguments[0], dtype="float32")
    if len(arguments) != 1 or symbolic(arguments[0]) is None:
        return float(*arguments)
    tensor = _scalar(arguments[0], "float")
    return tensor if tensor.dtype.kind == "f" else cast(tensor, "float32")


def bool_(*arguments: Any) -> Any:
    """`bool`."""
    return condition(arguments[0]) if len(arguments) == 1 else bool(*arguments)


def len_(value: Any) -> Any:
    """`len`, a size where it is not known."""
    if isinstance(value, Collected):
        return value.length
    if isinstance(value, Steps):
        return value.length
    tensor = symbolic(value)
    return tensor.shape[0] if tensor is not None and tensor.shape else len(value)


def _extreme(name: str, whole: Callable[..., Any], sizes: Callable[..., Any]) -> Callable[..., Any]:
    python = getattr(builtins, name)

    def find(*arguments: Any, **keywords: Any) -> Any:
        if len(arguments) == 1 and isinstance(arguments[0], Collected):
            arguments = (arguments[0].stacked(),)
        if len(arguments) == 1 and not keywords and (tensor := symbolic(arguments[0])) is not None:
            if len(tensor.shape) != 1:
                refuse(f"{name}(x) of {tensor!r} compares rows", f"Use ops.{name}(x) or ops.{name}(x, axis=...).")
            return whole(tensor)
        listed: Any = arguments if len(arguments) != 1 else arguments[0]
        listed = tuple(listed) if isinstance(listed, (list, tuple)) else ()
        if any(isinstance(x, Dim) for x in listed) and all(isinstance(x, (Dim, int)) for x in listed):
            return functools.reduce(sizes, listed)
        if not any(symbolic(x) is not None for x in listed):
            return python(*arguments, **keywords)
        if keywords:
            refuse(f"{name} of tensors with {', '.join(keywords)}", f"Compute the keys, and use ops.arg{name}.")

        def pick(a: Any, b: Any) -> Any:
            better = b > a if name == "max" else b < a
            return choice(better, lambda: b, lambda: a)

        return functools.reduce(pick, listed)

    return find


def sum_(iterable: Any, start: Any = 0) -> Any:
    """`sum`."""
    if isinstance(iterable, Collected):
        return iterable.total() + start if not _is_zero(start) else iterable.total()
    tensor = symbolic(iterable)
    if tensor is None or not tensor.shape:
        return sum(iterable, start)
    total = reduce_sum(tensor, axis=0)
    return total if _is_zero(start) else total + start


def _is_zero(value: Any) -> bool:
    return type(value) is int and value == 0


def _quantifier(name: str, whole: Callable[..., Any], join: Callable[..., Any], last: bool) -> Callable[[Any], Any]:
    def find(iterable: Any) -> Any:
        tensor = symbolic(iterable.stacked() if isinstance(iterable, Collected) else iterable)
        if tensor is not None:
            if len(tensor.shape) != 1:
                refuse(f"{name}(x) of {tensor!r} asks for the truth of rows", f"Use ops.{name}(x).")
            return whole(tensor)
        result: Any = not last
        for x in iterable:
            decision = condition(x)
            if not isinstance(decision, Tensor):
                if decision == last:
                    return last
                continue
            result = decision if isinstance(result, bool) else join(result, decision)
        return result

    return find


def round_(number: Any, digits: Any = None) -> Any:
    """`round`, half to even."""
    if symbolic(number) is None:
        return round(number) if digits is None else round(number, digits)
    if digits is not None:
        refuse("round(x, digits) of a tensor", "Use ops.round(x, digits).")
    return cast(np.rint(_scalar(number, "round")), "int32")


def asarray(value: Any, *arguments: Any, **keywords: Any) -> Any:
    """`np.asarray` and `np.array`: a tensor stays one; NumPy's operators and methods are its own too."""
    tensor = symbolic(value.stacked() if isinstance(value, Collected) else value)
    python = arguments[0] if arguments else keywords.get("dtype")
    if tensor is None:
        return np.asarray(value, *arguments, **keywords)
    return tensor if python is None else cast(tensor, python)


def array(value: Any, *arguments: Any, **keywords: Any) -> Any:
    """`np.array`."""
    if symbolic(value) is None and not isinstance(value, Collected):
        return np.array(value, *arguments, **keywords)
    return asarray(value, *arguments, **{k: v for k, v in keywords.items() if k == "dtype"})


def item(tensor: Tensor) -> Any:
    """`x.item()`."""
    return tensor.item() if symbolic(tensor) is None else _scalar(tensor, "x.item")


def numpy(tensor: Tensor) -> Any:
    """`x.numpy()`."""
    return tensor.numpy() if symbolic(tensor) is None else tensor


def _refused(name: str, rewrite: str) -> Callable[..., Any]:
    python = getattr(builtins, name)

    def call(*arguments: Any, **keywords: Any) -> Any:
        if any(symbolic(x) is not None or isinstance(x, Collected) for x in arguments):
            refuse(f"{name} of a tensor whose value is known only when the model runs", rewrite)
        return python(*arguments, **keywords)

    return call


REPLACED: dict[Any, Any] = {
    range: range_, enumerate: enumerate_, zip: zip_, reversed: reversed_, len: len_, int: int_, float: float_,
    bool: bool_,
    max: _extreme("max", reduce_max, maximum), min: _extreme("min", reduce_min, minimum), sum: sum_, round: round_,
    any: _quantifier("any", reduce_any, logical_or, True), all: _quantifier("all", reduce_all, logical_and, False),
    np.asarray: asarray, np.array: array, sorted: _refused("sorted", "Use ops.sort(x)."),
    str: _refused("str", "Return the tensor as one more output, and make the text of it outside of the model."),
}  # fmt: skip

METHODS: dict[Any, Any] = {Tensor.item: item, Tensor.numpy: numpy, Tensor.__len__: len_}
