"""What is remembered of a model during `fit`, and that changes are noticed all the same."""

import numpy as np
import pytest

import sardonyx as sx


def compiled(*layers):
    model = sx.Sequential([sx.Input((3,)), *layers])
    model.compile("sgd", "mse")
    return model


DATA = np.ones((8, 3), np.float32), np.ones((8, 2), np.float32)


class Freezes(sx.callbacks.Callback):
    """Changes something after the first batch, and keeps the kernels before each later one."""

    def __init__(self, change):
        super().__init__()
        self.change, self.kernels = change, []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.change(self.model)
        self.kernels.append(self.model.layers[-2].kernel.numpy())


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.layers[-2], "trainable", False),
        lambda model: setattr(model.layers[-2].kernel, "trainable", False),
    ],
    ids=["layer", "variable"],
)
def test_freezing_is_noticed_within_a_fit_and_after_it(change):
    model = compiled(sx.layers.Dense(4), sx.layers.Dense(2))
    listener = Freezes(change)
    first = model.layers[-2].kernel.numpy()
    model.fit(*DATA, batch_size=2, verbose=0, callbacks=[listener])
    assert not np.array_equal(first, listener.kernels[0])
    for kernel in listener.kernels[1:]:
        np.testing.assert_array_equal(kernel, listener.kernels[0])
    last = model.layers[-1].kernel.numpy()
    model.fit(*DATA, batch_size=2, verbose=0)
    np.testing.assert_array_equal(model.layers[-2].kernel.numpy(), listener.kernels[0])
    assert not np.array_equal(model.layers[-1].kernel.numpy(), last)


def test_weights_made_in_the_first_step_are_trained():
    class Late(sx.Model):
        def __init__(self):
            super().__init__()
            self.parts = []

        def build(self, shape):
            self.parts.append(sx.layers.Dense(2))

        def call(self, inputs):
            return self.parts[0](inputs)

    model = Late()
    model.compile("sgd", "mse")
    history = model.fit(*DATA, batch_size=2, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_outside_of_fit_a_list_may_grow():
    model = compiled(sx.layers.Dense(2))
    model.fit(*DATA, verbose=0)
    model.extras = [sx.Variable(1.0)]
    model.extras.append(sx.Variable(2.0))
    assert len(model.trainable_variables) == 4
