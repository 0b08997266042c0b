"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017): a gradient is part of the loss, two tapes deep.

A generator turns noise into digits; a critic scores how real they look, and must not change faster than its input does:
the length of its gradient, between real and generated digits, is held at 1. So the critic's loss contains a gradient,
and training it needs the gradient of that gradient. Data: 5,000 digits of MNIST, halved in size.
"""

from pathlib import Path
from typing import Any

import numpy as np

import common
import sardonyx as sx
from sardonyx import layers, ops
from sardonyx.builder.drawing import line_chart, write

NOISE, SIZE, BATCH = 32, 14, 64
PENALTY, CRITIC_STEPS = 10.0, 2


def make_generator() -> sx.Sequential:
    """Noise `(batch, 32)` to images `(batch, 14, 14, 1)` in [0, 1]."""
    return sx.Sequential([
        sx.Input((NOISE,), name="noise"),
        layers.Dense(256, activation="relu"),
        layers.Dense(256, activation="relu"),
        layers.Dense(SIZE * SIZE, activation="sigmoid"),
        layers.Reshape((SIZE, SIZE, 1), name="image"),
    ], name="generator")  # fmt: skip


def make_critic() -> sx.Sequential:
    """Images to scores `(batch, 1)`, higher for real ones."""
    return sx.Sequential([
        sx.Input((SIZE, SIZE, 1), name="image"),
        layers.Flatten(),
        layers.Dense(256),
        layers.LeakyReLU(0.2),
        layers.Dense(256),
        layers.LeakyReLU(0.2),
        layers.Dense(1, name="score"),
    ], name="critic")  # fmt: skip


def gradient_penalty(critic: Any, real: Any, generated: Any) -> Any:
    """How far the critic's gradient is from length 1, at points between real and generated images."""
    share = sx.random.uniform((real.shape[0], 1, 1, 1))
    between = real + share * (generated - real)
    with sx.GradientTape() as tape:
        tape.watch(between)
        score = critic(between, training=True)
    gradient = tape.gradient(score, between)
    length = ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2, 3)) + 1e-12)
    return ops.mean(ops.square(length - 1))


class Game:
    """Both players, their optimizers, and the two steps."""

    def __init__(self) -> None:
        self.generator, self.critic = make_generator(), make_critic()
        self.generator_optimizer = sx.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)
        self.critic_optimizer = sx.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)

    def critic_step(self, real: np.ndarray) -> tuple[float, float]:
        """Tell real from generated better; returns the distance between the two, as the critic sees it."""
        generated = self.generator(sx.random.normal((len(real), NOISE)), training=True)
        with sx.GradientTape() as tape:
            distance = ops.mean(self.critic(real, training=True)) - ops.mean(self.critic(generated, training=True))
            penalty = gradient_penalty(self.critic, real, generated)
            loss = PENALTY * penalty - distance
        weights = self.critic.trainable_variables
        self.critic_optimizer.apply(tape.gradient(loss, weights), weights)
        return float(distance), float(penalty)

    def generator_step(self) -> None:
        """Draw what the critic scores higher."""
        with sx.GradientTape() as tape:
            generated = self.generator(sx.random.normal((BATCH, NOISE)), training=True)
            loss = -ops.mean(self.critic(generated, training=True))
        weights = self.generator.trainable_variables
        self.generator_optimizer.apply(tape.gradient(loss, weights), weights)


class Judge:
    """A classifier of real digits; what it makes of generated ones tells how good they are."""

    def __init__(self, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
        self.model = sx.Sequential([
            sx.Input((SIZE, SIZE, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="features"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ], name="judge")  # fmt: skip
        self.model.compile("adam", "sparse_categorical_crossentropy")
        self.model.fit(x, y, epochs=epochs, verbose=0)
        self.features = sx.Model(self.model.inputs, self.model.get_layer("features").output)

    def distance(self, first: np.ndarray, second: np.ndarray) -> float:
        """The Frechet distance between two sets of images, in the classifier's features: 0 for equal distributions."""
        a, b = (self.features.predict(x, verbose=0).astype(np.float64) for x in (first, second))
        covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        # the trace of the root of their product, from its eigenvalues: real and not negative but for rounding
        root = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
        return float(((a.mean(0) - b.mean(0)) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * root)

    def certainty(self, images: np.ndarray) -> tuple[float, float]:
        """How sure it is of each digit, and how evenly the ten digits come up, 1 at best."""
        p = self.model.predict(images, verbose=0)
        share = np.bincount(p.argmax(-1), minlength=10) / len(p)
        evenness = -(share * np.log(share + 1e-12)).sum() / np.log(10)
        return float(p.max(axis=-1).mean()), float(evenness)


def main(small: bool = False, out: Path = common.OUT) -> dict[str, float]:
    """Play; a classifier that knows only real digits judges the generated ones. A row of the picture is a moment."""
    sx.utils.set_random_seed(3)
    out.mkdir(parents=True, exist_ok=True)
    (x, y), (x_test, _) = common.mnist(small)
    x, x_test = common.halved(x)[..., None], common.halved(x_test)[..., None]
    rounds = 60 if small else 4500

    judge, game, rng = Judge(x, y, epochs=6 if small else 15), Game(), np.random.default_rng(3)
    noise = rng.standard_normal((1000, NOISE)).astype(np.float32)
    gallery, curve = [], []
    rows: list[tuple[Any, ...]] = [("rounds", "critic sees", "penalty", "Frechet distance", "certainty", "evenness")]
    moments = np.unique(np.geomspace(rounds / 100, rounds, 8).astype(int))
    for step in range(1, rounds + 1):
        for _ in range(CRITIC_STEPS):
            distance, penalty = game.critic_step(x[rng.choice(len(x), BATCH, replace=False)])
        game.generator_step()
        curve.append(distance)
        if step in moments:
            images = game.generator.predict(noise, verbose=0)
            rows.append((int(step), distance, penalty, judge.distance(images, x_test), *judge.certainty(images)))
            gallery.append(1 - images[:16, ..., 0])
            print(f"{step} rounds of {rounds}: Frechet distance {rows[-1][3]:.2f}")
    real = (judge.distance(x[: len(x_test)], x_test), *judge.certainty(x_test))
    print("\n" + common.table([*rows[:1], ("real", "", "", *real), *rows[1:]]))

    file = out / "gradient_penalty_gan.onnx"
    game.generator.export(file)
    comparison = sx.exporters.compare(game.generator, file, noise[:100])
    assert comparison, comparison
    common.picture_of(gallery, out / "gradient_penalty_gan.png", scale=3)
    smooth = np.convolve(curve, np.ones(20) / 20, mode="valid").tolist()
    chart = line_chart({"real - generated": smooth}, title="the distance that the critic sees", x_label="round")
    write(out / "gradient_penalty_gan_critic.svg", chart)
    return {
        "Frechet distance": rows[-1][3], "of real digits": real[0], "before": rows[1][3],
        "certainty": rows[-1][4], "evenness": rows[-1][5], "difference": comparison.largest,
    }  # fmt: skip


if __name__ == "__main__":
    common.run(main)
