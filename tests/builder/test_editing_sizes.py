"""Fixed sizes are freed: same bits at the old size, batches sample by sample, images of any size; or it is said why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from edited_models import DRAW, arrays, check_edited, close, in_runtime
from fixed_files import FILES

import sardonyx as sx

layers, editing, ops = sx.layers, sx.editing, sx.ops


def theirs(path: Path, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.mark.parametrize("name", FILES)
def test_the_batch_of_a_file_is_freed(name: str, tmp_path: Path):
    path = FILES[name](tmp_path / "fixed.onnx")
    model = sx.models.load_model(path)
    free = editing.free_sizes(model)
    assert [shape[0] for shape in (free.input_shape, free.output_shape)] == [None, None]
    x = DRAW.normal(size=(3, *free.input_shape[1:])).astype("float32")
    expected = np.concatenate([theirs(path, row[None]) for row in x])
    check_edited(free, [x], expected, tmp_path)
    assert np.array_equal(np.asarray(free(x[:1])), np.asarray(model(x[:1])))
    assert {v.path for v in free.weights} == {v.path for v in model.weights}


# A file, the axes freed beside the batch, another size, and the shape that comes out there.
OTHER_SIZES = [
    ("attention", {1: "time"}, (2, 9, 8), (2, 9, 8)),
    ("upsampling", {2: "2*height", 3: "2*width"}, (2, 3, 12, 10), (2, 5, 11, 10)),
    ("patches", (2, 3), (2, 3, 12, 10), (2, 4)),
    ("recurrent", {1: "time"}, (2, 7, 4), (2, 3)),
    ("interpolated", (2, 3), (2, 3, 7, 5), (2, 2, 14, 10)),
    ("turned", {1: "time"}, (2, 9, 8), (2, 9, 8)),
]


@pytest.mark.parametrize(("name", "axes", "size", "result"), OTHER_SIZES, ids=[row[0] for row in OTHER_SIZES])
def test_other_sizes_of_a_file_are_freed(name: str, axes: Any, size: Any, result: Any, tmp_path: Path):
    model = sx.models.load_model(FILES[name](tmp_path / "fixed.onnx"))
    free = editing.free_sizes(model, axes=axes)
    x = DRAW.normal(size=size).astype("float32")
    found = np.asarray(free(x))
    assert found.shape == result
    close(in_runtime(free, [x], tmp_path), [found])
    fixed = editing.fix_sizes(free, {"x": size})
    assert (fixed.inputs[0].shape, fixed.outputs[0].shape) == (size, result)
    close(in_runtime(fixed, [x], tmp_path), [found])


def fixed(shape: Any, build: Callable[[Any], Any]) -> Any:
    x = sx.Input(batch_shape=shape, name="x")
    return sx.Model(x, build(x))


def inner_model(x: Any) -> Any:
    inner = fixed((1, 8, 8, 3), lambda v: layers.Reshape((64, 3), name="tokens")(layers.Conv2D(3, 1, name="conv")(v)))
    inner.name = "inner"
    return layers.GlobalAveragePooling1D()(inner(x))


def tokens(x: Any) -> Any:
    y = layers.Dense(5)(ops.reshape(layers.Conv2D(4, 3, padding="same")(x), (64, 4)))
    return ops.mean(ops.reshape(ops.transpose(ops.reshape(y, (1, 8, 8, 5)), (0, 3, 1, 2)), (1, 5, 64)), axis=-1)


def begun(x: Any) -> Any:
    zeros = [ops.convert_to_tensor(np.zeros((1, 7), "float32")) for _ in range(2)]
    return layers.LSTM(7)(ops.reshape(x, (1, 64, 3)), initial_state=zeros)


def masked(x: Any) -> Any:
    """The mean over what lies above a threshold, counted against a tensor of ones of the fixed size."""
    ones = ops.convert_to_tensor(np.ones((1, 8, 8, 3), "float32"))
    return ops.sum(ops.where(x > 0, x, ops.broadcast_to(ops.convert_to_tensor(0.0), (1, 8, 8, 3)) * ones), axis=(1, 2))


def twice(x: Any) -> Any:
    shared = layers.Dense(3, name="shared")
    return ops.mean(shared(shared(x)), axis=(1, 2))


def halves(x: Any) -> Any:
    left, right = ops.split(x, 2, axis=2)
    return layers.GlobalAveragePooling2D()(left * right)


OURS: dict[str, Callable[[Any], Any]] = {
    "reshape layer": lambda x: layers.GlobalAveragePooling1D()(layers.Reshape((64, 3))(x)),
    "nested model": inner_model,
    "tokens": tokens,
    "first states": begun,
    "broadcast constants": masked,
    "halves": halves,
    "called twice": twice,
}


@pytest.mark.parametrize("name", OURS)
def test_batch_and_images_of_our_models_are_freed(name: str, tmp_path: Path):
    model = fixed((1, 8, 8, 3), OURS[name])
    free = editing.free_sizes(model, axes={1: "height", 2: "2*width"})
    assert free.input_shape == (None, None, None, 3)
    x = DRAW.normal(size=(2, 8, 8, 3)).astype("float32")
    check_edited(free, [x], np.concatenate([np.asarray(model(row[None])) for row in x]), tmp_path)
    larger = DRAW.normal(size=(2, 10, 12, 3)).astype("float32")
    close(in_runtime(free, [larger], tmp_path), arrays(free(larger)))
    ours = {id(v) for v in model.weights}
    assert {id(v) for v in free.weights} == ours


def test_a_larger_batch_is_freed():
    """The batch of 4 is also a size of other things: of heads, of features."""
    x = sx.Input(batch_shape=(4, 10, 4), name="x")
    heads = ops.transpose(ops.reshape(layers.Dense(16)(x), (4, 10, 4, 4)), (0, 2, 1, 3))
    flat = ops.reshape(heads, (16, 10, 4))
    y = ops.reshape(ops.softmax(flat @ ops.swapaxes(flat, 1, 2)) @ flat, (4, 4, 10, 4))
    model = sx.Model(x, ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (4, 10, 16)))
    free = editing.free_sizes(model)
    data = DRAW.normal(size=(8, 10, 4)).astype("float32")
    close(arrays(free(data)), [np.concatenate([np.asarray(model(data[:4])), np.asarray(model(data[4:]))])])
    assert free(data[:1]).shape == (1, 10, 16)


def test_the_first_input_alone_is_freed():
    a, b = sx.Input(batch_shape=(1, 4, 3), name="a"), sx.Input(batch_shape=(1, 4, 3), name="b")
    model = sx.Model([a, b], ops.mean(a, axis=1) + ops.mean(b, axis=1))
    free = editing.free_sizes(model, axes={"a": {1: "time"}})
    assert [x.shape[1] for x in free.inputs] == [sx.Input(("time",)).shape[1], 4]


def dense(x: Any) -> Any:
    return layers.Dense(2, name="fc")(layers.Flatten()(x))


def mixing(x: Any) -> Any:
    return x - ops.mean(x, axis=0, keepdims=True)


def ambiguous(x: Any) -> Any:
    inner = fixed((12, 3), lambda v: ops.reshape(layers.Dense(3, name="d")(v), (4, 3, 3)))
    inner.name = "inner"
    return ops.transpose(inner(ops.reshape(ops.transpose(x, (1, 0, 2)), (12, 3))), (1, 0, 2))


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: editing.free_sizes(fixed((1, 8, 8, 3), dense), axes=(1, 2)), sx.ShapeError,
     r"'fc' is made for the size that is to be free: .*3\*height\*width.* and 192.*\n.*Leave that size fixed, or put"),
    (lambda: editing.free_sizes(fixed((3, 4, 3), ambiguous), axes=1), sx.ShapeError,
     r"'inner' uses sizes that cannot be told from what enters it; take it apart first: sx.editing.split"),
    (lambda: editing.free_sizes(fixed((1, 8), mixing)), ValueError, "the output 'subtract' is not that of the batches"),
    (lambda: editing.free_sizes(fixed((1, 8), lambda x: ops.sum(x, axis=0))), ValueError, "has no axis for the batch"),
    (lambda: editing.free_sizes(fixed((None, 8), lambda x: x * 2)), ValueError,
     "there is nothing to be freed; the inp"),
    (lambda: editing.free_sizes(fixed((1, 8), mixing), axes=5), ValueError, "has axes 0 to 1, there is no axis 5"),
    (lambda: editing.free_sizes(fixed((1, 8), mixing), axes={"z": 1}), ValueError,
     "there is no input 'z'; there are: x"),
    (lambda: editing.free_sizes(fixed((1, 8), mixing), axes={1: "3*n"}), ValueError,
     r"axis 1 of 'x' is 8, which 3\*n is not"),
    (lambda: editing.free_sizes(fixed((1, 8), mixing), axes={1: 4}), ValueError,
     "freed by a name such as 'height', not 4"),
    (lambda: editing.free_sizes(layers.Dense(2)), TypeError, "expected a model, got Dense; open a file with"),
    (lambda: editing.free_sizes(sx.Sequential([layers.Dense(2)])), ValueError,
     "does not know the shapes of its inputs"),
    (lambda: editing.fix_sizes(fixed((None, 8), mixing)), ValueError, "say which sizes: batch="),
    (lambda: editing.fix_sizes(fixed((None, 8), mixing), time=3), ValueError,
     "there is no size or input 'time'; free s"),
    (lambda: editing.fix_sizes(fixed((None, 8), mixing), batch=0), ValueError,
     "'batch' is a whole number from 1 on, got 0"),
    (lambda: editing.fix_sizes(fixed((None, 8), mixing), {"x": (2, 9)}), ValueError, "has the shape .* is not"),
    (lambda: editing.fix_sizes(fixed((None, 8), mixing), {"x": (2,)}), ValueError, "has the shape .* got"),
    (lambda: editing.fix_sizes(fixed((None, None, 1), layers.Conv1D(1, 5, name="c")), {"x": (2, 3, 1)}),
     sx.ShapeError, "'c' does not fit here"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "kind", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused_sizes_say_why(edit: Callable[[], Any], kind: type[Exception], message: str):
    with pytest.raises(kind, match=f"(?s)editing.(free|fix)_sizes.*{message}"):
        edit()


def test_the_check_can_be_left_out():
    free = editing.free_sizes(fixed((1, 8), mixing), check=False)
    assert free.output_shape == (None, 8)
