"""Data sets that travel with the package; nothing is downloaded."""

from . import digits

__all__ = ["digits"]
