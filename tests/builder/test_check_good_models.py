"""`Model.check` has nothing above a note to say about models that are well made."""

from collections.abc import Callable
from typing import Any

import pytest

import sardonyx as sx
from sardonyx import layers as L
from sardonyx import ops

LOGITS = sx.losses.SparseCategoricalCrossentropy(from_logits=True)


def mlp() -> Any:
    stack = [L.Dense(16, activation="relu"), L.Dropout(0.2), L.Dense(3, activation="softmax")]
    model = sx.Sequential([sx.Input((8,)), *stack])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def logits() -> Any:
    model = sx.Sequential([sx.Input((8, 8)), L.Flatten(), L.Dense(16, activation="gelu"), L.Dense(10)])
    model.compile("adam", LOGITS, metrics=["accuracy"])
    return model


def cnn() -> Any:
    block = [L.Conv2D(8, 3, padding="same", activation="relu"), L.MaxPooling2D(), L.Dropout(0.2)]
    head = [L.Flatten(), L.Dense(16, activation="relu"), L.Dense(10, activation="softmax")]
    model = sx.Sequential([sx.Input((16, 16, 3)), L.Rescaling(1 / 255), *block, *head])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def resnet() -> Any:
    inputs = sx.Input((16, 16, 3))
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for _ in range(2):
        y = L.ReLU()(L.BatchNormalization()(x))
        y = L.Conv2D(8, 3, padding="same", use_bias=False)(y)
        x = L.Add()([x, L.Conv2D(8, 3, padding="same", use_bias=False)(L.ReLU()(L.BatchNormalization()(y)))])
    model = sx.Model(inputs, L.Dense(10)(L.GlobalAveragePooling2D()(L.ReLU()(L.BatchNormalization()(x)))))
    model.compile("sgd", LOGITS)
    return model


