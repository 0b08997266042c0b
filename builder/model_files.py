"""What a model delegates to files, copies and descriptions of itself: a few lines each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..trainer.core.told import tells_line
from ..trainer.serialization import serialize_object
from . import later
from .cloning import copy_graph
from .compile_config import compile_config, compile_from_config
from .configuration import layer_from_config


class ModelFiles:
    """to_json, copying, saving, exporting, summary."""

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON, without weights; `models.model_from_json` reads it. `kwargs` go to `json.dumps`.

        With a class or function of your own goes its recorded computation in both modes, so that the text can be read
        where they are not known. Raises `TypeError` for what can be neither written nor, unbuilt, recorded.

        >>> import sardonyx as sx
        >>> text = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)]).to_json()
        >>> sx.models.model_from_json(text).output_shape
        (None, 2)
        """
        config, compiled = later.write_model(self), compile_config(self)
        if compiled is not None:
            config["compile_config"] = serialize_object(compiled)
        return json.dumps(config, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Arguments from which `from_config` makes the same model, as JSON-able values.

        Collected from the constructor's parameters: an attribute of the same name, or else what was passed. Where one
        cannot be written, a built model gives its recorded computation instead. Raises `TypeError` for an unbuilt one.
        """
        return later.own_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new model from what `get_config` returned: of this class, or a `RecordedModel`."""
        return later.recorded_from_config(config) if "recorded_model" in config else layer_from_config(cls, config)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as JSON-able values; None before it. Raises `TypeError` for a lambda."""
        return compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` described."""
        compile_from_config(self, config)

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, include_optimizer: bool = True
    ) -> None:
        """Write the model to one .onnx file that onnxruntime runs and `models.load_model` opens to train on.

        It carries architecture, weights, states of random generators, compile options and the optimizer's state (the
        last two not without `include_optimizer`). Of layers and models of classes of your own it carries, besides, what
        they compute in both modes, so that the file opens where the classes are not known. It appears whole or not at
        all. Beyond 2 GB, where ONNX files end, the weights stand in a second file beside it, `<name>.onnx.data`: keep
        the two together.

        Raises `ValueError` for another ending and for a model without weights yet, `TypeError` for compile options that
        JSON cannot hold, `FileExistsError` without `overwrite`, and `OSError`s for what cannot be written.

        >>> import tempfile, pathlib, sardonyx as sx
        >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(pathlib.Path(folder) / "m.onnx")
        """
        later.save_model(self, filepath, overwrite, zipped, include_optimizer)

    def export(
        self,
        filepath: Any,
        format: str = "onnx",
        verbose: Any = None,
        input_signature: Any = None,
        opset: int | None = None,
        outputs: Any = None,
        **options: Any,
    ) -> None:
        """Write the inference graph to an .onnx file, without what training needs.

        `input_signature` (a `TensorSpec`, or one for each input) fixes or frees sizes; `opset` is ONNX's version.
        `outputs` (tensors, best in a dictionary by name) takes the place of the model's outputs: tensors from inside
        the model, what was computed from them, and derivatives, `{"energy": e, "forces": -sx.grad(e, positions)}`.
        Beyond 2 GB the weights stand in a second file, `<name>.onnx.data`. Raises `ValueError` for another format or
        ending, and `OSError`s for what cannot be written.

        >>> import tempfile, pathlib, sardonyx as sx
        >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(pathlib.Path(folder) / "m.onnx")
        """
        later.export_model(self, filepath, format, verbose, input_signature, opset, outputs=outputs, **options)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights to a .safetensors or .npz file, named as in `weight_names`.

        Raises `ValueError` for another ending, `ImportError` without the package that .safetensors needs.

        >>> import tempfile, pathlib, sardonyx as sx
        >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_weights(pathlib.Path(folder) / "w.npz")
        ...     model.load_weights(pathlib.Path(folder) / "w.npz")
        """
        later.save_weights(self, filepath, overwrite)

    @tells_line
    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Read the weights that `save_weights` wrote; all of them or, with an error, none.

        Keras's own files (`.weights.h5`, `.h5`, `.keras`) are read too, where h5py is installed.

        With `skip_mismatch` those that fit are loaded and a warning names the others. Automatic names that differ in
        their numbers only (`dense_7`, `dense_2`) are matched by place. Raises `ValueError` for missing, unexpected or
        damaged weights, `ShapeError` for other shapes.
        """
        later.load_weights(self, filepath, skip_mismatch)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers: output shapes, parameters and, unless each follows the last, connections.

        line_length: width in characters; the terminal's by default
        positions: where columns end, as fractions or characters
        print_fn: receives the text instead of `print`
        layer_range: names of the first and the last layer to show

        Raises `ValueError` for positions or a range that do not fit.

        >>> import sardonyx as sx
        >>> sx.Sequential([sx.Input((4,), name="x"), sx.layers.Dense(2, name="y")], name="m").summary()
        Model: "m" (Sequential)
        ┏━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━┓
        ┃ Layer (type)   ┃ Output shape ┃ Param # ┃
        ┡━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━┩
        │ x (InputLayer) │ (batch, 4)   │       0 │
        │ y (Dense)      │ (batch, 2)   │      10 │
        └────────────────┴──────────────┴─────────┘
         Total params: 10 (40 B)
         Trainable params: 10 (40 B)
         Non-trainable params: 0 (0 B)
        <BLANKLINE>
        """
        later.print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"model '{self.name}' is not pickled, because unpickling runs whatever code a file holds: "  # type: ignore[attr-defined]
            "use model.save(path) and load_model(path) for files and other processes, copy.deepcopy(model) for a copy"
        )

    def __copy__(self) -> Any:
        twin = object.__new__(type(self))
        twin.__dict__.update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = super().__deepcopy__(memo)  # type: ignore[misc]
        if self._plan is not None:  # type: ignore[attr-defined]
            copy_graph(self, twin, memo)
        else:
            twin._signature = self._signature  # type: ignore[attr-defined]
        return twin
