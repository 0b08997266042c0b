"""Networks that PyTorch exports: each opens, computes what onnxruntime computes, and goes back as it was."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import sardonyx as sx

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
pytestmark = pytest.mark.peers


class Module(nn.Module):
    """A function of a module and tensors, with parts."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


class Residual(nn.Module):
    """Two convolutions with normalization, and what goes past them."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.second, self.norm2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.past = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x: Any) -> Any:
        inside = self.norm2(self.second(functional.relu(self.norm1(self.first(x)))))
        return functional.relu(inside + self.past(x))


class Causal(nn.Module):
    """A layer of a language model, its mask made of the length."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, 16), nn.Embedding(32, 16)
        self.mixed, self.out = nn.Linear(16, 48), nn.Linear(16, 20)

    def forward(self, x: Any) -> Any:
        batch, time = x.shape
        h = self.words(x) + self.places(torch.arange(time))
        q, k, v = (part.view(batch, time, 2, 8).transpose(1, 2) for part in self.mixed(h).split(16, -1))
        scores = (q @ k.transpose(-1, -2)) / 8**0.5
        hidden = torch.tril(torch.ones(time, time)) == 0
        weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, time, 16))


def images(*shape: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.randn(*shape),)


def words(*shape: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.randint(0, 20, shape),)


def resized(mode: str, **options: Any) -> Callable[[], Any]:
    return lambda: Module(
        lambda s, x: functional.interpolate(s.conv(x), scale_factor=2, mode=mode, **options), conv=nn.Conv2d(3, 4, 1)
    )


NETWORKS: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Any, ...]]]] = {
    "perceptron": (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(-1)), images(2, 6)),
    "resnet": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Residual(8, 8, 1),
        Residual(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)), images(2, 3, 32, 32)),
    "mobile": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU6(), nn.Conv2d(8, 16, 1),
        nn.Hardsigmoid(), nn.AvgPool2d(2, ceil_mode=True)), images(1, 3, 17, 17)),
    "lstm": (lambda: Module(lambda s, x: s.rnn(x)[0], rnn=nn.LSTM(5, 7, 2, bidirectional=True, batch_first=True)),
             images(2, 6, 5)),
    "gru": (lambda: Module(lambda s, x: s.rnn(x)[0], rnn=nn.GRU(5, 7, bidirectional=True)), images(6, 2, 5)),
    "rnn": (lambda: Module(lambda s, x: s.rnn(x)[1], rnn=nn.RNN(5, 7, nonlinearity="relu")), images(6, 2, 5)),
    "encoder": (lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2, enable_nested_tensor=False), images(2, 7, 16)),
    "decoder": (lambda: Module(lambda s, x, m: s.layer(x, m),
                               layer=nn.TransformerDecoderLayer(16, 2, 32, batch_first=True)),
                lambda: (torch.randn(2, 5, 16), torch.randn(2, 7, 16))),
    "masked attention": (lambda: Module(
        lambda s, x, m: s.heads(x, x, x, key_padding_mask=m)[0], heads=nn.MultiheadAttention(16, 4, batch_first=True)),
        lambda: (torch.randn(2, 7, 16), torch.tensor([[False] * 5 + [True] * 2, [False] * 7]))),
    "causal attention": (Causal, words(2, 6)),
    "grid sample": (lambda: Module(
        lambda s, x, g: functional.grid_sample(s.conv(x), torch.tanh(g), align_corners=False), conv=nn.Conv2d(3, 4, 3)),
        lambda: (torch.randn(2, 3, 8, 8), torch.randn(2, 5, 6, 2))),
    "nearest": (resized("nearest"), images(1, 3, 5, 6)),
    "bilinear": (resized("bilinear", align_corners=False), images(1, 3, 5, 6)),
    "corners": (resized("bilinear", align_corners=True), images(1, 3, 5, 6)),
    "bicubic": (resized("bicubic", align_corners=False), images(1, 3, 5, 6)),
    "einsum": (lambda: Module(lambda s, x: torch.einsum("bij,jk,bkl->bil", x, s.w, x.transpose(1, 2)),
                              w=nn.Parameter(torch.randn(4, 4))), images(2, 3, 4)),
    "pixel shuffle": (lambda: nn.Sequential(nn.Conv2d(3, 16, 3), nn.PixelShuffle(2)), images(1, 3, 6, 6)),
    "embedding bag": (lambda: nn.EmbeddingBag(20, 8, mode="mean"), words(2, 5)),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.SiLU()), images(2, 3, 8, 8)),
    "instance norm": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.LeakyReLU(0.2)),
                      images(2, 3, 8, 8)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.GELU("tanh"), nn.Mish()),
                   images(2, 6)),
    "transposed convolution": (lambda: nn.Sequential(
        nn.ConvTranspose2d(3, 6, 4, 2, 1), nn.PReLU(6), nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1, groups=2)),
        images(1, 3, 5, 5)),
    "one dimension": (lambda: nn.Sequential(
        nn.Conv1d(3, 6, 3, dilation=2, padding=2), nn.ELU(), nn.Conv1d(6, 6, 3, groups=3), nn.Softplus()),
        images(2, 3, 12)),
    "three dimensions": (lambda: nn.Sequential(
        nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2)), images(1, 2, 6, 6, 6)),
    "frames": (lambda: nn.Sequential(
        nn.ZeroPad2d(1), nn.ReflectionPad2d(1), nn.ReplicationPad2d((1, 2, 0, 1)), nn.ConstantPad2d(1, 0.5)),
        images(1, 2, 5, 5)),
    "scatter": (lambda: Module(lambda s, x: torch.zeros(2, 6).scatter_add(1, s.places, x * s.w),
                               places=torch.tensor([[0, 0, 1, 2], [1, 1, 3, 5]]), w=nn.Parameter(torch.randn(4))),
                images(2, 4)),
    "slices and choices": (lambda: Module(
        lambda s, x: functional.glu(s.fc(x), -1) + torch.cat(torch.chunk(x, 2, -1)[::-1], -1)[:, :4]
        + torch.topk(x, 4, 1)[0] + torch.where(x > 0, x.cumsum(1), x.abs())[:, ::2], fc=nn.Linear(8, 8)), images(2, 8)),
    "tied": (lambda: Module(lambda s, x: s.words(x) @ s.words.weight.t(), words=nn.Embedding(20, 6)), words(2, 5)),
}  # fmt: skip


