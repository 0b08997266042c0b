"""Models as tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import STYLES, Net, data

import sardonyx as sx
from sardonyx.builder import layers as L
from sardonyx.builder.functional import Functional
from sardonyx.builder.sequential import Sequential


def text(model: Any, **options: Any) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def branched() -> Any:
    x = L.Input((4,), name="x")
    inner = Sequential([L.Input((4,)), L.Dense(4, name="one"), L.Dropout(0.5, name="two")], name="inner")
    dense = L.Dense(4, name="dense")
    return Functional(x, inner(dense(dense(x))) + x, name="branched")


WHOLE = """\
Model: "branched" (Functional)
┏━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Layer (type)       ┃ Output shape ┃ Param # ┃ Connected to  ┃ Trainable ┃
┡━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ x (InputLayer)     │ (batch, 4)   │       0 │ -             │     -     │
│ dense (Dense)      │ (batch, 4)   │      20 │ x, dense[0]   │    yes    │
│ inner (Sequential) │ (batch, 4)   │      20 │ dense[1]      │    yes    │
│ ├─ one (Dense)     │ (batch, 4)   │      20 │ dense[1]      │    yes    │
│ └─ two (Dropout)   │ (batch, 4)   │       0 │ one           │     -     │
│ add (operation)    │ (batch, 4)   │       0 │ inner, x      │     -     │
└────────────────────┴──────────────┴─────────┴───────────────┴───────────┘
 Total params: 40 (160 B)
 Trainable params: 40 (160 B)
 Non-trainable params: 0 (0 B)
"""


def squeezed(table: str) -> list[str]:
    """Rows without the widths of columns."""
    return ["".join(line.split()).strip("┏━┳┓┡╇┩└─┴┘") for line in table.splitlines()]


def test_the_whole_table():
    assert squeezed(text(branched(), expand_nested=True, show_trainable=True)) == squeezed(WHOLE)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("expand", [False, True])
def test_tables_are_aligned_and_fit(style: str, width: int, expand: bool):
    lines = text(STYLES[style](), line_length=width, expand_nested=expand, show_trainable=True).splitlines()
    table = [line for line in lines if line and line[0] in "┏┃┡│└"]
    assert len({len(line) for line in table}) == 1 and len(table[0]) <= width
    edges = [i for i, c in enumerate(table[0]) if c in "┏┳┓"]
    assert all(line[i] in "┏┳┓┃┡╇┩│└┴┘" for line in table for i in edges)


PARTS: list[tuple[str, Callable[[], Any], dict[str, Any], list[str], list[str]]] = [
    ("a chain needs no connections", STYLES["sequential"], {}, ["conv2d (Conv2D)", "(batch, 4, 4, 3)", "30"],
     ["Connected"]),
    ("branches are connected", branched, {}, ["Connected to", "inner, x"], ["one"]),
    ("a subclassed model has shapes", STYLES["subclassed"], {}, ["(batch, 4, 4, 2)", "multiply (operation)"], ["?"]),
    ("before it is built", Net, {}, ["conv2d (Conv2D)", "?", "0 (not built)"], ["(batch"]),
    ("from one layer to another", branched, {"layer_range": ["dense", "inner"]}, ["dense (Dense)", "inner"],
     ["add (", "x (I"]),
    ("by regular expression", branched, {"layer_range": ["d.*e", "a.d"]}, ["dense (Dense)", "add ("], ["x (I"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "make", "options", "there", "absent"), PARTS, ids=[p[0] for p in PARTS])
def test_what_a_table_shows(
    what: str, make: Callable[[], Any], options: dict[str, Any], there: list[str], absent: list[str]
):
    shown = text(make(), line_length=120, **options)
    assert all(part in shown for part in there) and not any(part in shown for part in absent), shown


def test_totals_count_the_optimizer_and_what_is_frozen():
    model = Sequential([L.Input((1000,)), L.Dense(1000), L.Dense(2)])
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(np.ones((2, 1000)), np.ones((2, 2)), verbose=0)
    shown = text(model)
    assert "Non-trainable params: 1,001,000 (3.82 MB)" in shown
    assert "Trainable params: 2,002 (7.82 KB)" in shown
    assert "Optimizer params: 4,006 (" in shown
    assert "Total params: 1,007,008 (" in shown


def test_positions_set_the_columns():
    lines = text(STYLES["sequential"](), line_length=100, positions=[0.5, 80, 100]).splitlines()
    assert [i for i, c in enumerate(lines[1]) if c in "┳┓"] == [50, 80, 100]


def test_printed_where_no_function_is_given(capsys: pytest.CaptureFixture[str]):
    STYLES["sequential"]().summary()
    assert 'Model: "sequential" (Sequential)' in capsys.readouterr().out


def test_a_summary_changes_nothing():
    model = STYLES["subclassed"]()
    x, _ = data(2)
    before = np.asarray(model(x))
    calls = len(model.convolve._calls)
    text(model, expand_nested=True)
    np.testing.assert_array_equal(np.asarray(model(x)), before)
    assert len(model.convolve._calls) == max(calls, 1)


BAD = [
    ({"layer_range": ["dense"]}, "must hold two names"),
    ({"layer_range": ["dens", "add"]}, "has no layer 'dens'; it has x, dense"),
    ({"positions": [0.5, 1.0]}, "must hold 4 ends of columns"),
    ({"positions": [0.5, 0.2, 0.7, 1.0]}, "must increase"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_options_that_do_not_fit_are_told(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        text(branched(), **options)


def test_a_layer_with_two_outputs_is_told_apart():
    class Halves(L.Layer):
        def call(self, x: Any) -> Any:
            return x[:, :2], x[:, 2:]

    x = L.Input((4,), name="x")
    first, second = Halves(name="halves")(x)
    assert "halves[1], halves[0]" in text(Functional(x, sx.layers.Concatenate()([second, first])))
