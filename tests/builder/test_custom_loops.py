"""Loops of one's own, in every style, against PyTorch: gradients of every kind, clipping, accumulation, two models."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sardonyx as sx
from sardonyx import layers, ops

torch: Any = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)
WEIGHTS = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4,), (4, 2), (2,))]


class Net(sx.Model):
    """Two layers, subclassed."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(4, activation="tanh", name="hidden")
        self.head = layers.Dense(2, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(self.hidden(inputs))


def sequential() -> Any:
    return sx.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(2)])


def functional() -> Any:
    x = sx.Input((3,))
    return sx.Model(x, layers.Dense(2)(layers.Dense(4, activation="tanh")(x)))


def nested() -> Any:
    """A subclassed model inside a functional one."""
    x = sx.Input((3,))
    return sx.Model(x, Net()(x))


STYLES = {"sequential": sequential, "functional": functional, "subclassing": Net, "nested": nested}


def model_of(style: str) -> Any:
    model = STYLES[style]()
    model.build((None, 3))
    model.set_weights(WEIGHTS)
    return model


def twin() -> list[Any]:
    """The same weights in PyTorch."""
    return [torch.tensor(w.copy(), requires_grad=True) for w in WEIGHTS]


def forward(w: list[Any], x: Any) -> Any:
    return torch.tanh(x @ w[0] + w[1]) @ w[2] + w[3]


def close(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        expected = b.detach().numpy()
        assert np.asarray(a).shape == expected.shape
        np.testing.assert_allclose(np.asarray(a), expected, rtol=2e-4, atol=2e-5)


# -- derivatives: what ours gives and what PyTorch gives -------------------------------------------------------------


def loss_of(model: Any, x: Any) -> Any:
    return ops.mean(ops.square(model(x) - Y))


def torch_loss(w: list[Any], x: Any) -> Any:
    return ((forward(w, x) - torch.tensor(Y)) ** 2).mean()


def gradients(model: Any) -> Any:
    with sx.GradientTape() as tape:
        loss = loss_of(model, X)
    return tape.gradient(loss, model.trainable_variables)


def torch_gradients(w: list[Any]) -> Any:
    return torch.autograd.grad(torch_loss(w, torch.tensor(X)), w)


def of_inputs(model: Any) -> Any:
    x = ops.convert_to_tensor(X)
    with sx.GradientTape() as tape:
        tape.watch(x)
        loss = loss_of(model, x)
    return [tape.gradient(loss, x)]


def torch_of_inputs(w: list[Any]) -> Any:
    x = torch.tensor(X, requires_grad=True)
    return torch.autograd.grad(torch_loss(w, x), [x])


def penalty(model: Any) -> Any:
    """The norm of the gradient by the inputs, as a loss on the weights (WGAN-GP)."""
    x = ops.convert_to_tensor(X)
    with sx.GradientTape() as outer:
        with sx.GradientTape() as inner:
            inner.watch(x)
            total = ops.sum(model(x))
        slopes = inner.gradient(total, x)
        loss = ops.mean(ops.square(ops.sqrt(ops.sum(ops.square(slopes), -1)) - 1.0))
    return outer.gradient(loss, model.trainable_variables[:3])


def torch_penalty(w: list[Any]) -> Any:
    x = torch.tensor(X, requires_grad=True)
    (slopes,) = torch.autograd.grad(forward(w, x).sum(), [x], create_graph=True)
    return torch.autograd.grad(((slopes.norm(dim=-1) - 1) ** 2).mean(), w[:3])


def third_order(model: Any) -> Any:
    x = ops.convert_to_tensor(X)
    with sx.GradientTape() as third:
        with sx.GradientTape() as second:
            second.watch(x)
            with sx.GradientTape() as first:
                first.watch(x)
                y = ops.sum(model(x))
            slope = ops.sum(first.gradient(y, x))
        bend = ops.sum(ops.square(second.gradient(slope, x)))
    return third.gradient(bend, model.trainable_variables[:3])


def torch_third_order(w: list[Any]) -> Any:
    x = torch.tensor(X, requires_grad=True)
    (slope,) = torch.autograd.grad(forward(w, x).sum(), [x], create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), [x], create_graph=True)
    return torch.autograd.grad((bend**2).sum(), w[:3])


def jacobians(model: Any) -> Any:
    with sx.GradientTape() as tape:
        y = model(X)
    return tape.jacobian(y, model.trainable_variables)


def torch_jacobians(w: list[Any]) -> Any:
    return torch.autograd.functional.jacobian(lambda *v: forward(v, torch.tensor(X)), tuple(w))


