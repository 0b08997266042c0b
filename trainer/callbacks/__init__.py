"""Callbacks (Keras name: `keras.callbacks`)."""

from __future__ import annotations

from typing import Any

from .callback import Callback, History, LambdaCallback
from .callback import CallbackList as PlainCallbackList
from .files import CSVLogger, ModelCheckpoint
from .monitor import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from .progress import Progbar, ProgbarLogger


class CallbackList(PlainCallbackList):
    """Several callbacks as one, with a progress bar and a history if asked."""

    def add_default(self, add_history: bool, add_progbar: bool) -> None:
        """Add a progress bar, and History at the end, where missing; raises `ValueError` for an unknown verbosity."""
        verbose = self.params.get("verbose", "auto")
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose must be "auto", 0, 1 or 2, got {verbose!r}')
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        super().add_default(add_history, add_progbar)

    @classmethod
    def of(cls, callbacks: Any, **options: Any) -> Any:
        """The list as it is, or a new one."""
        return callbacks if isinstance(callbacks, PlainCallbackList) else cls(callbacks, **options)


__all__ = [
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "LearningRateScheduler",
    "ModelCheckpoint", "Progbar", "ProgbarLogger", "ReduceLROnPlateau", "TerminateOnNaN",
]  # fmt: skip
