"""Random models: what builds runs, what is refused would have failed, and the styles are one.

A plan is a list of layer calls and operations with inputs of known and named sizes. It is written as a Functional, a
Sequential (a chain of layers), a subclassed and a nested model, run at random sizes, eagerly and in onnxruntime.
"""

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_plans import ModelPlan, Size, Source, Step
from plan_runs import check_plan, check_random, check_seeds, reduced, without
from plan_styles import functional

from sardonyx.trainer.core.errors import DtypeError, ShapeError

CHUNK = 250
CHUNKS = 40


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_what_hypothesis_draws(r):
    check_random(r, Counter(), longest=5)


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 40, 80])
def test_seeds(first):
    counts: Counter[str] = Counter()
    assert check_seeds(range(first, first + 40), counts) == []
    assert counts["models"] > 100


@pytest.mark.nightly
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_many_seeds(chunk, record_property):
    """10,000 plans, some 30,000 models, in parts: `pytest tests/properties -m nightly -k "many_seeds and 7"`."""
    counts: Counter[str] = Counter()
    found = check_seeds(range(1000 + chunk * CHUNK, 1000 + (chunk + 1) * CHUNK), counts)
    print(dict(counts))
    record_property("counts", dict(counts))
    assert found == []


LAST = slice(-1, None, 2)
ALL = slice(None)

