"""A transformer language model, subclassed, that has read Python's own manual; its cache is part of the exported file.

Decoder blocks with normalization first, and linear biases for distance in place of positions (Press, Smith and Lewis
2022), over byte pairs. The text is `pydoc_data.topics`, the language reference in every Python. Three files:

    language_model.onnx           tokens -> logits of all next tokens
    language_model_step.onnx      tokens, past keys and values -> logits, keys and values with the new ones
    language_model_generate.onnx  a prompt, a seed, a temperature -> a text: the cache and a Loop inside
"""

from __future__ import annotations

import pydoc_data.topics
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
from byte_pairs import BytePairs

import sardonyx as sx
from common import run, table
from sardonyx import layers, ops
from sardonyx.builder import drawing
from sardonyx.builder.drawing import Group, Rectangle, Scene, Text
from sardonyx.exporters import session

HEADS, HIDDEN = 4, -1e9
PROMPT = "The class statement"
INK, BLUE = "#1f2733", "#2f6db3"


# -- the model ---------------------------------------------------------------------------------------------------------


class Block(layers.Layer):
    """Attention and a feed-forward part, each added to what it was given, normalized first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.first, self.second = layers.LayerNormalization(), layers.LayerNormalization()
        self.project, self.out = layers.Dense(3 * width, use_bias=False), layers.Dense(width)
        self.up, self.down = layers.Dense(4 * width, activation="gelu"), layers.Dense(width)

    def call(self, x: Any, bias: Any, past: Any = None, place: Any = None) -> Any:
        """The new `x`, and the keys and values so far `(batch, time, heads, depth)`.

        past: keys and values of earlier tokens, to go before the new ones, or, with `place`, a memory of fixed size in
        which the new token stands there
        """
        batch, steps, _ = x.shape
        projected = ops.reshape(self.project(self.first(x)), (batch, steps, 3 * HEADS, self.width // HEADS))
        query, key, value = ops.split(projected, 3, axis=2)
        if place is not None:
            here = ops.reshape(ops.arange(past[0].shape[1], dtype="int32") == place, (1, -1, 1, 1))
            key, value = ops.where(here, key, past[0]), ops.where(here, value, past[1])
        elif past is not None:
            key, value = ops.concatenate([past[0], key], axis=1), ops.concatenate([past[1], value], axis=1)
        seen = ops.dot_product_attention(query, key, value, bias=bias)
        x = x + self.out(ops.reshape(seen, (batch, steps, self.width)))
        return x + self.down(self.up(self.second(x))), key, value


class LanguageModel(sx.Model):
    """Logits `(batch, time, vocabulary)` of the next token at every place."""

    def __init__(self, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = layers.Embedding(vocabulary, width)
        self.blocks = [Block(width) for _ in range(depth)]
        self.norm, self.head = layers.LayerNormalization(), layers.Dense(vocabulary)

    def call(self, tokens: Any) -> Any:
        return self.advance(tokens)[0]

    def advance(self, tokens: Any, past: Any = None, place: Any = None) -> Any:
        """Logits, and keys and values `(depth, batch, time, heads, depth of a head)`, with what came before."""
        x = self.embedding(tokens)
        before = 0 if past is None else past[0].shape[2]
        if place is None:
            total = before + tokens.shape[1]
            bias = distance_bias(ops.arange(before, total, dtype="int32"), total)
        else:
            bias = distance_bias(ops.reshape(place, (1,)), before)
        keys, values = [], []
        for i, block in enumerate(self.blocks):
            x, key, value = block(x, bias, None if past is None else [past[0][i], past[1][i]], place)
            keys.append(key)
            values.append(value)
        return self.head(self.norm(x)), (ops.stack(keys), ops.stack(values))


def distance_bias(rows: Any, columns: Any) -> Any:
    """What is added to attention scores, `(1, heads, rows, columns)`: distance costs, what is to come is hidden."""
    distance = ops.expand_dims(rows, 1) - ops.arange(columns, dtype="int32")
    slopes = np.float32(2.0) ** (-8 * np.arange(1, HEADS + 1, dtype=np.float32) / HEADS)
    near = ops.cast(distance, "float32") * -slopes.reshape(1, HEADS, 1, 1)
    return ops.where(distance >= 0, near, HIDDEN)


class Step(sx.Model):
    """New tokens after what is remembered; the number of both is free, and nothing may be remembered yet."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def call(self, tokens: Any, keys: Any, values: Any) -> Any:
        logits, (keys, values) = self.model.advance(tokens, (keys, values))
        return {"logits": logits, "new_keys": keys, "new_values": values}


