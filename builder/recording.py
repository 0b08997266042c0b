"""What is recorded of a model: the computation, in both modes, of each layer whose class may be missing later."""

from __future__ import annotations

from typing import Any

from ..trainer.ops.seed import SeedGenerator
from ..trainer.serialization import PACKAGE, serialize_object
from .call_style import call_style
from .recorder import TracedMode, trace_mode
from .recording_encoder import ModeEncoder, Program
from .recording_layout import Layout, is_container, own_variables
from .recording_parts import parts
from .sharing import is_described, number_of
from .specs_config import write_specs
from .stored_arrays import stored
from .tracking import owned

METHODS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "fit", "compile")
MODES = {False: "inference", True: "training"}


class Recordings:
    """Recorded computations of the layers of a model, found when first asked for.

    everywhere: whether every layer gets one whose class is not the library's, or only those without a configuration
    """

    def __init__(self, model: Any, everywhere: bool) -> None:
        self.model = model
        self.everywhere = everywhere
        self._layout: Layout | None = None
        self._programs: dict[int, list[Program]] = {}
        self._problems: dict[int, dict[str, str]] = {}
        self._busy = False

    def covers(self, layer: Any) -> bool:
        """Whether a layer is recorded: not one of the library's, nor one of an unbuilt model."""
        if self._layout is None and not self._busy:
            self._record()
        return self._layout is not None and id(layer) in self._layout.recorded

    def of(self, layer: Any) -> dict[str, Any] | None:
        """The recorded computation of a layer, or None; its parts count as written from then on."""
        if not self.covers(layer) or self._layout is None:
            return None
        found = self._programs.get(id(layer), [])
        known = {mode for program in found for mode in _modes(program)}
        problems = self._problems.get(id(layer), {})
        missing = {mode: reason for mode, reason in problems.items() if mode not in known}
        forced = id(layer) in self._layout.forced or getattr(layer, "_forced", False) is True
        extra = {"forced": True} if forced else {}
        computed = {"programs": found, "missing": missing}
        return {**_description(layer), **extra, **computed, **_loose(found, self._variables())}

    def _variables(self) -> dict[int, Any]:
        return {id(v): v for traced in self._traced for node in traced.nodes() for v in _variables_of(node)} | {
            id(e.variable): e.variable for traced in self._traced for e in traced.effects if e.variable is not None
        }

    def _record(self) -> None:
        if self.model._plan is None and self.model._signature is None:
            return
        self._busy = True
        layout = Layout(self.model, set())
        if not layout.recorded:
            self._layout = layout
            return
        roots = [self.model, *[x for x in layout.containers() if x._plan is not None]]
        self._traced: list[TracedMode] = []
        for root in roots:
            for training, mode in MODES.items():
                try:
                    self._traced.append(trace_mode(root, training))
                except Exception as error:  # the user's own code may raise anything
                    for key in layout.recorded:
                        self._problems.setdefault(key, {}).setdefault(mode, f"{type(error).__name__}: {error}")
        self._layout = self._encode(layout)

    def _encode(self, layout: Layout) -> Layout:
        """Encode all runs; layers of the library that no run would build again are recorded as well."""
        while True:
            encoders = [ModeEncoder(traced, layout) for traced in self._traced]
            found = [pair for encoder in encoders for pair in encoder.programs()]
            forced = self._not_built_again(layout, encoders)
            if not forced:
                break
            layout = Layout(self.model, layout.forced | forced)
        for encoder in encoders:
            for key, reason in encoder.problems.items():
                self._problems.setdefault(key, {}).setdefault(MODES[encoder.traced.training], reason)
        for layer, program in found:
            _merge(self._programs.setdefault(id(layer), []), program)
        return layout

    def _not_built_again(self, layout: Layout, encoders: list[ModeEncoder]) -> set[int]:
        called = {key for encoder in encoders for key in encoder.called()}
        early = {key for encoder in encoders for key in encoder.read_too_early}
        planned = {id(x) for c in [self.model, *layout.containers()] if is_container(c) for x in c.walk_layers()}
        candidates = [x for x in layout.plain_layers() if x.variables and id(x) not in planned]
        return {id(x) for x in candidates if id(x) not in called or id(x) in early}


