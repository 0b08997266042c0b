"""Element types: their names, and the one that results when several meet."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .errors import DtypeError

DTYPE_NAMES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128", "string",
)  # fmt: skip
_settings = {"floatx": np.dtype("float32")}
_fuzz = {"epsilon": 1e-7}
_ALIASES: dict[Any, str] = {float: "float32", int: "int32", bool: "bool", "float": "float32", "int": "int32",
                            "half": "float16", "double": "float64", str: "string"}  # fmt: skip
STRING = np.dtype("O")


def floatx() -> str:
    """Name of the floating-point type that layers and literals use (Keras name: `config.floatx`)."""
    return _settings["floatx"].name


def set_floatx(value: str) -> None:
    """Set the default floating-point type: "float16", "float32" or "float64" (Keras name: `config.set_floatx`)."""
    if value not in ("float16", "float32", "float64"):
        raise ValueError(f'set_floatx: expected "float16", "float32" or "float64", got {value!r}')
    _settings["floatx"] = np.dtype(value)


def epsilon() -> float:
    """The small number that losses, metrics and optimizers add or clip with (Keras name: `config.epsilon`)."""
    return _fuzz["epsilon"]


def set_epsilon(value: float) -> None:
    """Set the small number that `epsilon` gives (Keras name: `config.set_epsilon`)."""
    if not 0 < value < 1:
        raise ValueError(f"set_epsilon: expected a number between 0 and 1, got {value!r}")
    _fuzz["epsilon"] = float(value)


def default_float() -> np.dtype:
    """The default floating-point type as a NumPy dtype."""
    return _settings["floatx"]


def as_dtype(value: Any) -> np.dtype:
    """The NumPy dtype a name, Python type, NumPy type or anything with a `dtype` stands for; None is the default float.

    Raises `DtypeError` for names that are no element type here.
    """
    if isinstance(value, np.dtype):
        return value
    if value is None:
        return _settings["floatx"]
    if isinstance(value, str) or value is float or value is int or value is bool or value is str:
        if value is float or value == "float":
            return _settings["floatx"]
        name = _ALIASES.get(value, value)
        if name == "string":
            return STRING
        if name not in DTYPE_NAMES:
            raise DtypeError(f"dtype {value!r} is not known. Known: {', '.join(DTYPE_NAMES)}")
        return np.dtype(name)
    if hasattr(value, "dtype") and not isinstance(value, type):
        return as_dtype(value.dtype)
    try:
        return np.dtype(value)
    except TypeError:
        raise DtypeError(f"dtype {value!r} is not known. Known: {', '.join(DTYPE_NAMES)}") from None


def dtype_name(value: Any) -> str:
    """The plain name of an element type (Keras name: `standardize_dtype`)."""
    dtype = as_dtype(value)
    return "string" if dtype.kind in "OSUT" else dtype.name


@lru_cache(maxsize=1024)
def _promote(first: np.dtype, second: np.dtype) -> np.dtype:
    if first == second:
        return first
    if first.kind == "f" and second.kind in "iub":
        return first
    if second.kind == "f" and first.kind in "iub":
        return second
    result = np.promote_types(first, second)
    # numpy answers float64 for uint64 with int64; the default float keeps the memory of a network in hand
    return _settings["floatx"] if result.kind == "f" and "f" not in first.kind + second.kind else result


def result_type(*dtypes: Any) -> np.dtype:
    """The element type that arithmetic between the given types yields.

    Floating-point wins over integers without growing (`int64` with `float32` is `float32`), as in Keras.
    Python scalars (`int`, `float`, `bool` types) are weak: they take the other's kind where they can.
    """
    weak = [d for d in dtypes if d is int or d is float or d is bool]
    strong = [as_dtype(d) for d in dtypes if not (d is int or d is float or d is bool)]
    if not strong:
        return _settings["floatx"] if float in weak else np.dtype("int32" if int in weak else "bool")
    result = strong[0]
    for dtype in strong[1:]:
        result = _promote(result, dtype)
    if float in weak and result.kind in "iub":
        return _settings["floatx"]
    if int in weak and result.kind == "b":
        return np.dtype("int32")
    return result
