"""Pix2Pix: a U-Net paints photographs from their edges, against a PatchGAN that judges patches (Isola et al. 2017).

Two models, two tapes, two optimizers, a loss and gradient clipping of its own, in an ordinary Python loop. The state
of the loop is saved as it goes: a run that was interrupted goes on where it was, to the last bit. The generator is
exported for pictures of any height and width that are multiples of 16, and paints whole photographs in onnxruntime.

    python examples/pix2pix.py [--small] [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import sardonyx as sx
from common import OUT, run, table
from sardonyx import layers, ops

DEPTH = 4  # halvings of height and width
MULTIPLE = 2**DEPTH
PATCH = 64
HELD_OUT = 0.3  # so much of every photograph, on its right, is not trained on
L1_WEIGHT = 60.0


# -- data: photographs and their edges ---------------------------------------------------------------------------------


def load_photographs(small: bool) -> list[np.ndarray]:
    """Photographs at half their size, (height, width, 3) in [-1, 1]: scikit-learn's, and scikit-image's if there."""
    from sklearn.datasets import load_sample_images

    images = list(load_sample_images().images)
    if not small:
        try:
            from skimage import data

            images += [data.coffee(), data.chelsea()]
        except ImportError:
            print("without scikit-image, there are two photographs to learn from")
    halves = []
    for image in images:
        height, width = (size // (2 * MULTIPLE) * 2 * MULTIPLE for size in image.shape[:2])
        blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
        halves.append(blocks.mean((1, 3), dtype=np.float32) / 127.5 - 1)
    return halves


SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32)
SOBEL_KERNELS = np.stack([SOBEL, SOBEL.T], -1)[:, :, None, :]


def edges_of(photographs: np.ndarray) -> np.ndarray:
    """Strength of the edges of (batch, height, width, 3), as (batch, height, width, 1) in [0, 1]; ink on no paper."""
    brightness = ops.mean(photographs, -1, keepdims=True)
    padded = ops.pad(brightness, [[0, 0], [1, 1], [1, 1], [0, 0]], "symmetric")
    slopes = ops.conv(padded, SOBEL_KERNELS, padding="valid")
    return ops.tanh(ops.sqrt(ops.sum(ops.square(slopes), -1, keepdims=True))).numpy()


def split(photographs: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The left part of every photograph to train on, and the right part, held out."""
    cuts = [int(image.shape[1] * (1 - HELD_OUT)) for image in photographs]
    return ([x[:, :c] for x, c in zip(photographs, cuts, strict=True)],
            [x[:, c:] for x, c in zip(photographs, cuts, strict=True)])  # fmt: skip


def patches(photographs: list[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """Patches (count, 64, 64, 3) from anywhere, half of them mirrored."""
    found = []
    for _ in range(count):
        image = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(size - PATCH + 1) for size in image.shape[:2])
        patch = image[top : top + PATCH, left : left + PATCH]
        found.append(patch[:, ::-1] if rng.random() < 0.5 else patch)
    return np.stack(found)


# -- models ------------------------------------------------------------------------------------------------------------


class Halve(layers.Layer):
    """Half the height and width."""

    def __init__(self, filters: int, normalized: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convolution = layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=not normalized, name="conv")
        self.norm = layers.BatchNormalization(momentum=0.9, name="norm") if normalized else None

    def call(self, x: Any) -> Any:
        x = self.convolution(x)
        return ops.leaky_relu(self.norm(x) if self.norm else x, 0.2)


class Double(layers.Layer):
    """Twice the height and width: repeated and smoothed, which leaves no chequers as a transposed convolution does."""

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.repeat = layers.UpSampling2D(name="repeat")
        self.convolution = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="conv")
        self.norm = layers.BatchNormalization(momentum=0.9, name="norm")

    def call(self, x: Any) -> Any:
        return ops.relu(self.norm(self.convolution(self.repeat(x))))


class Generator(sx.Model):
    """A U-Net: down to a sixteenth of height and width, and up again beside what was seen on the way."""

    def __init__(self, width: int) -> None:
        super().__init__(name="generator")
        filters = [width * min(2**i, 4) for i in range(DEPTH)]
        self.down = [Halve(f, normalized=0 < i < DEPTH - 1, name=f"down_{i + 1}") for i, f in enumerate(filters)]
        self.up = [Double(f, name=f"up_{i + 1}") for i, f in enumerate([*reversed(filters[:-1]), width])]
        self.paint = layers.Conv2D(3, 3, padding="same", activation="tanh", name="paint")

    def call(self, edges: Any) -> Any:
        """Edges (batch, height, width, 1) to pictures (batch, height, width, 3) in [-1, 1]."""
        x, seen = edges, []
        for halve in self.down:
            seen.append(x)
            x = halve(x)
        for double, beside in zip(self.up, reversed(seen), strict=True):
            x = ops.concatenate([double(x), beside], -1)
        return self.paint(x)


