"""Products from features to heads and back, as the attention layers use them."""

from __future__ import annotations

import math
from typing import Any

from ...trainer import ops
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
        x = ops.matmul(inputs, ops.reshape(self.kernel, (self.kernel.shape[0], width)))
        if self.bias is not None:
            x = ops.add(x, ops.reshape(self.bias, (width,)))
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
        x = ops.matmul(ops.reshape(inputs, (*lead, heads * depth)), ops.reshape(self.kernel, (heads * depth, width)))
        if self.bias is not None:
            x = ops.add(x, ops.reshape(self.bias, (width,)) if len(self.sizes) > 1 else self.bias)
        return self.activate(ops.reshape(x, (*lead, *self.sizes)) if len(self.sizes) > 1 else x)
