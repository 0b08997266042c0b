"""Everything that learns: tensors, operators, gradients, losses, metrics, optimizers, data and the training loop.

What only `compile` and `fit` need is executed when first used, not with the library.
"""

from typing import TYPE_CHECKING

from .core.later import executed_later

if TYPE_CHECKING:
    from . import callbacks, losses, metrics, optimizers
else:
    callbacks, losses, metrics, optimizers = (
        executed_later(__name__, name) for name in ("callbacks", "losses", "metrics", "optimizers")
    )

__all__ = ["callbacks", "losses", "metrics", "optimizers"]
