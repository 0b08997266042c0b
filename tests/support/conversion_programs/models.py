"""Subclassed models: early exits, routing, gates on statistics, adaptive depth, decoders, masks, training flags."""

from __future__ import annotations

import sardonyx as sx
from sardonyx import ops

from .program import floats, model


class EarlyExit(sx.Model):
    """The deeper half runs only where the first head is not sure."""

    def __init__(self):
        super().__init__()
        self.first, self.exit = sx.layers.Dense(4, activation="tanh"), sx.layers.Dense(3, activation="softmax")
        self.second, self.last = sx.layers.Dense(4, activation="tanh"), sx.layers.Dense(3, activation="softmax")

    def call(self, x):
        hidden = self.first(x)
        early = self.exit(hidden)
        if ops.min(ops.max(early, axis=-1)) > 0.6:
            return early
        return self.last(self.second(hidden))


class MixtureOfExperts(sx.Model):
    """The batch goes to the expert that the router likes best."""

    def __init__(self):
        super().__init__()
        self.router = sx.layers.Dense(3)
        self.experts = [sx.layers.Dense(2, name=f"expert_{i}") for i in range(3)]

    def call(self, x):
        weights = ops.softmax(ops.mean(self.router(x), axis=0))
        chosen = ops.argmax(weights)
        for i, expert in enumerate(self.experts[:-1]):
            if chosen == i:
                return expert(x) * weights[i]
        return self.experts[-1](x) * weights[-1]


class GateOnStatistics(sx.Model):
    """A batch far from the centre is normalised first."""

    def __init__(self):
        super().__init__()
        self.dense = sx.layers.Dense(2)

    def call(self, x):
        mean, spread = ops.mean(x), ops.std(x)
        if abs(mean) > 1.0 or spread > 2.0:
            x = (x - mean) / (spread + 1e-3)
        return self.dense(x)


class AdaptiveDepth(sx.Model):
    """One layer again and again until its result settles."""

    def __init__(self):
        super().__init__()
        self.step = sx.layers.Dense(3, activation="tanh")

    def call(self, x):
        change, rounds = 1.0, 0
        while change > 0.05 and rounds < 8:
            after = 0.5 * (x + self.step(x))
            change = ops.max(ops.abs(after - x))
            x = after
            rounds += 1
        return {"state": x, "rounds": rounds}


class Residual(sx.layers.Layer):
    """A block that leaves small inputs as they are."""

    def __init__(self, units):
        super().__init__()
        self.dense = sx.layers.Dense(units, activation="relu")

    def call(self, x):
        if ops.max(ops.abs(x)) < 0.1:
            return x
        return x + self.dense(x)


class NestedBlocks(sx.Model):
    """Branches inside layers inside a model; a loop over layers that may stop early."""

    def __init__(self):
        super().__init__()
        self.blocks = [Residual(3) for _ in range(3)]
        self.head = sx.layers.Dense(1)

    def call(self, x):
        for block in self.blocks:
            x = block(x)
            if ops.sum(x * x) > 50.0:
                break
        return self.head(x)


class TrainingFlag(sx.Model):
    """A branch on the mode, which Python knows, and one on values, in one condition."""

    def __init__(self):
        super().__init__()
        self.dense = sx.layers.Dense(3)

    def call(self, x, training=False):
        y = self.dense(x)
        if training and ops.max(y) > 1.0:
            y = y / ops.max(y)
        if not training and ops.min(y) < -1.0:
            y = ops.clip(y, -1.0, 1.0)
        return y


class MaskedMean(sx.Model):
    """Positions of padding are left out, if there are any others."""

    def __init__(self):
        super().__init__()
        self.embed = sx.layers.Dense(2)

    def call(self, x):
        mask = ops.any(x != 0.0, axis=-1)
        count = ops.sum(ops.cast(mask, "float32"))
        hidden = self.embed(x)
        if count == 0:
            return ops.zeros((2,))
        kept = hidden * ops.cast(mask, "float32")[..., None]
        return ops.sum(kept, axis=(0, 1)) / count


class Recurrent(sx.Model):
    """A recurrence written by hand whose state is held inside the unit ball, and which stops at a blank step."""

    def __init__(self):
        super().__init__()
        self.cell = sx.layers.Dense(3, activation="tanh")

    def clipped(self, h):
        norm = ops.sqrt(ops.sum(h * h))
        if norm > 1.0:
            return h / norm
        return h

    def call(self, x):
        h = ops.zeros((1, 3))
        for t in range(4):
            step = x[:1, t]
            if ops.sum(ops.abs(step)) < 1e-6:
                break
            h = self.clipped(self.cell(ops.concatenate([step, h], axis=-1)))
        return h


