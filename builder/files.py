"""Paths of files: checked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def check_target(path: str | os.PathLike[str], endings: Sequence[str], overwrite: bool, what: str) -> Path:
    """The path, when a file can be written there.

    Raises `TypeError` for what is no path, `ValueError` for another ending, `FileNotFoundError`, `NotADirectoryError`
    or `PermissionError` for the folder, `IsADirectoryError`, and `FileExistsError` without `overwrite`.
    """
    target = check_ending(path, endings, what)
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(f"{what}: the folder {str(folder)!r} does not exist; create it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"{what}: {str(folder)!r} is a file, not a folder")
    if target.is_dir():
        raise IsADirectoryError(f"{what}: {str(target)!r} is a folder; give the file another name")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{what}: {str(target)!r} exists already; pass overwrite=True to replace it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{what}: the folder {str(folder)!r} cannot be written to")
    return target


def check_ending(path: str | os.PathLike[str], endings: Sequence[str], what: str) -> Path:
    """The path, when it has one of the endings. Raises `TypeError` for what is no path, else `ValueError`."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{what}: expected a path, got {path!r:.80} ({type(path).__name__})")
    target = Path(path)
    if target.suffix.lower() not in endings:
        raise ValueError(f"{what}: expected a file name that ends in {' or '.join(endings)}, got {str(target)!r}")
    return target


def check_source(path: str | os.PathLike[str], endings: Sequence[str], what: str) -> Path:
    """The path of a file that can be read. Raises what `check_ending` raises, and `OSError`s for what is no file."""
    target = check_ending(path, endings, what)
    if target.is_dir():
        raise IsADirectoryError(f"{what}: {str(target)!r} is a folder, not a file")
    if not target.exists():
        raise FileNotFoundError(f"{what}: there is no file {str(target)!r}")
    return target


def read_file(path: str | os.PathLike[str], endings: Sequence[str], what: str) -> bytes:
    """A file's bytes. Raises what `check_source` raises."""
    return check_source(path, endings, what).read_bytes()
