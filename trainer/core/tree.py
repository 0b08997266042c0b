"""Nested structures of lists, tuples and dictionaries (Keras name: `keras.tree`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether a value is a list, tuple or dictionary."""
    return isinstance(structure, (list, tuple, dict))


def _children(structure: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(structure, dict):
        return ((key, structure[key]) for key in sorted_keys(structure))
    return enumerate(structure)


def sorted_keys(mapping: Mapping[Any, Any]) -> list[Any]:
    """Keys in sorted order, or in their own order when they cannot be compared."""
    try:
        return sorted(mapping)
    except TypeError:
        return list(mapping)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Leaves with the keys that lead to each; dictionaries by sorted key."""
    found: list[tuple[tuple[Any, ...], Any]] = []

    def visit(value: Any, path: tuple[Any, ...]) -> None:
        if is_nested(value):
            for key, child in _children(value):
                visit(child, (*path, key))
        else:
            found.append((path, value))

    visit(structure, ())
    return found


def _is_flat(values: Iterable[Any]) -> bool:
    """Whether a list or the values of a dictionary are leaves alone."""
    return True not in [isinstance(value, (list, tuple, dict)) for value in values]


def flatten(structure: Any) -> list[Any]:
    """Leaves of a structure, dictionaries by sorted key.

    >>> import sardonyx as sx
    >>> sx.tree.flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    if not is_nested(structure):
        return [structure]
    if type(structure) is list and _is_flat(structure):
        return structure.copy()
    return [leaf for _, leaf in flatten_with_path(structure)]


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Apply a function leaf by leaf; the structures must agree.

    >>> import sardonyx as sx
    >>> sx.tree.map_structure(lambda x: x + 1, {"a": 1, "b": (2, 3)})
    {'a': 2, 'b': (3, 4)}
    """
    first = structures[0]
    for other in structures[1:]:
        assert_same_structure(first, other)
    return _map(function, structures)


def _map(function: Callable[..., Any], structures: tuple[Any, ...]) -> Any:
    first = structures[0]
    if isinstance(first, dict):
        # visited in the order of `flatten`, so that what a function makes of the leaves is in that order too
        mapped = {key: _map(function, tuple(s[key] for s in structures)) for key in sorted_keys(first)}
        return type(first)((key, mapped[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return rebuild(first, [_map(function, group) for group in zip(*structures, strict=True)])
    return function(*structures)


def rebuild(like: Any, children: list[Any]) -> Any:
    """A list, tuple or named tuple of the same type with other children."""
    if isinstance(like, list):
        return children
    if hasattr(like, "_fields"):
        return type(like)(*children)
    return tuple(children)


def pack_sequence_as(structure: Any, leaves: Iterable[Any]) -> Any:
    """Put leaves, in the order of `flatten`, back into a structure. Raises `ValueError` when their number differs."""
    flat = list(leaves)
    if type(structure) is list and len(flat) == len(structure) and _is_flat(structure):
        return flat
    if type(structure) is dict and len(flat) == len(structure) and _is_flat(structure.values()):
        found = dict(zip(sorted_keys(structure), flat, strict=True))
        return {key: found[key] for key in structure}
    expected = len(flatten(structure))
    if len(flat) != expected:
        raise ValueError(f"pack_sequence_as: the structure has {expected} leaves, got {len(flat)}")
    remaining: Iterator[Any] = iter(flat)

    def build(value: Any) -> Any:
        if isinstance(value, dict):
            built = {key: build(value[key]) for key in sorted_keys(value)}
            return type(value)((key, built[key]) for key in value)
        if is_nested(value):
            return rebuild(value, [build(child) for child in value])
        return next(remaining)

    return build(structure)


def assert_same_structure(first: Any, second: Any) -> None:
    """Raise `ValueError` naming the first place where two structures differ."""
    _assert_same(first, second, ())


def _assert_same(first: Any, second: Any, path: tuple[Any, ...]) -> None:
    where = "".join(f"[{key!r}]" for key in path) or "the top"
    if is_nested(first) != is_nested(second) or isinstance(first, dict) != isinstance(second, dict):
        raise ValueError(f"structures differ at {where}: {_kind(first)} against {_kind(second)}")
    if isinstance(first, dict):
        if set(first) != set(second):
            raise ValueError(f"structures differ at {where}: keys {list(first)} against {list(second)}")
        for key in first:
            _assert_same(first[key], second[key], (*path, key))
    elif is_nested(first):
        if len(first) != len(second):
            raise ValueError(f"structures differ at {where}: length {len(first)} against {len(second)}")
        for key, (a, b) in enumerate(zip(first, second, strict=True)):
            _assert_same(a, b, (*path, key))


def _kind(value: Any) -> str:
    return type(value).__name__ if is_nested(value) else "a leaf"
