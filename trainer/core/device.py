"""Where onnxruntime runs: the device that a program asks for (Keras name: `keras.device`)."""

from __future__ import annotations

from contextvars import ContextVar, Token

_asked: ContextVar[str] = ContextVar("device", default="auto")


class device:
    """A scope in which compiled training, `sx.function` and `predict` run on one device (Keras name: `keras.device`).

    name: "cpu"; "gpu" or "cuda", which must be there; "auto", as without a scope: a GPU where onnxruntime can use one.
        A number may follow as in "gpu:0"; the first GPU is the only one that is used, and the environment variable
        `CUDA_VISIBLE_DEVICES` says which that is.

    What runs on NumPy stays on the processor. Raises `ValueError` for a name that is none of these.

    >>> import numpy as np
    >>> import sardonyx as sx
    >>> model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(2)])
    >>> with sx.device("cpu:0"):
    ...     model.predict(np.ones((4, 3), "float32"), verbose=0).shape
    (4, 2)
    """

    def __init__(self, name: str) -> None:
        self.name = canonical_device(name)
        self._tokens: list[Token[str]] = []

    def __enter__(self) -> device:
        self._tokens.append(_asked.set(self.name))
        return self

    def __exit__(self, *error: object) -> None:
        _asked.reset(self._tokens.pop())


def canonical_device(name: str) -> str:
    """ "auto", "cpu" or "cuda" for a name as Keras, PyTorch or onnxruntime spell it; `ValueError` for any other."""
    kind, _, number = str(name).lower().partition(":")
    known = {"auto": "auto", "cpu": "cpu", "gpu": "cuda", "cuda": "cuda"}
    if kind not in known or (number and not number.isdigit()):
        raise ValueError(f'device: expected "cpu", "gpu" (or "cuda") or "auto", got {name!r}')
    if number and int(number) > 0 and kind != "cpu":
        raise ValueError(
            f"device: {name!r} is not the first GPU, and only that is used; "
            f'set the environment variable CUDA_VISIBLE_DEVICES={number} before the start and ask for "gpu:0"'
        )
    return known[kind]


def asked_device(name: str | None = None) -> str:
    """ "auto", "cpu" or "cuda": what a call asks for or, where that is "auto" or nothing, the scope around it."""
    own = "auto" if name is None else canonical_device(name)
    return _asked.get() if own == "auto" else own
