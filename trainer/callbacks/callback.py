"""Callbacks: what is told of the progress of training, and may act on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOOKS = (
    "on_train_begin", "on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end",
    "on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin",
    "on_test_batch_end", "on_predict_batch_begin", "on_predict_batch_end",
)  # fmt: skip


class Callback:
    """Base of callbacks; subclasses write the hooks they need.

    `self.model` is the model, `self.params` a dictionary with `epochs`, `steps` and `verbose`. `logs` are plain numbers
    by name. Setting `self.model.stop_training = True` ends `fit` after the batch or epoch.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Learn epochs, steps and verbosity."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Learn the model."""
        self._model = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """After training; logs of the last epoch."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before an evaluation or validation."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """After an evaluation or validation, with its results."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """After prediction."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before an epoch (counted from 0)."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After an epoch, with its results, validation's as `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a training batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a training batch, with running results; by default `on_batch_end`."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of evaluation."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of prediction, with `logs["outputs"]`."""


class History(Callback):
    """Keeps the logs of every epoch: `history.history["loss"]` is a list, `history.epoch` the epoch numbers."""

    only_tells = True

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start anew."""
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the results of the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class LambdaCallback(Callback):
    """A callback from functions, each named like the hook it stands for.

    >>> import sardonyx as sx
    >>> seen = []
    >>> callback = sx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    >>> callback.on_epoch_end(3, {}); seen
    [3]
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
            "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end, **kwargs,
        }  # fmt: skip
        for name, function in given.items():
            if name not in HOOKS:
                raise ValueError(f"LambdaCallback: {name!r} is no hook; hooks: {', '.join(HOOKS)}")
            if function is not None:
                setattr(self, name, function)


class CallbackList(Callback):
    """Several callbacks as one; hooks nobody overrides cost nothing."""

    def __init__(
        self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False, model: Any = None,
        **params: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks is not None else []
        self.callbacks: list[Any] = list(given)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks: expected Callback objects, got {callback!r:.80} ({type(callback).__name__})"
                    + ("; make an object of the class by calling it" if isinstance(callback, type) else "")
                )
        self.params = params
        self._called: dict[str, list[Callable[..., Any]]] = {}
        self.add_default(add_history, add_progbar)
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def add_default(self, add_history: bool, add_progbar: bool) -> None:
        """Add History at the end, if it is missing."""
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())

    def append(self, callback: Callback) -> None:
        """Add a callback."""
        self.callbacks.append(callback)
        self._called.clear()

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all callbacks."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tell all callbacks; the model gets its `history`."""
        self._model = model
        for callback in self.callbacks:
            callback.set_model(model)
            if isinstance(callback, History):
                model.history = callback

    @property
    def may_act(self) -> bool:
        """Whether any callback may do more than tell of the progress: all but the library's own of that kind."""
        return not all(vars(type(c)).get("only_tells") for c in self.callbacks)

    def listeners(self, hook: str) -> list[Callable[..., Any]]:
        """The hook's methods of callbacks that define it."""
        if hook not in self._called:
            self._called[hook] = [getattr(c, hook) for c in self.callbacks if _defines(c, hook)]
        return self._called[hook]


def _defines(callback: Callback, hook: str) -> bool:
    """Whether a callback has its own version of a hook (batch hooks have an older name each)."""
    if hook in vars(callback):
        return True
    older = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}.get(hook)
    names = [hook, older] if older else [hook]
    return any(getattr(type(callback), name) is not getattr(Callback, name) for name in names)


def _broadcast(hook: str) -> Callable[..., None]:
    def call(self: CallbackList, *arguments: Any, **keywords: Any) -> None:
        for method in self.listeners(hook):
            method(*_with_logs(hook, arguments), **keywords)

    call.__name__ = hook
    call.__doc__ = f"Call `{hook}` of every callback."
    return call


def _with_logs(hook: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    wanted = 2 if "epoch" in hook or "batch" in hook else 1
    return (*arguments, {}) if len(arguments) < wanted else arguments


for _hook in HOOKS:
    setattr(CallbackList, _hook, _broadcast(_hook))
