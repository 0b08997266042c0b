"""Networks as PyTorch exports them: their layers come back, with the names of their modules."""

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.builder.imported import imported_model
from sardonyx.exporters.read import open_source

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.peers


class Residual(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1)
        self.down = nn.Sequential(nn.Conv2d(channels, filters, 1, stride))

    def forward(self, x: Any) -> Any:
        return self.relu(self.conv2(self.relu(self.bn1(self.conv1(x)))) + self.down(x))


class Attention(nn.Module):
    """Heads of one's own, scaled by hand or by PyTorch."""

    def __init__(self, by_hand: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))
        self.by_hand = by_hand

    def forward(self, x: Any) -> Any:
        batch, time, _ = x.shape
        q, k, v = (m(x).view(batch, time, 2, 4).transpose(1, 2) for m in (self.q, self.k, self.v))
        if self.by_hand:
            mixed = torch.softmax(q @ k.transpose(-2, -1) / 2.0, -1) @ v
        else:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.o(mixed.transpose(1, 2).reshape(batch, time, 8))


class Words(nn.Module):
    """An embedding, a recurrence over it, the last step."""

    def __init__(self, kind: Any, width: int = 4, **options: Any) -> None:
        super().__init__()
        self.emb, self.rnn = nn.Embedding(20, 6), kind(6, 4, batch_first=True, **options)
        self.fc = nn.Linear(width, 3)

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(self.emb(x))[0][:, -1])


def images(*layers: Any) -> Any:
    return nn.Sequential(*layers), torch.randn(2, 3, 8, 8)


def words(kind: Any, **options: Any) -> Any:
    return Words(kind, **options), torch.randint(0, 20, (2, 7))


# the network with its input, and layers that must be found, by name
CASES: dict[str, tuple[Callable[[], Any], dict[str, str]]] = {
    "residual": (
        lambda: images(
            nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Sequential(Residual(8, 8, 1), Residual(8, 6, 2))
        ),
        {"0": "Conv2D", "1": "MaxPooling2D", "2.0.conv1": "Conv2D", "2.0.relu": "ReLU", "2.1.down.0": "Conv2D"},
    ),
    "many kinds": (
        lambda: images(
            nn.ConvTranspose2d(3, 4, 3, 2, 1, 1), nn.BatchNorm2d(4), nn.Hardswish(), nn.Upsample(scale_factor=2),
            nn.SiLU(), nn.PReLU(4), nn.AvgPool2d(2), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True),
            nn.LeakyReLU(0.2), nn.Mish(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU6(), nn.GELU(), nn.Softmax(1),
        ),
        {"0": "Conv2DTranspose", "1": "BatchNormalization", "2": "Activation", "3": "UpSampling2D", "4": "Activation",
         "5": "PReLU", "6": "AveragePooling2D", "7": "GroupNormalization", "8": "GroupNormalization", "9": "LeakyReLU",
         "10": "Activation", "11": "DepthwiseConv2D", "12": "ReLU", "13": "Activation", "14": "Softmax"},
    ),
    "LSTM": (lambda: words(nn.LSTM), {"emb": "Embedding", "rnn": "LSTM", "fc": "Dense"}),
    "GRU of two layers": (lambda: words(nn.GRU, num_layers=2), {"emb": "Embedding", "fc": "Dense"}),
    "LSTM in both directions": (lambda: words(nn.LSTM, width=8, bidirectional=True), {"rnn": "Bidirectional"}),
    "RNN": (lambda: words(nn.RNN, nonlinearity="relu"), {"rnn": "SimpleRNN"}),
    "attention by hand": (
        lambda: (Attention(True), torch.randn(2, 5, 8)), {"multi_head_attention": "MultiHeadAttention"},
    ),
    "scaled_dot_product_attention": (
        lambda: (Attention(False), torch.randn(2, 5, 8)), {"multi_head_attention": "MultiHeadAttention"},
    ),
    "transformer": (
        lambda: (nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(approximate="tanh"), nn.Linear(16, 8)),
                 torch.randn(2, 5, 8)),
        {"0": "LayerNormalization", "1": "Dense", "2": "Activation", "3": "Dense"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("opset", [14, 17])
@pytest.mark.parametrize("name", CASES)
def test_layers_come_back(name: str, opset: int, tmp_path: Path):
    torch.manual_seed(0)
    make, expected = CASES[name]
    network, x = make()
    network.eval()
    for weight in network.parameters():  # equal ones are one initializer in the file
        nn.init.normal_(weight, 0.3, 0.5)
    path = tmp_path / "theirs.onnx"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (x,), str(path), dynamo=False, opset_version=opset, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "batch"}},
        )  # fmt: skip
    model, nodes = sx.models.load_model(path), imported_model(open_source(path), lift=False)
    found = {layer.name: type(layer).__name__ for layer in model.layers}
    assert {key: found.get(key) for key in expected} == expected
    reference = network(x).detach().numpy()
    np.testing.assert_allclose(np.asarray(model(x.numpy())), np.asarray(nodes(x.numpy())), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(model(x.numpy())), reference, rtol=1e-4, atol=1e-5)
    model.export(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()
