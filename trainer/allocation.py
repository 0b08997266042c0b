"""What the C library does with memory that is freed."""

from __future__ import annotations

import numpy as np

LARGEST = 31 << 20
"""Bytes of the block that is freed: just below the most that glibc (the C library of Linux) learns from."""


def keep_freed_memory() -> None:
    """Let arrays of up to 31 MiB be made of memory that earlier ones have left.

    glibc asks the operating system for every large block, and gives it back when it is freed, so that each step of a
    training would have all its pages cleared anew: up to half of its time. It stops doing so for blocks as large as
    the largest that it has seen freed; here it sees one, which nobody has written to. Elsewhere this does nothing.
    """
    np.empty(LARGEST, np.uint8)
