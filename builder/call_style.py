"""Arguments of a layer's `call` by name, however they were passed, so that equal calls look equal."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .signature import call_signature


@dataclass(frozen=True)
class CallStyle:
    """Names of the positional arguments of a `call`, its plain defaults, its mode by default, its use of masks."""

    names: tuple[str, ...]
    defaults: dict[str, Any]
    training: bool | None
    takes_masks: bool

    def to_config(self) -> dict[str, Any]:
        """As JSON-able values."""
        config = {"names": list(self.names), "defaults": self.defaults}
        return {**config, "training": self.training, "takes_masks": self.takes_masks}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CallStyle:
        """What `to_config` described."""
        return cls(tuple(config["names"]), dict(config["defaults"]), config["training"], bool(config["takes_masks"]))

    def arguments(self, args: Any, kwargs: dict[str, Any]) -> tuple[dict[str, Any], bool | None]:
        """Arguments by name without those that are as by default, and the mode if it is among them."""
        named = {self.names[i] if i < len(self.names) else f"*{i}": value for i, value in enumerate(args)}
        named.update(kwargs)
        training = named.pop("training", None)
        kept = {name: value for name, value in named.items() if not self._is_default(name, value)}
        return kept, None if training is None else bool(training)

    def _is_default(self, name: str, value: Any) -> bool:
        if name not in self.defaults:
            return False
        default = self.defaults[name]
        return value is default or (type(value) is type(default) and isinstance(value, PLAIN) and value == default)


PLAIN = (bool, int, float, str)


@lru_cache(maxsize=4096)
def _style_of_class(kind: type) -> CallStyle:
    signature = call_signature(kind)
    parameters = signature.signature.parameters.values()
    positional = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    empty = inspect.Parameter.empty
    plain = {p.name: p.default for p in parameters if p.default is None or type(p.default) in PLAIN}
    defaults = {name: value for name, value in plain.items() if value is not empty and name != "training"}
    default_mode = signature.training_default if isinstance(signature.training_default, bool) else None
    return CallStyle(positional, defaults, default_mode, bool(signature.mask_names))


def call_style(layer: Any) -> CallStyle:
    """How a layer is called: as its class says, or, without the class, as was recorded."""
    recorded = getattr(layer, "_recorded_style", None)
    if recorded is not None:
        return recorded
    style = _style_of_class(type(layer))
    if layer.supports_masking and not style.takes_masks:
        return CallStyle(style.names, style.defaults, style.training, True)
    return style
