"""Published weights: where they are, how they are recognised, and the folder in which they are kept."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORE = "https://storage.googleapis.com/tensorflow/keras-applications/"
CACHE_VARIABLE = "SARDONYX_CACHE"


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


def download(published: Pretrained, include_top: bool) -> Path:
    """The path of the weights, fetched once and verified by their checksum.

    Raises `ImportError` without the packages of the extra "zoo", `ValueError` for a file with another checksum.
    """
    url = published.url + (published.top_ending if include_top else published.bare_ending)
    checksum = published.top if include_top else published.bare
    return fetch(url, checksum)


def fetch(url: str, checksum: str | None) -> Path:
    """The path of a published file, fetched once and verified by its checksum, if there is one."""
    library = _pooch()
    return Path(library.retrieve(url, known_hash=checksum, fname=url.rpartition("/")[2], path=str(cache_folder())))


def _pooch() -> Any:
    try:
        return importlib.import_module("pooch")
    except ImportError:
        raise ImportError(
            "downloads need the packages pooch and h5py: pip install sardonyx[zoo]; or fetch the file yourself and "
            "pass weights=path"
        ) from None