class Generate(sx.Model):
    """Continues prompts `(batch, time)` by `length` tokens, each of the `best` likeliest; the seed decides which."""

    def __init__(self, model: LanguageModel, length: int, best: int) -> None:
        super().__init__()
        self.model, self.length, self.best = model, length, best

    def call(self, prompt: Any, seed: Any, temperature: Any) -> Any:
        _, past = self.model.advance(prompt)
        room = ((0, 0), (0, 0), (0, self.length), (0, 0), (0, 0))
        memory = tuple(ops.pad(x, room) for x in past)
        last = ops.convert_to_tensor(prompt.shape[1] - 1, "int32")
        seeds = sx.random.split(seed, self.length)

        def step(tokens: Any, position: Any, memory: Any) -> Any:
            logits, memory = self.model.advance(ops.expand_dims(tokens, 1), memory, last + position)
            return logits[:, 0], memory

        def choose(logits: Any, position: Any) -> Any:
            least = ops.top_k(logits, self.best)[0][:, -1:]
            logits = ops.where(logits >= least, logits / temperature, HIDDEN)
            return sx.random.categorical(logits, 1, seed=ops.take(seeds, position, axis=0))[:, 0]

        tokens, _ = ops.greedy_search(step, prompt[:, -1], memory, None, self.length, choose)
        return {"tokens": tokens}


# -- export and decoding in onnxruntime --------------------------------------------------------------------------------


def export(model: LanguageModel, out: Path, length: int, best: int = 40) -> dict[str, Any]:
    """Write the three files; gives their sessions on one thread."""
    depth, size = len(model.blocks), model.blocks[0].width // HEADS
    past = (depth, "batch", "past", HEADS, size)
    step = Step(model).trace(
        sx.TensorSpec(("batch", "time"), "int32", "tokens"), sx.TensorSpec(past, name="keys"),
        sx.TensorSpec(past, name="values"),
    )  # fmt: skip
    generate = Generate(model, length, best).trace(
        sx.TensorSpec(("batch", "time"), "int32", "prompt"), sx.TensorSpec((2,), "uint32", "seed"),
        sx.TensorSpec((), name="temperature"),
    )  # fmt: skip
    model.trace(sx.TensorSpec(("batch", "time"), "int32", "tokens"))
    found = {}
    for name, each in {"": model, "_step": step, "_generate": generate}.items():
        each.export(out / f"language_model{name}.onnx")
        found[name] = session(str(out / f"language_model{name}.onnx"), threads=1)
    return found


