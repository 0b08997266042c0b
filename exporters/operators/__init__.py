"""ONNX operators as functions of our operations, one file a family; importing this fills the table."""

from . import (
    activation,
    arithmetic,
    arrange,
    cast,
    classical,
    constants,
    control,
    convolution,
    detection,
    gather,
    image,
    linear,
    logic,
    losses,
    normalization,
    pooling,
    quantize,
    recurrent,
    reduce,
    sequence,
    shape,
    signal,
    text,
    trees,
)
from .living import LIVING
from .sizes import SIZE_OPERATORS
from .table import RAW, TABLE, Call, UnsupportedOperatorError, find
from .values import Sizes

FAMILIES = (
    activation, arithmetic, arrange, cast, classical, constants, control, convolution, detection, gather, image, linear,
    logic, losses, normalization, pooling, quantize, recurrent, reduce, sequence, shape, signal, text, trees,
)  # fmt: skip

__all__ = ["FAMILIES", "LIVING", "RAW", "SIZE_OPERATORS", "TABLE", "Call", "Sizes", "UnsupportedOperatorError", "find"]
