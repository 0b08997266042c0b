"""Products from features to heads and back, as the attention layers use them."""

from __future__ import annotations

import math
from typing import Any

from ...trainer import ops
from ...trainer.ops.dense import can_be_fused, dense_primitive
from .checks import positive_integer
from .dense import WeightedLayer


class HeadProjection(WeightedLayer):
    """(..., features) to (..., heads, depth), with a kernel (features, heads, depth) and a bias (heads, depth).

    One product of matrices: the kernel's axes of heads are merged, so nothing is left of an einsum in the graph.
    """

    def __init__(self, heads: int, depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = positive_integer("HeadProjection", "heads", heads)
        self.depth = positive_integer("HeadProjection", "depth", depth)

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        self.kernel = self.add_kernel((input_shape[-1], self.heads, self.depth))
        self.bias = self.add_bias((self.heads, self.depth))

    def call(self, inputs: Any) -> Any:
        """The product, the bias, the activation; then the heads apart."""
        width = self.heads * self.depth
        kernel = ops.reshape(self.kernel, (self.kernel.shape[0], width))
        bias = None if self.bias is None else ops.reshape(self.bias, (width,))
        if can_be_fused(inputs, kernel, bias):
            x = dense_primitive(inputs, kernel, bias)
        else:
            x = ops.matmul(inputs, kernel)
            x = x if bias is None else ops.add(x, bias)
        return ops.reshape(self.activate(x), (*inputs.shape[:-1], self.heads, self.depth))


class HeadMerge(WeightedLayer):
    """(..., heads, depth) to (..., *sizes), with a kernel (heads, depth, *sizes) and a bias (*sizes)."""

    def __init__(self, sizes: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        self.kernel = self.add_kernel((*input_shape[-2:], *self.sizes))
        self.bias = self.add_bias(self.sizes)

    def call(self, inputs: Any) -> Any:
        """The heads side by side, the product, the bias."""
        heads, depth = self.kernel.shape[:2]
        width, lead = math.prod(self.sizes), inputs.shape[:-2]
        rows, kernel = ops.reshape(inputs, (*lead, heads * depth)), ops.reshape(self.kernel, (heads * depth, width))
        bias = ops.reshape(self.bias, (width,)) if self.bias is not None and len(self.sizes) > 1 else self.bias
        if can_be_fused(rows, kernel, bias):
            x = dense_primitive(rows, kernel, bias)
        else:
            x = ops.matmul(rows, kernel)
            x = x if bias is None else ops.add(x, bias)
        return self.activate(ops.reshape(x, (*lead, *self.sizes)) if len(self.sizes) > 1 else x)
