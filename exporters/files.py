"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def check_writable(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can be written there; to be called before any work is done.

    Raises `FileNotFoundError` for a missing folder, `IsADirectoryError` for a folder, `PermissionError`.
    """
    target = Path(path).expanduser()
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(f"cannot write '{target}': the folder '{folder}' does not exist; create it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"cannot write '{target}': '{folder}' is a file, not a folder")
    if target.is_dir():
        raise IsADirectoryError(f"cannot write '{target}': it is a folder; give the name of a file in it")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write '{target}': no permission to write into the folder '{folder}'")
    return target


@contextlib.contextmanager
def written_atomically(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write into that takes its name when the block ends without an error, and vanishes otherwise."""
    target = check_writable(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _usual_mode())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: under a temporary name in its folder, flushed to the disk, then renamed.

    Raises `FileNotFoundError`, `IsADirectoryError` or `PermissionError` before anything is written.
    """
    with written_atomically(path) as file:
        file.write(content)


def _usual_mode() -> int:
    """What a plain `open` would have given: temporary files are private at first."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
