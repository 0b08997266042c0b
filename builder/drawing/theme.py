"""Colours and measures of all pictures: light, calm, dark text on pale tints."""

from dataclasses import dataclass

INK = "#1f2733"
SOFT_INK = "#5a6675"
LINE = "#6b7788"
FAINT_LINE = "#e3e7ec"
AXIS = "#9aa4b1"
PAPER = "#ffffff"

TITLE_SIZE = 16.0
MARGIN = 24.0

CHART_TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 13.0, 11.0, 10.0
CHART_MARGIN = 12.0

# Distinguishable with the common kinds of colour blindness, and in this order far from their neighbours.
SERIES_COLORS = ("#2f6db3", "#d97b24", "#2f8f6b", "#b8434e", "#7a5bab", "#8a6d3b", "#c0609a", "#4a90a4")


@dataclass(frozen=True, slots=True)
class Family:
    """The colours of one kind of node: header, and border."""

    fill: str
    stroke: str


FAMILIES = {
    "input": Family("#e8edf3", "#8695a8"),
    "convolution": Family("#d6e6f7", "#6f9bc8"),
    "dense": Family("#dcefdc", "#7bab7f"),
    "normalization": Family("#f7ecc9", "#c3a552"),
    "activation": Family("#fbe0cf", "#d1946a"),
    "pooling": Family("#d3eeea", "#68aba2"),
    "recurrent": Family("#e6def5", "#9c86c6"),
    "attention": Family("#f6d9e7", "#c77fa3"),
    "embedding": Family("#e3e9c8", "#9cab5c"),
    "merge": Family("#f5d8d6", "#c9837f"),
    "reshape": Family("#e9e4dc", "#a89b86"),
    "regularization": Family("#ebebeb", "#a3a3a3"),
    "model": Family("#dadff2", "#7f8bc0"),
    "other": Family("#eceff2", "#98a3b0"),
}

# Clusters within each other take turns, so that a border is always seen.
CLUSTER_FILLS = ("#f6f8fb", "#edf1f7")
CLUSTER_STROKE = "#b3bfce"
