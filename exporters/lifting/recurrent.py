"""LSTM, GRU and RNN, in one direction or both, with the nodes by which exporters bring time and batch in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...trainer import ops
from .normalization import reduced_axes
from .table import finder
from .view import Found, GraphView, Source, Step

KINDS = {
    "LSTM": ("LSTM", 4, ["Sigmoid", "Tanh", "Tanh"]),
    "GRU": ("GRU", 3, ["Sigmoid", "Tanh"]),
    "RNN": ("SimpleRNN", 1, []),
}
"""For each operator the layer, the number of its gates, and its usual activations."""

SWAP = [1, 0, 2]
"""The order of axes that exchanges time and batch."""


@finder("LSTM", "GRU", "RNN")
def recurrence(view: GraphView, i: int) -> Found | None:
    """A recurrent layer where nothing of it is out of the ordinary."""
    operator, options, node = view.operator(i), view.attributes(i), view.nodes[i]
    kind, gates, standard = KINDS[operator]
    w, r, bias = (view.weight(view.given(i, place)) for place in (1, 2, 3))
    plain = not options.get("clip") and not options.get("input_forget", 0) and not view.given(i, 4)
    if w is None or r is None or (view.given(i, 3) and bias is None) or not plain or view.given(i, 7):
        return None
    directions, units = w.shape[0], r.shape[-1]
    config = _activations(operator, options, standard, directions)
    if config is None or directions not in (1, 2):
        return None
    states = _states(view, i, operator)
    if states is None:
        return None
    config |= {"units": units, "use_bias": bias is not None}
    if operator == "GRU":
        config["reset_after"] = bool(options.get("linear_before_reset", 0))
    weights = {
        f"{prefix}{key}": source
        for d, prefix in enumerate(("",) if directions == 1 else ("forward/", "backward/"))
        for key, source in _weights(view, i, d, units, gates, config.get("reset_after", False)).items()
    }
    wiring = _Wiring(view, i, directions, units, kind)
    found = Found(
        "Bidirectional" if directions == 2 else kind, wiring.nodes, (wiring.x, *states), wiring.outputs, config,
        weights, wiring.settle,
    )  # fmt: skip
    wants = [bool(name and view.readers.get(name)) for name in [*node.output, "", "", ""][:3]]
    options = {"return_sequences": wants[0], "return_state": any(wants[1:])}
    if directions == 1:
        found.config |= {**options, "go_backwards": wiring.backwards}
    else:
        found.config = {"inner": (kind, {**config, **options})}
    wiring.wants = wants
    if states or wiring.swaps or wiring.backwards or any(wants[1:]) or (wants[0] and not wiring.whole):
        found.apply = wiring.apply
    return found


def _activations(operator: str, options: dict[str, Any], standard: list[str], count: int) -> dict[str, Any] | None:
    names = options.get("activations")
    if operator == "RNN":
        kinds = set(names or ["Tanh"])
        return {"activation": kinds.pop().lower()} if kinds in ({"Tanh"}, {"Relu"}) else None
    return {} if names in (None, standard * count) else None


def _weights(view: GraphView, i: int, d: int, units: int, gates: int, after: bool) -> dict[str, Source]:
    """The three weights of a direction; LSTM's gates are i, o, f, c in the file, and i, f, c, o here."""
    blocks = np.arange(gates * units).reshape(gates, units)
    order = tuple(blocks[[0, 2, 3, 1]].reshape(-1).tolist()) if gates == 4 else ()
    turned: tuple[Step, ...] = (("part", (d,)), ("transpose", (1, 0)), *([("take", order)] if order else []))
    places = {"kernel": 1, "recurrent_kernel": 2}
    found = {key: view.source(view.given(i, place), *turned) for key, place in places.items()}
    if view.given(i, 3):
        merged: Step = ("reshape", (2, gates * units)) if after else ("halves", ())
        found["bias"] = view.source(view.given(i, 3), ("part", (d,)), merged, *([("take", order)] if order else []))
    return found


def _states(view: GraphView, i: int, operator: str) -> tuple[str, ...] | None:
    """Names of the first states; none where all begin with zeros. None where only some are given."""
    names = [view.given(i, place) for place in ((5, 6) if operator == "LSTM" else (5,))]
    given = [name for name in names if name and not _is_zero(view, name)]
    return tuple(given) if len(given) in (0, len(names)) else None


