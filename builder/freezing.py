"""What training leaves as it is: layers and weights by the patterns of their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..trainer.core.later import LazyModule
from ..trainer.core.told import tells_line
from ..trainer.core.variable import Variable

difflib: Any = LazyModule("difflib")


def set_trainable(layer: Any, value: bool) -> None:
    """Freeze or free a layer and all below it; weights frozen one by one come back with their layer."""
    for each in layer.walk_layers():
        each._trainable = value
        if value:
            _free(each.own_variables())
        else:  # other models made between the same tensors hold these weights too, and do not ask this one
            _freeze(getattr(each, "plan_variables", ()))


def _freeze(variables: Sequence[Variable]) -> None:
    for variable in variables:
        if variable.trainable:
            variable.trainable, variable.frozen = False, True


def _free(variables: Sequence[Variable]) -> None:
    for variable in variables:
        if variable.frozen:
            variable.trainable, variable.frozen = True, False


@dataclass(frozen=True)
class Part:
    """A layer or weight below a model: its names, and the layers around it, outermost first."""

    names: tuple[str, ...]
    around: tuple[Any, ...]
    layer: Any = None
    variable: Any = None

    def matches(self, pattern: str) -> bool:
        """Whether one of the names is like the pattern."""
        return any(fnmatchcase(name, pattern) for name in self.names)


class Freezing:
    """`freeze` and `unfreeze` of a model."""

    name: str
    child_layers: Callable[[], list[Any]]
    own_variables: Callable[[], list[Variable]]

    @tells_line
    def freeze(self, *patterns: str) -> None:
        """Keep layers and weights as they are while the rest is trained; without patterns, all of them.

        patterns: names as in `get_layer`, paths ("encoder/block_2"), or names of weights ("encoder/*/kernel", in an
            opened file "backbone.conv1.weight"); `*` stands for any text, `?` for a character, `[01]` for one of these

        Frozen BatchNormalization uses its moving statistics, as with `layer.trainable = False`, which this sets.
        Raises `ValueError` for a pattern that nothing is named like, with the nearest names; nothing is changed then.

        >>> import sardonyx as sx
        >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3, name="body"), sx.layers.Dense(2, name="head")])
        >>> model.freeze("body")
        >>> [v.path for v in model.trainable_variables]
        ['head/kernel', 'head/bias']
        """
        layers, own = self.child_layers(), self.own_variables()
        if not patterns and (layers or own):
            for layer in layers:
                layer.trainable = False
            _freeze([v for v in own if v.dtype.kind == "f"])
            return
        layers, weights = _find(self, patterns or ("*",), "freeze")
        frozen = {id(part.layer) for part in layers}
        for part in layers:
            part.layer.trainable = False
        _freeze([x.variable for x in weights if not any(id(layer) in frozen for layer in x.around)])

    @tells_line
    def unfreeze(self, *patterns: str) -> None:
        """Let training change layers and weights again; without patterns, all of them. See `freeze`.

        What is not learned, such as moving statistics, stays so. For training that goes on with `fit`, call `compile`
        again, mostly with a smaller learning rate.

        >>> import sardonyx as sx
        >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(3, name="body"), sx.layers.Dense(2, name="head")])
        >>> model.freeze()
        >>> model.unfreeze("head", "*/bias")
        >>> sorted(v.path for v in model.trainable_variables)
        ['body/bias', 'head/bias', 'head/kernel']
        """
        if not patterns:
            set_trainable(self, True)
            return
        layers, weights = _find(self, patterns, "unfreeze")
        for part in [*layers, *weights]:
            for layer in part.around:
                if not layer.trainable:
                    layer._trainable = True
                    _freeze(layer.own_variables())
        for part in layers:
            part.layer.trainable = True
        _free([part.variable for part in weights])


def refuse_all_frozen(model: Any) -> None:
    """Raise `ValueError` for a built model with weights none of which training would change."""
    if not model.built or model.trainable_variables:
        return
    frozen = [v for v in model.weights if v.dtype.kind == "f"]
    if frozen:
        raise ValueError(
            f"model '{model.name}': fit would change nothing, for all its {len(frozen)} weights are frozen (opened "
            f"files are, until you say otherwise). Free all with model.unfreeze(), some by name with "
            f"model.unfreeze({frozen[-1].path!r}) or a pattern such as model.unfreeze('block4*'), or put a new head on "
            "it: sx.Model(model.input, sx.layers.Dense(10)(tensor))"
        )


def parts_of(model: Any) -> list[Part]:
    """All layers below a model, under each path that leads to them, and all weights."""
    found: list[Part] = []
    owners: dict[Variable, tuple[Any, ...]] = dict.fromkeys(model.own_variables(), (model,))
    pending: list[tuple[Any, str, tuple[Any, ...]]] = [
        (x, x.name, (model,)) for x in reversed(model.child_layers())
    ]  # fmt: skip
    while pending:
        layer, path, around = pending.pop()
        found.append(Part(tuple({path, layer.name}), around, layer=layer))
        for variable in layer.own_variables():
            owners.setdefault(variable, (*around, layer))
        inside = [x for x in reversed(layer.child_layers()) if x not in around and x is not layer]
        pending.extend((x, f"{path}/{x.name}", (*around, layer)) for x in inside)
    for variable, name in model.weight_names().items():
        if variable.dtype.kind == "f":
            found.append(Part(tuple({name, variable.path}), owners[variable], variable=variable))
    return found


def _find(model: Any, patterns: Sequence[str], what: str) -> tuple[list[Part], list[Part]]:
    """Layers and weights that the patterns mean. Raises `TypeError` for what is no text, `ValueError` for no match."""
    parts = parts_of(model)
    chosen: dict[int, Part] = {}
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"{what}: patterns are texts such as 'block4*', got {pattern!r} ({type(pattern).__name__})")
        matched = {id(part): part for part in parts if part.matches(pattern)}
        if not matched:
            raise ValueError(_nothing_like(model, pattern, parts, what))
        learned = [p for p in matched.values() if p.layer is not None or p.variable.trainable or p.variable.frozen]
        if not learned:
            names = ", ".join(part.names[0] for part in matched.values())
            raise ValueError(f"{what}: {pattern!r} means only what training never changes, as it is measured: {names}")
        chosen.update(matched)
    found = list(chosen.values())
    return [p for p in found if p.layer is not None], [p for p in found if p.variable is not None]


def _nothing_like(model: Any, pattern: str, parts: Sequence[Part], what: str) -> str:
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    if not names:
        return f"{what}: model '{model.name}' has no layers and no weights yet; call it once, or build(input_shape)"
    plain = "".join(c for c in pattern if c not in "*?[]")
    near = difflib.get_close_matches(plain, names, 3, 0.5) or [x for x in names if plain.casefold() in x.casefold()][:3]
    unbuilt = "" if model.weights else " Its weights get their names when it is built: call it once, or build(shape)."
    return (
        f"{what}: nothing in model '{model.name}' is named like {pattern!r}"
        + (f"; did you mean {' or '.join(map(repr, near))}?" if near else ".")
        + f" It has: {', '.join(names[:40])}{', ...' if len(names) > 40 else ''}.{unbuilt}"
    )
