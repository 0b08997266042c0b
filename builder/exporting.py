"""Inference graphs of models in plain ONNX files."""

from __future__ import annotations

from typing import Any

from ..exporters import training_info
from ..exporters.external import write_proto
from ..exporters.held import Held
from ..exporters.serialize import checked
from ..trainer.core import tree
from ..trainer.core.spec import TensorSpec
from ..trainer.core.trace import symbolic_input
from .cloning import replay
from .files import check_target
from .inference import model_proto, untouched_proto
from .inner_tensors import plan_between
from .model_names import output_names
from .plan import Plan
from .saving import ENDINGS, check_built, summary_properties, user_metadata


def export_model(
    model: Any,
    filepath: Any,
    format: str = "onnx",
    verbose: Any = None,
    input_signature: Any = None,
    opset: int | None = None,
    overwrite: bool = True,
    outputs: Any = None,
    **options: Any,
) -> None:
    """Write the inference graph of a model to an .onnx file; see `Model.export`."""
    if format != "onnx":
        raise ValueError(f"export: expected format 'onnx', got {format!r}; onnxruntime runs ONNX on every platform")
    target = check_target(filepath, ENDINGS, overwrite, "export")
    if input_signature is None:
        check_built(model, "export")
    elif outputs is not None:
        raise ValueError("export: outputs are tensors of the model as it is; give input_signature or outputs, not both")
    view = model if input_signature is None else with_signature(model, input_signature)
    if outputs is not None:
        plan = plan_between(model.plan.inputs, outputs)
        view = View(model, plan, output_names(plan))
    held = Held()
    proto = untouched_proto(view, opset, held) if not options else None
    if proto is None:
        proto = checked(model_proto(view, opset=opset, metadata=summary_properties(model), held=held, **options))
    elif metadata := user_metadata(model):
        training_info.add_properties(proto, metadata)
    write_proto(target, proto)
    if verbose:
        print(f"Exported model '{model.name}' to {target}")


class View:
    """A model between other inputs or outputs, its layers shared: what `model_proto` needs to know of it."""

    def __init__(self, model: Any, plan: Plan, names: list[str]) -> None:
        self.plan = plan
        self.name = model.name
        self.weight_names = model.weight_names
        self.output_names = names
        self.input_names = [x.name or f"input_{i}" for i, x in enumerate(plan.input_tensors)]


def with_signature(model: Any, signature: Any) -> View:
    """The model for other specs of its inputs. Raises `TypeError` for what is no spec, `ValueError` for too many."""
    specs = tree.flatten(signature)
    for leaf in specs:
        if not isinstance(leaf, TensorSpec):
            raise TypeError(f"export: input_signature holds a sx.TensorSpec(shape, dtype) for each input; got {leaf!r}")
    if model._plan is None:
        args = list(signature) if isinstance(signature, (list, tuple)) else [signature]
        if model._signature is None:
            model.trace(*args)
        plan = model._trace_plan((args, {}))
        model._view = None
        return View(model, plan, model.output_names)
    expected = model.plan.input_tensors
    if len(specs) != len(expected):
        raise ValueError(
            f"export: model '{model.name}' has {len(expected)} inputs ({', '.join(model.input_names)}), "
            f"input_signature has {len(specs)}"
        )
    inputs = [symbolic_input(spec, spec.name or name) for spec, name in zip(specs, model.input_names, strict=True)]
    outputs = replay(model.plan, inputs, lambda layer: layer, lambda variable: variable, records=False)
    return View(model, Plan(inputs, outputs), model.output_names)
