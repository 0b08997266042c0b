"""Small networks written with operations, to be exported."""

from __future__ import annotations

from typing import Any

import numpy as np

import sardonyx as sx
from sardonyx.exporters.convert import to_onnx
from sardonyx.exporters.runtime import session

ops = sx.ops


def weight(name: str, *shape: int) -> Any:
    """A variable with values that depend on its name alone."""
    rng = np.random.default_rng(list(name.encode()))
    scale = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
    return sx.Variable(lambda size, dtype: (rng.normal(size=size) * scale).astype(dtype), shape, name=name)


def positive(name: str, size: int) -> Any:
    """A variable of positive values."""
    rng = np.random.default_rng(list(name.encode()))
    return sx.Variable(lambda shape, dtype: (0.5 + rng.random(shape)).astype(dtype), (size,), name=name)


def dense(x: Any, name: str, units: int) -> Any:
    """A product and a bias."""
    return ops.matmul(x, weight(f"{name}_kernel", int(x.shape[-1]), units)) + weight(f"{name}_bias", units)


def conv(x: Any, name: str, filters: int, size: int = 3, **options: Any) -> Any:
    """A convolution without bias; 'same' unless told."""
    kernel = weight(f"{name}_kernel", size, size, int(x.shape[-1]), filters)
    return ops.conv(x, kernel, **{"padding": "same", **options})


def normalized(x: Any, name: str) -> Any:
    """BatchNormalization with fixed statistics."""
    channels = int(x.shape[-1])
    mean, offset = weight(f"{name}_mean", channels), weight(f"{name}_beta", channels)
    variance, scale = positive(f"{name}_variance", channels), positive(f"{name}_gamma", channels)
    return ops.batch_normalization(x, mean, variance, axis=-1, offset=offset, scale=scale)


def mlp(x: Any) -> Any:
    """Dense, ReLU, Dense, Softmax."""
    return ops.softmax(dense(ops.relu(dense(x, "d1", 16)), "d2", 4))


def lstm_sequence(x: Any) -> Any:
    """The outputs of an LSTM at every step."""
    return _lstm(x)[0]


def lstm_last(x: Any) -> Any:
    """The last output of an LSTM."""
    return _lstm(x)[1]


def _lstm(x: Any) -> Any:
    kernel, recurrent, bias = weight("kernel", 5, 16), weight("recurrent", 4, 16), weight("bias", 16)
    return ops.lstm(x, None, None, None, kernel, recurrent, bias)


def transformer_end(x: Any) -> Any:
    """LayerNormalization, GELU, Dense over a sequence."""
    return dense(ops.gelu(ops.layer_normalization(x, positive("gamma", 8), weight("beta", 8))), "d", 3)


def small_cnn(x: Any) -> Any:
    """Convolution, BatchNormalization, ReLU, pooling, Dense from channels-last."""
    x = ops.max_pool(ops.relu(normalized(conv(x, "c", 8), "n")), 2)
    return dense(ops.reshape(x, (-1, 7 * 7 * 8)), "d", 10)


def vgg(x: Any) -> Any:
    """VGG19 in small: five blocks of convolutions from channels-last, three dense layers."""
    for block, (filters, count) in enumerate([(4, 2), (8, 2), (8, 4), (8, 4), (8, 4)]):
        for i in range(count):
            name = f"b{block}c{i}"
            x = ops.relu(conv(x, name, filters) + weight(f"{name}_bias", filters))
        x = ops.max_pool(x, 2)
    x = ops.reshape(x, (-1, int(x.shape[1] * x.shape[2] * x.shape[3])))
    return ops.softmax(dense(ops.relu(dense(x, "d1", 16)), "d2", 10))


def residual(x: Any) -> Any:
    """Padding, strides, residual additions, squeeze-and-excitation, concatenation, global pooling."""
    x = ops.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)])
    x = ops.relu(normalized(conv(x, "stem", 8, 7, strides=2, padding="valid"), "n0"))
    x = ops.max_pool(x, 3, 2, "same")
    for i in range(2):
        y = ops.relu(normalized(conv(x, f"a{i}", 8), f"na{i}"))
        y = normalized(conv(y, f"b{i}", 8), f"nb{i}")
        squeezed = ops.sigmoid(dense(ops.relu(dense(ops.mean(y, axis=(1, 2)), f"s{i}", 4)), f"e{i}", 8))
        x = ops.relu(x + y * ops.reshape(squeezed, (-1, 1, 1, 8)))
    x = ops.concatenate([x, ops.average_pool(x, 3, 1, "same")], axis=-1)
    return ops.softmax(dense(ops.mean(x, axis=(1, 2)), "d", 5))


def segmentation(x: Any) -> Any:
    """Down, up, skip connection, a class for every pixel."""
    first = ops.relu(conv(x, "c1", 4))
    low = ops.relu(conv(ops.max_pool(first, 2), "c2", 4))
    high = ops.image.resize(low, (16, 16), interpolation="nearest")
    joined = ops.concatenate([first, high], axis=-1)
    return ops.softmax(conv(joined, "c3", 2, 1) + weight("c3_bias", 2), axis=-1)


SIZES = {"batch": 3, "time": 5}

MODELS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "mlp": (mlp, ("batch", 8)),
    "lstm_sequence": (lstm_sequence, ("batch", 7, 5)),
    "lstm_last": (lstm_last, ("batch", "time", 5)),
    "transformer_end": (transformer_end, ("batch", 6, 8)),
    "small_cnn": (small_cnn, ("batch", 14, 14, 3)),
    "vgg": (vgg, ("batch", 32, 32, 3)),
    "residual": (residual, ("batch", 32, 32, 3)),
    "segmentation": (segmentation, ("batch", 16, 16, 3)),
}


def graph_of(name: str) -> Any:
    """The traced graph of one of the networks."""
    function, shape = MODELS[name]
    return sx.trace(function, sx.TensorSpec(shape, name="x"))


def inputs_of(graph: Any) -> list[np.ndarray]:
    """Random inputs of a graph, symbolic sizes replaced by `SIZES`."""
    rng = np.random.default_rng(0)
    shapes = [[s if isinstance(s, int) else SIZES[str(s)] for s in x.shape] for x in graph.inputs]
    return [rng.normal(size=shape).astype(x.dtype) for shape, x in zip(shapes, graph.inputs, strict=True)]


def assert_same_in_onnxruntime(graph: Any, **options: Any) -> Any:
    """Export, run, compare with NumPy; returns the ONNX model."""
    model = to_onnx(graph, **options)
    running = session(model.SerializeToString(), device="cpu")
    inputs = inputs_of(graph)
    results = running.run(None, dict(zip([x.name for x in running.get_inputs()], inputs, strict=True)))
    for ours, theirs in zip(sx.tree.flatten(graph.run(*inputs)), results, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)
    return model
