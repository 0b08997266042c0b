"""Features on disk: arrays in `.npy` files under names that tell the model and the data which they were computed from.

A file is an array as NumPy writes it, followed by 32 bytes, the SHA-256 digest of the array's bytes. What is no such
file (cut short, of another type, changed, a link, a pipe) counts as missing and is computed anew; nothing in it is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..exporters.files import written_atomically

NAME = re.compile(r"features-[0-9a-f]{32}-\d{1,4}\.npy")
DIGEST_BYTES = 32
PIECE = 2**24
"""Bytes that are read or hashed at once."""
FORMAT = b"sardonyx.features.1"


def key_of(model: bytes, arrays: Sequence[np.ndarray]) -> str:
    """The name for the features of some data: another one when anything in the model's file or the data differs."""
    digest = hashlib.sha256(FORMAT)
    digest.update(hashlib.sha256(model).digest())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        for piece in pieces(array):
            digest.update(piece)
    return digest.hexdigest()[:32]


def pieces(array: np.ndarray) -> Iterator[memoryview]:
    """The bytes of an array's elements in order, some at a time."""
    rows = max(1, PIECE * len(array) // max(array.nbytes, 1)) if array.ndim else 1
    for start in range(0, len(array) if array.ndim else 1, rows):
        part = np.ascontiguousarray(array[start : start + rows] if array.ndim else array)
        yield part.reshape(-1).view(np.uint8).data


class FeatureStore:
    """A folder with features.

    folder: made if it is missing; may hold other files too
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(f"features are kept in a folder: expected its path, got {folder!r:.80}")
        self.folder = Path(folder).expanduser()
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"features are kept in a folder, and {str(self.folder)!r} is a file")

    def get(
        self, key: str, specs: Sequence[Any], samples: int, compute: Callable[[], Iterator[list[np.ndarray]]]
    ) -> list[np.ndarray]:
        """The arrays of a key, mapped into memory; computed and written first unless they are there, whole.

        specs: shape and dtype of each array, of which the first size does not count
        samples: first size of all arrays
        compute: gives the arrays in batches
        """
        paths = [self.folder / f"features-{key}-{i}.npy" for i in range(len(specs))]
        found = [read(path, spec, samples) for path, spec in zip(paths, specs, strict=True)]
        if any(array is None for array in found):
            self.folder.mkdir(parents=True, exist_ok=True)
            write(paths, samples, compute())
            found = [read(path, spec, samples) for path, spec in zip(paths, specs, strict=True)]
        if any(array is None for array in found):
            raise OSError(f"the features just written into {str(self.folder)!r} are gone or changed; is it shared?")
        return [array for array in found if array is not None]


def clear_features(folder: str | os.PathLike[str]) -> int:
    """Delete the features that `cache_features` and `cached_predict` keep in a folder; returns the bytes freed.

    Other files stay. Whoever has such features open keeps them until done. Nothing happens where there is no folder.

    >>> import sardonyx as sx
    >>> sx.utils.clear_features("features")
    0
    """
    place = FeatureStore(folder).folder
    freed = 0
    for path in sorted(place.iterdir()) if place.exists() else []:
        if NAME.fullmatch(path.name) and not path.is_dir():
            freed += path.lstat().st_size
            path.unlink()
    return freed


def write(paths: Sequence[Path], samples: int, batches: Iterator[list[np.ndarray]]) -> None:
    """Write arrays that come in batches, each file whole or not at all.

    Raises `ValueError` for batches that do not go together, `OSError` when the disk has no room, before writing.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(written_atomically(path)) for path in paths]
        digests = [hashlib.sha256() for _ in paths]
        shapes: list[tuple[int, ...]] = []
        done = 0
        for batch in batches:
            if not shapes:
                shapes = [array.shape[1:] for array in batch]
                _begin(files, paths[0].parent, samples, batch)
            if [array.shape[1:] for array in batch] != shapes:
                raise ValueError(
                    f"features of one shape can be kept; these have {shapes} in the first batch and "
                    f"{[array.shape[1:] for array in batch]} in a later one"
                )
            for file, digest, array in zip(files, digests, batch, strict=True):
                for piece in pieces(array):
                    digest.update(piece)
                    file.write(piece)
            done += len(batch[0])
        if done != samples:
            raise ValueError(f"the frozen part gave features of {done} samples for {samples}")
        for file, digest in zip(files, digests, strict=True):
            file.write(digest.digest())


def _begin(files: Sequence[IO[bytes]], folder: Path, samples: int, batch: Sequence[np.ndarray]) -> None:
    """The heads of the files, if there is room for them."""
    size = sum(samples * array[:1].nbytes for array in batch)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(
            f"the features of {samples} samples take {size / 1e9:.1f} GB, and {str(folder)!r} has {free / 1e9:.1f} GB "
            "left; give another folder, or cut the model behind its pooling, where features are smaller"
        )
    for file, array in zip(files, batch, strict=True):
        description = {"descr": array.dtype.str, "fortran_order": False, "shape": (samples, *array.shape[1:])}
        np.lib.format.write_array_header_1_0(file, description)


def read(path: Path, spec: Any, samples: int) -> np.ndarray | None:
    """The array in a file, mapped into memory; None for what is no whole file of the expected kind."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return None
        try:
            if np.lib.format.read_magic(file) != (1, 0):
                return None
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        except (ValueError, EOFError):
            return None
        start = file.tell()
        if dtype != spec.dtype or by_columns or not _fits(shape, (samples, *spec.shape[1:])):
            return None
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if status.st_size != start + size + DIGEST_BYTES:
            return None
        array = np.asarray(np.memmap(file, dtype, "r", start, shape)) if size else np.zeros(shape, dtype)
        file.seek(start + size)
        expected = file.read()
    digest = hashlib.sha256()
    for piece in pieces(array):
        digest.update(piece)
    return array if digest.digest() == expected else None


def _fits(shape: Sequence[int], expected: Sequence[Any]) -> bool:
    """Whether sizes are those that are known."""
    return len(shape) == len(expected) and all(
        not isinstance(e, int) or s == e for s, e in zip(shape, expected, strict=True)
    )
