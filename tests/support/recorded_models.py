"""Models of classes of one's own, with constructors that no configuration can hold: what is to survive without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import sardonyx as sx
from sardonyx.builder import layers as L
from sardonyx.trainer import ops


def random(*shape: int) -> np.ndarray:
    """The same numbers every time."""
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


class Free:
    """An argument of a constructor that has no JSON form."""

    width = 4


class Block(L.Layer):
    """A layer with a weight of its own, a sub-layer, and a different computation in training."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = L.Dense(free.width, activation="relu", kernel_regularizer="l2", name="conv")
        self.drop = L.Dropout(0.25, seed=3, name="drop")

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight((shape[-1],), "ones", name="scale", constraint="non_neg")
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, x: Any, training: bool = False) -> Any:
        h = self.conv(self.drop(x, training=training)) * self.scale
        if training:
            self.count.assign_add(1.0)
            self.add_loss(0.01 * ops.mean(ops.square(h)))
            h = h + 0.1 * self.count
        return h + x


class Chain(sx.Model):
    """Lists and dictionaries of layers, statistics of batches, a layer that is never called."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [Block(free, name=f"block_{i}") for i in range(2)]
        self.tools = {"norm": L.BatchNormalization(name="norm"), "unused": L.Dense(7, name="unused")}
        self.head = L.Dense(2, name="head")

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.head(self.tools["norm"](x))


class Nested(sx.Model):
    """Models inside a model: of one's own, and a Sequential one; a frozen part."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = Chain(free, name="encoder")
        self.mlp = sx.Sequential([L.Dense(5, activation="tanh"), L.Dense(2)], name="mlp")
        self.encoder.blocks[0].trainable = False

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.softmax(self.mlp(self.encoder(x, training=training)))


class Shared(sx.Model):
    """One layer called twice, on other sizes; a weight that is used again, transposed."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = Block(free, name="block")
        self.again = self.block
        self.dense = L.Dense(4, use_bias=False, name="tied")

    def call(self, x: Any) -> Any:
        h = self.block(x) + self.again(self.dense(x))
        return ops.matmul(h, ops.transpose(self.dense.kernel))


class Several(sx.Model):
    """Several inputs, one by keyword; results in a dictionary."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.left, self.right = L.Dense(3, name="left"), L.Dense(3, name="right")
        self.free = free

    def call(self, inputs: Any, scale: float = 2.0) -> Any:
        a, b = inputs["a"], inputs["b"]
        return {"sum": self.left(a) + self.right(b) * scale, "rest": b * 2}


class Sequence(sx.Model):
    """Masks, recurrent layers and attention over a time of any length."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed = L.Embedding(9, 4, mask_zero=True, name="embed")
        self.gate = MaskedScale(free, name="gate")
        self.both = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")
        self.attend = L.MultiHeadAttention(2, 3, name="attend")
        self.last = L.GRU(2, name="last")

    def call(self, tokens: Any) -> Any:
        x = self.both(self.gate(self.embed(tokens)))
        return self.last(x + self.attend(x, x))


class MaskedScale(L.Layer):
    """Takes the mask and passes it on."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.free, self.supports_masking = free, True

    def call(self, x: Any, mask: Any = None) -> Any:
        return x if mask is None else x * ops.cast(mask, x.dtype)[..., None] * 2.0


class Loops(sx.Model):
    """Control flow over tensors, with variables and layers inside the bodies."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = L.Dense(4, activation="tanh", name="cell")
        self.gain = self.add_weight((4,), "ones", name="gain")
        self.free = free

    def call(self, x: Any) -> Any:
        self.cell(x[:, 0])
        carry, _ = ops.scan(lambda c, step: (self.cell(c) * self.gain + step, None), x[:, 0] * 0, ops.swapaxes(x, 0, 1))
        return ops.cond(ops.sum(x) > 0, lambda: carry * self.gain, lambda: carry - 1.0)


class OnlyInBody(Loops):
    """A layer that is called nowhere but in the body of a loop."""

    def call(self, x: Any) -> Any:
        return ops.scan(lambda c, s: (self.cell(c) * self.gain + s, None), x[:, 0] * 0, ops.swapaxes(x, 0, 1))[0]


class Stepper(L.Layer):
    """A cell of one's own."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size = self.output_size = free.width
        self.mix = L.Dense(free.width, name="mix")

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        h = ops.tanh(self.mix(x) + states[0])
        return h, [h]


