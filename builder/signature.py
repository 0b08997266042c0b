"""What a layer's `call` accepts, read once per class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any


@dataclass(frozen=True, slots=True)
class CallSignature:
    """Names of the arguments of `call`, and which of the special ones it takes."""

    names: tuple[str, ...]
    takes_training: bool
    training_default: Any
    mask_names: tuple[tuple[str, str], ...]
    takes_any_keyword: bool
    signature: inspect.Signature
    computes_masks: bool
    """Whether the class has a `compute_mask` of its own, which may make a mask out of none."""


@lru_cache(maxsize=4096)
def call_signature(kind: type) -> CallSignature:
    """The signature of a class's `call` method."""
    signature = inspect.signature(kind.call)  # type: ignore[attr-defined]
    parameters = list(signature.parameters.values())[1:]
    signature = signature.replace(parameters=parameters)
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    first = names[0] if names else ""
    masks = [(first, "mask")] if "mask" in names else []
    masks += [(name[:-5], name) for name in names if name.endswith("_mask") and name[:-5] in names]
    training = signature.parameters.get("training")
    return CallSignature(
        names=names,
        takes_training=training is not None,
        training_default=None if training is None or training.default is inspect.Parameter.empty else training.default,
        mask_names=tuple(masks),
        takes_any_keyword=any(p.kind is p.VAR_KEYWORD for p in parameters),
        signature=signature,
        computes_masks=sum("compute_mask" in vars(base) for base in kind.__mro__) > 1,
    )


@lru_cache(maxsize=4096)
def build_parameters(kind: type) -> tuple[str, ...]:
    """Names of the arguments of a class's `build` method."""
    return tuple(inspect.signature(kind.build).parameters)[1:]  # type: ignore[attr-defined]


@lru_cache(maxsize=4096)
def mark_builds(kind: type) -> None:
    """Let `build` of a class, and of its bases, note that the layer is built, whoever calls it: as in Keras, a layer
    that was built by hand is not built again by its first call."""
    for base in kind.__mro__:
        build = vars(base).get("build")
        if callable(build) and not hasattr(build, "__wrapped__"):
            base.build = _marking(build)  # type: ignore[attr-defined]


def _marking(build: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(build)
    def marked(layer: Any, *args: Any, **kwargs: Any) -> Any:
        result = build(layer, *args, **kwargs)
        layer.built = True
        return result

    return marked
