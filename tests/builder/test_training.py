"""Training: repeatable, the same in every style, whatever form the data has, and open to the user's own steps."""

import numpy as np
import pytest

import sardonyx as sx

R = np.random.default_rng(0)
X = R.normal(size=(40, 6)).astype("float32")
IMAGES = R.normal(size=(24, 6, 6, 1)).astype("float32")
LABELS = R.integers(0, 3, 40)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
Y = R.normal(size=(40, 1)).astype("float32")
QUIET = {"verbose": 0}


def stack(dropout=0.3):
    return [
        sx.layers.Conv2D(3, 3, padding="same", use_bias=False), sx.layers.BatchNormalization(), sx.layers.ReLU(),
        sx.layers.Dropout(dropout), sx.layers.Flatten(), sx.layers.Dense(3),
    ]  # fmt: skip


def sequential(layers):
    return sx.Sequential([sx.Input((6, 6, 1)), *layers])


def functional(layers):
    x = inputs = sx.Input((6, 6, 1))
    for layer in layers:
        x = layer(x)
    return sx.Model(inputs, x)


class Stack(sx.Model):
    def __init__(self, layers):
        super().__init__()
        self.steps = layers

    def call(self, inputs):
        for step in self.steps:
            inputs = step(inputs)
        return inputs


def subclassed(layers):
    return Stack(layers)


STYLES = [sequential, functional, subclassed]
LOSS = sx.losses.SparseCategoricalCrossentropy(from_logits=True)


def trained(make, seed, dropout=0.3, weights=None, **options):
    sx.trainer.seed.set_random_seed(seed)
    model = make(stack(dropout))
    model.build((None, 6, 6, 1))
    if weights is not None:
        model.set_weights(weights)
    model.compile(sx.optimizers.Adam(0.01), LOSS, metrics=["accuracy"])
    options = {"epochs": 3, "batch_size": 7, "validation_split": 0.25, **QUIET, **options}
    history = model.fit(IMAGES, LABELS[:24], **options).history
    return history, model.get_weights()


@pytest.mark.parametrize("make", STYLES)
def test_same_seed_same_history_bit_for_bit(make):
    first, second = trained(make, 5), trained(make, 5)
    assert first[0] == second[0]
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", STYLES)
def test_another_seed_another_history(make):
    assert trained(make, 5)[0]["loss"] != trained(make, 6)[0]["loss"]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("make", STYLES[1:])