class GreedyDecoder(sx.Model):
    """Tokens one after the other until the end sign or the length is reached."""

    def __init__(self):
        super().__init__()
        self.embedding = sx.layers.Embedding(5, 3)
        self.state_of, self.out = sx.layers.Dense(3, activation="tanh"), sx.layers.Dense(5)

    def call(self, x):
        state, token, total = self.state_of(x[:1]), ops.cast(1, "int32"), 0
        for _ in range(6):
            logits = self.out(state + self.embedding(token))
            token = ops.cast(ops.argmax(logits[0]), "int32")
            if token == 0:
                break
            total = total * 5 + token
            state = self.state_of(state)
        return state, total


class Routing(sx.Model):
    """Agreement by iterations (Sabour et al. 2017), which stop when the coefficients settle."""

    def __init__(self):
        super().__init__()
        self.votes = sx.layers.Dense(6)

    def call(self, x):
        votes = ops.reshape(self.votes(x), (-1, 3, 2))
        logits = ops.zeros_like(votes[..., 0])
        result = ops.sum(votes, axis=1)
        for _ in range(4):
            weights = ops.softmax(logits, axis=-1)
            result = ops.sum(weights[..., None] * votes, axis=1)
            update = ops.sum(votes * result[:, None], axis=-1)
            if ops.max(ops.abs(update)) < 0.2:
                break
            logits = logits + update
        return result


class Counting(sx.Model):
    """A variable that only one branch changes."""

    def __init__(self):
        super().__init__()
        self.dense = sx.layers.Dense(2)
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x):
        if ops.mean(x) > 0:
            self.seen.assign_add(1.0)
            return self.dense(x) + self.seen
        return self.dense(x)


class Base(sx.Model):
    """What the next model inherits."""

    def __init__(self):
        super().__init__()
        self.dense, self.__private = sx.layers.Dense(2), 3.0

    def call(self, x):
        if ops.sum(x) > self.__private:
            return self.dense(x) / self.__private
        return self.dense(x)


class Inherited(Base):
    """`super().call` from a branch, a static method and a property."""

    @property
    def limit(self):
        return 10.0

    @staticmethod
    def squash(x):
        return ops.tanh(x) if ops.max(x) > 1.0 else x

    def call(self, x):
        if ops.max(x) > self.limit:
            return super().call(x / self.limit)
        return self.squash(super().call(x))


class TwoInputs(sx.Model):
    """The nearer of two views, by a margin."""

    def __init__(self):
        super().__init__()
        self.encode = sx.layers.Dense(2)

    def call(self, inputs):
        a, b = self.encode(inputs["a"]), self.encode(inputs["b"])
        distance = ops.sqrt(ops.sum((a - b) ** 2) + 1e-6)
        if distance > 2.0:
            near, loss = a, ops.zeros(())
        else:
            near, loss = (a + b) / 2, 2.0 - distance
        return {"near": near, "loss": loss}


class Damped(sx.Model):
    """The step is halved until the result is small enough: a line search in the forward pass."""

    def __init__(self):
        super().__init__()
        self.direction = sx.layers.Dense(3)

    def call(self, x):
        step, direction = 1.0, self.direction(x)
        while ops.sum((x + step * direction) ** 2) > 2.0 * ops.sum(x * x) + 0.1:
            step = step / 2
        return x + step * direction


class SpeaksOfItself(sx.Model):
    """Names its own class, and what is private in it."""

    limit, __step = 1.0, 0.5

    def call(self, x):
        if ops.mean(x) > SpeaksOfItself.limit:
            return x * SpeaksOfItself.__step
        return x + self.__step


ROWS = floats([1, 2, 0.5], [-1, 0.3, 0.5])
SMALL, LARGE = ROWS * 0.01, ROWS * 9
SERIES = floats([[1, 2], [0.5, -1], [3, 1], [0.1, 0.2]], [[1, 2], [0.5, -1], [3, 1], [0.1, 0.2]])
BLANK = SERIES * floats(1, 1, 0, 1)[:, None]

PROGRAMS = [
    model(EarlyExit, SMALL, LARGE, LARGE * 9),
    model(MixtureOfExperts, ROWS, -ROWS, ROWS[:, ::-1].copy(), LARGE, covers=()),
    model(GateOnStatistics, ROWS, LARGE),
    model(AdaptiveDepth, ROWS, SMALL, LARGE),
    model(NestedBlocks, ROWS, SMALL, LARGE * 9),
    model(TrainingFlag, ROWS, SMALL, LARGE, covers=()),
    model(MaskedMean, SERIES, BLANK, SERIES * 0),
    model(Recurrent, SERIES, BLANK, SERIES * 9, BLANK * 0),
    model(GreedyDecoder, ROWS, -ROWS, LARGE, SMALL, covers=()),
    model(Routing, ROWS, SMALL, LARGE),
    model(Counting, ROWS, -ROWS),
    model(Inherited, ROWS, LARGE, SMALL),
    model(TwoInputs, {"a": ROWS, "b": -ROWS}, {"a": ROWS, "b": ROWS + 0.1}, {"a": LARGE, "b": -LARGE}),
    model(Damped, ROWS, SMALL, LARGE),
    model(SpeaksOfItself, ROWS, LARGE),
]