def batch_jacobian(model: Any) -> Any:
    x = ops.convert_to_tensor(X)
    with sx.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    return [tape.batch_jacobian(y, x)]


def torch_batch_jacobian(w: list[Any]) -> Any:
    return [torch.func.vmap(torch.func.jacrev(lambda x: forward(w, x)))(torch.tensor(X))]


def hessian(model: Any) -> Any:
    kernel = model.trainable_variables[0]
    with sx.GradientTape() as outer:
        with sx.GradientTape() as inner:
            loss = loss_of(model, X)
        slope = inner.gradient(loss, kernel)
    return [outer.jacobian(slope, kernel)]


def torch_hessian(w: list[Any]) -> Any:
    return [torch.autograd.functional.hessian(lambda k: torch_loss([k, *w[1:]], torch.tensor(X)), w[0])]


def hessian_times_vector(model: Any) -> Any:
    variables = model.trainable_variables
    with sx.GradientTape() as outer:
        with sx.GradientTape() as inner:
            loss = loss_of(model, X)
        slopes = inner.gradient(loss, variables)
    return outer.gradient(slopes, variables, output_gradients=[w * 0.5 for w in WEIGHTS])


def torch_hessian_times_vector(w: list[Any]) -> Any:
    slopes = torch.autograd.grad(torch_loss(w, torch.tensor(X)), w, create_graph=True)
    return torch.autograd.grad(slopes, w, [torch.tensor(v * 0.5) for v in WEIGHTS])


def per_sample(model: Any) -> Any:
    """Gradients of every sample's own loss."""
    with sx.GradientTape() as tape:
        losses = ops.sum(ops.square(model(X) - Y), -1)
    return tape.jacobian(losses, model.trainable_variables)


def torch_per_sample(w: list[Any]) -> Any:
    def losses(*v: Any) -> Any:
        return ((forward(v, torch.tensor(X)) - torch.tensor(Y)) ** 2).sum(-1)

    return torch.autograd.functional.jacobian(losses, tuple(w))


def through_an_update(model: Any) -> Any:
    """The loss after one step of descent, by the weights before it (MAML)."""
    kernel, bias = model.trainable_variables[:2]
    head, shift = model.trainable_variables[2:]
    with sx.GradientTape() as outer:
        with sx.GradientTape() as inner:
            loss = loss_of(model, X)
        first, second = inner.gradient(loss, [kernel, bias])
        moved = ops.tanh(ops.matmul(X, kernel - 0.1 * first) + bias - 0.1 * second)
        after = ops.mean(ops.square(ops.matmul(moved, head) + shift - Y))
    return outer.gradient(after, [kernel, bias])


def torch_through_an_update(w: list[Any]) -> Any:
    first, second = torch.autograd.grad(torch_loss(w, torch.tensor(X)), w[:2], create_graph=True)
    after = torch_loss([w[0] - 0.1 * first, w[1] - 0.1 * second, *w[2:]], torch.tensor(X))
    return torch.autograd.grad(after, w[:2])


def detached(model: Any) -> Any:
    with sx.GradientTape() as tape:
        y = model(X)
        loss = ops.sum(ops.stop_gradient(y) * ops.square(y))
    return tape.gradient(loss, model.trainable_variables)


def torch_detached(w: list[Any]) -> Any:
    y = forward(w, torch.tensor(X))
    return torch.autograd.grad((y.detach() * y**2).sum(), w)


DERIVATIVES: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (gradients, torch_gradients),
    (of_inputs, torch_of_inputs),
    (penalty, torch_penalty),
    (third_order, torch_third_order),
    (jacobians, torch_jacobians),
    (batch_jacobian, torch_batch_jacobian),
    (hessian, torch_hessian),
    (hessian_times_vector, torch_hessian_times_vector),
    (per_sample, torch_per_sample),
    (through_an_update, torch_through_an_update),
    (detached, torch_detached),
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("ours", "theirs"), DERIVATIVES, ids=lambda f: f.__name__)
def test_derivatives(ours: Any, theirs: Any, style: str):
    close(ours(model_of(style)), theirs(twin()))


# -- updates: the weights after some steps --------------------------------------------------------------------------


def by_norm(gradient: Any, limit: float) -> Any:
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * (limit / ops.maximum(norm, limit))


def by_global_norm(found: list[Any], limit: float) -> list[Any]:
    norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in found))
    return [g * (limit / ops.maximum(norm, limit)) for g in found]


