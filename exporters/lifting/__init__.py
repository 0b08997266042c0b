"""Runs of nodes of an ONNX file that are layers: what is found in a file, before any layer is made."""

from .names import path_of
from .search import find_layers
from .view import Found, Source, brought, put_back, sharing_key

__all__ = ["Found", "Source", "brought", "find_layers", "path_of", "put_back", "sharing_key"]
