"""What a model delegates: training to the loop, files to the exporters."""

from __future__ import annotations


class ModelTraining:
    """compile, fit, evaluate, predict, export and save, each a few lines that call what does the work."""