# Each line once found something wrong.
FOUND = {
    "pool by strides beyond the window": ModelPlan(
        (Source(("time", 3)),),
        (Step(0, "AveragePooling1D", ((-1, 0),), {"pool_size": 1, "strides": 3, "padding": "same"}),),
        ((0, 0),),
    ),
    "largest by strides beyond the window": ModelPlan(
        (Source(("height", "width", 2)),),
        (Step(0, "MaxPooling2D", ((-1, 0),), {"pool_size": 2, "strides": 3, "padding": "same"}),),
        ((0, 0),),
    ),
    "adaptive pooling of unknown sizes": ModelPlan(
        (Source(("height", "width", 2)),),
        (Step(0, "AdaptiveMaxPooling2D", ((-1, 0),), {"output_size": (2, 3)}),),
        ((0, 0),),
    ),
    "adaptive means of unknown sizes": ModelPlan(
        (Source(("time", 3)),), (Step(0, "AdaptiveAveragePooling1D", ((-1, 0),), {"output_size": 2}),), ((0, 0),)
    ),
    "an operation named as its module": ModelPlan(
        (Source(("time", 3)),),
        (Step(0, "softmax", ((-1, 0),), {"axis": 1}), Step(1, "sqrt", ((0, 0),)), Step(2, "power", ((1, 0), (0, 0)))),
        ((2, 0),),
    ),
    "float64 through a Functional model": ModelPlan(
        (Source(("2*time", 3)),), (Step(0, "Minimum", ((-1, 0), (-1, 0))),), ((0, 0),)
    ),
    "sizes of one name in compute_output_shape": ModelPlan(
        (Source(("time", 4)), Source(("time", 4))), (Step(0, "Multiply", ((-1, 0), (-2, 0))),), ((0, 0),)
    ),
    "a category of an unknown number": ModelPlan(
        (Source(("time",), "int32"),),
        (
            Step(0, "CategoryEncoding", ((-1, 0),), {"num_tokens": 6, "output_mode": "one_hot"}),
            Step(1, "UpSampling1D", ((0, 0),), {"size": 2}),
        ),
        ((1, 0),),
    ),
    "glu of a size known to be even": ModelPlan(
        (Source((4, 4, 1)),), (Step(0, "ravel", ((-1, 0),)), Step(1, "glu", ((0, 0),), {"axis": -1})), ((1, 0),)
    ),
    "a nested model of width // 2": ModelPlan(
        (Source(("width",)),),
        (
            Step(0, "pairs", ((-1, 0),)),
            Step(1, "amax", ((0, 0),), {"axis": 0, "keepdims": True}),
            Step(2, "pairs", ((1, 0),)),
        ),
        ((1, 0),),
    ),
    "a reversed slice that may be empty": ModelPlan(
        (Source(("time",), "int32"),),
        (
            Step(0, "get_item", ((-1, 0),), {"key": (ALL, slice(Size(0, 0, over=2, plus=1), -1, -1))}),
            Step(1, "log_sigmoid", ((0, 0),)),
            Step(2, "logsumexp", ((1, 0),), {"axis": 1}),
        ),
        ((2, 0),),
    ),
    "an empty batch of groups": ModelPlan(
        (Source(("time", 4)),), (Step(0, "GroupNormalization", ((-1, 0),), {"groups": 1}),), ((0, 0),)
    ),
    "an empty batch in a recurrent layer": ModelPlan(
        (Source((5, 3)),), (Step(0, "LSTM", ((-1, 0),), {"units": 3}),), ((0, 0),)
    ),
    "the last rows by two": ModelPlan(
        (Source((None, 3)),),
        (Step(0, "get_item", ((-1, 0),), {"key": (ALL, LAST)}), Step(1, "Dense", ((0, 0),), {"units": 2})),
        ((1, 0),),
    ),
    "a class of one's own saved with 2*time": ModelPlan(
        (Source(("2*time", 3)),), (Step(0, "cumsum", ((-1, 0),), {"axis": None}),), ((0, 0),)
    ),
    "a class of one's own that makes zeros": ModelPlan(
        (Source(("time",)),), (Step(0, "zeros_like", ((-1, 0),)), Step(1, "sort", ((0, 0),), {"axis": 1})), ((1, 0),)
    ),
    "a nested model of batch * time": ModelPlan(
        (Source(("time", 4, 2)),),
        (Step(0, "merge_batch", ((-1, 0),)), Step(1, "pairs", ((0, 0),)), Step(2, "drop_half", ((1, 0),))),
        ((2, 0),),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_found_before(name):
    for seed in range(2):
        check_plan(FOUND[name], seed)


REFUSED = {
    "noise on integers": (Source((4,), "int32"), Step(0, "GaussianNoise", ((-1, 0),), {"stddev": 0.2}), DtypeError),
    "dropout of integers": (Source((4,), "int32"), Step(0, "Dropout", ((-1, 0),), {"rate": 0.2}), DtypeError),
    "dropout of another rank": (
        Source((4,)), Step(0, "Dropout", ((-1, 0),), {"rate": 0.2, "noise_shape": (None, 1, 1)}), ShapeError,
    ),
    "a mask for features": (
        Source((), "int32"), Step(1, "Softmax", ((0, 0),)), ShapeError,
        Step(0, "Embedding", ((-1, 0),), {"input_dim": 6, "output_dim": 2, "mask_zero": True}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_when_built(name):
    """What would fail in training, or at other sizes only, is refused while the model is built."""
    source, step, kind, *before = REFUSED[name]
    with pytest.raises(kind, match=f"layer 'step_{step.key}'"):
        functional(ModelPlan((source,), (*before, step), ((step.key, 0),)))


def test_a_plan_is_cut_down():
    plan = FOUND["an operation named as its module"]
    assert [step.name for step in without(plan, plan.steps[1]).steps] == ["softmax", "power"]
    assert reduced(plan) == plan  # nothing is wrong with it, so nothing is left out


def test_draws_repeat():
    counts = [Counter(), Counter()]
    for found in counts:
        assert check_seeds([5], found) == []
    assert counts[0] == counts[1]


def test_a_lie_is_found(monkeypatch):
    """The checks can fail: a layer that promises another shape, and one that computes differently when traced."""
    import sardonyx as sx

    plan = ModelPlan((Source(("time", 3)),), (Step(0, "ReLU", ((-1, 0),)),), ((0, 0),))
    check_plan(plan)
    monkeypatch.setattr(sx.layers.ReLU, "call", lambda self, x: x * (2.0 if x.is_symbolic else 1.0))
    with pytest.raises(AssertionError, match="onnxruntime at"):
        check_plan(plan)
    assert Random(3).random() == Random(3).random()
