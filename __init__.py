"""Sardonyx: write a neural network in the style that fits; it is always a graph, trained on NumPy, shipped as ONNX."""

from .trainer import ops
from .trainer.core import tree
from .trainer.core.primitive import Primitive
from .trainer.core.spec import TensorSpec
from .trainer.core.tensor import Tensor
from .trainer.core.trace import trace
from .trainer.core.variable import Variable
from .trainer.gradient import GradientTape, grad, value_and_grad
from .trainer.gradient_control import function_vjp as function_vjp
from .trainer.ops import random
from .version import __version__

__all__ = ["GradientTape", "Primitive", "Tensor", "TensorSpec", "Variable", "__version__", "grad", "ops", "random", "trace", "tree", "value_and_grad"]
