"""The architectures of the zoo, what Keras 3.15 says of each, and random weights for them."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import sardonyx as sx

FACTS = json.loads(Path(__file__).with_name("zoo_facts.json").read_text(encoding="utf-8"))
ARCHITECTURES = sorted({key.partition("/")[0] for key in FACTS})
# Too large for every change: minutes and gigabytes when two libraries hold them at once.
LARGEST = ("ConvNeXtLarge", "ConvNeXtXLarge", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2L", "NASNetLarge")
SMALLEST_SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
# Variance of a layer's output over that of its input, with which values neither vanish nor grow without end.
GAINS = {"EfficientNetB6": 1.35, "EfficientNetB7": 1.35, "EfficientNetV2L": 1.7, "EfficientNetV2": 1.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "top": {"classes": 10},
    "average": {"include_top": False, "pooling": "avg"},
    "largest": {"include_top": False, "pooling": "max"},
}


def arguments(architecture: str, variant: str = "top", weights: Any = None) -> dict[str, Any]:
    """The arguments for a network of small images."""
    size = SMALLEST_SIZES.get(architecture, 32)
    return {"weights": weights, "input_shape": (size, size, 3), **VARIANTS[variant]}


def checksum(names: list[str]) -> int:
    """A number that differs when a name or the order of names does."""
    return zlib.crc32("\n".join(names).encode())


def images(architecture: str, count: int = 2, size: int | None = None) -> np.ndarray:
    """Random images with values 0 ... 255, prepared as the network expects them."""
    size = size or SMALLEST_SIZES.get(architecture, 32)
    values = np.random.default_rng(1).uniform(0, 255, (count, size, size, 3)).astype(np.float32)
    makes_own = architecture.startswith(("EfficientNet", "ConvNeXt", "MobileNetV3"))
    return values if makes_own else sx.applications.imagenet_utils.preprocess_input(values, mode="tf")


def random_gain(architecture: str) -> float:
    """The gain with which an architecture's values stay of the size of one."""
    return next((gain for start, gain in GAINS.items() if architecture.startswith(start)), 1.7)


def random_variables(weights: list[Any]) -> list[Any]:
    """The variables that are given random values: all but the state of random generators."""
    return [variable for variable in weights if "seed_generator" not in variable.path]


def random_values(path: str, shape: tuple[int, ...], rng: np.random.Generator, gain: float) -> np.ndarray:
    """Values that keep activations of the size of one, different for each weight and each statistic."""
    kind = path.rpartition("/")[2]
    if kind == "count" or "seed" in path:
        return np.zeros(shape, np.int32)
    if kind in ("moving_variance", "variance"):
        return rng.uniform(0.5, 1.5, shape)
    if kind == "gamma" and "layer_scale" in path:
        return rng.uniform(0.1, 0.3, shape)
    if kind == "gamma":
        return rng.uniform(0.7, 1.3, shape)
    if len(shape) < 2:
        return rng.normal(0, 0.1, shape)
    inputs = 1 if is_depthwise(kind, path) else shape[-2]
    kernel = rng.normal(0, np.sqrt(gain / inputs), shape)
    if len(shape) == 4:
        # Small images end as one point, which only the middle of a kernel sees: it weighs most.
        height, width = shape[:2]
        around = np.ones((height, width, 1, 1), bool)
        around[(height - 1) // 2, (width - 1) // 2] = False
        kernel *= np.where(around, 0.8 / np.sqrt(height * width), 1)
    return kernel


def randomize(model: Any, architecture: str) -> Any:
    """Random values for a network of ours, which is returned."""
    rng, gain = np.random.default_rng(0), random_gain(architecture)
    for variable, path in model.weight_names().items():
        variable.assign(random_values(path, variable.shape, rng, gain))
    return model


def is_depthwise(kind: str, path: str) -> bool:
    """Whether each output of a kernel comes from one channel."""
    return kind == "depthwise_kernel" or "dwconv" in path or "_dw_" in path or "depthwise" in path


def agree(actual: Any, expected: Any, tolerance: float = 1e-4) -> None:
    """Raise unless the values differ by less than a share of the largest."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = np.abs(expected).max()
    assert np.isfinite(scale) and scale > 1e-3, "the expected values say nothing"
    assert expected.std(axis=0).max() > 1e-4 * scale, "the expected values do not depend on the images"
    assert np.abs(actual - expected).max() <= tolerance * scale
