"""Arguments that a subclassed model's `call` passed on because of the mode in which its graph was found."""

from __future__ import annotations

import warnings
from typing import Any

from ...trainer.core.trace import Trace
from ..call import CallContext, LayerCall, contexts
from ..plan import Plan


def mode_arguments(model: Any, plan: Plan) -> dict[int, tuple[str, ...]]:
    """By call: `training`, where the model's own `call` passes on its mode instead of a fixed value.

    The graph of a subclassed model is that of inference. Its layers are called without such a `training`, so that they
    follow the mode of the edited model. A model that calls other layers in training warns: that part is not kept.
    """
    passed = [c for c in plan.layer_calls() if isinstance(c.kwargs.get("training"), bool)]
    if model._plan is not None or model._signature is None:
        return {}
    others = _calls_in_training(model)
    own = [call for call in model._recorded if call.parent is None]
    if [id(call.layer) for call in own] != [id(call.layer) for call in others]:
        warnings.warn(
            f"model '{model.name}' ({type(model).__name__}) calls other layers in training than in inference; the "
            "edited model calls those of inference in both",
            stacklevel=4,
        )
        return {}
    twins = {id(call): other for call, other in zip(own, others, strict=True)}
    return {
        id(call): ("training",)
        for call in passed
        if id(call) in twins and twins[id(call)].kwargs.get("training") != call.kwargs["training"]
    }


def _calls_in_training(model: Any) -> list[LayerCall]:
    args, kwargs = model.symbolic_arguments(model.signature())
    with Trace() as trace:
        contexts.stack.append(CallContext(True, []))
        try:
            model._call_in_mode(args, kwargs, True)
        finally:
            contexts.stack.pop()
    return [call for call in trace.calls if call.parent is None]