def decode(sessions: dict[str, Any], model: LanguageModel, prompt: list[int], length: int, cached: bool) -> Any:
    """Greedy decoding in onnxruntime: tokens, and the logits and the processor's seconds of each step."""
    tokens, logits, seconds = list(prompt), [], []
    empty = np.zeros((len(model.blocks), 1, 0, HEADS, model.blocks[0].width // HEADS), np.float32)
    past, new = (empty, empty), list(prompt)
    for _ in range(length):
        started = time.process_time()
        if cached:
            feed = {"tokens": np.array([new], np.int32), "keys": past[0], "values": past[1]}
            found, *past = sessions["_step"].run(["logits", "new_keys", "new_values"], feed)
        else:
            found = sessions[""].run(None, {"tokens": np.array([tokens], np.int32)})[0]
        seconds.append(time.process_time() - started)
        logits.append(found[0, -1])
        new = [int(found[0, -1].argmax())]
        tokens += new
    return tokens, np.array(logits), np.array(seconds)


# -- the picture -------------------------------------------------------------------------------------------------------


def draw(history: dict[str, list[float]], times: dict[str, np.ndarray], samples: dict[str, str], path: Path) -> None:
    """Learning curves, the time of a token, and what the model writes."""
    losses = drawing.line_chart(
        {name: history[name] for name in ("loss", "val_loss")}, title="Cross-entropy of a byte pair", x_label="epoch"
    )
    blocks = {name: x[: len(x) // 8 * 8].reshape(-1, 8).min(axis=1) * 1e3 for name, x in times.items()}
    places = [8.0 * i + 4 for i in range(len(next(iter(blocks.values()))))]
    title = "Milliseconds for a token, one thread of onnxruntime"
    clock = drawing.line_chart(blocks, x=places, title=title, x_label="tokens before")
    shapes: list[Any] = [Group(losses.children), Group(clock.children, dx=losses.width)]
    top, width, longest = losses.height + 18, (losses.width + clock.width - 18) / len(samples), 0
    for column, (name, sample) in enumerate(samples.items()):
        left = 18 + column * width
        lines = [part for line in sample.splitlines() for part in textwrap.wrap(line, 68) or [""]]
        longest = max(longest, len(lines))
        shapes += [Text(left, top, name, 11.5, True, fill=INK), Rectangle(left, top + 8, 2.5, 15.0 * len(lines), BLUE)]
        for i, line in enumerate(lines):
            indent = 5.5 * (len(line) - len(line.lstrip()))
            shapes.append(Text(left + 10 + indent, top + 20 + 15 * i, line.strip(), 11.0, fill=INK))
    y = top + 24 + 15 * longest
    scene = Scene(losses.width + clock.width, y, tuple(shapes), title="A language model of Python's manual")
    drawing.write(path, scene, scale=1.4)


# -- all of it ---------------------------------------------------------------------------------------------------------


def windows(tokens: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Parts of a text, each with the same part one token further: what comes next."""
    parts = (len(tokens) - 1) // size
    return tokens[: parts * size].reshape(parts, size), tokens[1 : parts * size + 1].reshape(parts, size)


def main(small: bool = False, out: Path = Path("examples-output")) -> dict[str, float]:
    """Train, write and check the three files, and draw `language_model.png`."""
    sx.utils.set_random_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    topics = list(pydoc_data.topics.topics.values())
    text = "\n\n".join(topics[:12] if small else topics)
    pairs = BytePairs(text, 160 if small else 512)
    tokens = np.array(pairs.encode(text), np.int32)
    held_out = len(tokens) // 10
    context = 32 if small else 64
    x, y = windows(tokens[held_out:], context)
    validation = windows(tokens[:held_out], context)
    print(f"{len(text):,} characters are {len(tokens):,} tokens, such as {pairs.tokens[-8:]}")

    model = LanguageModel(len(pairs.tokens), 32 if small else 128, 2 if small else 3)
    epochs, batch = (2, 16) if small else (6, 16)
    rate = sx.optimizers.schedules.CosineDecay(1e-3, epochs * (len(x) // batch), warmup_target=3e-3, warmup_steps=50)
    model.compile(sx.optimizers.AdamW(rate, clipnorm=1.0), sx.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, batch, epochs, verbose=2, validation_data=validation).history

    length = 48 if small else 200
    sessions = export(model, out, 96)
    prompt = pairs.encode(PROMPT)
    rows, found = [("decoding in onnxruntime", "ms a token", "ms the last tokens")], {}
    for name, cached in {"whole text every time": False, "cache": True}.items():
        decode(sessions, model, prompt, 4, cached)
        found[name] = decode(sessions, model, prompt, length, cached)
        times = 1e3 * found[name][2][1:]
        rows.append((name, float(np.median(times)), float(np.median(times[-10:]))))
    print("\n" + table(rows) + "\n")

    feed = {"prompt": np.array([prompt], np.int32)}
    samples, same = {}, []
    for seed, temperature in enumerate([0.5, 1.0]):
        feed |= {"seed": np.array([seed, 0], np.uint32), "temperature": np.array(temperature, np.float32)}
        drawn = sessions["_generate"].run(None, feed)[0]
        same.append(np.array_equal(drawn, Generate(model, 96, 40)(*feed.values())["tokens"].numpy()))
        samples[f"Temperature {temperature}, the 40 likeliest tokens"] = PROMPT + pairs.decode(drawn[0].tolist())
    samples["Greedy"] = pairs.decode(found["cache"][0][: len(prompt) + 96])
    print("\n\n".join(f"--- {name}\n{sample}" for name, sample in samples.items()))
    draw(history, {name: seconds for name, (_, _, seconds) in found.items()}, samples, out / "language_model.png")

    whole, stepwise = found["whole text every time"], found["cache"]
    eager = model(np.array([stepwise[0][:-1]], np.int32)).numpy()[0, len(prompt) - 1 :]
    return {
        "loss": history["loss"][-1],
        "validation loss": history["val_loss"][-1],
        "bits a character": history["val_loss"][-1] / np.log(2) * len(tokens) / len(text),
        "same tokens with and without cache": float(whole[0] == stepwise[0]),
        "difference with and without cache": float(np.abs(whole[1] - stepwise[1]).max()),
        "difference from NumPy": float(np.abs(eager - stepwise[1]).max()),
        "same samples as NumPy": float(np.mean(same)),
        "ms a token, cache": rows[2][1],
        "ms a token, whole text": rows[1][1],
    }


if __name__ == "__main__":
    run(main)
