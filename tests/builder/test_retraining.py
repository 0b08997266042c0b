"""Files of other libraries are trained on: head first, then all, by fit and by tape; names, BatchNorm, dropout stay."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import sardonyx as sx
from sardonyx import layers

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(32, 2, 6, 6)).astype(np.float32)
Y = (X[:, 0].mean(axis=(1, 2)) > X[:, 1].mean(axis=(1, 2))).astype(np.int64)
WEIGHTS = {
    "stem.conv.weight": DRAW.normal(size=(4, 2, 3, 3)) / 4, "stem.bn.weight": np.ones(4), "stem.bn.bias": np.zeros(4),
    "stem.bn.mean": DRAW.normal(size=4) / 4, "stem.bn.var": np.ones(4),
    "block.conv.weight": DRAW.normal(size=(6, 4, 3, 3)) / 6, "block.conv.bias": np.zeros(6),
    "fc.weight": DRAW.normal(size=(6, 3)) / 2, "fc.bias": np.zeros(3),
}  # fmt: skip


def as_initializers(values, nodes):
    return [numpy_helper.from_array(v, k) for k, v in values.items()]


def as_constants(values, nodes):
    for name, value in reversed(values.items()):
        nodes.insert(0, helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name)))
    return []


def as_half(values, nodes):
    for name in values:
        nodes.insert(0, helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    return [numpy_helper.from_array(v.astype(np.float16), f"{k}.half") for k, v in values.items()]


def as_bytes(values, nodes):
    """Matrices and kernels as int8 behind DequantizeLinear, the rest as they are."""
    made = []
    for name, value in values.items():
        if value.ndim < 2:
            made.append(numpy_helper.from_array(value, name))
            continue
        scale = np.array(np.abs(value).max() / 127, np.float32)
        made += [
            numpy_helper.from_array(np.round(value / scale).astype(np.int8), f"{name}.q"),
            numpy_helper.from_array(scale, f"{name}.scale"),
            numpy_helper.from_array(np.array(0, np.int8), f"{name}.zero"),
        ]  # fmt: skip
        inputs = [f"{name}.{part}" for part in ("q", "scale", "zero")]
        nodes.insert(0, helper.make_node("DequantizeLinear", inputs, [name]))
    return made


STORED = [as_initializers, as_constants, as_half, as_bytes]


def their_file(folder: Path, stored=as_initializers) -> Path:
    nodes = [
        helper.make_node("Conv", ["image:0", "stem.conv.weight"], ["a"], "/stem/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization", ["a", "stem.bn.weight", "stem.bn.bias", "stem.bn.mean", "stem.bn.var"], ["b"],
            "/stem/bn/BatchNormalization",
        ),
        helper.make_node("Relu", ["b"], ["c"], "/stem/relu/Relu"),
        helper.make_node("Conv", ["c", "block.conv.weight", "block.conv.bias"], ["d"], "/block/conv/Conv"),
        helper.make_node("Relu", ["d"], ["e"], "/block/relu/Relu"),
        helper.make_node("GlobalAveragePool", ["e"], ["f"], "/pool/GlobalAveragePool"),
        helper.make_node("Flatten", ["f"], ["/flatten/out:0"], "/flatten/Flatten", axis=1),
        helper.make_node("Gemm", ["/flatten/out:0", "fc.weight", "fc.bias"], ["logits"], "/fc/Gemm"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "/softmax/Softmax", axis=-1),
    ]  # fmt: skip
    weights = stored({k: np.asarray(v, np.float32) for k, v in WEIGHTS.items()}, nodes)
    graph = helper.make_graph(
        nodes, "theirs", [helper.make_tensor_value_info("image:0", TensorProto.FLOAT, ["N", 2, 6, 6])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"labels": "left,right,neither"})
    onnx.checker.check_model(model)
    (folder / "theirs.onnx").write_bytes(model.SerializeToString())
    return folder / "theirs.onnx"


def runtime(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def features_of(base):
    """The tensor before their classifier."""
    (gemm,) = [layer for layer in base.layers if any(v.path.startswith("fc.weight") for v in layer.weights)]
    return gemm.input


def with_head(base):
    head = layers.Dense(2, activation="softmax", name="ours")
    return sx.Model(base.input, head(features_of(base)))


def changed(model, before):
    return {v.path.removesuffix(".half").removesuffix(".q") for v, old in before if not np.array_equal(v.numpy(), old)}


def snapshot(model):
    return [(v, v.numpy()) for v in model.weights]


def by_fit(model, epochs, **options):
    model.compile(sx.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    return model.fit(X, Y, epochs=epochs, batch_size=16, verbose=0, **options).history["loss"]


def by_fit_on_features(model, epochs):
    return by_fit(model, epochs, cache_features=True)


def by_compiled_fit(model, epochs):
    model.compile(sx.optimizers.Adam(0.02), "sparse_categorical_crossentropy", jit_compile=True)
    return model.fit(X, Y, epochs=epochs, batch_size=16, verbose=0).history["loss"]


def by_tape(model, epochs):
    optimizer, loss_of = sx.optimizers.Adam(0.02), sx.losses.SparseCategoricalCrossentropy()
    losses = []
    for _ in range(2 * epochs):
        with sx.GradientTape() as tape:
            loss = loss_of(Y, model(X, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        losses.append(float(loss))
    return losses


THEIRS = {"stem.conv.weight", "stem.bn.weight", "stem.bn.bias", "block.conv.weight", "block.conv.bias"}
MEASURED = {"stem.bn.mean", "stem.bn.var"}
HEAD = {"ours/kernel", "ours/bias"}


WAYS = [*[(stored, by_fit_on_features) for stored in STORED], (as_initializers, by_fit), (as_constants, by_tape)]


@pytest.mark.parametrize(("stored", "train_head"), WAYS, ids=lambda part: part.__name__)
def test_head_first_then_all(tmp_path, stored, train_head):
    sx.utils.set_random_seed(0)
    model = with_head(sx.models.load_model(their_file(tmp_path, stored)))
    before = snapshot(model)
    first = train_head(model, 8)
    assert changed(model, before) == HEAD and first[-1] < first[0]
    model.unfreeze()
    second = (by_tape if train_head is by_tape else by_fit)(model, 12)
    assert changed(model, before) == HEAD | THEIRS | MEASURED
    assert second[-1] < first[-1]
    model.export(tmp_path / "ours.onnx")
    np.testing.assert_allclose(runtime(tmp_path / "ours.onnx", X), np.asarray(model(X)), rtol=1e-4, atol=1e-5)


def test_all_of_it_trains_compiled(tmp_path):
    model = with_head(sx.models.load_model(their_file(tmp_path)))
    model.unfreeze()
    before = snapshot(model)
    losses = by_compiled_fit(model, 12)
    assert losses[-1] < losses[0] and changed(model, before) == HEAD | THEIRS | MEASURED


PATTERNS = [
    (["stem.*"], {"stem.conv.weight", "stem.bn.weight", "stem.bn.bias"}),
    (["block.conv.bias"], {"block.conv.bias"}),
    (["*.conv.weight"], {"stem.conv.weight", "block.conv.weight"}),
    (["stem.bn.*", "block*"], {"stem.bn.weight", "stem.bn.bias", "block.conv.weight", "block.conv.bias"}),
]


@pytest.mark.parametrize(("patterns", "freed"), PATTERNS, ids=[" ".join(names) for names, _ in PATTERNS])
def test_names_in_the_file_are_patterns(tmp_path, patterns, freed):
    model = with_head(sx.models.load_model(their_file(tmp_path)))
    model.unfreeze(*patterns)
    assert {v.path for v in model.trainable_variables} == HEAD | freed


@pytest.mark.parametrize("alive", [False, True])
def test_batch_normalization_lives_when_it_is_freed(tmp_path, alive):
    model = sx.models.load_model(their_file(tmp_path))
    inner = sx.Model(model.input, _output_of_bn(model))
    if alive:
        inner.unfreeze("stem.bn*")
    found = np.asarray(inner(X, training=True))
    signal = convolved(X)
    mean, variance = WEIGHTS["stem.bn.mean"], WEIGHTS["stem.bn.var"]
    if alive:
        mean, variance = signal.mean(axis=(0, 2, 3)), signal.var(axis=(0, 2, 3))
    shaped = [np.reshape(v, (1, 4, 1, 1)) for v in (mean, variance)]
    np.testing.assert_allclose(found, (signal - shaped[0]) / np.sqrt(shaped[1] + 1e-5), rtol=1e-3, atol=1e-4)
    statistics = {v.path: v.numpy() for v in inner.weights if v.path in MEASURED}
    if alive:
        kept = 0.9 * np.asarray(WEIGHTS["stem.bn.mean"]) + 0.1 * mean
        np.testing.assert_allclose(statistics["stem.bn.mean"], kept, rtol=1e-3, atol=1e-5)
    else:
        np.testing.assert_array_equal(statistics["stem.bn.mean"], np.float32(WEIGHTS["stem.bn.mean"]))


def _output_of_bn(model):
    (bn,) = [layer for layer in model.layers if any(v.path == "stem.bn.mean" for v in layer.weights)]
    return bn.output


def convolved(x):
    """The file's first convolution, by its definition."""
    patches = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), (3, 3), (2, 3))
    return np.einsum("ncijhw,ochw->noij", patches, WEIGHTS["stem.conv.weight"])


