"""Identity, Lambda and Masking."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.conversion import in_trace
from ...trainer.core import tree
from ...trainer.core.dims import equal
from ...trainer.core.errors import ShapeError, format_shape
from ...trainer.registry import deserialize_object, serialize_object
from ..layer import Layer
from .registry import LAYERS


@LAYERS.register()
class Identity(Layer):
    """The input as it is; useful in the place of a layer that may be left out (ONNX: no node, or Identity).

    >>> import sardonyx as sx
    >>> sx.layers.Identity()(sx.ops.ones((2,))).tolist()
    [1.0, 1.0]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs


@LAYERS.register()
class Masking(Layer):
    """Masks the time steps whose features all equal `mask_value`: (batch, time, features) stays, masked steps become 0.

    Layers above that support masks skip these steps.

    >>> import sardonyx as sx
    >>> sx.layers.Masking()(sx.ops.convert_to_tensor([[[0.0], [2.0]]])).mask.tolist()
    [[False, True]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, bool) or not isinstance(mask_value, (int, float, np.number)):
            raise ValueError(f"Masking: mask_value must be a number, got {mask_value!r}")
        self.mask_value = float(mask_value)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Zeros in the place of masked steps."""
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(kept, inputs, ops.cast(0, inputs.dtype))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where any feature differs from the value."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)


@LAYERS.register()
class Lambda(Layer):
    """A function of tensors as a layer: `function(inputs, **arguments)`, with `mask` and `training` if it takes them.

    A function with a name is saved by that name (register it with `register_keras_serializable`). A lambda works,
    but is neither saved nor loaded: nothing that is read from a file may run here. `output_shape` excludes the
    batch and is checked; `mask` is a function `(inputs, mask)` or a mask. Raises `TypeError` for what is no
    function, `ShapeError` for another output shape.

    >>> import sardonyx as sx
    >>> sx.layers.Lambda(lambda x: x * 2)(sx.ops.ones((2,))).tolist()
    [2.0, 2.0]
    """

    def __init__(
        self, function: Callable[..., Any], output_shape: Any = None, mask: Any = None,
        arguments: Mapping[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda: function must be callable, got {function!r} ({type(function).__name__})")
        self.function = function
        self.mask = mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        self._wanted_shape = output_shape
        parameters = inspect.signature(function).parameters
        self._takes = [name for name in ("mask", "training") if name in parameters]

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """The function's result."""
        modes = {"mask": mask, "training": training}
        result = in_trace(self.function)(inputs, **self.arguments, **{name: modes[name] for name in self._takes})
        if self._wanted_shape is not None:
            self._check_shape(inputs, result)
        return result

    def _check_shape(self, inputs: Any, result: Any) -> None:
        shapes = tree.map_structure(lambda x: tuple(x.shape), inputs)
        wanted: Any = self._wanted_shape
        given: Any = wanted(shapes) if callable(wanted) else (None, *wanted)
        full = tuple(given)
        sizes = tuple(getattr(result, "shape", ()))
        fits = len(full) == len(sizes) and all(
            a is None or equal(a, b) is not False for a, b in zip(full, sizes, strict=True)
        )
        if hasattr(result, "shape") and not fits:
            raise ShapeError(
                f"the function returned shape {format_shape(sizes)}, output_shape says {format_shape(full)}"
            )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The given mask, or what the given function makes of inputs and mask."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor; raises `TypeError` for a lambda."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        config["function"] = _function_config(self.function, self.name)
        for name, value in (("output_shape", self._wanted_shape), ("mask", self.mask)):
            if value is not None:
                config[name] = _function_config(value, self.name) if callable(value) else serialize_object(value)
        return {**config, "arguments": serialize_object(self.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A new layer; raises `ValueError` for a lambda's code, as Keras writes it."""
        for value in config.values():
            if isinstance(value, Mapping) and value.get("class_name") == "__lambda__":
                raise ValueError(
                    f"layer '{config.get('name')}' (Lambda) carries a lambda as code, which is never run here because "
                    "it could do anything; make the model anew with a function of your own, and load its weights"
                )
        return cls(**{key: deserialize_object(value, custom_objects) for key, value in config.items()})


def _function_config(function: Any, name: str) -> Any:
    """A function by its name; raises `TypeError` for a lambda, which has none."""
    if getattr(function, "__name__", "") == "<lambda>":
        raise TypeError(
            f"layer '{name}' (Lambda): a lambda has no name to be saved by, and code is not saved, because nothing "
            "that is read from a file may run here; write it with `def`, decorated with register_keras_serializable()"
        )
    return serialize_object(function)
