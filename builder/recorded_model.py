"""Layers and models that are what was recorded of them: they compute as the class did that is not here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..trainer.core.errors import ShapeError, format_shape
from ..trainer.core.tensor import Tensor
from ..trainer.core.variable import Variable
from ..trainer.ops.seed import SeedGenerator, global_seed_generator
from ..trainer.serialization import PACKAGE, deserialize_object
from .call import CallContext, contexts
from .call_style import CallStyle
from .layer import Layer
from .model import Model
from .model_files import ModelFiles
from .recorded_checks import check_recorded, used_numbers
from .recorded_program import Program
from .recording_parts import read_parts
from .sharing import objects_read, reading, remember
from .specs_config import read_specs
from .stored_arrays import arrays_read
from .tracking import copied


class RecordedLayer(Layer):
    """A layer whose class is not here: its weights, its layers, and the computations that were recorded of it.

    origin: where its class was found, the class's name and its configuration, for the day the class is there again
    reason: why the class does not stand here itself
    """

    UNTRACKED: ClassVar[frozenset[str]] = Layer.UNTRACKED | {"_table", "_programs", "_arrays", "_call_function"}

    def __init__(self, recorded: Mapping[str, Any], origin: dict[str, Any], reason: str) -> None:
        super().__init__(**recorded["base"])
        self._class_origin = origin
        self.reason = reason
        self.lost: list[str] = []
        self.lost_methods: list[str] = list(recorded.get("methods", ()))
        self._forced = bool(recorded.get("forced"))
        self._recorded_style = CallStyle.from_config(recorded["call"])
        self.missing: dict[str, str] = dict(recorded.get("missing", {}))
        self.program_configs: list[Any] = list(recorded["programs"])
        self._weights = [self._variable(v) for v in recorded["variables"]]
        self.generators = [SeedGenerator(g["seed"], name=g["name"]) for g in recorded["generators"]]
        self.parts: dict[str, Any] = {}
        self._programs: list[Program] = []
        self._table: Mapping[int, Any] = objects_read()
        self._arrays = arrays_read()
        self._call_function: Callable[..., Any] | None = None
        self.supports_masking = self._recorded_style.takes_masks
        self.built = True

    def __new__(cls, recorded: Mapping[str, Any], origin: dict[str, Any], reason: str) -> Any:
        made = super().__new__(cls, {}, {}, "")
        made._arguments = {}
        return made

    @property
    def recorded_class(self) -> str:
        """Name of the class that is not here."""
        return str(self._class_origin["class_name"])

    def _variable(self, config: Mapping[str, Any]) -> Variable:
        parts: dict[str, Any] = {}
        for name in ("initializer", "regularizer", "constraint"):
            if name in config:
                try:
                    parts[name] = deserialize_object(config[name])
                except (ValueError, TypeError) as error:
                    self.lost.append(f"the {name} of weight '{config['path']}' ({error})")
        for name, problem in config.get("lost", {}).items():
            self.lost.append(f"the {name} of weight '{config['path']}' ({problem})")
        start: Any = parts.get("initializer", "zeros")
        if "value" in config:
            kept = config["value"]
            start = self._stored(kept) if kept["class_name"] == "__stored__" else deserialize_object(kept)
        elif start == "zeros":
            start = deserialize_object({"class_name": "Zeros", "config": {}, "module": f"{PACKAGE}.initializers"})
        made = Variable(start, tuple(config["shape"]), config["dtype"], config["trainable"], name=config["name"])
        made.path = config["path"]
        made.regularizer, made.constraint = parts.get("regularizer"), parts.get("constraint")
        return made

    def _stored(self, config: Mapping[str, Any]) -> Any:
        return arrays_read()[config["config"]]

    def fill(self, recorded: Mapping[str, Any]) -> None:
        """Make the parts; apart from the constructor, because a part may refer to this layer."""
        for config in recorded.get("loose", ()):
            remember(config["shared_id"], self._variable(config))
        self.parts = read_parts(recorded["parts"], self._weights, self.generators)

    def child_layers(self) -> list[Layer]:
        """Direct sub-layers, in the order of the attributes that held them."""
        return Layer.child_layers(self)

    def __getattr__(self, name: str) -> Any:
        parts = vars(self).get("parts", {})
        if name in parts:
            return parts[name]
        if name.startswith("__") or "_class_origin" not in vars(self):
            raise AttributeError(name)
        raise AttributeError(
            f"'{self.name}' has no attribute {name!r}: its class {self.recorded_class} is not here, only what it "
            f"computed was recorded. {self._advice()}"
        )

    def _advice(self) -> str:
        name = self.recorded_class.rpartition(">")[2]
        return (
            f"To have the class itself, decorate it with register_keras_serializable() or pass custom_objects="
            f"{{{name!r}: {name}}} when loading"
        )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The recorded computation for arguments like these; raises `ShapeError` for others."""
        given, mode = self._recorded_style.arguments(args, kwargs)
        context = contexts.stack[-1] if contexts.stack else CallContext(None, self._call_losses)
        if context.training is None:
            context.training = self._recorded_style.training
        training = bool(context.training if mode is None else mode)
        for program in self.programs:
            if program.training in (None, training):
                tensors = program.match(given, self._recorded_style.takes_masks)
                if tensors is not None:
                    return program.run(self, tensors, self._call_function)
        raise ShapeError(self._refusal(given, training))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: recorded computations give their results the masks they had."""
        return None

    @property
    def programs(self) -> list[Program]:
        """The recorded computations, made runnable when first needed."""
        if not self._programs:
            table, arrays = self._table, self._arrays
            self._programs = [
                Program(config, table.__getitem__, self._find_variable, arrays) for config in self.program_configs
            ]
        return self._programs

    def _find_variable(self, place: Mapping[str, Any]) -> Variable:
        if "global_seed" in place:
            return global_seed_generator().state
        if "loose" in place:
            return self._table[place["loose"]]
        owner = self._table[place["layer"]]
        if "own" in place:
            return owner._weights[place["own"]]
        return owner.generators[place["generator"]].state if "generator" in place else owner.weights[place["weight"]]

    def _refusal(self, given: Mapping[str, Any], training: bool) -> str:
        mode = "training" if training else "inference"
        known = [p for p in self.programs if p.training in (None, training)]
        if not known and mode in self.missing:
            what = f"its computation in {mode} mode could not be recorded ({self.missing[mode]})"
        elif not known:
            what = f"no call in {mode} mode was recorded"
        else:
            recorded = " or ".join(f"({_listed(p.arguments, p)})" for p in known)
            what = f"recorded for {recorded} in {mode} mode, got ({_listed(given, None)})"
        return f"class {self.recorded_class} is not here, only what it computed: {what}. {self._advice()}"

    def get_config(self) -> dict[str, Any]:
        """The configuration of the class that is not here; raises `TypeError` where it had none."""
        if self._class_origin["config"] is None:
            raise TypeError(str(self._class_origin.get("unwritable")))
        return dict(self._class_origin["config"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = copied_without_arguments(self, memo)
        twin._arrays, twin._call_function, twin._programs = self._arrays, self._call_function, []
        numbers = used_numbers(self.program_configs)
        twin._table = {n: copy.deepcopy(item, memo) for n, item in self._table.items() if n in numbers}
        return twin

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, class {self.recorded_class} is not here>"


class RecordedModel(RecordedLayer, Model):
    """A model whose class is not here: what was recorded of it predicts, trains, is cut, exported and saved again.

    Made by `load_model`, `model_from_json` and `clone_model`. What Python did beyond the recorded calls is lost: other
    structures of inputs, other Python arguments, methods and attributes of the class.

    >>> import sardonyx as sx
    >>> class Double(sx.Model):
    ...     def __init__(self, function, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.function = function
    ...     def call(self, x):
    ...         return self.function(x)
    >>> model = Double(lambda x: 2 * x, name="double").trace(sx.TensorSpec(("batch", 1)))
    >>> Double.from_config(model.get_config())
    <RecordedModel name=double, class Double is not here>
    """

    UNTRACKED: ClassVar[frozenset[str]] = RecordedLayer.UNTRACKED | Model.UNTRACKED

    def __init__(self, recorded: Mapping[str, Any], origin: dict[str, Any], reason: str) -> None:
        super().__init__(recorded, origin, reason)
        if "signature" in recorded:
            self._signature = tuple(read_specs(recorded["signature"]))

    def argument_names(self) -> Sequence[str]:
        """Names of the arguments of the recorded `call`."""
        return self._recorded_style.names

    def get_config(self) -> dict[str, Any]:
        """The configuration of the class that is not here, or else the recorded computation."""
        return ModelFiles.get_config(self)

    def plain_config(self) -> dict[str, Any]:
        """The configuration of the class that is not here; raises `TypeError` where it had none."""
        return RecordedLayer.get_config(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = super().__deepcopy__(memo)
        twin._signature = self._signature
        return twin


def copied_without_arguments(layer: RecordedLayer, memo: dict[int, Any]) -> Any:
    """What `Layer.__deepcopy__` does, for classes whose constructor is not called again."""
    kind = type(layer)
    twin = kind.__new__(kind, {}, {}, "")
    memo[id(layer)] = twin
    for key, value in vars(layer).items():
        if key not in layer.UNTRACKED:
            twin.__dict__[key] = copied(layer, key, value, memo)
    return twin


def _listed(arguments: Mapping[str, Any], program: Program | None) -> str:
    """Arguments for a message: shapes and element types, or values."""

    def text(x: Any) -> str:
        if program is not None and hasattr(x, "step") and not isinstance(x, slice):
            spec = program.specs[x.step]
            return f"{format_shape(spec.shape)} {spec.dtype}" + (" with a mask" if program.masked[x.step] else "")
        if isinstance(x, Tensor):
            return f"{format_shape(x.shape)} {x.dtype}" + (" with a mask" if x.mask is not None else "")
        return repr(x)[:40]

    def structure(x: Any) -> str:
        if isinstance(x, dict):
            return "{" + ", ".join(f"{key!r}: {structure(v)}" for key, v in x.items()) + "}"
        return f"[{', '.join(map(structure, x))}]" if isinstance(x, (list, tuple)) else text(x)

    return ", ".join(f"{name}: {structure(value)}" for name, value in arguments.items())


def read_recorded(config: Mapping[str, Any], reason: str) -> Any:
    """The layer or model that a configuration's recorded computation makes; its weights are new ones."""
    recorded = config["recorded"]
    check_recorded(recorded, str(config.get("name")))
    origin = {k: v for k, v in config.items() if k not in ("name", "shared_id", "recorded", "compile_config")}
    origin.setdefault("config", None)
    kind = RecordedModel if recorded["is_model"] else RecordedLayer
    try:
        with reading():
            layer = kind(recorded, origin, reason)
            remember(config.get("shared_id"), layer)
            layer.fill(recorded)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the recorded computation of layer {config.get('name')!r} is damaged ({type(error).__name__}: {error})"
        ) from None
    return layer


def recorded_layers(model: Any) -> list[RecordedLayer]:
    """The layers of a model, itself among them, whose classes are not here."""
    return [x for x in model.walk_layers() if isinstance(x, RecordedLayer)]
