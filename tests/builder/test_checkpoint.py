"""Checkpoints of a loop of one's own: what they hold comes back bit for bit; what does not fit changes nothing."""

import json

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers, ops


class Noisy(sx.Model):
    """A model with dropout, a statistic that moves, and a weight of its own."""

    def __init__(self, units=4, name=None):
        super().__init__(name=name)
        self.hidden = layers.Dense(units, activation="relu")
        self.norm = layers.BatchNormalization()
        self.dropout = layers.Dropout(0.5)
        self.head = layers.Dense(1)
        self.scale = self.add_weight((1,), "ones", name="scale")

    def call(self, x, training=None):
        return self.head(self.dropout(self.norm(self.hidden(x)))) * self.scale


def functional():
    x = sx.Input((3,))
    h = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Dense(4, activation="relu")(x)))
    return sx.Model(x, layers.Dense(1)(h))


def sequential():
    return sx.Sequential(
        [layers.Dense(4, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)]
    )


STYLES = {"sequential": sequential, "functional": functional, "subclassing": Noisy}
OPTIMIZERS = {
    "adam": lambda: sx.optimizers.Adam(0.01),
    "momentum": lambda: sx.optimizers.SGD(0.01, momentum=0.9),
    "schedule": lambda: sx.optimizers.RMSprop(sx.optimizers.schedules.CosineDecay(0.02, 20)),
    "accumulating": lambda: sx.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "averaging": lambda: sx.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9),
}


def new_loop(style, optimizer):
    """A loop's state as a new process makes it: names of layers are other ones, weights are others."""
    model = STYLES[style]()
    model.build((None, 3))
    return sx.saving.Checkpoint(
        model=model, critic=layers.Dense(1, name="critic"), optimizer=OPTIMIZERS[optimizer](),
        second=sx.optimizers.SGD(0.1, momentum=0.5), loss=sx.metrics.Mean(), log_scale=sx.Variable(0.5),
        seeds=sx.random.SeedGenerator(3), rng=np.random.default_rng(5), step=0, history=[], best=None,
        average=np.zeros(3),
    )  # fmt: skip


