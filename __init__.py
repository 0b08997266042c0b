"""Sardonyx: write a neural network in the style that fits; it is always a graph, trained on NumPy, shipped as ONNX."""

import sys
from typing import TYPE_CHECKING

from . import builder, exporters, models, trainer
from .builder import layers, persistence, utils
from .builder.function import function
from .builder.functional import Functional
from .builder.input import Input
from .builder.input_spec import InputSpec
from .builder.layer import Layer
from .builder.model import Model
from .builder.sequential import Sequential
from .models import APPLICATIONS, applications
from .trainer import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
)
from .trainer.conversion import do_not_convert
from .trainer.core import tree
from .trainer.core.device import device
from .trainer.core.errors import DtypeError, ShapeError, SymbolicValueError
from .trainer.core.later import executed_later, loaded_later
from .trainer.core.primitive import Primitive
from .trainer.core.spec import TensorSpec
from .trainer.core.tensor import Tensor
from .trainer.core.trace import trace
from .trainer.core.variable import Variable
from .trainer.data import datasets
from .trainer.gradient import GradientTape, grad, value_and_grad
from .trainer.gradient_control import function_vjp as function_vjp
from .trainer.initializers import Initializer
from .trainer.ops import random
from .trainer.ops.seed import SeedGenerator
from .trainer.regularizers import Regularizer
from .version import __version__

if TYPE_CHECKING:
    from .builder.check_report import CheckReport, Finding
    from .builder.recorded_model import RecordedLayer, RecordedModel
    from .builder.training_export import export_training
    from .trainer.callbacks import Callback
    from .trainer.losses import Loss
    from .trainer.metrics import Metric
    from .trainer.optimizers import Optimizer

KerasTensor = Tensor
"""Keras's name for a symbolic tensor; here one class serves both kinds."""

editing = executed_later(builder.__name__, "editing")
preprocessing = executed_later(builder.__name__, "preprocessing")
saving = persistence
"""Keras's name for saving, loading and registering."""

for _name, _module in {
    "activations": activations,
    **APPLICATIONS,
    "callbacks": callbacks,
    "config": config,
    "constraints": constraints,
    "datasets": datasets,
    "editing": editing,
    "initializers": initializers,
    "layers": layers,
    "losses": losses,
    "metrics": metrics,
    "ops": ops,
    "optimizers": optimizers,
    "optimizers.schedules": executed_later(f"{trainer.__name__}.optimizers", "schedules"),
    "preprocessing": preprocessing,
    "preprocessing.image": executed_later(builder.__name__, "image_files"),
    "random": random,
    "regularizers": regularizers,
    "saving": saving,
    "tree": tree,
    "utils": utils,
}.items():
    # `from sardonyx.layers import Dense` works as with Keras, though the module lives in a room of its own
    sys.modules[f"{__name__}.{_name}"] = _module

__all__ = [
    "Callback", "CheckReport", "DtypeError", "Finding", "Functional", "GradientTape", "Initializer", "Input",
    "InputSpec", "KerasTensor", "Layer", "Loss", "Metric", "Model", "Optimizer", "Primitive", "RecordedLayer",
    "RecordedModel", "Regularizer", "SeedGenerator", "Sequential", "ShapeError", "SymbolicValueError", "Tensor",
    "TensorSpec", "Variable", "__version__", "activations", "applications", "callbacks", "config", "constraints",
    "datasets", "device", "do_not_convert", "editing", "export_training", "exporters", "function", "grad",
    "initializers", "layers", "losses", "metrics", "models", "ops", "optimizers", "preprocessing", "random",
    "regularizers", "saving", "trace", "tree", "utils", "value_and_grad",
]  # fmt: skip

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        **dict.fromkeys(("CheckReport", "Finding"), ".builder.check_report"),
        **dict.fromkeys(("RecordedLayer", "RecordedModel"), ".builder.recorded_model"),
        "Callback": ".trainer.callbacks",
        "Loss": ".trainer.losses",
        "Metric": ".trainer.metrics",
        "Optimizer": ".trainer.optimizers",
        "export_training": ".builder.training_export",
    },
)