def _variables_of(node: Any) -> list[Any]:
    symbols = [x.symbol for x in node.inputs if x is not None and x.symbol is not None]
    return [s.variable for s in symbols if s.variable is not None]


def _modes(program: Program) -> list[str]:
    return list(MODES.values()) if program["training"] is None else [MODES[program["training"]]]


def _merge(programs: list[Program], program: Program) -> None:
    """Add a computation; one that is the same in both modes is kept once."""
    contents = {k: v for k, v in program.items() if k != "training"}
    for other in programs:
        if {k: v for k, v in other.items() if k != "training"} == contents:
            if other["training"] is not None and other["training"] != program["training"]:
                other["training"] = None
            return
    programs.append(program)


def _description(layer: Any) -> dict[str, Any]:
    """All about a layer but its computation: weights, random generators, parts, how it is called."""
    variables = own_variables(layer)
    generators = owned(layer, SeedGenerator)
    base = {"name": layer.name, "trainable": layer._trainable, "dtype": layer.dtype, "autocast": layer.autocast}
    description: dict[str, Any] = {
        "is_model": hasattr(layer, "plan"), "base": base, "call": call_style(layer).to_config(),
        "variables": [variable_description(v) for v in variables],
        "generators": [{"name": g.name, "seed": g._initial_seed} for g in generators],
        "parts": parts(layer, variables, generators),
    }  # fmt: skip
    if hasattr(layer, "plan") and (layer._plan is not None or layer._signature is not None):
        description["signature"] = [write_specs(part) for part in layer.signature()]
    methods = getattr(layer, "lost_methods", None) or _own_methods(layer)
    return {**description, "methods": methods} if methods else description


def _own_methods(layer: Any) -> list[str]:
    """Methods by which the class of a model trains in its own way."""
    own = [kind for kind in type(layer).__mro__ if kind.__module__.partition(".")[0] not in (PACKAGE, "builtins")]
    return [name for name in METHODS if any(name in vars(kind) for kind in own)]


def variable_description(variable: Any, keep_value: bool = False) -> dict[str, Any]:
    """A variable without its value, but for one that nothing else would give it."""
    config: dict[str, Any] = {
        "name": variable.name, "path": variable.path, "shape": list(variable.shape), "dtype": variable.dtype.name,
        "trainable": variable.trainable,
    }  # fmt: skip
    for name in ("initializer", "regularizer", "constraint"):
        value = getattr(variable, name, None)
        try:
            config.update({name: serialize_object(value)} if value is not None else {})
        except TypeError as error:
            config.setdefault("lost", {})[name] = str(error)
    if keep_value or "initializer" not in config:
        config["value"] = stored(variable.array) or serialize_object(variable.array)
    return config


def _loose(programs: list[Program], variables: dict[int, Any]) -> dict[str, Any]:
    """Variables that belong to no layer, each described where it is first needed."""
    wanted = sorted({n for program in programs for n in _loose_numbers(program)})
    by_number = {number_of(v): v for v in variables.values()} if wanted else {}
    found = [
        {"shared_id": n, **variable_description(by_number[n], keep_value=True)}
        for n in wanted
        if not is_described(by_number[n])
    ]
    return {"loose": found} if found else {}


def _loose_numbers(config: Any) -> list[int]:
    if isinstance(config, dict):
        own = [config["loose"]] if isinstance(config.get("loose"), int) else []
        return own + [n for value in config.values() for n in _loose_numbers(value)]
    return [n for value in config for n in _loose_numbers(value)] if isinstance(config, list) else []
