"""What steps of a user's own and forgotten returns meet."""

from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers

X, Y = np.linspace(-1, 1, 40, dtype=np.float32).reshape(40, 1), np.zeros((40, 1), np.float32)


class OwnStep(sx.Model):
    """A step that computes the loss by `compute_loss`; `tracks` says whether it updates the loss metric itself."""

    def __init__(self, tracks: bool) -> None:
        super().__init__()
        self.dense = layers.Dense(1, kernel_initializer="ones")
        self.tracks = tracks

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred)
        if self.tracks:
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
        return self.compute_metrics(x, y, y_pred)


@pytest.mark.parametrize("tracks", [True, False])
def test_the_loss_is_counted_once(tracks: bool):
    model = OwnStep(tracks)
    model.compile("sgd", "mse")
    history = model.fit(X, Y, batch_size=32, shuffle=False, verbose=0).history["loss"]
    parts = [float((X[:32] ** 2).mean()), float((X[32:] ** 2).mean())]
    expected = np.mean(parts) if tracks else (32 * parts[0] + 8 * parts[1]) / 40
    assert history == [pytest.approx(expected, rel=1e-5)]


def test_a_forgotten_return_is_told():
    class Forgetful(layers.Layer):
        def call(self, inputs: Any) -> Any:
            inputs * 2

    with pytest.raises(TypeError, match=r"layer 'forgetful' \(Forgetful\): call\(\) returned None; is a `return`"):
        Forgetful()(X)
    with pytest.raises(TypeError, match="returned None"):
        Forgetful()(sx.Input((1,)))


def test_numpy_reductions_of_tensors():
    x = sx.ops.convert_to_tensor(X)
    assert float(np.mean(x)) == pytest.approx(0.0, abs=1e-6)
    assert np.sum(x, axis=1).shape == (40,)
    graph = sx.trace(lambda t: np.mean(t, axis=0), sx.TensorSpec(("batch", 1)))
    np.testing.assert_allclose(graph.run(X), X.mean(0), atol=1e-6)
    with pytest.raises(TypeError, match="unknown argument 'dtype'; use ops.mean"):
        np.mean(x, dtype="float64")