def exported(folder: Path, name: str, free: bool) -> tuple[Path, list[np.ndarray]]:
    """The file of a network, and values of its inputs; the first axes of all inputs free, or none."""
    torch.manual_seed(0)
    make, draw = NETWORKS[name]
    inputs = draw()
    names = [f"in{i}" for i in range(len(inputs))]
    axes = {key: {0: "batch"} for key in names} if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            make().eval(), inputs, str(folder / "m.onnx"), dynamo=False, opset_version=17, input_names=names,
            dynamic_axes=axes,
        )  # fmt: skip
    return folder / "m.onnx", [x.numpy() for x in inputs]


def in_runtime(path: Path, values: list[np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {x.name: v for x, v in zip(session.get_inputs(), values, strict=True)})


FREE = (
    "resnet", "lstm", "encoder", "masked attention", "causal attention", "grid sample", "bilinear",
    "slices and choices",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "free"), [*[(name, False) for name in NETWORKS], *[(name, True) for name in FREE]],
    ids=[*NETWORKS, *[f"{name}, any batch" for name in FREE]],
)  # fmt: skip
def test_it_opens_computes_and_goes_back(tmp_path: Path, name: str, free: bool):
    path, values = exported(tmp_path, name, free)
    model, expected = sx.models.load_model(path), in_runtime(path, values)
    found = sx.tree.flatten(model(values[0] if len(values) == 1 else values))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-4, atol=1e-5)
    model.export(tmp_path / "ours.onnx")
    assert onnx.load(tmp_path / "ours.onnx") == onnx.load(path)
    model.export(tmp_path / "anew.onnx", fold_batch_normalization=True)
    for a, b in zip(in_runtime(tmp_path / "anew.onnx", values), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
