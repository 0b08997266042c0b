"""What a model does with files, its check, and programs of many equal steps: loaded when first used.

Most programs need few of them; together they would be an eighth of the time that importing the library takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trainer.core.later import loaded_later

if TYPE_CHECKING:
    from ..exporters.held import Held
    from ..exporters.sharing import weights_apart
    from ..trainer.flat_program import FlatProgram
    from .check import check_model
    from .exporting import export_model
    from .feature_training import on_features
    from .loading import load_model, model_from_json
    from .saving import save_model
    from .training_export import export_training
    from .weights_file import load_weights, save_weights

__all__ = [
    "FlatProgram", "Held", "check_model", "export_model", "export_training", "load_model", "load_weights",
    "model_from_json", "on_features", "save_model", "save_weights", "weights_apart",
]  # fmt: skip

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        "FlatProgram": "..trainer.flat_program",
        "Held": "..exporters.held",
        "check_model": ".check",
        "export_model": ".exporting",
        "export_training": ".training_export",
        **dict.fromkeys(("load_model", "model_from_json"), ".loading"),
        "on_features": ".feature_training",
        **dict.fromkeys(("gives_maps", "original_file", "rewritten"), ".original"),
        "save_model": ".saving",
        **dict.fromkeys(("load_weights", "save_weights"), ".weights_file"),
        "weights_apart": "..exporters.sharing",
    },
)