class Discriminator(sx.Model):
    """Judges every patch of 22 x 22 pixels by itself: a map of logits, above 0 for a photograph."""

    def __init__(self, width: int) -> None:
        super().__init__(name="discriminator")
        self.down = [Halve(width, normalized=False, name="down_1"), Halve(2 * width, name="down_2")]
        self.judge = layers.Conv2D(1, 4, padding="same", name="judge")

    def call(self, edges: Any, picture: Any) -> Any:
        """Edges and the picture that is said to belong to them."""
        x = ops.concatenate([edges, picture], -1)
        for halve in self.down:
            x = halve(x)
        return self.judge(x)


# -- the loop ----------------------------------------------------------------------------------------------------------


def against(logits: Any, is_real: bool) -> Any:
    """Binary cross-entropy of a map of logits that should all say the same."""
    return ops.mean(ops.softplus(-logits if is_real else logits))


def clip(gradients: list[Any], limit: float) -> list[Any]:
    """Gradients, scaled together where the norm of all of them is above the limit."""
    norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))
    return [g * (limit / ops.maximum(norm, limit)) for g in gradients]


def new_loop(width: int) -> sx.saving.Checkpoint:
    """Models, optimizers, random numbers and counters of a run that has not begun."""
    sx.utils.set_random_seed(1)
    # sizes of which the U-Net can halve every one: it is checked here, once, that all skips fit
    generator = Generator(width).trace(sx.TensorSpec((None, f"{MULTIPLE}*rows", f"{MULTIPLE}*columns", 1)))
    discriminator = Discriminator(width)
    discriminator(np.zeros((1, PATCH, PATCH, 1), np.float32), np.zeros((1, PATCH, PATCH, 3), np.float32))
    return sx.saving.Checkpoint(
        generator=generator, discriminator=discriminator, rng=np.random.default_rng(1), step=0, history=[],
        paints=sx.optimizers.Adam(1e-3, beta_1=0.5), judges=sx.optimizers.Adam(4e-4, beta_1=0.5),
    )  # fmt: skip


def advance(loop: sx.saving.Checkpoint, photographs: list[np.ndarray], batch: int) -> None:
    """One step of both models."""
    generator, discriminator = loop.generator, loop.discriminator
    real = patches(photographs, batch, loop.rng)
    edges = edges_of(real)
    with sx.GradientTape() as painting, sx.GradientTape() as judging:
        painted = generator(edges, training=True)
        on_real, on_painted = discriminator(edges, real, training=True), discriminator(edges, painted, training=True)
        distance = ops.mean(ops.abs(painted - real))
        fooling = against(on_painted, True)
        generator_loss = fooling + L1_WEIGHT * distance
        discriminator_loss = (against(on_real, True) + against(on_painted, False)) / 2
    for tape, loss, model, optimizer in (
        (painting, generator_loss, generator, loop.paints),
        (judging, discriminator_loss, discriminator, loop.judges),
    ):
        variables = model.trainable_variables
        optimizer.apply(clip(tape.gradient(loss, variables), 10.0), variables)
    loop.step += 1
    loop.history.append([float(distance), float(fooling), float(discriminator_loss)])