def _is_zero(view: GraphView, name: str) -> bool:
    """Whether a value is zeros, whatever its shape."""
    array = view.array(name)
    if array is not None:
        return not array.any()
    i = view.makers.get(name)
    if i is None:
        return False
    if view.operator(i) == "ConstantOfShape":
        value = view.attributes(i).get("value")
        return value is None or not np.any(value)
    through = ("Expand", "Unsqueeze", "Cast", "Identity", "Reshape", "Slice", "Concat", "Transpose", "Tile")
    inputs = view.nodes[i].input if view.operator(i) == "Concat" else view.nodes[i].input[:1]
    return view.operator(i) in through and all(_is_zero(view, x) for x in inputs)


class _Wiring:
    """How the tensors of a recurrent node come from and go to those of a layer, which has the batch first."""

    def __init__(self, view: GraphView, i: int, directions: int, units: int, kind: str) -> None:
        options, node = view.attributes(i), view.nodes[i]
        self.directions, self.units, self.kind = directions, units, kind
        self.batch_first = bool(options.get("layout", 0))
        self.backwards = directions == 1 and options.get("direction", "forward") == "reverse"
        self.wants = [True, True, True]
        self.x, before = node.input[0], ()
        maker = view.makers.get(self.x)
        self.swaps = not self.batch_first
        if self.swaps and maker is not None and _transposes(view, maker, SWAP):
            before = (maker,) if view.only_reader(self.x) == i else ()
            self.x, self.swaps = view.nodes[maker].input[0], False
        after, self.whole = self._followers(view, i)
        self.nodes = (i, *before, *after)
        named = [name if view.readers.get(name) else "" for name in [*node.output, "", "", ""][:3]]
        self.outputs = (self.whole or named[0], *named[1:])

    def _followers(self, view: GraphView, i: int) -> tuple[tuple[int, ...], str]:
        """Nodes that make the sequence (batch, time, features) of the node's own form, if they follow."""
        names = list(view.nodes[i].output)
        if not names or not names[0] or self.batch_first:
            return (), ""
        wanted: list[Callable[[int], bool]] = (
            [lambda k: _squeezes(view, k, 1), lambda k: _transposes(view, k, SWAP)] if self.directions == 1
            else [lambda k: _transposes(view, k, [0, 2, 1, 3]), lambda k: _joins(view, k, 2 * self.units),
                  lambda k: _transposes(view, k, SWAP)]
        )  # fmt: skip
        name, nodes = names[0], []
        for fits in wanted:
            reader = view.only_reader(name)
            if reader is None or not fits(reader):
                return (), ""
            nodes.append(reader)
            name = view.nodes[reader].output[0]
        return tuple(nodes), name

    def settle(self, inputs: Sequence[Any]) -> dict[str, Any] | None:
        """Sequences of vectors of known size."""
        shape = inputs[0].shape
        return {} if len(shape) == 3 and isinstance(shape[-1], int) else None

    def apply(self, layer: Any, inputs: list[Any]) -> tuple[Any, ...]:
        """Call the layer; the results as the nodes that follow want them."""
        x, states = inputs[0], inputs[1:]
        x = ops.swapaxes(x, 0, 1) if self.swaps else x
        first = [s[:, d] if self.batch_first else s[d] for d in range(self.directions) for s in states]
        results = layer(x, initial_state=first) if first else layer(x)
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        sequence = results[0] if self.wants[0] else None
        lasts = results[1:]
        return self._sequence(sequence), *self._lasts(lasts)

    def _sequence(self, y: Any) -> Any:
        if y is None:
            return None
        y = ops.flip(y, 1) if self.backwards else y
        if self.whole:
            return y
        y = ops.reshape(y, (*y.shape[:2], self.directions, self.units))
        return y if self.batch_first else ops.transpose(y, (1, 2, 0, 3))

    def _lasts(self, lasts: list[Any]) -> list[Any]:
        """Last states of all directions together: hidden ones, then those of the cells."""
        if not any(self.wants[1:]):
            return [None, None]
        count = len(lasts) // self.directions
        axis = 1 if self.batch_first else 0
        found: list[Any] = [ops.stack(lasts[k::count], axis=axis) for k in range(count)]
        return [*found, None][:2]


def _transposes(view: GraphView, i: int, axes: list[int]) -> bool:
    return view.operator(i) == "Transpose" and list(view.attributes(i).get("perm", [])) == axes


def _squeezes(view: GraphView, i: int, axis: int) -> bool:
    return view.operator(i) == "Squeeze" and reduced_axes(view, i) == [axis]


def _joins(view: GraphView, i: int, size: int) -> bool:
    """Whether a node puts the last two of four axes together."""
    if view.operator(i) != "Reshape":
        return False
    target = view.array(view.given(i, 1))
    return target is not None and target.reshape(-1).tolist() in ([0, 0, -1], [0, 0, size])