class Recurrent(sx.Model):
    """The library's layers around layers of one's own."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.each = L.TimeDistributed(Block(free, name="inner"), name="each")
        self.rnn = L.RNN(Stepper(free, name="cell"), name="rnn")
        self.own = L.Dense(2, activation=lambda v: v * ops.sigmoid(v), name="own")

    def call(self, x: Any) -> Any:
        return self.own(self.rnn(self.each(x)))


class Noisy(sx.Model):
    """Random numbers from a generator of one's own, and a table of constants."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generator = sx.SeedGenerator(5)
        self.table = random(8, 4)
        self.out = L.Dense(2, name="out")
        self.free = free

    def call(self, x: Any, training: bool = False) -> Any:
        h = ops.matmul(ops.matmul(x, self.table.T), self.table)
        if training:
            h = h + sx.random.normal(ops.shape(h), seed=self.generator)
        return self.out(h)


class Leaky(sx.Model):
    """A tensor that leaves a layer through an attribute, and one that enters by another."""

    class Inner(L.Layer):
        """Keeps a tensor, and reads one."""

        def __init__(self, free: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense, self.context = L.Dense(4, name="dense"), None

        def call(self, x: Any) -> Any:
            self.kept = self.dense(x) * 3.0
            return ops.relu(self.kept) + self.context

    def __init__(self, free: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = Leaky.Inner(free, name="inner")

    def call(self, x: Any) -> Any:
        self.inner.context = x * 2.0
        y = self.inner(x)
        return y + self.inner.kept


class Twice(sx.Functional):
    """A functional model with a constructor of its own."""

    def __init__(self, free: Any, **kwargs: Any) -> None:
        x = L.Input((4,), name="x")
        h = L.Dense(free.width, name="first")(x)
        super().__init__(x, L.Dense(2, name="second")(Block(free, name="block")(h)) * 2.0, **kwargs)


def functional() -> Any:
    """A functional model with layers of one's own, and a lambda."""
    x = L.Input((4,), name="x")
    h = Block(Free(), name="block")(x)
    h = L.Lambda(lambda v: ops.sin(v) * 2.0, name="wave")(h)
    return sx.Model(x, [h, Chain(Free(), name="chain")(h)], name="functional")


def sequential() -> Any:
    """The same in a row."""
    wave = L.Lambda(lambda v: ops.sin(v) * 2.0, name="wave")
    return sx.Sequential([L.Input((4,)), Block(Free(), name="block"), wave, L.Dense(2, name="out")], name="sequential")


def traced(kind: Any, *specs: Any) -> Callable[[], Any]:
    """A maker of built models."""
    return lambda: kind(Free(), name=kind.__name__.lower()).trace(*specs)


ROWS = sx.TensorSpec(("batch", 4), name="x")
STEPS = sx.TensorSpec(("batch", "time", 4), name="x")
PAIR = {"a": sx.TensorSpec(("batch", 3)), "b": sx.TensorSpec(("batch", 5))}
ROW_DATA, STEP_DATA = random(6, 4), random(6, 5, 4)
TOKENS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [1, 1, 1, 1, 1], [8, 7, 6, 5, 0]], "int32")

CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "chain": (traced(Chain, ROWS), ROW_DATA),
    "nested": (traced(Nested, ROWS), ROW_DATA),
    "shared": (traced(Shared, ROWS), ROW_DATA),
    "several": (traced(Several, PAIR), {"a": random(6, 3), "b": random(6, 5)}),
    "sequence": (traced(Sequence, sx.TensorSpec(("batch", "time"), "int32", "tokens")), TOKENS),
    "loops": (traced(Loops, STEPS), STEP_DATA),
    "only_in_body": (traced(OnlyInBody, STEPS), STEP_DATA),
    "recurrent": (traced(Recurrent, sx.TensorSpec(("batch", 5, 4), name="x")), STEP_DATA),
    "noisy": (traced(Noisy, ROWS), ROW_DATA),
    "leaky": (traced(Leaky, ROWS), ROW_DATA),
    "twice": (lambda: Twice(Free(), name="twice"), ROW_DATA),
    "functional": (functional, ROW_DATA),
    "sequential": (sequential, ROW_DATA),
}


def prepare(name: str) -> tuple[Any, Any, Any]:
    """A compiled model that was trained for an epoch, its inputs and targets."""
    sx.utils.set_random_seed(4)
    make, x = CASES[name]
    model = make()
    y = sx.tree.map_structure(lambda v: np.full_like(np.asarray(v), 0.3), model(x, training=False))
    model.compile(sx.optimizers.Adam(0.01), "mse", jit_compile=False)
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    return model, x, y
