"""Inception-ResNet blocks in a network with shared layers: it learns to read digits from sums alone.

Two digits go through one and the same reader, a convolutional stem and two Inception-ResNet blocks (Szegedy et al.
2016) as nested models. All that training sees of a pair is the sum, never a digit; the reader is then cut out of the
trained graph and reads single digits. Data: 5,000 digits of MNIST, paired at random.
"""

from pathlib import Path
from typing import Any

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers, ops


def convolution(x: Any, channels: int, size: int, name: str, strides: int = 1) -> Any:
    """Convolution, normalization, ReLU."""
    x = layers.Conv2D(channels, size, strides, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def inception_resnet_block(shape: tuple[int, ...], name: str, scale: float = 0.3) -> sx.Model:
    """Three branches that see 1, 3 and 5 pixels, side by side; what they find is added to the input."""
    features = sx.Input(shape, name="features")
    one = convolution(features, 16, 1, "one")
    three = convolution(convolution(features, 16, 1, "three_a"), 16, 3, "three_b")
    five = convolution(convolution(convolution(features, 16, 1, "five_a"), 16, 3, "five_b"), 16, 3, "five_c")
    found = layers.Concatenate(name="side_by_side")([one, three, five])
    found = layers.Conv2D(shape[-1], 1, name="mix")(found)
    return sx.Model(features, layers.ReLU(name="relu")(features + scale * found), name=name)


def make_reader(shape: tuple[int, ...]) -> sx.Model:
    """An image of a digit to the probabilities of the ten digits."""
    image = sx.Input(shape, name="image")
    x = convolution(image, 32, 3, "stem", strides=2)
    x = inception_resnet_block(x.shape[1:], "block_1")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = inception_resnet_block(x.shape[1:], "block_2")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return sx.Model(image, layers.Dense(10, activation="softmax", name="digit")(x), name="reader")


def make_adder(shape: tuple[int, ...]) -> sx.Model:
    """Two images to the probabilities of the sums 0 to 18, through one reader."""
    left, right = sx.Input(shape, name="left"), sx.Input(shape, name="right")
    reader = make_reader(shape)
    first, second = reader(left), reader(right)
    # how probable each pair of digits is, gathered by what the two add up to
    pairs = layers.Reshape((100,), name="pairs")(ops.expand_dims(first, 2) * ops.expand_dims(second, 1))
    digits = np.arange(10)
    adds_up = np.eye(19, dtype=np.float32)[(digits[:, None] + digits).ravel()]
    return sx.Model([left, right], {"sum": pairs @ adds_up}, name="adder")


class RandomPairs(sx.utils.PyDataset):
    """Batches of two digits and their sum, paired anew in each epoch."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch: int = 32) -> None:
        super().__init__()
        self.x, self.y, self.batch = x, y, batch
        self.rng = np.random.default_rng(4)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        self.pairs = self.rng.permutation(len(self.x))[: len(self.x) // 2 * 2].reshape(2, -1)

    def __len__(self) -> int:
        return self.pairs.shape[1] // self.batch

    def __getitem__(self, index: int) -> Any:
        left, right = self.pairs[:, index * self.batch : (index + 1) * self.batch]
        return {"left": self.x[left], "right": self.x[right]}, {"sum": self.y[left] + self.y[right]}


def main(small: bool = False, out: Path = common.OUT) -> dict[str, float]:
    """Train on sums, cut the reader out, read single digits; the picture is the graph, blocks expanded."""
    sx.utils.set_random_seed(4)
    out.mkdir(parents=True, exist_ok=True)
    (x, y), (x_test, y_test) = common.mnist()
    if small:
        x, x_test = common.halved(x), common.halved(x_test)
    x, x_test = x[..., None], x_test[..., None]

    model = make_adder(x.shape[1:])
    pairs = RandomPairs(x, y)
    rate = sx.optimizers.schedules.CosineDecay(4e-3, decay_steps=12 * len(pairs))
    model.compile(sx.optimizers.Adam(rate), {"sum": "sparse_categorical_crossentropy"}, metrics=["accuracy"])
    model.fit(pairs, epochs=3 if small else 12, verbose=2)
    half = len(x_test) // 2
    left, right, sums = x_test[:half], x_test[half:], y_test[:half] + y_test[half:]
    sum_accuracy = model.evaluate([left, right], {"sum": sums}, verbose=0, return_dict=True)["accuracy"]

    file = out / "inception_resnet_block.onnx"
    model.export(file)
    comparison = sx.exporters.compare(model, file, [left, right])
    assert comparison, comparison

    reader = model.get_layer("reader")  # trained as a part, whole by itself
    digit_accuracy = float(np.mean(reader.predict(x_test, verbose=0).argmax(axis=-1) == y_test))
    model.summary()
    sx.utils.plot_model(model, out / "inception_resnet_block.png", show_layer_names=True, expand_nested=True, dpi=70)
    return {"accuracy of sums": sum_accuracy, "accuracy of digits": digit_accuracy, "difference": comparison.largest}


if __name__ == "__main__":
    common.run(main)
