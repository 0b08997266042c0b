"""Editing of models: each function gives a new functional model, checked by shape inference, that shares the weights.

A model of any style and an opened file are edited the same way. Layers of the result are its own (`trainable`, names
and `layer.output` are apart from those of the old model), the weights are the same variables, unless `copy=True`. What
`compile` set is not taken over: optimizer and losses belong to one model; call `compile` on the result.
"""

from .data import add_postprocessing, add_preprocessing, change_dtypes, change_layout
from .grouping import merge, split
from .joining import join, side_by_side
from .normalizing import fold_batch_normalization, separate_batch_normalization
from .outputs import add_outputs, drop_outputs, extract
from .properties import add_metadata, metadata
from .sizes import fix_sizes, free_sizes
from .structure import insert, remove, rename, replace

__all__ = [
    "add_metadata", "add_outputs", "add_postprocessing", "add_preprocessing", "change_dtypes", "change_layout",
    "drop_outputs", "extract", "fix_sizes", "fold_batch_normalization", "free_sizes", "insert", "join", "merge",
    "metadata", "remove", "rename", "replace", "separate_batch_normalization", "side_by_side", "split",
]  # fmt: skip