def test_dropout_that_was_stripped_is_put_back(tmp_path):
    base = sx.models.load_model(their_file(tmp_path))
    (gemm,) = [layer for layer in base.layers if any(v.path == "fc.weight" for v in layer.weights)]
    model = sx.editing.insert(base, layers.Dropout(0.5, name="back"), before=gemm.name)
    assert not np.allclose(np.asarray(model(X, training=True)), np.asarray(model(X)))
    np.testing.assert_allclose(np.asarray(model(X)), runtime(tmp_path / "theirs.onnx", X), rtol=1e-5, atol=1e-6)
    assert model.trainable_variables == []
    model.unfreeze("fc.*")
    losses = by_fit(model, 15)
    assert losses[-1] < losses[0]
    model.export(tmp_path / "ours.onnx")
    assert not [n for n in onnx.load(tmp_path / "ours.onnx").graph.node if n.op_type in ("Dropout", "RandomUniform")]
    np.testing.assert_allclose(runtime(tmp_path / "ours.onnx", X), np.asarray(model(X)), rtol=1e-4, atol=1e-5)


def test_names_and_metadata_of_what_is_retrained_stay(tmp_path):
    path = their_file(tmp_path)
    model = sx.models.load_model(path)
    model.unfreeze("block*", "fc*")
    by_fit(model, 3)
    model.export(tmp_path / "ours.onnx")
    theirs, ours = onnx.load(path), onnx.load(tmp_path / "ours.onnx")
    assert [x.name for x in ours.graph.input] == ["image:0"]
    assert [x.name for x in ours.graph.output] == ["probabilities"]
    assert {p.key: p.value for p in ours.metadata_props}["labels"] == "left,right,neither"
    assert [d.dim_param or d.dim_value for d in ours.graph.input[0].type.tensor_type.shape.dim] == ["N", 2, 6, 6]
    before, after = ({x.name: numpy_helper.to_array(x) for x in m.graph.initializer} for m in (theirs, ours))
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {
        "block.conv.weight", "block.conv.bias", "fc.weight", "fc.bias"
    }  # fmt: skip