def train(loop: sx.saving.Checkpoint, photographs: list[np.ndarray], steps: int, batch: int, file: Path) -> None:
    """Up to so many steps, the state written now and then, and three steps before the end."""
    if file.exists():
        loop.restore(file)
        print(f"an interrupted run goes on at step {loop.step}")
    every = max(1, steps // 10)
    while loop.step < steps:
        if loop.step and (loop.step % every == 0 or loop.step == steps - 3):
            distance, fooling, judging = np.mean(loop.history[-every:], axis=0)
            print(f"step {loop.step:>5}/{steps}  L1 {distance:.4f}  generator {fooling:.3f}  judge {judging:.3f}")
            loop.save(file)
        advance(loop, photographs, batch)


def difference_after_resuming(loop: sx.saving.Checkpoint, again: sx.saving.Checkpoint, *work: Any, file: Path) -> float:
    """How far weights and state are from those of a loop that goes on from the file; 0 if to the last bit the same."""
    again.restore(file)
    while again.step < loop.step:
        advance(again, *work)
    first, second = (
        [v.numpy() for part in (x.generator, x.discriminator, x.paints, x.judges) for v in part.variables]
        for x in (loop, again)
    )
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


# -- results -----------------------------------------------------------------------------------------------------------


def to_pixels(image: np.ndarray) -> np.ndarray:
    """Edges in [0, 1] or a picture in [-1, 1], as RGB bytes."""
    shades = 1 - image if image.shape[-1] == 1 else (image + 1) / 2
    return np.uint8(np.round(255 * np.broadcast_to(np.clip(shades, 0, 1), (*image.shape[:2], 3))))


def draw(paint: Any, photographs: list[np.ndarray], parts: tuple[Any, Any], file: Path) -> None:
    """Edge, generated, photograph: patches trained on and held out, and a whole photograph."""
    from PIL import Image, ImageDraw, ImageFont

    gap, head, columns = 4, 20, 3
    whole = photographs[0]
    height, width = whole.shape[:2]
    patch_rows = [patches(part, columns, np.random.default_rng(5)) for part in parts]
    across = columns * (3 * PATCH + 3 * gap) + gap * (columns - 1)
    scale = (across - 2 * gap) / 3 / width
    size = (int(width * scale), int(height * scale))
    sheet = Image.new("RGB", (across + 2 * gap, 3 * head + 2 * PATCH + size[1] + 2 * gap), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    top = 0
    titles = ("trained on: edges, painted, photograph", "held out: edges, painted, photograph")
    for title, row in zip(titles, patch_rows, strict=True):
        pen.text((gap, top + 2), title, fill="#222222", font=font)
        for c, real in enumerate(row):
            edges = edges_of(real[None])
            for i, image in enumerate((edges[0], paint(edges)[0], real)):
                x = gap + c * (3 * PATCH + 4 * gap) + i * (PATCH + gap)
                sheet.paste(Image.fromarray(to_pixels(image)), (x, top + head))
        top += head + PATCH
    pen.text((gap, top + 2), "a whole photograph in onnxruntime; right of the line it was not trained on",
             fill="#222222", font=font)  # fmt: skip
    edges = edges_of(whole[None])
    for i, image in enumerate((edges[0], paint(edges)[0], whole)):
        x = gap + i * (size[0] + gap)
        sheet.paste(Image.fromarray(to_pixels(image)).resize(size), (x, top + head))
        cut = x + int(size[0] * (1 - HELD_OUT))
        pen.line((cut, top + head, cut, top + head + size[1]), fill="#ff0000")
    sheet.quantize(96).save(file, optimize=True)


def main(small: bool = False, out: Path = OUT) -> dict[str, float]:
    """Train, go on from the file once more, export, paint whole photographs in onnxruntime, draw."""
    out.mkdir(parents=True, exist_ok=True)
    photographs = load_photographs(small)
    parts = split(photographs)
    width, steps, batch = (4, 8, 2) if small else (20, 610, 8)
    file = out / f"pix2pix-loop-{width}.npz"
    loop = new_loop(width)
    train(loop, parts[0], steps, batch, file)
    apart = difference_after_resuming(loop, new_loop(width), parts[0], batch, file=file)

    loop.generator.export(out / "pix2pix.onnx")
    running = sx.exporters.runtime.session(str(out / "pix2pix.onnx"))

    def paint(edges: np.ndarray) -> np.ndarray:
        return running.run(None, {"edges": edges})[0]

    rows, largest = [("photograph", "size", "L1 trained on", "L1 held out", "NumPy - onnxruntime")], 0.0
    for i, image in enumerate(photographs):
        edges = edges_of(image[None])
        painted = paint(edges)[0]
        difference = float(np.abs(loop.generator(edges).numpy()[0] - painted).max())
        largest = max(largest, difference)
        error, cut = np.abs(painted - image), int(image.shape[1] * (1 - HELD_OUT))
        size = f"{image.shape[0]} x {image.shape[1]}"
        rows.append((str(i + 1), size, float(error[:, :cut].mean()), float(error[:, cut:].mean()), difference))
    print("\n" + table(rows))
    draw(paint, photographs, parts, out / "pix2pix.png")
    file.unlink()
    return {
        "L1 at first": loop.history[0][0],
        "L1 trained on": float(np.mean([row[2] for row in rows[1:]])),
        "L1 held out": float(np.mean([row[3] for row in rows[1:]])),
        "difference after resuming": apart,
        "difference": largest,
    }


if __name__ == "__main__":
    run(main)
