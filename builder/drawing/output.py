"""Writing a scene to a file that appears whole or not at all."""

import os
import secrets
from pathlib import Path as FilePath

from .png import to_png
from .scene import Scene
from .svg import to_svg

_SUFFIXES = (".svg", ".png")


def check_path(path: str | os.PathLike[str]) -> FilePath:
    """The path as pathlib's, when a picture can be written there: callers ask before they draw.

    Raises TypeError for what is no path, ValueError for another ending than .svg or .png, FileNotFoundError or
    NotADirectoryError when the folder is missing, IsADirectoryError when the path is a folder, and PermissionError
    when the folder cannot be written to.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"A picture's path must be a string or a path, got {type(path).__name__}.")
    target = FilePath(path)
    if target.suffix.lower() not in _SUFFIXES:
        ending = f"ends in {target.suffix!r}" if target.suffix else "has no ending"
        raise ValueError(f"A picture is written as .svg or .png; {str(target)!r} {ending}.")
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(f"The folder {str(folder)!r} does not exist; create it before writing {target.name!r}.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file, not a folder; {target.name!r} cannot be written into it.")
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder; give the picture another name.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"The folder {str(folder)!r} cannot be written to; choose another for {target.name!r}.")
    return target


def write(path: str | os.PathLike[str], scene: Scene, scale: float = 2.0) -> FilePath:
    """Writes the scene as SVG or PNG, by the path's ending, and returns the path.

    ``scale`` is the number of PNG pixels for a pixel of the scene. The file is written under a temporary name in the
    same folder and renamed, so a reader never sees half of it. Raises what `check_path` raises, and ImportError for
    .png without Pillow.
    """
    target = check_path(path)
    data = to_svg(scene).encode("utf-8") if target.suffix.lower() == ".svg" else to_png(scene, scale)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        # Mode "x": the temporary file gets the user's usual permissions and never follows somebody else's link.
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target
