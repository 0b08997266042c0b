"""Layers of random models: what each takes, and random arguments for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Family:
    """A layer by class name: the ranks (with the batch) and kinds of elements it takes, random arguments, operands.

    `alike`: the operands have one shape.
    """

    ranks: tuple[int, ...]
    kinds: str
    draw: Callable[[Random, Any], dict[str, Any] | None]
    count: int = 1
    alike: bool = False


FAMILIES: dict[str, Family] = {}
ACTIVATIONS = (None, "relu", "tanh", "sigmoid", "gelu", "softmax", "elu", "swish")


def family(
    name: str, ranks: Any, draw: Any = None, kinds: str = "f", count: int = 1, alike: bool = False,
) -> None:  # fmt: skip
    """A line of the table."""
    FAMILIES[name] = Family(tuple(ranks), kinds, draw or (lambda r, x: {}), count, alike)


def each(r: Random, low: int, high: int, rank: int) -> Any:
    """A number for all axes of space, or one for each."""
    one = r.randint(low, high)
    return one if r.random() < 0.7 or rank == 1 else tuple(r.randint(low, high) for _ in range(rank))


def _units(r: Random, x: Any) -> dict[str, Any]:
    return {"units": r.randint(1, 4), "activation": r.choice(ACTIVATIONS), "use_bias": r.random() < 0.8}


def _einsum_dense(r: Random, x: Any) -> dict[str, Any]:
    pairs = [("...a,ab->...b", 3), ("ab,bc->ac", 2)]
    if len(x.shape) == 3:
        pairs = [("abc,cd->abd", (None, 3)), ("abc,cde->abde", (None, 2, 3)), ("abc,bd->acd", (None, 3))]
    equation, shape = r.choice(pairs)
    return {"equation": equation, "output_shape": shape}


def _convolution(rank: int, transposed: bool = False) -> Any:
    def draw(r: Random, x: Any) -> dict[str, Any]:
        strides = each(r, 1, 2, rank)
        dilated = strides == 1 and r.random() < 0.3
        found = {
            "filters": r.randint(1, 3), "kernel_size": each(r, 1, 3, rank), "strides": strides,
            "padding": r.choice(["valid", "same", "same"]), "activation": r.choice(ACTIVATIONS[:4]),
            "use_bias": r.random() < 0.8,
        }  # fmt: skip
        if dilated:
            found["dilation_rate"] = 2
        if rank == 1 and not transposed and r.random() < 0.2:
            found["padding"] = "causal"
        if not transposed and r.random() < 0.1:
            found["groups"], found["filters"] = 2, 2
        if r.random() < 0.08:
            found["data_format"] = "channels_first"
        return found

    return draw


def _depthwise(rank: int, separable: bool = False) -> Any:
    def draw(r: Random, x: Any) -> dict[str, Any]:
        found = {
            "kernel_size": r.randint(1, 3), "strides": r.randint(1, 2), "padding": r.choice(["valid", "same"]),
            "depth_multiplier": r.randint(1, 2), "use_bias": r.random() < 0.7,
        }  # fmt: skip
        return {**found, "filters": r.randint(1, 3)} if separable else found

    return draw


def _pooling(rank: int) -> Any:
    def draw(r: Random, x: Any) -> dict[str, Any]:
        found: dict[str, Any] = {
            "pool_size": each(r, 1, 3, rank), "padding": r.choice(["valid", "same"]),
            "strides": r.choice([None, None, 1, 2, 3]),
        }  # fmt: skip
        return {**found, "data_format": "channels_first"} if r.random() < 0.08 else found

    return draw


def _pair(rank: int, high: int) -> Any:
    def draw(r: Random) -> Any:
        kind = r.random()
        if kind < 0.4:
            return r.randint(0, high)
        pair = tuple((r.randint(0, high), r.randint(0, high)) for _ in range(rank))
        return pair[0] if rank == 1 else pair

    return draw


def _reshape(r: Random, x: Any) -> dict[str, Any]:
    sizes: list[Any] = [s if isinstance(s, int) else None for s in x.shape[1:]]
    kind = r.randrange(5)
    if kind == 0 or not sizes:
        return {"target_shape": (-1,)}
    if kind == 1:
        return {"target_shape": (-1, r.choice([1, 2, 3]))}
    if kind == 2 and None not in sizes:
        return {"target_shape": tuple(reversed(sizes))}
    if kind == 3 and sizes[-1] is not None:
        return {"target_shape": (-1, sizes[-1])}
    return {"target_shape": (*[-1 if s is None else s for s in sizes], 1)}


def _recurrent(r: Random, x: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"units": r.randint(1, 3), "return_sequences": r.random() < 0.6}
    for name, chance in (("return_state", 0.15), ("go_backwards", 0.15), ("unroll", 0.07)):
        if r.random() < chance:
            found[name] = True
    return found


def _gru(r: Random, x: Any) -> dict[str, Any]:
    return {**_recurrent(r, x), "reset_after": r.random() < 0.7}


def _bidirectional(r: Random, x: Any) -> dict[str, Any]:
    options = {"units": r.randint(1, 2), "return_sequences": r.random() < 0.6}
    merge = r.choice(["concat", "sum", "mul", "ave", None])
    return {"layer": (r.choice(["LSTM", "GRU", "SimpleRNN"]), options), "merge_mode": merge}


def _time_distributed(r: Random, x: Any) -> dict[str, Any]:
    rank = len(x.shape) - 1
    options = [name for name in ("Dense", "Flatten", "LayerNormalization", "Conv1D", "GlobalAveragePooling1D", "Conv2D",
               "MaxPooling2D", "LSTM", "Dropout") if rank in FAMILIES[name].ranks]  # fmt: skip
    name = r.choice(options)
    drawn = FAMILIES[name].draw(r, x) or {}
    drawn.pop("return_state", None)
    return {"layer": (name, drawn)}


def _heads(r: Random, x: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"num_heads": r.randint(1, 2), "key_dim": r.randint(1, 3)}
    for name, chance in (("value_dim", 0.2), ("output_shape", 0.2)):
        if r.random() < chance:
            found[name] = r.randint(1, 3)
    return {**found, "call": {"use_causal_mask": True}} if r.random() < 0.3 else found


def _last_or(r: Random, x: Any) -> Any:
    return -1 if r.random() < 0.7 else r.randint(1, len(x.shape) - 1)


def _groups(r: Random, x: Any) -> dict[str, Any]:
    size = x.shape[-1]
    fitting = [d for d in (1, 2, 3, -1) if isinstance(size, int) and size and size % d == 0]
    return {"groups": r.choice(fitting or [1])}


def _dot(r: Random, x: Any) -> dict[str, Any]:
    rank = len(x.shape)
    axes = r.choice([-1, rank - 1, 1, (1, 1), (rank - 1, rank - 1)])
    return {"axes": axes, "normalize": r.random() < 0.3}


def _rates(r: Random, x: Any) -> dict[str, Any]:
    return {"rate": r.choice([0.0, 0.3, 0.5]), "seed": r.randint(1, 9)}


def _masking(r: Random, x: Any) -> dict[str, Any]:
    return {"mask_value": 0.0}


SPATIAL = (1, 2, 3)

family("Dense", (2, 3, 4, 5), _units)
family("EinsumDense", (2, 3), _einsum_dense)
for _rank in SPATIAL:
    _ranks = (_rank + 2,)
    family(f"Conv{_rank}D", _ranks, _convolution(_rank))
    family(f"Conv{_rank}DTranspose", _ranks, _convolution(_rank, True))
    family(f"MaxPooling{_rank}D", _ranks, _pooling(_rank))
    family(f"AveragePooling{_rank}D", _ranks, _pooling(_rank))
    for _kind in ("GlobalMaxPooling", "GlobalAveragePooling"):
        family(f"{_kind}{_rank}D", _ranks, lambda r, x: {"keepdims": r.random() < 0.3})
    for _kind in ("AdaptiveMaxPooling", "AdaptiveAveragePooling"):
        family(f"{_kind}{_rank}D", _ranks, lambda r, x, n=_rank: {"output_size": each(r, 1, 3, n)})
    family(f"UpSampling{_rank}D", _ranks, lambda r, x, n=_rank: {"size": each(r, 1, 2, n)})
    family(f"ZeroPadding{_rank}D", _ranks, lambda r, x, n=_rank: {"padding": _pair(n, 2)(r)})
    family(f"Cropping{_rank}D", _ranks, lambda r, x, n=_rank: {"cropping": _pair(n, 1)(r)})
    family(f"SpatialDropout{_rank}D", _ranks, _rates)
    if _rank < 3:
        family(f"DepthwiseConv{_rank}D", _ranks, _depthwise(_rank))
        family(f"SeparableConv{_rank}D", _ranks, _depthwise(_rank, True))
family(
    "UpSampling2D", (4,), lambda r, x: {"size": each(r, 1, 3, 2), "interpolation": r.choice(["nearest", "bilinear"])}
)
family("Resizing", (4,), lambda r, x: {"height": r.randint(1, 5), "width": r.randint(1, 5),
       "interpolation": r.choice(["bilinear", "nearest"])})  # fmt: skip
family("CenterCrop", (4,), lambda r, x: {"height": r.randint(1, 3), "width": r.randint(1, 3)})
family("Rescaling", (2, 3, 4), lambda r, x: {"scale": 0.5, "offset": r.choice([0.0, 1.0])})
family("Flatten", (1, 2, 3, 4, 5), kinds="fib")
family("Reshape", (2, 3, 4, 5), _reshape)
family("Permute", (3, 4, 5), lambda r, x: {"dims": tuple(r.sample(range(1, len(x.shape)), len(x.shape) - 1))})
family("RepeatVector", (2,), lambda r, x: {"n": r.randint(1, 3)})
family("Embedding", (1, 2, 3), lambda r, x: {"input_dim": 6, "output_dim": r.randint(1, 3),
       "mask_zero": r.random() < 0.4}, "i")  # fmt: skip
family("LSTM", (3,), _recurrent)
family("GRU", (3,), _gru)
family("SimpleRNN", (3,), _recurrent)
family("Bidirectional", (3,), _bidirectional)
family("TimeDistributed", (3, 4, 5), _time_distributed)
family("MultiHeadAttention", (3,), _heads, count=2)
family(
    "GroupedQueryAttention", (3,), lambda r, x: {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 2}, count=2
)
family(
    "Attention", (3,), lambda r, x: {"use_scale": r.random() < 0.5, "score_mode": r.choice(["dot", "concat"])}, count=2
)
family("AdditiveAttention", (3,), lambda r, x: {"use_scale": r.random() < 0.5}, count=2)
family("LayerNormalization", (2, 3, 4), lambda r, x: {"axis": _last_or(r, x), "epsilon": 0.1})
family("RMSNormalization", (2, 3, 4), lambda r, x: {"axis": _last_or(r, x), "epsilon": 0.1})
family(
    "BatchNormalization", (2, 3, 4, 5), lambda r, x: {"axis": _last_or(r, x), "epsilon": 0.1, "scale": r.random() < 0.7}
)
family("GroupNormalization", (2, 3, 4), lambda r, x: {**_groups(r, x), "epsilon": 0.1})
family("UnitNormalization", (2, 3, 4), lambda r, x: {"axis": _last_or(r, x)})
family("Normalization", (2, 3), lambda r, x: {"axis": None, "mean": 0.5, "variance": 2.0})
for _name in ("Dropout", "GaussianDropout", "AlphaDropout"):
    family(_name, (2, 3, 4), _rates)
family("GaussianNoise", (2, 3, 4), lambda r, x: {"stddev": 0.2, "seed": 1})
family("ActivityRegularization", (2, 3), lambda r, x: {"l2": 0.01})
family("Activation", (1, 2, 3, 4, 5), lambda r, x: {"activation": r.choice(ACTIVATIONS[1:])})
family("ReLU", (2, 3, 4), lambda r, x: {"max_value": r.choice([None, 1.0]), "negative_slope": r.choice([0.0, 0.1])})
family("LeakyReLU", (2, 3, 4))
family("ELU", (2, 3, 4))
family("PReLU", (2, 3, 4), lambda r, x: {"shared_axes": r.choice([None, [1]])})
family("Softmax", (2, 3, 4), lambda r, x: {"axis": _last_or(r, x)})
family("Identity", (1, 2, 3, 4, 5), kinds="fib")
family("Masking", (3,), _masking)
family("Discretization", (2, 3), lambda r, x: {"bin_boundaries": [-0.6, 0.1, 0.9]})
family(
    "CategoryEncoding",
    (1, 2),
    lambda r, x: {"num_tokens": 6, "output_mode": r.choice(["multi_hot", "one_hot", "count"])},
    "i",
)
for _name in ("Add", "Average", "Multiply", "Maximum", "Minimum", "Subtract"):
    family(_name, (2, 3, 4, 5), count=2, alike=True)
family("Concatenate", (2, 3, 4, 5), lambda r, x: {"axis": _last_or(r, x)}, count=2, alike=True)
family("Dot", (2, 3), _dot, count=2, alike=True)