def autoencoder() -> Any:
    layers = [L.Dense(8, activation="relu"), L.Dense(2, activation="relu"), L.Dense(8, activation="relu")]
    model = sx.Sequential([sx.Input((20,)), *layers, L.Dense(20, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def generator() -> Any:
    layers = [L.Dense(4 * 4 * 8, use_bias=False), L.BatchNormalization(), L.LeakyReLU(), L.Reshape((4, 4, 8))]
    return sx.Sequential([sx.Input((16,)), *layers, L.Conv2DTranspose(1, 4, strides=2, padding="same",
                                                                     activation="tanh")])  # fmt: skip


def discriminator() -> Any:
    layers = [L.Conv2D(8, 4, strides=2, padding="same"), L.LeakyReLU(), L.Dropout(0.3), L.Flatten(), L.Dense(1)]
    model = sx.Sequential([sx.Input((8, 8, 1)), *layers])
    model.compile("adam", sx.losses.BinaryCrossentropy(from_logits=True))
    return model


def lstm() -> Any:
    model = sx.Sequential([
        sx.Input((12,), dtype="int32"), L.Embedding(50, 8, mask_zero=True), L.LSTM(8, return_sequences=True),
        L.Bidirectional(L.GRU(4)), L.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", sx.metrics.AUC()])
    return model


def encoder_decoder() -> Any:
    source, target = sx.Input((None,), dtype="int32", name="source"), sx.Input((None,), dtype="int32", name="target")
    _, h, c = L.LSTM(8, return_state=True)(L.Embedding(20, 8, mask_zero=True)(source))
    decoded = L.LSTM(8, return_sequences=True)(L.Embedding(20, 8, mask_zero=True)(target), initial_state=[h, c])
    model = sx.Model([source, target], L.Dense(20, activation="softmax")(decoded))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


class TransformerBlock(L.Layer):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = L.MultiHeadAttention(2, width // 2)
        self.norms = [L.LayerNormalization(), L.LayerNormalization()]
        self.inner = sx.Sequential([L.Dense(4 * width, activation="gelu"), L.Dense(width)])
        self.dropout = L.Dropout(0.1)

    def call(self, x: Any) -> Any:
        x = x + self.dropout(self.attention(y := self.norms[0](x), y, use_causal_mask=True))
        return x + self.dropout(self.inner(self.norms[1](x)))


class Transformer(sx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = L.Embedding(30, 8), L.Embedding(12, 8)
        self.blocks = [TransformerBlock(8) for _ in range(2)]
        self.norm, self.head = L.LayerNormalization(), L.Dense(30)

    def call(self, tokens: Any) -> Any:
        x = self.tokens(tokens) + self.places(ops.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def transformer() -> Any:
    model = Transformer().trace(sx.TensorSpec((None, 12), "int32"))
    model.compile("adam", LOGITS)
    return model


class Sampling(L.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.seed = sx.SeedGenerator(0)

    def call(self, mean: Any, log_variance: Any) -> Any:
        self.add_loss(-0.5 * ops.mean(1 + log_variance - mean**2 - ops.exp(log_variance)))
        return mean + ops.exp(0.5 * log_variance) * sx.random.normal(ops.shape(mean), seed=self.seed)


class VariationalAutoencoder(sx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.log_variance = L.Dense(8, activation="relu"), L.Dense(2), L.Dense(2)
        self.sample = Sampling()
        self.decoder = sx.Sequential([L.Dense(8, activation="relu"), L.Dense(10, activation="sigmoid")])

    def call(self, inputs: Any) -> Any:
        x = self.hidden(inputs)
        return self.decoder(self.sample(self.mean(x), self.log_variance(x)))


def vae() -> Any:
    model = VariationalAutoencoder()
    model.build((None, 10))
    model.compile("adam", "binary_crossentropy")
    return model


class OwnStep(VariationalAutoencoder):
    """Trained by a step that also uses a layer which `call` does not."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = L.Dense(1)

    def train_step(self, data: Any) -> Any:
        raise NotImplementedError(str(data))


def own_step() -> Any:
    model = OwnStep()
    model.build((None, 10))
    model.compile("adam")
    return model


def siamese() -> Any:
    tower = sx.Sequential([sx.Input((8,)), L.Dense(8, activation="relu"), L.Dense(4)], name="tower")
    left, right = sx.Input((8,)), sx.Input((8,))
    distance = ops.sqrt(ops.sum((tower(left) - tower(right)) ** 2, axis=-1, keepdims=True) + 1e-6)
    model = sx.Model([left, right], L.Dense(1, activation="sigmoid")(distance))
    model.compile("adam", "binary_crossentropy")
    return model


def several_outputs() -> Any:
    x = sx.Input((6,))
    h = L.Dense(8, activation="relu")(x)
    model = sx.Model(x, {"kind": L.Dense(3, activation="softmax")(h), "size": L.Dense(1)(h)})
    model.compile("adam", {"kind": "sparse_categorical_crossentropy", "size": "mse"},
                  metrics={"kind": "accuracy", "size": "mae"})  # fmt: skip
    return model


def unet() -> Any:
    inputs = x = sx.Input((16, 16, 1))
    kept = []
    for width in (4, 8):
        x = L.Conv2D(width, 3, padding="same", activation="relu")(x)
        kept.append(x)
        x = L.MaxPooling2D()(x)
    for width in (8, 4):
        x = L.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        x = L.Conv2D(width, 3, padding="same", activation="relu")(L.Concatenate()([x, kept.pop()]))
    model = sx.Model(inputs, L.Conv2D(1, 1, activation="sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["binary_accuracy"])
    return model


def transfer() -> Any:
    base = sx.Sequential([sx.Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu"), L.GlobalMaxPooling2D()], name="base")
    base.trainable = False
    model = sx.Sequential([sx.Input((8, 8, 3)), base, L.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def one_dimensional() -> Any:
    x = sx.Input((None, 4))
    y = L.Conv1D(8, 3, padding="causal", activation="relu")(x)
    y = L.LSTM(4)(L.LayerNormalization()(y))
    model = sx.Model(x, L.Dense(1)(y))
    model.compile("adam", "huber", metrics=["mae"])
    return model


GOOD: list[Callable[[], Any]] = [
    mlp, logits, cnn, resnet, autoencoder, generator, discriminator, lstm, encoder_decoder, transformer, vae, own_step,
    siamese, several_outputs, unet, transfer, one_dimensional,
]  # fmt: skip


@pytest.mark.parametrize("make", GOOD)
def test_no_false_alarm(make: Callable[[], Any]):
    report = make().check()
    assert not report.of("error") and not report.of("warning"), str(report)


@pytest.mark.parametrize("make", [mlp, logits, autoencoder, discriminator, transformer, unet, several_outputs, siamese])
def test_not_even_a_note(make: Callable[[], Any]):
    report = make().check()
    assert not report, str(report)
