"""Sardonyx: a NumPy deep-learning library in Keras's terms whose models are, all the way through, ONNX."""

from .version import __version__

__all__ = ["__version__"]
