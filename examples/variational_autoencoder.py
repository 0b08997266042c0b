"""A variational autoencoder (Kingma and Welling 2014): a subclassed model with a train_step of its own.

Every digit becomes a point of a plane. The encoder says where it lies, and how sure that is; a point drawn from there
goes through the decoder, which must draw the digit again. So that the plane has no holes, its points shall be normally
distributed: the layer that draws them adds its distance from that to the loss. Data: 5,000 digits of MNIST.
"""

from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers, ops

SIZE = 28


class Sampling(layers.Layer):
    """A point drawn from a normal distribution, by the reparametrisation trick; in inference its centre."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = sx.SeedGenerator()

    def call(self, mean: Any, log_variance: Any, training: bool = False) -> Any:
        divergence = ops.sum(ops.exp(log_variance) + ops.square(mean) - 1 - log_variance, axis=-1) / 2
        self.add_loss(ops.mean(divergence))
        if not training:
            return mean
        return mean + ops.exp(log_variance / 2) * sx.random.normal(ops.shape(mean), seed=self.seed)


class VariationalAutoencoder(sx.Model):
    """Images `(batch, 28, 28, 1)` to their reconstructions; `embed` and `decoder` are the two halves."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = sx.Sequential([
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ], name="encoder")  # fmt: skip
        self.mean = layers.Dense(2, name="mean")
        self.log_variance = layers.Dense(2, name="log_variance")
        self.sampling = Sampling()
        self.decoder = sx.Sequential([
            sx.Input((2,), name="point"),
            layers.Dense(64, activation="relu"),
            layers.Dense(7 * 7 * 32, activation="relu"),
            layers.Reshape((7, 7, 32)),
            layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
        ], name="decoder")  # fmt: skip
        self.reconstruction = sx.metrics.Mean(name="reconstruction")
        self.divergence = sx.metrics.Mean(name="divergence")

    def call(self, image: Any, training: bool = False) -> Any:
        x = self.encoder(image)
        return self.decoder(self.sampling(self.mean(x), self.log_variance(x), training=training))

    def parts_of_the_loss(self, image: Any, training: bool) -> tuple[Any, Any]:
        """What one image's reconstruction and its place in the plane cost, in nats."""
        per_pixel = sx.losses.binary_crossentropy(image, self(image, training=training))
        return ops.mean(ops.sum(per_pixel, axis=(1, 2))), sum(self.losses)

    def train_step(self, data: Any) -> dict[str, Any]:
        (image,) = data
        with sx.GradientTape() as tape:
            reconstruction, divergence = self.parts_of_the_loss(image, training=True)
            loss = reconstruction + divergence
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.tracked(reconstruction, divergence)

    def test_step(self, data: Any) -> dict[str, Any]:
        (image,) = data
        return self.tracked(*self.parts_of_the_loss(image, training=False))

    def tracked(self, reconstruction: Any, divergence: Any) -> dict[str, Any]:
        self.reconstruction.update_state(reconstruction)
        self.divergence.update_state(divergence)
        return {metric.name: metric.result() for metric in (self.reconstruction, self.divergence)}


def main(small: bool = False, out: Path = common.OUT) -> dict[str, float]:
    """Train, then walk over the plane; how well the plane tells digits apart is measured by nearest neighbours."""
    sx.utils.set_random_seed(2)
    out.mkdir(parents=True, exist_ok=True)
    (x, y), (x_test, y_test) = common.mnist(small)
    x, x_test = x[..., None], x_test[..., None]

    model = VariationalAutoencoder()
    model.compile(sx.optimizers.Adam(2e-3))
    model.fit(x, batch_size=64, epochs=3 if small else 60, validation_data=(x_test,), verbose=2)
    model.summary(expand_nested=True)
    measured = model.evaluate(x_test, verbose=0, return_dict=True)

    model.export(out / "variational_autoencoder.onnx")
    comparison = sx.exporters.compare(model, out / "variational_autoencoder.onnx", x_test)
    assert comparison, comparison

    # The halves of a subclassed model are cut out of its graph like those of any other.
    embed = sx.Model(model.input, model.get_layer("mean").output)
    places, places_test = embed.predict(x, verbose=0), embed.predict(x_test, verbose=0)
    nearest = ((places_test[:, None] - places) ** 2).sum(axis=-1).argsort(axis=-1)[:, :15]
    votes = np.stack([(y[nearest] == digit).sum(axis=-1) for digit in range(10)], axis=-1)

    steps = [NormalDist().inv_cdf((i + 0.5) / 16) for i in range(16)]  # each step holds as many digits as any other
    plane = np.array([(right, -down) for down in steps for right in steps], np.float32)
    drawn = model.decoder.predict(plane, verbose=0).reshape(16, 16, SIZE, SIZE)
    common.picture_of(1 - drawn, out / "variational_autoencoder.png", gap=0)
    return {
        "reconstruction": measured["reconstruction"],
        "divergence": measured["divergence"],
        "neighbours' accuracy": float(np.mean(votes.argmax(axis=-1) == y_test)),
        "difference": comparison.largest,
    }


if __name__ == "__main__":
    common.run(main)