def advance(loop, steps):
    """Steps that use everything a checkpoint holds."""
    for _ in range(steps):
        x = loop.rng.normal(size=(8, 3)).astype(np.float32)
        x = x + sx.random.normal(x.shape, seed=loop.seeds) + sx.random.normal(x.shape) * 0.1
        with sx.GradientTape(persistent=True) as tape:
            made = loop.model(x, training=True) * ops.exp(loop.log_scale)
            value = ops.mean(ops.square(made - ops.sum(x, -1, keepdims=True)))
            judged = ops.mean(ops.square(loop.critic(ops.stop_gradient(made))))
        variables = [*loop.model.trainable_variables, loop.log_scale]
        loop.optimizer.apply(tape.gradient(value, variables), variables)
        loop.second.apply(tape.gradient(judged, loop.critic.trainable_variables), loop.critic.trainable_variables)
        loop.loss.update_state(value)
        loop.average = 0.9 * loop.average + 0.1 * x.numpy().mean(0)
        loop.step += 1
        loop.history.append(float(value))
        loop.best = min(loop.history)
    state = [v.numpy() for v in (*loop.model.variables, *loop.critic.variables, *loop.optimizer.variables)]
    return [*state, np.asarray(loop.loss.result()), loop.average], loop.step, loop.history, loop.best


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("style", "optimizer"), [*((s, "adam") for s in STYLES), *(("subclassing", o) for o in OPTIMIZERS if o != "adam")]
)
def test_a_loop_goes_on_bit_for_bit(tmp_path, style, optimizer, ending):
    file = tmp_path / f"loop{ending}"
    loop = new_loop(style, optimizer)
    loop.critic.build((None, 1))
    advance(loop, 3)
    loop.save(file)
    expected = advance(loop, 3)

    sx.utils.set_random_seed(77)
    other = new_loop(style, optimizer)
    other.critic.build((None, 1))
    other.restore(file)
    found = advance(other, 3)

    for a, b in zip(expected[0], found[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert expected[1:] == found[1:]


def test_a_loop_goes_back_to_where_it_was(tmp_path):
    loop = new_loop("functional", "adam")
    loop.critic.build((None, 1))
    advance(loop, 2)
    loop.save(tmp_path / "a.npz")
    first = advance(loop, 2)
    loop.restore(tmp_path / "a.npz")
    again = advance(loop, 2)
    assert first[1:] == again[1:]


def test_a_checkpoint_before_the_first_update(tmp_path):
    loop = new_loop("sequential", "adam")
    loop.critic.build((None, 1))
    loop.save(tmp_path / "a.npz")
    expected = advance(loop, 2)
    other = new_loop("sequential", "adam")
    other.critic.build((None, 1))
    other.restore(tmp_path / "a.npz")
    assert advance(other, 2)[1:] == expected[1:]
    with pytest.raises(ValueError, match="optimizer: the file's state is from before the first update"):
        other.restore(tmp_path / "a.npz")


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_numpy_generator(tmp_path, bits):
    def generator(seed):
        return np.random.Generator(getattr(np.random, bits)(seed))

    loop = sx.saving.Checkpoint(rng=generator(1))
    loop.rng.integers(10, size=3, dtype=np.int32)
    loop.save(tmp_path / "a.npz")
    expected = loop.rng.normal(size=5)
    other = sx.saving.Checkpoint(rng=generator(2))
    other.restore(tmp_path / "a.npz")
    np.testing.assert_array_equal(other.rng.normal(size=5), expected)


VALUES = [
    0, -(10**30), 0.1, float("inf"), True, None, "text", [1, [2.5, None]], {"a": {"b": [1]}}, np.float32(0.1),
    np.int64(7), np.arange(6.0).reshape(2, 3), np.zeros((0, 2), np.int8), ops.convert_to_tensor([1.0, 2.0]),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_values_keep_their_type(tmp_path, value, ending):
    loop = sx.saving.Checkpoint(value=value)
    loop.save(tmp_path / f"a{ending}")
    loop.value = type(value)() if isinstance(value, (int, float, str)) else value
    loop.restore(tmp_path / f"a{ending}")
    assert type(loop.value) is type(value)
    np.testing.assert_equal(np.asarray(loop.value) if hasattr(value, "shape") else loop.value, value)


REFUSED = [
    ({"x": (1, 2)}, TypeError, "'x' is a tuple; a checkpoint holds models"),
    ({"x": [{1: 2}]}, TypeError, r"'x\[0\]' is a dict"),
    ({"x": {"a": object()}}, TypeError, r"'x\['a'\]' is a object"),
    ({"x": [sx.Variable(1.0)]}, TypeError, r"'x\[0\]' is a Variable; .* give each object a name of its own"),
    ({"x": np.array(["a"])}, TypeError, "'x' is an array of <U1; expected numbers"),
    ({"x": sx.Input((2,))}, TypeError, "'x' is a symbolic tensor"),
    ({"save": 1}, ValueError, "'save' cannot be the name of an entry"),
    ({"a/b": 1}, ValueError, "'a/b' cannot be the name of an entry"),
]


@pytest.mark.parametrize(("state", "kind", "message"), REFUSED, ids=[m for *_, m in REFUSED])
def test_what_cannot_be_saved_is_told_at_once(state, kind, message):
    with pytest.raises(kind, match=message):
        sx.saving.Checkpoint(**state)


def test_names_are_fixed():
    loop = sx.saving.Checkpoint(step=1)
    with pytest.raises(AttributeError, match=r"no 'epoch'; everything it saves is named when it is made"):
        loop.epoch = 2
    with pytest.raises(AttributeError, match="no 'epoch'; it holds step"):
        _ = loop.epoch
    assert repr(loop) == "<Checkpoint step: int>"


def trained(units=2, optimizer=sx.optimizers.Adam):
    model = sx.Sequential([sx.Input((3,)), layers.Dense(units, name="dense")])
    made = optimizer(0.1)
    made.build(model.trainable_variables)
    return {"model": model, "optimizer": made}


def two_models():
    """An optimizer that trains one model and lies in a checkpoint beside another of the same shape."""
    return {**trained(), "optimizer": trained()["optimizer"]}


MISFITS = [
    (lambda: {"a": 1}, lambda: {"b": 1}, "the file lacks b; the file also holds a"),
    (lambda: {"a": 1}, lambda: {"a": sx.Variable(1.0)}, "a: expected variable, the file holds value"),
    (trained, lambda: trained(3), r"model: 'dense/kernel' has shape \(3, 3\), float32; in the file \(3, 2\), float32"),
    (
        trained, lambda: trained(optimizer=sx.optimizers.SGD),
        "optimizer: expected the state of SGD, the file holds that of Adam",
    ),
    (
        lambda: {"a": sx.Variable(1.0)}, lambda: {"a": sx.Variable(1, dtype="int32")},
        r"a: 'value' has shape \(\), int32; in the file \(\), float32",
    ),
    (
        lambda: {"a": np.random.Generator(np.random.MT19937(1))}, lambda: {"a": np.random.default_rng(1)},
        "a: expected the state of PCG64, the file holds that of MT19937",
    ),
    (
        trained, lambda: {**trained(), "optimizer": two_models()["optimizer"]},
        "optimizer: it was built for other variables",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("saved", "present", "message"), MISFITS, ids=[m for *_, m in MISFITS])
def test_what_does_not_fit_changes_nothing(tmp_path, saved, present, message):
    sx.saving.Checkpoint(**saved()).save(tmp_path / "a.npz")
    state = present()
    loop = sx.saving.Checkpoint(**state)
    variables = [v for value in state.values() for v in getattr(value, "variables", [])]
    before = [v.numpy() for v in variables]
    with pytest.raises(ValueError, match=f"{message}.*Nothing was restored"):
        loop.restore(tmp_path / "a.npz")
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_an_optimizer_of_variables_that_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match="'optimizer' trains 'dense/kernel', which is in no model and no"):
        sx.saving.Checkpoint(optimizer=trained()["optimizer"]).save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_a_model_without_weights(tmp_path):
    with pytest.raises(ValueError, match="model: 'net' has no weights yet; call it on data or build"):
        sx.saving.Checkpoint(model=Noisy(name="net").hidden.__class__(3, name="net")).save(tmp_path / "a.npz")


def test_a_file_is_kept_whole(tmp_path, monkeypatch):
    loop = sx.saving.Checkpoint(step=1)
    loop.save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    loop.step = 2
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        loop.save(tmp_path / "a.npz", overwrite=False)

    def fails(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        loop.save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def header(record):
    return {"checkpoint.json": np.frombuffer(json.dumps(record).encode(), np.uint8)}


ENTRY = {"step": {"kind": "value", "value": 1}}
DAMAGED = [
    ({"a": np.zeros(2)}, "is no checkpoint of a loop; weights alone are read by Model.load_weights"),
    ({"checkpoint.json": np.zeros(2)}, "is no checkpoint of a loop"),
    ({"checkpoint.json": np.frombuffer(b"{", np.uint8)}, "is damaged: its description cannot be read"),
    ({"checkpoint.json": np.frombuffer(b"[" * 100_000, np.uint8)}, "is damaged: its description cannot be read"),
    (header([1]), "is damaged: its description cannot be read"),
    (header({"format": 1, "entries": {"step": 3}}), "is damaged: its description cannot be read"),
    (header({"format": 2, "entries": ENTRY}), "has format 2; this version of sardonyx reads format 1"),
    (header({"format": 1, "entries": {"step": {"kind": "code"}}}), "is damaged: it holds unknown kinds: code"),
    (header({"format": 1, "entries": {"step": {"kind": ["code"]}}}), "is damaged: it holds unknown kinds"),
    (header({"format": 1, "entries": {"step": {"kind": "value"}}}), "step: the file does not tell its 'value'"),
    (header({"format": 1, "entries": ENTRY}), "sardonyx.random: the file lacks 'state'"),
]


@pytest.mark.parametrize(("arrays", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_foreign_and_damaged_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    loop = sx.saving.Checkpoint(step=7)
    with pytest.raises(ValueError, match=f"Checkpoint.restore: .*a.npz' .*{message}"):
        loop.restore(tmp_path / "a.npz")
    assert loop.step == 7


def test_files_that_are_not_there_or_cut_off(tmp_path):
    loop = sx.saving.Checkpoint(step=7)
    with pytest.raises(FileNotFoundError, match="Checkpoint.restore: there is no file"):
        loop.restore(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"Checkpoint.save: expected a file name that ends in .safetensors or .npz"):
        loop.save(tmp_path / "a.pkl")
    loop.save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="Checkpoint.restore: .* is no whole .npz file of arrays"):
        loop.restore(tmp_path / "a.npz")


def test_a_damaged_generator_changes_nothing(tmp_path):
    loop = sx.saving.Checkpoint(step=7, rng=np.random.default_rng(1))
    loop.save(tmp_path / "a.npz")
    arrays = dict(np.load(tmp_path / "a.npz"))
    text = arrays["checkpoint.json"].tobytes().decode().replace('"inc"', '"ink"')
    arrays["checkpoint.json"] = np.frombuffer(text.encode(), np.uint8)
    np.savez(tmp_path / "a.npz", **arrays)
    before = loop.rng.bit_generator.state
    with pytest.raises(ValueError, match="rng: the stored state of PCG64 is damaged"):
        loop.restore(tmp_path / "a.npz")
    assert loop.rng.bit_generator.state == before
