"""Published weights: where they are, how they are recognised, and the folder in which they are kept."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORE = "https://storage.googleapis.com/tensorflow/keras-applications/"
CACHE_VARIABLE = "SARDONYX_CACHE"
ATTEMPTS = 3
WAIT = 1.0
"""Seconds before the second attempt, twice as many before the third."""
NEEDED = (
    "downloads need the packages pooch and h5py: pip install sardonyx[zoo]; or fetch the file yourself and pass "
    "weights=path"
)


@dataclass(frozen=True)
class Pretrained:
    """Two files of weights for ImageNet, with and without the classifier.

    url: folder and beginning of both names; the endings follow it
    top, bare: checksums, "md5:..." or bare SHA-256; None where none was published
    """

    url: str
    top: str | None
    bare: str | None
    top_ending: str = "_weights_tf_dim_ordering_tf_kernels.h5"
    bare_ending: str = "_weights_tf_dim_ordering_tf_kernels_notop.h5"


def cache_folder() -> Path:
    """Where downloads are kept: the folder named by the environment variable SARDONYX_CACHE, or the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path(_pooch().os_cache("sardonyx"))


def check_packages() -> None:
    """Raise `ImportError` without the packages of the extra "zoo", before anything is fetched or built."""
    if importlib.util.find_spec("h5py") is None or importlib.util.find_spec("pooch") is None:
        raise ImportError(NEEDED)


def download(published: Pretrained, include_top: bool) -> Path:
    """The path of the weights, fetched once and verified by their checksum.

    Raises what `fetch` raises.
    """
    url = published.url + (published.top_ending if include_top else published.bare_ending)
    checksum = published.top if include_top else published.bare
    return fetch(url, checksum)


def fetch(url: str, checksum: str | None) -> Path:
    """The path of a published file, fetched once and verified by its checksum, if there is one.

    Raises `ConnectionError` where it cannot be fetched, `ValueError` where it comes with another checksum, each after
    `ATTEMPTS` attempts.
    """
    library, folder, name = _pooch(), cache_folder(), url.rpartition("/")[2]
    advice = f"fetch {url} yourself and put it there as {str(folder / name)!r}"
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(WAIT * 2 ** (attempt - 1))
        try:
            return Path(library.retrieve(url, known_hash=checksum, fname=name, path=str(folder)))
        except PermissionError:
            raise
        except (OSError, ValueError) as error:  # the errors of requests are OSErrors
            problem = error
    if isinstance(problem, ValueError):
        raise ValueError(f"{url} came with another checksum than published: {problem}. Try again later, or {advice}")
    raise ConnectionError(f"could not fetch {url}: {problem}. Try again, or {advice}")


def _pooch() -> Any:
    try:
        return importlib.import_module("pooch")
    except ImportError:
        raise ImportError(NEEDED) from None
