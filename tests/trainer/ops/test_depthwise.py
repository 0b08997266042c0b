"""Depthwise kernels on every kind of window, against sums over taps in double precision; gradients in onnxruntime."""

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.exporters.convert import run_graph
from sardonyx.trainer.ops import depthwise_kernels

# name, images (batch, *sizes, channels), taps, multiplier, strides, dilation, lows, cells added behind
CASES = [
    ("same", (3, 7, 6, 4), (3, 3), 1, (1, 1), (1, 1), (1, 1), (1, 1)),
    ("one_image_one_channel", (1, 5, 5, 1), (3, 3), 1, (1, 1), (1, 1), (1, 1), (1, 1)),
    ("valid", (2, 7, 6, 3), (3, 2), 1, (1, 1), (1, 1), (0, 0), (0, 0)),
    ("uneven_pads", (2, 7, 6, 3), (4, 3), 1, (1, 1), (1, 1), (1, 0), (2, 2)),
    ("wider_pads_than_taps", (2, 4, 5, 3), (3, 3), 1, (1, 1), (1, 1), (4, 3), (3, 5)),
    ("cropped", (2, 9, 8, 3), (3, 3), 1, (1, 1), (1, 1), (-2, -1), (-1, -2)),
    ("multiplier", (2, 6, 5, 2), (3, 3), 3, (1, 1), (1, 1), (1, 1), (1, 1)),
    ("dilation", (2, 9, 8, 3), (3, 3), 1, (1, 1), (2, 3), (2, 3), (2, 3)),
    ("stride", (3, 9, 8, 4), (3, 3), 1, (2, 2), (1, 1), (1, 1), (1, 1)),
    ("stride_of_one_axis", (2, 9, 8, 4), (3, 3), 2, (1, 3), (1, 1), (1, 0), (1, 0)),
    ("stride_beyond_taps", (2, 11, 12, 3), (2, 2), 1, (4, 3), (1, 1), (0, 1), (0, 0)),
    ("stride_and_dilation", (2, 13, 12, 3), (3, 4), 1, (2, 4), (2, 3), (2, 1), (1, 3)),
    ("one_axis", (3, 17, 5), (4,), 1, (2,), (1,), (3,), (0,)),
    ("three_axes", (2, 5, 6, 7, 3), (3, 2, 3), 2, (1, 2, 1), (1, 1, 2), (1, 0, 2), (1, 1, 2)),
]


def windows(x, taps, strides, dilation, lows, highs):
    """What each tap sees, by tap, and the results' sizes."""
    room = [(max(low, 0), max(high, 0)) for low, high in zip(lows, highs, strict=True)]
    framed = np.pad(x.astype(float), ((0, 0), *room, (0, 0)))
    cut = [slice(max(-low, 0), n - max(-high, 0)) for low, high, n in zip(lows, highs, framed.shape[1:-1], strict=True)]
    framed = framed[(slice(None), *cut)]
    sizes = [
        (n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(framed.shape[1:-1], taps, strides, dilation, strict=True)
    ]
    seen = {
        tap: framed[
            (
                slice(None),
                *[
                    slice(t * d, t * d + (n - 1) * s + 1, s)
                    for t, d, n, s in zip(tap, dilation, sizes, strides, strict=True)
                ],
            )
        ]
        for tap in np.ndindex(*taps)
    }
    return seen, tuple(sizes)


@pytest.mark.parametrize("block_bytes", [1, 1 << 11, 1 << 20])
@pytest.mark.parametrize(
    ("shape", "taps", "multiplier", "window"), [(*c[1:4], c[4:]) for c in CASES], ids=[c[0] for c in CASES]
)
def test_depthwise(shape, taps, multiplier, window, block_bytes, monkeypatch):
    monkeypatch.setattr(depthwise_kernels, "BLOCK_BYTES", block_bytes)
    strides, dilation, lows, highs = window
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape, np.float32)
    weights = generator.standard_normal((*taps, shape[-1] * multiplier), np.float32)
    seen, sizes = windows(np.repeat(x, multiplier, -1), taps, strides, dilation, lows, highs)
    dy = generator.standard_normal((shape[0], *sizes, shape[-1] * multiplier), np.float32)
    out = depthwise_kernels.correlate_depthwise(x, weights, multiplier, strides, dilation, lows, sizes)
    np.testing.assert_allclose(out, sum(seen[tap] * weights[tap] for tap in seen), rtol=1e-4, atol=1e-5)
    found = depthwise_kernels.correlate_depthwise_kernel(x, dy, multiplier, taps, strides, dilation, lows)
    for tap, view in seen.items():
        np.testing.assert_allclose(found[tap], (view * dy).sum(tuple(range(dy.ndim - 1))), rtol=1e-3, atol=1e-4)


GRADIENTS = [
    ("same", (7, 6, 3), (3, 3, 3, 1), {"padding": "same"}),
    ("one_channel", (5, 5, 1), (3, 3, 1, 2), {"padding": "same"}),
    ("stride_multiplier", (9, 8, 3), (3, 2, 3, 2), {"strides": 2}),
    ("stride_same", (11, 10, 2), (2, 3, 2, 3), {"strides": 3, "padding": "same"}),
    ("dilation", (9, 8, 4), (3, 3, 4, 1), {"dilation_rate": 2, "padding": "same"}),
    ("wide", (4, 80, 2), (3, 3, 2, 1), {"padding": "same"}),
    ("one_axis", (9, 3), (3, 3, 2), {"padding": "same"}),
]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("image", "kernel", "options"), [c[1:] for c in GRADIENTS], ids=[c[0] for c in GRADIENTS])
def test_gradients_in_onnxruntime(image, kernel, options, batch):
    def gradients(x, k):
        with sx.GradientTape() as tape:
            tape.watch([x, k])
            y = sx.ops.depthwise_conv(x, k, **options)
            loss = sx.ops.sum(y * y)
        return tape.gradient(loss, [x, k])

    graph = sx.trace(gradients, sx.TensorSpec(("batch", *image)), sx.TensorSpec(kernel))
    generator = np.random.default_rng(0)
    x, k = (generator.standard_normal(s, np.float32) for s in ((batch, *image), kernel))
    for a, b in zip(gradients(sx.Tensor(x), sx.Tensor(k)), run_graph(graph, x, k), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
