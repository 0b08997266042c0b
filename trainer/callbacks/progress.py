"""Progress bars: alive in a terminal, one line an epoch in a log."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from .callback import Callback

FULL, PARTIAL, EMPTY = "━", "╸", "─"
PLAIN = str.maketrans({FULL: "=", PARTIAL: "-", EMPTY: "-"})
"""The bar for streams that know ASCII only."""
INTERVAL = 0.05
"""Seconds between redraws in a terminal."""


def is_interactive(stream: TextIO) -> bool:
    """Whether a stream is a terminal that redraws lines."""
    return bool(getattr(stream, "isatty", lambda: False)()) and os.environ.get("TERM") != "dumb"


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def format_value(value: Any) -> str:
    """A number in five significant characters: 0.1234, 12.35, 1.2e-05."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(format_value(v) for v in value) + "]"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3e}"


def format_duration(seconds: float) -> str:
    """Seconds as text of at most six characters: 350ms, 12.3s, 4m05s, 2h10m."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    seconds = round(seconds)
    minutes = int(seconds // 60)
    return f"{minutes}m{int(seconds % 60):02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def draw_bar(done: float, width: int) -> str:
    """A bar filled to a fraction between 0 and 1."""
    filled = min(1.0, max(0.0, done)) * width
    whole = int(filled)
    if whole >= width:
        return FULL * width
    return FULL * whole + (PARTIAL if filled - whole >= 0.5 else EMPTY) + EMPTY * (width - whole - 1)


class Progbar:
    """A line that shows how far something is (Keras name: `utils.Progbar`).

    target: number of steps, None when unknown
    verbose: 1 redraws a line in a terminal, 2 (and 1 in a log) prints one line at the end, 0 nothing
    """

    def __init__(
        self, target: int | None, width: int = 24, verbose: int = 1, interval: float = INTERVAL,
        stateful_metrics: Any = None, unit_name: str = "step", stream: TextIO | None = None, label: str = "",
    ) -> None:  # fmt: skip
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.label = label
        self.stream: TextIO = stream or sys.stdout
        self.live = verbose == 1 and is_interactive(self.stream)
        self.speaks_unicode = _can_write(self.stream, FULL + PARTIAL + EMPTY)
        self.started = time.perf_counter()
        self.drawn_at = 0.0
        self.seen = 0

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Show `current` steps done, with values (a mapping or pairs)."""
        pairs = dict(values.items() if isinstance(values, Mapping) else values or ())
        finished = finalize if finalize is not None else self.target is not None and current >= self.target
        self.seen = current
        now = time.perf_counter()
        if self.verbose == 0 or (not finished and (not self.live or now - self.drawn_at < self.interval)):
            return
        self.drawn_at = now
        line = self.line(current, pairs, now - self.started, finished)
        columns = shutil.get_terminal_size().columns
        if self.live and len(line) >= columns:  # values matter more than the bar
            line = self.line(current, pairs, now - self.started, finished, max(0, self.width - len(line) + columns - 1))
        if not self.speaks_unicode:
            line = line.translate(PLAIN)
        if self.live:
            # a finished line may wrap, so that no result is lost; one that is drawn over again must not
            self.stream.write("\r" + (line + "\x1b[K\n" if finished else line[: columns - 1] + "\x1b[K"))
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def add(self, n: int, values: Any = None) -> None:
        """Show `n` more steps done."""
        self.update(self.seen + n, values)

    def line(
        self, current: int, values: Mapping[str, Any], elapsed: float, finished: bool, width: int | None = None
    ) -> str:
        """The text of the line, with a bar of `width` characters (none: as the object was made with)."""
        width = self.width if width is None else width
        count = f"{current:>{len(str(self.target))}}/{self.target}" if self.target else f"{current}"
        bar = draw_bar(current / self.target, width) + " " if width and self.target and self.live else ""
        if finished or not self.target or current == 0:
            pace = f"{format_duration(elapsed):>6} {format_duration(elapsed / max(current, 1)):>6}/{self.unit_name}"
        else:
            pace = f"{format_duration(elapsed * (self.target - current) / current):>6} left" + " " * 6
        shown = "  ".join(f"{name} {format_value(value)}" for name, value in values.items())
        return f"{self.label}{count} {bar}{pace}  {shown}".rstrip()


class ProgbarLogger(Callback):
    """Shows the progress of fit, evaluate and predict (Keras name: `callbacks.ProgbarLogger`)."""

    only_tells = True

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self.stream = stream
        self.bar: Progbar | None = None
        self.logs: dict[str, Any] = {}
        self.training = False

    def _verbosity(self) -> int:
        verbose = self.params.get("verbose", "auto")
        return 1 if verbose == "auto" else int(verbose)

    def _start(self, label: str = "") -> None:
        self.bar = Progbar(self.params.get("steps"), verbose=self._verbosity(), stream=self.stream, label=label)
        self.logs = {}

    def _finish(self, logs: dict[str, Any]) -> None:
        if self.bar is not None:
            self.bar.update(self.bar.seen, logs, finalize=True)
            self.bar = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Evaluations inside training show no bar of their own."""
        self.training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Training is over."""
        self.training = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A new bar."""
        epochs = self.params.get("epochs") or 1
        self._start(f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}  " if epochs > 1 else "")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on; the last line waits for the validation."""
        if self.bar is not None:
            self.bar.update(batch + 1, logs, finalize=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The final line of the epoch."""
        self._finish(logs or {})

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A bar for an evaluation outside of training."""
        if not self.training:
            self._start("evaluate ")

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on."""
        if not self.training and self.bar is not None:
            self.bar.update(batch + 1, logs, finalize=False)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """The final line."""
        if not self.training:
            self._finish(logs or {})

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A bar for prediction."""
        self._start("predict ")

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on."""
        if self.bar is not None:
            self.bar.update(batch + 1, finalize=False)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """The final line."""
        self._finish({})