def torch_clip(w: list[Any], kind: str) -> None:
    if kind == "value":
        torch.nn.utils.clip_grad_value_(w, 0.1)
    elif kind == "norm":
        for v in w:
            torch.nn.utils.clip_grad_norm_([v], 0.2)
    else:
        torch.nn.utils.clip_grad_norm_(w, 0.3)


CLIPPING: dict[str, tuple[str, dict[str, float], Callable[[list[Any]], list[Any]]]] = {
    "value": ("value", {}, lambda found: [ops.clip(g, -0.1, 0.1) for g in found]),
    "norm": ("norm", {}, lambda found: [by_norm(g, 0.2) for g in found]),
    "global norm": ("global", {}, lambda found: by_global_norm(found, 0.3)),
    "clipvalue": ("value", {"clipvalue": 0.1}, lambda found: found),
    "clipnorm": ("norm", {"clipnorm": 0.2}, lambda found: found),
    "global_clipnorm": ("global", {"global_clipnorm": 0.3}, lambda found: found),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("case", CLIPPING)
def test_clipping_by_hand_and_by_the_optimizer(case: str, style: str):
    kind, settings, clip = CLIPPING[case]
    model, w = model_of(style), twin()
    optimizer, other = sx.optimizers.SGD(0.5, momentum=0.9, **settings), torch.optim.SGD(w, 0.5, momentum=0.9)
    for _ in range(3):
        optimizer.apply(clip(gradients(model)), model.trainable_variables)
        other.zero_grad()
        torch_loss(w, torch.tensor(X)).backward()
        torch_clip(w, kind)
        other.step()
    close(model.get_weights(), w)


def accumulated_by_hand(model: Any, steps: int) -> None:
    optimizer = sx.optimizers.SGD(0.3, momentum=0.9)
    for _ in range(steps):
        totals = [np.zeros(v.shape, np.float32) for v in model.trainable_variables]
        for start in (0, 2, 4):
            part = slice(start, start + 2)
            with sx.GradientTape() as tape:
                loss = ops.mean(ops.square(model(X[part]) - Y[part])) / 3.0
            totals = [t + g for t, g in zip(totals, tape.gradient(loss, model.trainable_variables), strict=True)]
        optimizer.apply(totals, model.trainable_variables)


def accumulated_by_the_optimizer(model: Any, steps: int) -> None:
    optimizer = sx.optimizers.SGD(0.3, momentum=0.9, gradient_accumulation_steps=3)
    for _ in range(steps):
        for start in (0, 2, 4):
            part = slice(start, start + 2)
            with sx.GradientTape() as tape:
                loss = ops.mean(ops.square(model(X[part]) - Y[part]))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


def accumulated_in_variables(model: Any, steps: int) -> None:
    optimizer = sx.optimizers.SGD(0.3, momentum=0.9)
    sums = [sx.Variable(np.zeros(v.shape, np.float32), trainable=False) for v in model.trainable_variables]
    for _ in range(steps):
        for start in (0, 2, 4):
            part = slice(start, start + 2)
            with sx.GradientTape() as tape:
                loss = ops.mean(ops.square(model(X[part]) - Y[part])) / 3.0
            for total, g in zip(sums, tape.gradient(loss, model.trainable_variables), strict=True):
                total.assign_add(g)
        optimizer.apply_gradients(zip(sums, model.trainable_variables, strict=True))
        for total in sums:
            total.assign(ops.zeros_like(total))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("loop", [accumulated_by_hand, accumulated_by_the_optimizer, accumulated_in_variables])
def test_accumulated_gradients_are_those_of_the_whole_batch(loop: Any, style: str):
    model, w = model_of(style), twin()
    loop(model, 3)
    other = torch.optim.SGD(w, 0.3, momentum=0.9)
    for _ in range(3):
        other.zero_grad()
        torch_loss(w, torch.tensor(X)).backward()
        other.step()
    close(model.get_weights(), w)


@pytest.mark.parametrize("style", STYLES)
def test_two_optimizers_on_one_model_and_rates_set_by_hand(style: str):
    model, w = model_of(style), twin()
    body, head = sx.optimizers.Adam(0.01, epsilon=1e-8), sx.optimizers.SGD(0.1)
    other_body, other_head = torch.optim.Adam(w[:2], 0.01, eps=1e-8), torch.optim.SGD(w[2:], 0.1)
    for step in range(4):
        found = gradients(model)
        variables = model.trainable_variables
        head.learning_rate = 0.1 / (step + 1)
        body.apply(found[:2], variables[:2])
        head.apply(found[2:], variables[2:])
        for optimizer in (other_body, other_head):
            optimizer.zero_grad()
        other_head.param_groups[0]["lr"] = 0.1 / (step + 1)
        torch_loss(w, torch.tensor(X)).backward()
        other_body.step()
        other_head.step()
    close(model.get_weights(), w)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("style", STYLES)
def test_two_models_against_each_other(style: str, persistent: bool):
    """A step of a GAN: both losses from one pass; with two tapes, or one persistent."""
    maker, judge, w = model_of(style), layers.Dense(1), twin()
    judge.build((None, 2))
    k = [torch.tensor(v.numpy(), requires_grad=True) for v in judge.weights]
    optimizers = [sx.optimizers.Adam(0.02, epsilon=1e-8), sx.optimizers.Adam(0.01, epsilon=1e-8)]
    others = [torch.optim.Adam(w, 0.02, eps=1e-8), torch.optim.Adam(k, 0.01, eps=1e-8)]
    for _ in range(3):
        with sx.GradientTape(persistent=persistent) as first, sx.GradientTape() as second:
            made = maker(X)
            on_real, on_made = judge(Y), judge(made)
            fooling = ops.mean(ops.softplus(-on_made))
            judging = ops.mean(ops.softplus(-on_real)) + ops.mean(ops.softplus(on_made))
        tapes = (first, first) if persistent else (first, second)
        pairs = zip(tapes, (fooling, judging), (maker, judge), strict=True)
        found = [tape.gradient(loss, part.trainable_variables) for tape, loss, part in pairs]
        for optimizer, g, part in zip(optimizers, found, (maker, judge), strict=True):
            optimizer.apply(g, part.trainable_variables)
        made = forward(w, torch.tensor(X))
        real, fake = torch.tensor(Y) @ k[0] + k[1], made @ k[0] + k[1]
        soft = torch.nn.functional.softplus
        slopes = torch.autograd.grad(soft(-fake).mean(), w, retain_graph=True)
        slopes += torch.autograd.grad(soft(-real).mean() + soft(fake).mean(), k)
        for v, g in zip([*w, *k], slopes, strict=True):
            v.grad = g
        for optimizer in others:
            optimizer.step()
    close([*maker.get_weights(), *judge.get_weights()], [*w, *k])


@pytest.mark.parametrize("style", STYLES)
def test_weights_without_a_gradient_stay(style: str):
    """Frozen layers have no gradient; a variable that the loss does not use gives None, and is left alone."""
    model, unused = model_of(style), sx.Variable(1.5)
    variables = [*model.trainable_variables, unused]
    with sx.GradientTape() as tape:
        loss = loss_of(model, X)
    found = tape.gradient(loss, variables)
    assert found[-1] is None
    sx.optimizers.Adam(0.1).apply(found, variables)
    assert float(unused) == 1.5
    assert not np.allclose(model.get_weights()[0], WEIGHTS[0])


def test_batch_jacobian_for_any_batch():
    model = model_of("subclassing")

    def function(x: Any) -> Any:
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        return tape.batch_jacobian(y, x)

    graph = sx.trace(function, sx.TensorSpec(("batch", 3)))
    proto = sx.exporters.to_onnx(graph, ["x"], ["jacobian"])
    (found,) = sx.exporters.runtime.session(proto.SerializeToString()).run(None, {"x": X})
    close([found], torch_batch_jacobian(twin()))


REFUSED = [
    (lambda x: (ops.sum(x), x), r"the same batch as first axis, got \(\) and \(6, 3\)"),
    (lambda x: (x[:2] * 2, x), r"the same batch as first axis, got \(2, 3\) and \(6, 3\)"),
]


@pytest.mark.parametrize(("parts", "message"), REFUSED)
def test_batch_jacobian_refuses(parts: Any, message: str):
    x = ops.convert_to_tensor(X)
    with sx.GradientTape() as tape:
        tape.watch(x)
        target, source = parts(x)
    with pytest.raises(ValueError, match=f"GradientTape.batch_jacobian: .*{message}"):
        tape.batch_jacobian(target, source)


def test_batch_jacobian_of_what_is_not_connected():
    x, y = ops.convert_to_tensor(X), ops.convert_to_tensor(Y)
    with sx.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        z = y * 2
    assert tape.batch_jacobian(z, x) is None
    assert tape.batch_jacobian(z, x, unconnected_gradients="zero").shape == (6, 2, 3)


def test_batch_jacobian_of_unknown_sample_sizes():
    def function(x: Any) -> Any:
        with sx.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.batch_jacobian(y, x)

    with pytest.raises(ValueError, match=r"sizes of a sample must be known, got \(batch, n\)"):
        sx.trace(function, sx.TensorSpec(("batch", "n")))
