"""The order of a model's layers, as Keras has it: from the inputs' side to the outputs', by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..trainer.core.tensor import Tensor


def order_by_depth(steps: Sequence[Any], outputs: Sequence[Tensor], sources: Any, results: Any) -> list[Any]:
    """Steps by decreasing depth (the longest way to an output), those of one depth as met walking from the outputs.

    `sources(step)` and `results(step)` list a step's tensors; `steps` come in an order in which they can run.
    A layer used several times stands where its deepest use does.
    """
    maker = {id(x): step for step in steps for x in results(step)}
    met = _first_met(outputs, maker, sources)
    depth: dict[Any, int] = {}
    depth_of_step: dict[int, int] = {}
    for step in reversed(steps):
        key = owner(step)
        depth[key] = depth_of_step[id(step)] = max(depth_of_step.get(id(step), 0), depth.get(key, 0))
        for x in sources(step):
            before = maker.get(id(x))
            if before is not None:
                depth_of_step[id(before)] = max(depth_of_step.get(id(before), 0), depth_of_step[id(step)] + 1)
    return sorted(steps, key=lambda step: (-depth[owner(step)], met.get(owner(step), len(met))))


def owner(step: Any) -> Any:
    """What is ordered: the layer of a call, or a loose operation itself."""
    layer = getattr(step, "layer", None)
    return id(step) if layer is None else id(layer)


def _first_met(outputs: Sequence[Tensor], maker: dict[int, Any], sources: Any) -> dict[Any, int]:
    """When each layer or operation is first met, walking depth first from the outputs; without recursion."""
    met: dict[Any, int] = {}
    seen: set[int] = set()
    for output in outputs:
        pending = [output]
        while pending:
            step = maker.get(id(pending.pop()))
            if step is None or id(step) in seen:
                continue
            seen.add(id(step))
            met.setdefault(owner(step), len(met))
            pending.extend(reversed(sources(step)))
    return met
