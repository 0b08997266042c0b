"""What is asked of a recorded computation before anything is built from it: files come from anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..trainer.core.dims import Dim

LARGEST = 2_000_000
"""Values in the description of one model."""
DEEPEST = 100
"""Structures within structures, and layers within layers."""
MOST_STEPS = 1_000_000
"""Steps of a model when every call of a layer is replaced by the steps inside it."""
LARGEST_WEIGHT = 2**31
KEYS = ("is_model", "base", "call", "variables", "generators", "parts", "programs")
STEPS = ("operation", "layer", "read", "assign", "loss")


def check_recorded(recorded: Any, name: str) -> None:
    """Raise `ValueError` for a description that is damaged, too large, or refers to what does not come before."""

    def demand(holds: Any, otherwise: str) -> None:
        if not holds:
            raise ValueError(f"the recorded computation of layer {name!r} is damaged: {otherwise}")

    demand(isinstance(recorded, Mapping), "it is no dictionary")
    missing = [key for key in KEYS if key not in recorded]
    demand(not missing, f"{', '.join(missing)} is missing")
    _check_size(recorded, demand)
    demand(isinstance(recorded["parts"], Mapping), "parts is no dictionary")
    for key in ("variables", "generators", "programs"):
        demand(isinstance(recorded[key], list), f"{key} is no list")
        demand(all(isinstance(x, Mapping) for x in recorded[key]), f"{key} holds what is no dictionary")
    for variable in [*recorded["variables"], *recorded.get("loose", ())]:
        shape = variable.get("shape")
        whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
        demand(whole, f"a weight has the shape {shape!r:.60}")
        demand(math.prod(shape) <= LARGEST_WEIGHT, f"a weight has the shape {shape!r:.60}, which is too large")
    for program in recorded["programs"]:
        _check_program(program, demand)


def _check_size(value: Any, demand: Any) -> None:
    pending, count = [(value, 0)], 0
    while pending:
        item, depth = pending.pop()
        count += 1
        demand(count <= LARGEST, f"it has more than {LARGEST:,} values")
        demand(depth <= 4 * DEEPEST, f"it nests more than {4 * DEEPEST} deep")
        if isinstance(item, Mapping):
            pending.extend((x, depth + 1) for x in item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend((x, depth + 1) for x in item)


def _check_program(program: Mapping[str, Any], demand: Any) -> None:
    for key in ("training", "arguments", "inputs", "steps", "outputs"):
        demand(key in program, f"a computation lacks {key}")
    demand(program["training"] in (True, False, None), f"a computation is for the mode {program['training']!r:.40}")
    inputs, steps = program["inputs"], program["steps"]
    demand(isinstance(inputs, list) and all(isinstance(x, list) and len(x) == 3 for x in inputs), "inputs are no specs")
    demand(isinstance(program["arguments"], Mapping), "arguments are no dictionary")
    demand(isinstance(steps, list) and all(isinstance(x, Mapping) for x in steps), "steps are no dictionaries")
    _check_references(program["arguments"], len(inputs), demand)
    for i, step in enumerate(steps):
        kinds = [key for key in STEPS if key in step]
        demand(len(kinds) == 1, f"step {i} is none of {', '.join(STEPS)}")
        _check_references({k: v for k, v in step.items() if k != "attributes"}, len(inputs) + i, demand)
        if kinds == ["operation"]:
            demand(isinstance(step.get("inputs"), list), f"step {i} has no inputs")
            # what has only constants was computed when it was recorded; here it would run while the file is read
            demand(_has_symbol([step["inputs"], step.get("attributes", {})]), f"step {i} computes on constants alone")
        if kinds == ["layer"]:
            demand(type(step["layer"]) is int and isinstance(step.get("arguments"), list), f"step {i} is no call")
    _check_references([program["outputs"], program.get("masks", [])], len(inputs) + len(steps), demand)


def _check_references(value: Any, before: int, demand: Any) -> None:
    """Results are taken from steps that come before."""
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__value__", "__mask__"):
            place = value.get("config")
            fits = isinstance(place, list) and len(place) == 2 and all(type(x) is int and x >= 0 for x in place)
            demand(isinstance(place, list) and fits and place[0] < before, f"step {before} refers to {place!r:.40}")
        elif value.get("class_name") != "__graph__":
            for x in value.values():
                _check_references(x, before, demand)
    elif isinstance(value, (list, tuple)):
        for x in value:
            _check_references(x, before, demand)


def _has_symbol(value: Any) -> bool:
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__value__", "__mask__", "__variable__", "__size__"):
            return True
        return any(map(_has_symbol, value.values()))
    return any(map(_has_symbol, value)) if isinstance(value, (list, tuple)) else isinstance(value, Dim)


def used_numbers(config: Any) -> set[int]:
    """Numbers of layers and variables to which steps refer."""
    found: set[int] = set()
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            found.update(item[key] for key in ("layer", "loose") if type(item.get(key)) is int)
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
    return found


def check_growth(model: Any) -> None:
    """Raise `ValueError` where layers call one another so often, or in circles, that a call would not end."""
    _steps_of(model, {}, [])


def _steps_of(layer: Any, known: dict[int, int], around: list[Any]) -> int:
    if any(layer is other for other in around) or len(around) > DEEPEST:
        raise ValueError(f"the recorded computation of layer {layer.name!r} is damaged: it calls itself, or too deep")
    if id(layer) not in known:
        total = 1
        for program in layer.program_configs:
            for step in program["steps"]:
                number = step.get("layer")
                if number is not None and number not in layer._table:
                    raise ValueError(
                        f"the recorded computation of layer {layer.name!r} is damaged: there is no layer {number!r}"
                    )
                target = None if number is None else layer._table[number]
                inner = _steps_of(target, known, [*around, layer]) if hasattr(target, "program_configs") else 1
                total += inner
        if total > MOST_STEPS:
            raise ValueError(
                f"the recorded computation of layer {layer.name!r} is damaged: more than {MOST_STEPS:,} steps"
            )
        known[id(layer)] = total
    return known[id(layer)]