def test_styles_train_alike(make, dropout):
    base = sequential(stack())
    weights = base.get_weights()
    expected = trained(sequential, 5, dropout, weights)
    got = trained(make, 5, dropout, weights)
    if dropout == 0.0:
        assert got[0] == expected[0]
        for a, b in zip(got[1], expected[1], strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        assert got[0].keys() == expected[0].keys()


def test_styles_give_the_same_outputs_and_gradients():
    weights = sequential(stack()).get_weights()
    results = []
    for make in STYLES:
        model = make(stack(0.0))
        model.build((None, 6, 6, 1))
        model.set_weights(weights)
        with sx.GradientTape() as tape:
            outputs = model(IMAGES, training=True)
            loss = LOSS(LABELS[:24], outputs)
        gradients = tape.gradient(loss, model.trainable_variables)
        results.append([outputs.numpy(), model(IMAGES).numpy(), *[g.numpy() for g in gradients]])
    for other in results[1:]:
        for a, b in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


# -- forms of data -------------------------------------------------------------------------------------------------


def linear(loss="mse", optimizer="sgd", **options):
    sx.trainer.seed.set_random_seed(1)
    model = sx.Sequential([sx.Input((6,)), sx.layers.Dense(1)])
    model.compile(optimizer, loss, **options)
    return model


class Dataset:
    """The parts of a `PyDataset` that count."""

    def __init__(self):
        self.ended = 0

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return X[i * 8 : i * 8 + 8], Y[i * 8 : i * 8 + 8]

    def on_epoch_end(self):
        self.ended += 1


class Loader:
    """Like a DataLoader: a length, a new iterator each time, batches as lists."""

    def __len__(self):
        return 5

    def __iter__(self):
        return iter([[x, y] for x, y in batches()])


class Unsized:
    def __iter__(self):
        return batches()


def batches():
    return iter([(X[i : i + 8], Y[i : i + 8]) for i in range(0, 40, 8)])


def forever():
    while True:
        yield from batches()


class Detached:
    """A tensor of another library."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.values

    __len__ = None
    shape = X.shape


class Frame:
    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values


FORMS = {
    "arrays": lambda: ((X, Y), {}),
    "nested lists": lambda: ((X.tolist(), Y.tolist()), {}),
    "double precision": lambda: ((X.astype("float64"), Y.astype("float64")), {}),
    "tensors": lambda: ((sx.ops.convert_to_tensor(X), sx.ops.convert_to_tensor(Y)), {}),
    "other library's tensors": lambda: ((Detached(X), Detached(Y)), {}),
    "data frames": lambda: ((Frame(X), Frame(Y)), {}),
    "targets without last axis": lambda: ((X, Y[:, 0]), {}),
    "dataset": lambda: ((Dataset(),), {}),
    "loader": lambda: ((Loader(),), {}),
    "iterable without length": lambda: ((Unsized(),), {}),
    "list of tuples in an iterable": lambda: ((map(tuple, list(batches()) * 2),), {"steps_per_epoch": 5}),
    "endless generator": lambda: ((forever(),), {"steps_per_epoch": 5}),
    "dataset with steps": lambda: ((Dataset(),), {"steps_per_epoch": 5}),
    "arrays with steps": lambda: ((X, Y), {"steps_per_epoch": 5}),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_data_train_alike(form):
    reference = linear()
    expected = reference.fit(X, Y, epochs=2, batch_size=8, shuffle=False, **QUIET)
    arguments, options = FORMS[form]()
    model = linear()
    if len(arguments) == 2:
        options["batch_size"] = 8
    got = model.fit(*arguments, epochs=2, shuffle=False, **QUIET, **options)
    assert got.history == expected.history
    np.testing.assert_array_equal(model.get_weights()[0], reference.get_weights()[0])


def test_torch_loader():
    torch = pytest.importorskip("torch")
    set_of = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(set_of, batch_size=8)
    expected = linear().fit(X, Y, epochs=2, batch_size=8, shuffle=False, **QUIET).history
    model = linear()
    assert model.fit(loader, epochs=2, validation_data=loader, **QUIET).history["loss"] == expected["loss"]
    assert model.evaluate(loader, **QUIET) == pytest.approx(model.evaluate(X, Y, **QUIET))


def test_dataset_is_told_of_the_end_of_each_epoch():
    dataset = Dataset()
    linear().fit(dataset, epochs=3, shuffle=False, **QUIET)
    assert dataset.ended == 3


def two_headed():
    sx.trainer.seed.set_random_seed(2)
    a, b = sx.Input((6,), name="a"), sx.Input((2,), name="b")
    joined = sx.layers.Concatenate()([a, b])
    kind, size = sx.layers.Dense(3, name="kind", activation="softmax")(joined), sx.layers.Dense(1, name="size")(joined)
    return a, b, kind, size


INPUTS = X, X[:, :2]
NESTED = [
    ("lists", lambda a, b, k, s: ([a, b], [k, s]), list(INPUTS), [LABELS, Y]),
    ("tuples", lambda a, b, k, s: ([a, b], [k, s]), INPUTS, (LABELS, Y)),
    ("names", lambda a, b, k, s: ([a, b], [k, s]), dict(zip("ab", INPUTS, strict=True)), {"size": Y, "kind": LABELS}),
    (
        "dictionaries",
        lambda a, b, k, s: ({"b": b, "a": a}, {"size": s, "kind": k}),
        {"b": INPUTS[1], "a": X},
        {"kind": LABELS, "size": Y},
    ),
]


@pytest.mark.parametrize(("make", "x", "y"), [case[1:] for case in NESTED], ids=[case[0] for case in NESTED])
def test_several_inputs_and_outputs(make, x, y):
    model = sx.Model(*make(*two_headed()))
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    model.compile("sgd", losses, loss_weights={"size": 0.5}, metrics={"kind": "accuracy", "size": ["mae", "mse"]})
    history = model.fit(x, y, epochs=1, batch_size=40, shuffle=False, validation_data=(x, y), **QUIET).history
    names = ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae", "size_mse"]
    assert sorted(history) == sorted([*names, *[f"val_{name}" for name in names]])
    total = history["kind_loss"][0] + 0.5 * history["size_loss"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)
    assert history["size_mse"][0] == pytest.approx(history["size_loss"][0], rel=1e-5)
    predicted = model.predict(x, batch_size=16, **QUIET)
    assert [p.shape for p in sx.tree.flatten(predicted)] in ([(40, 3), (40, 1)], [(40, 1), (40, 3)])


# -- weights of samples and classes --------------------------------------------------------------------------------


def classifier():
    sx.trainer.seed.set_random_seed(1)
    model = sx.Sequential([sx.Input((6,)), sx.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    return model


def test_class_weight_is_sample_weight_by_label():
    table = {0: 1.0, 1: 5.0, 2: 0.25}
    weights = np.array([table[int(i)] for i in LABELS], "float32")
    by_class = classifier().fit(X, LABELS, class_weight=table, shuffle=False, **QUIET).history
    by_sample = classifier().fit(X, LABELS, sample_weight=weights, shuffle=False, **QUIET).history
    assert by_class == by_sample
    assert by_class["loss"] != classifier().fit(X, LABELS, shuffle=False, **QUIET).history["loss"]


def test_class_weight_reads_one_hot_labels():
    sparse, dense = classifier(), classifier()
    dense.compile("sgd", "categorical_crossentropy")
    options = {"class_weight": {0: 3.0, 1: 0.5, 2: 1.0}, "shuffle": False, **QUIET}
    a = sparse.fit(X, LABELS, **options).history["loss"]
    assert dense.fit(X, ONE_HOT, **options).history["loss"] == pytest.approx(a)


def test_weighted_metrics_use_weights_and_plain_ones_do_not():
    model = classifier()
    weights = (LABELS == 0).astype("float32")
    results = model.evaluate(X, LABELS, sample_weight=weights, return_dict=True, **QUIET)
    right = model.predict(X, **QUIET).argmax(-1) == LABELS
    assert results["accuracy"] == pytest.approx(right.mean())
    assert results["accuracy_1"] == pytest.approx(right[LABELS == 0].mean())


def test_zero_weights_teach_nothing():
    model = classifier()
    before = model.get_weights()
    model.fit(X, LABELS, sample_weight=np.zeros(40), **QUIET)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


# -- validation, steps, epochs -------------------------------------------------------------------------------------


def test_validation_split_takes_the_last_samples():
    model = linear()
    history = model.fit(X, Y, validation_split=0.25, **QUIET).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[30:], Y[30:], **QUIET))


@pytest.mark.parametrize(
    "data",
    [
        lambda: (X[:9], Y[:9]),
        lambda: (X[:9], Y[:9], np.ones(9)),
        lambda: [X[:9], Y[:9]],
        lambda: iter([(X[:9], Y[:9])]),
    ],
)
def test_forms_of_validation_data(data):
    model = linear()
    history = model.fit(X, Y, validation_data=data(), **QUIET).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[:9], Y[:9], **QUIET))


@pytest.mark.parametrize(("frequency", "count"), [(1, 4), (2, 2), ([1, 4], 2)])
def test_validation_frequency(frequency, count):
    history = linear().fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=frequency, **QUIET).history
    assert (len(history["loss"]), len(history["val_loss"])) == (4, count)


def test_validation_steps_and_batch_size():
    model = linear()
    history = model.fit(
        X, Y, validation_data=(X, Y), validation_steps=2, validation_batch_size=5, shuffle=False, **QUIET
    ).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[:10], Y[:10], **QUIET))


def test_initial_epoch_counts_on():
    model = linear()
    history = model.fit(X, Y, epochs=5, initial_epoch=3, **QUIET)
    assert history.epoch == [3, 4]
    assert model.history is history


def test_endless_generator_goes_on_where_it_stopped():
    seen = []

    def counting():
        for i in range(100):
            seen.append(i)
            yield X[:4], Y[:4]

    linear().fit(counting(), epochs=3, steps_per_epoch=4, **QUIET)
    assert seen == list(range(12))


@pytest.mark.parametrize("shuffle", [True, "batch", False])
def test_shuffling_shows_each_sample_once(shuffle):
    seen = []

    class Watching(sx.Sequential):
        def train_step(self, data):
            seen.append(data[0][:, 0])
            return super().train_step(data)

    model = Watching([sx.Input((1,)), sx.layers.Dense(1)])
    model.compile("sgd", "mse")
    numbers = np.arange(20, dtype="float32")[:, None] / 20
    model.fit(numbers, numbers, batch_size=4, shuffle=shuffle, epochs=2, **QUIET)
    first, second = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    np.testing.assert_array_equal(np.sort(first), numbers[:, 0])
    assert (first == second).all() == (shuffle is False)
    assert all((np.diff(batch) > 0).all() for batch in seen) == (shuffle is not True)


# -- results -------------------------------------------------------------------------------------------------------


def test_forms_of_results():
    model = classifier()
    names = ["loss", "accuracy", "accuracy_1"]
    for call in (model.evaluate, model.train_on_batch, model.test_on_batch):
        options = QUIET if call == model.evaluate else {}
        assert [type(v) for v in call(X, LABELS, **options)] == [float] * 3
        assert list(call(X, LABELS, return_dict=True, **options)) == names
    assert isinstance(linear().evaluate(X, Y, **QUIET), float)
    assert isinstance(linear().train_on_batch(X, Y), float)
    predicted = model.predict(X, batch_size=7, **QUIET)
    assert isinstance(predicted, np.ndarray) and predicted.shape == (40, 3)
    np.testing.assert_allclose(model.predict_on_batch(X), predicted, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X, runtime="numpy", **QUIET), predicted, rtol=1e-5, atol=1e-7)


def test_loss_of_unequal_batches_is_the_mean_over_samples():
    model = linear()
    expected = float(np.mean((model(X).numpy() - Y) ** 2))
    for size in (40, 32, 7, 1):
        assert model.evaluate(X, Y, batch_size=size, **QUIET) == pytest.approx(expected, rel=1e-5)


def test_metrics_start_anew_every_epoch_and_validation():
    model = linear(metrics=["mae"])
    model.optimizer.learning_rate = 0.0
    history = model.fit(X, Y, epochs=3, validation_data=(X, Y), **QUIET).history
    for name in ("loss", "mae", "val_loss", "val_mae"):
        assert history[name] == pytest.approx([history[name][0]] * 3, rel=1e-5)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("mae", "mae"), ("MeanAbsoluteError", "MeanAbsoluteError"), (sx.metrics.MeanAbsoluteError(name="m"), "m"),
        (lambda y, p: sx.ops.mean(sx.ops.absolute(y - p), -1), "<lambda>"),
    ],
)  # fmt: skip
def test_metrics_are_named_as_given(given, name):
    history = linear(metrics=[given]).fit(X, Y, **QUIET).history
    assert list(history) == ["loss", name]


# -- the user's own steps ------------------------------------------------------------------------------------------


class Own(sx.Sequential):
    def train_step(self, data):
        x, y = data
        with sx.GradientTape() as tape:
            loss = sx.ops.mean(sx.ops.square(self(x, training=True) - y))
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
        )
        return {"loss": loss, "twice": 2 * loss}

    def test_step(self, data):
        return {"constant": 7.0}

    def predict_step(self, data):
        return self(data[0]) * 0 + 3


def own_like(model, kind=Own):
    own = kind([sx.Input((6,)), sx.layers.Dense(1)])
    own.set_weights(model.get_weights())
    own.compile("sgd", "mse")
    return own


def test_own_steps():
    plain = linear()
    own = own_like(plain)
    plain.fit(X, Y, epochs=2, shuffle=False, **QUIET)
    history = own.fit(X, Y, epochs=2, shuffle=False, validation_data=(X, Y), **QUIET).history
    np.testing.assert_allclose(own.get_weights()[0], plain.get_weights()[0], rtol=1e-5, atol=1e-7)
    assert list(history) == ["loss", "twice", "val_constant"]
    assert own.evaluate(X, Y, **QUIET) == 7.0
    np.testing.assert_array_equal(own.predict(X, **QUIET), np.full((40, 1), 3.0, "float32"))


def test_own_train_step_needs_no_compile():
    own = Own([sx.Input((6,)), sx.layers.Dense(1)])
    own.optimizer = sx.optimizers.SGD(0.1)
    losses = own.fit(X, Y, epochs=3, **QUIET).history["loss"]
    assert losses[-1] < losses[0]


def test_own_compute_loss():
    class Doubled(sx.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)

    plain = linear()
    doubled = own_like(plain, Doubled)
    plain.optimizer.learning_rate = 0.02
    plain.fit(X, Y, shuffle=False, **QUIET)
    doubled.fit(X, Y, shuffle=False, **QUIET)
    np.testing.assert_allclose(doubled.get_weights()[0], plain.get_weights()[0], rtol=1e-5)


def test_metrics_held_in_attributes_are_reset_and_listed():
    class Held(sx.Sequential):
        def __init__(self, layers):
            super().__init__(layers)
            self.mine = sx.metrics.Mean(name="mine")

        def train_step(self, data):
            self.mine.update_state(1.0)
            return {"mine": self.mine.result(), "count": self.mine.variables[1]}

    held = Held([sx.Input((6,)), sx.layers.Dense(1)])
    assert [m.name for m in held.metrics] == ["mine"]
    assert held.fit(X, Y, batch_size=10, epochs=2, **QUIET).history == {"mine": [1.0, 1.0], "count": [4.0, 4.0]}


def test_hand_written_loop_equals_fit():
    plain, by_hand = linear(), linear()
    plain.fit(X, Y, batch_size=8, shuffle=False, **QUIET)
    optimizer = sx.optimizers.SGD()
    for x, y in batches():
        with sx.GradientTape() as tape:
            loss = sx.losses.MeanSquaredError()(y, by_hand(x, training=True))
        optimizer.apply(tape.gradient(loss, by_hand.trainable_variables), by_hand.trainable_variables)
    np.testing.assert_array_equal(plain.get_weights()[0], by_hand.get_weights()[0])


# -- extra losses, regularizers, constraints, freezing, averages ---------------------------------------------------


def test_added_losses_count():
    class Penalty(sx.layers.Layer):
        def call(self, inputs):
            self.add_loss(0.5 * sx.ops.mean(sx.ops.square(inputs)))
            return inputs

    model = sx.Sequential([sx.Input((6,)), sx.layers.Dense(1), Penalty()])
    model.compile("sgd", "mse", metrics=["mse"])
    results = model.evaluate(X, Y, batch_size=40, return_dict=True, **QUIET)
    expected = results["mse"] + 0.5 * np.mean(model(X).numpy() ** 2)
    assert results["loss"] == pytest.approx(expected, rel=1e-5)


def test_added_loss_alone_trains():
    class Shrink(sx.Model):
        def __init__(self):
            super().__init__()
            self.dense = sx.layers.Dense(1)

        def call(self, inputs):
            outputs = self.dense(inputs)
            self.add_loss(sx.ops.mean(sx.ops.square(outputs)))
            return outputs

    model = Shrink()
    model.compile(sx.optimizers.SGD(0.1))
    losses = model.fit(X, epochs=5, **QUIET).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_regularizers_count_in_the_loss_and_the_gradient():
    model = sx.Sequential([sx.Input((6,)), sx.layers.Dense(1, kernel_regularizer=sx.regularizers.L2(0.1))])
    model.compile(sx.optimizers.SGD(1.0), "mse", metrics=["mse"])
    kernel = model.get_weights()[0]
    zeros = np.zeros_like(X)
    results = model.train_on_batch(zeros, np.zeros((40, 1)), return_dict=True)
    assert results["loss"] - results["mse"] == pytest.approx(0.1 * (kernel**2).sum(), rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], kernel * 0.8, rtol=1e-5)


def test_constraints_hold_after_every_step():
    model = sx.Sequential(
        [sx.Input((6,)), sx.layers.Dense(4, kernel_constraint="unit_norm", bias_constraint="non_neg")]
    )
    model.compile(sx.optimizers.SGD(0.5), "mse")
    model.fit(X, R.normal(size=(40, 4)), **QUIET)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), np.ones(4), rtol=1e-5)
    assert (bias >= 0).all()


@pytest.mark.parametrize("make", STYLES)
def test_frozen_layers_stay(make):
    layers = stack()
    model = make(layers)
    model.build((None, 6, 6, 1))
    layers[0].trainable = layers[1].trainable = False
    model.compile("adam", LOSS)
    before = model.get_weights()
    model.fit(IMAGES, LABELS[:24], **QUIET)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False] * 5 + [True, True]


def test_averages_replace_the_weights_when_training_ends():
    options = {"learning_rate": 0.1}
    plain, averaged = linear(optimizer=sx.optimizers.SGD(**options)), linear()
    averaged.compile(sx.optimizers.SGD(**options, use_ema=True, ema_momentum=0.5), "mse")
    kernels = []
    keep = sx.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kernels.append(plain.get_weights()[0]))
    plain.fit(X, Y, batch_size=10, shuffle=False, callbacks=[keep], **QUIET)
    averaged.fit(X, Y, batch_size=10, shuffle=False, **QUIET)
    expected = kernels[0]
    for kernel in kernels[1:]:
        expected = 0.5 * expected + 0.5 * kernel
    np.testing.assert_allclose(averaged.get_weights()[0], expected, rtol=1e-5)


def test_accumulated_gradients_equal_a_large_batch():
    large = linear(optimizer=sx.optimizers.SGD(0.1))
    small = linear(optimizer=sx.optimizers.SGD(0.1, gradient_accumulation_steps=4))
    large.fit(X, Y, batch_size=40, shuffle=False, **QUIET)
    small.fit(X, Y, batch_size=10, shuffle=False, **QUIET)
    np.testing.assert_allclose(small.get_weights()[0], large.get_weights()[0], rtol=1e-5)


def test_training_in_two_parts_equals_training_in_one():
    whole, parts = linear(optimizer="adam"), linear(optimizer="adam")
    whole.fit(X, Y, epochs=4, shuffle=False, **QUIET)
    parts.fit(X, Y, epochs=2, shuffle=False, **QUIET)
    parts.fit(X, Y, epochs=4, initial_epoch=2, shuffle=False, **QUIET)
    np.testing.assert_array_equal(whole.get_weights()[0], parts.get_weights()[0])