def test_a_new_head_keeps_the_input_of_the_file(tmp_path):
    model = with_head(sx.models.load_model(their_file(tmp_path)))
    by_fit(model, 1)
    model.export(tmp_path / "ours.onnx")
    ours = onnx.load(tmp_path / "ours.onnx").graph
    assert ([x.name for x in ours.input], [x.name for x in ours.output]) == (["image:0"], ["ours"])
    assert {"stem.conv.weight", "block.conv.weight"} <= {x.name for x in ours.initializer}


def test_training_goes_on_after_saving(tmp_path):
    sx.utils.set_random_seed(1)
    model = with_head(sx.models.load_model(their_file(tmp_path)))
    model.unfreeze("block*")
    first = by_fit(model, 5)
    model.save(tmp_path / "saved.onnx")
    again = sx.models.load_model(tmp_path / "saved.onnx")
    assert len(again.trainable_variables) == len(model.trainable_variables) == 4
    losses = again.fit(X, Y, epochs=10, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < first[0]
    again.unfreeze()
    assert len(again.trainable_variables) == 7


def test_a_whole_file_that_is_frozen_cannot_be_fitted(tmp_path):
    model = sx.models.load_model(their_file(tmp_path))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"fit would change nothing, for all its 9 weights are frozen.*unfreeze\(\)"):
        model.fit(X, Y, verbose=0)


def test_what_is_freed_after_compile_needs_another_compile(tmp_path):
    model = with_head(sx.models.load_model(their_file(tmp_path)))
    by_fit(model, 1)
    model.unfreeze("block*")
    with pytest.raises(ValueError, match=r"after unfreeze\(\), call compile\(\) again"):
        model.fit(X, Y, verbose=0)
