"""What is done with data before a model sees it (Keras name: `keras.preprocessing`)."""

from . import image_files as image

__all__ = ["image"]
