"""What a model does with files, its check, and programs of many equal steps: loaded when first used.

Most programs need few of them; loading them all takes three quarters as long as importing the library does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trainer.core.later import loaded_later

if TYPE_CHECKING:
    from ..exporters.held import Held
    from ..exporters.sharing import weights_apart
    from ..trainer.flat_program import FlatProgram
    from .architecture import own_config, recorded_from_config, write_model
    from .check import check_model
    from .exporting import export_model
    from .feature_training import on_features
    from .loading import load_model, model_from_json
    from .recorded_model import read_recorded, recorded_layers
    from .recording import Recordings
    from .rehearsal import rehearse
    from .remaking import made_again, recorded_clone, remade
    from .saving import save_model
    from .summary import print_summary
    from .training_export import export_training
    from .weights_file import load_weights, save_weights

__all__ = [
    "FlatProgram", "Held", "Recordings", "check_model", "export_model", "export_training", "load_model",
    "load_weights", "made_again", "model_from_json", "on_features", "own_config", "print_summary", "read_recorded",
    "recorded_clone", "recorded_from_config", "recorded_layers", "rehearse", "remade", "save_model", "save_weights",
    "weights_apart", "write_model",
]  # fmt: skip

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        "FlatProgram": "..trainer.flat_program",
        "Held": "..exporters.held",
        **dict.fromkeys(("own_config", "recorded_from_config", "write_model"), ".architecture"),
        "check_model": ".check",
        "export_model": ".exporting",
        "export_training": ".training_export",
        **dict.fromkeys(("load_model", "model_from_json"), ".loading"),
        "on_features": ".feature_training",
        **dict.fromkeys(("gives_maps", "original_file", "rewritten"), ".original"),
        **dict.fromkeys(("read_recorded", "recorded_layers"), ".recorded_model"),
        "Recordings": ".recording",
        **dict.fromkeys(("made_again", "recorded_clone", "remade"), ".remaking"),
        "rehearse": ".rehearsal",
        "save_model": ".saving",
        "print_summary": ".summary",
        **dict.fromkeys(("load_weights", "save_weights"), ".weights_file"),
        "weights_apart": "..exporters.sharing",
    },
)
