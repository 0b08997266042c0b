"""Windows over images with a frame given in cells: convolutions, transposed ones, pooling, against PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.peers
L = sx.layers
X = np.random.default_rng(0).normal(size=(2, 3, 9, 8)).astype(np.float32)
FIRST = {"data_format": "channels_first"}


def kernel(layer: Any) -> Any:
    """The kernel as PyTorch has it: the last two axes in front, in the other order."""
    return torch.from_numpy(np.ascontiguousarray(layer.kernel.numpy().transpose(3, 2, 0, 1)))


# layer, PyTorch's result from the layer and an image
CASES: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], Any]]] = {
    "Conv2D": (
        lambda: L.Conv2D(4, 3, 2, padding=((1, 1), (1, 1)), **FIRST),
        lambda layer, x: F.conv2d(x, kernel(layer), stride=2, padding=1),
    ),
    "Conv2D, sides differ": (
        lambda: L.Conv2D(4, 3, 2, padding=[[2, 0], [0, 1]], **FIRST),
        lambda layer, x: F.conv2d(F.pad(x, (0, 1, 2, 0)), kernel(layer), stride=2),
    ),
    "Conv2DTranspose": (
        lambda: L.Conv2DTranspose(4, 3, 2, padding=((1, 1), (1, 1)), output_padding=1, **FIRST),
        lambda layer, x: F.conv_transpose2d(x, kernel(layer), stride=2, padding=1, output_padding=1),
    ),
    "MaxPooling2D": (
        lambda: L.MaxPooling2D(3, 2, padding=((1, 1), (1, 1)), **FIRST),
        lambda layer, x: F.max_pool2d(x, 3, 2, 1),
    ),
    "AveragePooling2D": (
        lambda: L.AveragePooling2D(3, 2, padding=((1, 1), (1, 1)), **FIRST),
        lambda layer, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_cells_of_the_frame_are_those_asked_for(name: str):
    make, reference = CASES[name]
    layer = make()
    found = np.asarray(layer(X))
    expected = reference(layer, torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape(X.shape) == found.shape


BAD = {
    "one axis only": ((1, 1),),
    "a negative size": ((1, 1), (-1, 0)),
    "three numbers": ((1, 1, 1), (0, 0, 0)),
    "unknown name": "full",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kind", [lambda p: L.Conv2D(1, 3, padding=p), lambda p: L.MaxPooling2D(2, padding=p)])
def test_other_frames_are_refused(name: str, kind: Callable[[Any], Any]):
    with pytest.raises(ValueError, match="padding must be"):
        kind(BAD[name])
