"""Progress: a line that is redrawn in a terminal, one line an epoch in a log, nothing when silent."""

import io
import re

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.trainer.callbacks import progress
from sardonyx.trainer.callbacks.progress import Progbar, draw_bar, format_duration, format_value

X = np.ones((12, 3), "float32")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setattr(progress, "INTERVAL", 0.0)


VALUES = [
    (0.5, "0.5000"),
    (0.0, "0.0000"),
    (12.3456, "12.3456"),
    (1e-5, "1.000e-05"),
    (123456.0, "1.235e+05"),
    (-0.25, "-0.2500"),
    (float("nan"), "nan"),
    (float("inf"), "inf"),
    (3, "3"),
    ([0.5, 1.0], "[0.5000, 1.0000]"),
]
DURATIONS = [
    (0.0, "0ms"),
    (0.35, "350ms"),
    (0.9996, "1.0s"),
    (12.34, "12.3s"),
    (59.97, "1m00s"),
    (245, "4m05s"),
    (7800, "2h10m"),
]
BARS = [
    (0.0, "────────"),
    (0.5, "━━━━────"),
    (0.5625, "━━━━╸───"),
    (1.0, "━━━━━━━━"),
    (1.5, "━━━━━━━━"),
    (-1.0, "────────"),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_values(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("done", "text"), BARS)
def test_bars(done, text):
    assert draw_bar(done, 8) == text


def steady(text):
    """Text with durations taken out."""
    return re.sub(r"\s*\b[\d.]+(ms|s|m\d\ds|h\d\dm)\b", " T", text)


def drive(stream, verbose, target=4, steps=4):
    bar = Progbar(target, width=8, verbose=verbose, interval=0.0, stream=stream, label="epoch 1/2  ")
    for step in range(1, steps + 1):
        bar.update(step, {"loss": 1.0 / step})
    if target is None:
        bar.update(steps, {"loss": 1.0 / steps}, finalize=True)
    return steady(stream.getvalue())


def test_terminal_redraws_one_line():
    parts = drive(Terminal(), 1).split("\r")
    assert parts[0] == "" and len(parts) == 5
    assert parts[2] == "epoch 1/2  2/4 ━━━━──── T left        loss 0.5000\x1b[K"
    assert parts[4] == "epoch 1/2  4/4 ━━━━━━━━ T T/step  loss 0.2500\x1b[K\n"


@pytest.mark.parametrize(("stream", "verbose"), [(io.StringIO, 1), (io.StringIO, 2), (Terminal, 2)])
def test_log_gets_one_line(stream, verbose):
    assert drive(stream(), verbose) == "epoch 1/2  4/4 T T/step  loss 0.2500\n"


def test_silence():
    assert drive(Terminal(), 0) == ""


def test_unknown_number_of_steps():
    parts = drive(Terminal(), 1, None, 2).split("\r")
    assert parts[1:] == [
        "epoch 1/2  1 T T/step  loss 1.0000\x1b[K",
        "epoch 1/2  2 T T/step  loss 0.5000\x1b[K",
        "epoch 1/2  2 T T/step  loss 0.5000\x1b[K\n",
    ]


def test_narrow_terminal_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    bar = Progbar(4, stream=stream, interval=0.0)
    bar.update(2, {"a_rather_long_name_of_a_metric": 1.0})
    assert len(stream.getvalue().replace("\r", "").replace("\x1b[K", "")) <= 29
    bar.update(4, {"a_rather_long_name_of_a_metric": 1.0})
    last = stream.getvalue().split("\r")[-1]
    assert last.endswith("a_rather_long_name_of_a_metric 1.0000\x1b[K\n") and "━" not in last


def test_bar_gives_way_to_values(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    stream = Terminal()
    Progbar(4, stream=stream, interval=0.0).update(4, {"loss": 1.0, "mae": 2.0})
    line = stream.getvalue().replace("\x1b[K\n", "").replace("\r", "")
    assert len(line) == 49 and line.endswith("mae 2.0000") and 0 < line.count("━") < 24


def test_dumb_terminal_counts_as_log(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in drive(Terminal(), 1)


def test_ascii_stream_gets_ascii():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    stream.isatty = lambda: True
    bar = Progbar(4, width=8, interval=0.0, stream=stream)
    bar.update(2)
    stream.flush()
    assert b"====----" in raw.getvalue()


def test_add_counts_on():
    stream = io.StringIO()
    bar = Progbar(3, stream=stream)
    for _ in range(3):
        bar.add(1, [("loss", 0.5)])
    assert steady(stream.getvalue()) == "3/3 T T/step  loss 0.5000\n"


def test_fit_evaluate_predict_in_a_log(capsys):
    model = sx.Sequential([sx.Input((3,)), sx.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(sx.optimizers.SGD(0.0), "mse")
    data = X, np.ones((12, 1))
    model.fit(*data, batch_size=6, epochs=2, validation_data=data)
    model.evaluate(*data, verbose=2)
    model.predict(X)
    assert steady(capsys.readouterr().out).splitlines() == [
        "epoch 1/2  2/2 T T/step  loss 1.0000  val_loss 1.0000",
        "epoch 2/2  2/2 T T/step  loss 1.0000  val_loss 1.0000",
        "evaluate 1/1 T T/step  loss 1.0000",
        "predict 1/1 T T/step",
    ]
