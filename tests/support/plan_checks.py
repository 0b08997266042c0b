"""What must hold of a random plan: if it builds it runs; if it is refused it would have failed; the styles agree."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from random import Random
from typing import Any

import numpy as np
from model_plans import ModelPlan, Ref, run_steps
from plan_extras import check_extras
from plan_styles import Built, copy_weights, fill_weights, functional, nested, packed_inputs, sequential, subclassed
from plan_values import (
    Binding,
    PlanError,
    arrays_in_order,
    close,
    draw_arrays,
    draw_bindings,
    fail,
    flat_arrays,
    is_ours,
    shape_at,
    size_names,
)
from random_plans import inputs_of

import sardonyx as sx
from sardonyx.builder.inference import model_proto
from sardonyx.exporters.runtime import session
from sardonyx.exporters.serialize import checked

EXCUSED = (
    "has no fixed size",  # unstack, split: a list of unknown length
    "the height and width of the images must be known",  # CenterCrop crops or enlarges: the sizes decide
)


class Checker:
    """Runs all properties of one plan and counts what it did."""

    def __init__(self, plan: ModelPlan, r: Random, counts: Counter[str], thorough: bool = False) -> None:
        self.plan, self.r, self.counts, self.thorough = plan, r, counts, thorough
        self.seed = r.randrange(1 << 30)

    def sampled(self, chance: float) -> bool:
        """Whether a costly property is checked this time."""
        return self.thorough or self.r.random() < chance

    def run(self) -> None:
        """All properties."""
        self.base = functional(self.plan)
        self.inputs = self.base.model.inputs
        fill_weights(self.base.layers, np.random.default_rng(self.seed))
        self.styles = self.write_styles()
        self.counts["models"] += len(self.styles)
        self.running = self.open_file(self.base.model)
        # not every operation is defined for an empty batch; every layer is
        only_layers = all(step.is_layer for step in self.plan.steps)
        for binding in draw_bindings(self.r, self.inputs, 3, only_layers):
            self.check_binding(binding)
        check_extras(self)

    def write_styles(self) -> dict[str, Built]:
        """The plan in all styles, with the weights of the Functional one."""
        styles: dict[str, Built] = {"functional": self.base}
        makers = {"sequential": sequential, "subclassed": subclassed, "nested": lambda p: nested(p, self.r)}
        for name, make in makers.items():
            try:
                made = make(self.plan)
            except Exception as error:
                raise PlanError(f"{name} does not build: {error!r}\n  plan: {self.plan!r}") from error
            if made is not None:
                copy_weights(self.base.layers, made.layers)
                styles[name] = made
        return styles

    def open_file(self, model: Any) -> Any:
        """The exported file in onnxruntime; None where ONNX has no operator for a part of it."""
        try:
            proto = checked(model_proto(model))
        except NotImplementedError:
            self.counts["not exportable"] += 1
            return None
        except Exception as error:
            raise PlanError(f"export: {error!r}\n  plan: {self.plan!r}") from error
        try:
            return session(proto.SerializeToString(), threads=1, device="cpu")
        except Exception as error:
            raise PlanError(f"onnxruntime refuses the file: {error!r}\n  plan: {self.plan!r}") from error

    def check_binding(self, binding: Binding) -> None:
        """Every style and engine at one choice of sizes."""
        sizes = [size for x in self.base.values.values() for size in shape_at(x, binding)]
        arrays = draw_arrays(self.plan, self.inputs, binding, self.seed)
        least = min(sizes, default=1)
        given = packed_inputs(arrays)
        where = f"at {binding}"
        try:
            eager = flat_arrays(self.base.model(given))
        except Exception as error:
            if least <= 0 and is_ours(error):
                self.counts["sizes too small"] += 1
                return
            raise PlanError(f"model(x) fails {where}: {error!r}\n  plan: {self.plan!r}") from error
        if least < 0:
            fail("runs though a size is negative", self.plan, where)
        self.counts["runs"] += 1
        promised = [shape_at(x, binding) for x in self.base.model.outputs]
        for x, y, shape in zip(self.base.model.outputs, eager, promised, strict=True):
            if y.shape != shape or y.dtype != x.dtype:
                fail("promise", self.plan, f"{where}: promised {x.shape} = {shape} {x.dtype}, got {y.shape} {y.dtype}")
        self.check_steps(arrays, eager, where, least)
        for name, built in self.styles.items():
            if name != "functional" and not (least == 0 and self.refuses(built, given)):
                self.agree(f"{name} model(x) {where}", lambda b=built: b.model(given), eager, arrays)
        if least > 0:  # onnxruntime 1.32 ends the process on empty tensors in LSTM, Transpose and others
            self.check_runtime(arrays, eager, where)

    def refuses(self, built: Built, given: Any) -> bool:
        """Whether a style refuses empty tensors, as a -1 beside a size 0 means nothing."""
        try:
            built.model(given)
        except Exception as error:  # any kind: whether it is one of ours is the question
            return is_ours(error)
        return False

    def check_steps(self, arrays: list[np.ndarray], eager: list[np.ndarray], where: str, least: int) -> None:
        """The steps one by one, on arrays: as the model does. A -1 beside a size 0 means nothing there."""
        outcome = _eager_outcome(self.plan, arrays, self.base.layers)
        if least == 0 and outcome is not None and is_ours(outcome):
            return

        def run() -> Any:
            return self.plan.pack(run_steps(self.plan, [sx.Tensor(a) for a in arrays], self.base.layers))

        self.agree(f"steps {where}", run, eager, arrays)

    def check_runtime(self, arrays: list[np.ndarray], eager: list[np.ndarray], where: str) -> None:
        """The file in onnxruntime, and `predict` of a style."""
        if self.running is None:
            return
        feeds = {
            x.name: a for x, a in zip(self.running.get_inputs(), arrays_in_order(self.running, arrays), strict=True)
        }
        self.agree(f"onnxruntime {where}", lambda: self.running.run(None, feeds), eager, arrays)
        batched = all(x.shape and str(x.shape[0]) == "batch" for x in [*self.inputs, *self.base.model.outputs])
        if batched and self.sampled(0.3):
            style = self.r.choice(sorted(self.styles))
            model = self.styles[style].model
            self.agree(
                f"{style} predict {where}", lambda: model.predict(packed_inputs(arrays), verbose=0), eager, arrays
            )

    def agree(self, what: str, function: Any, expected: list[np.ndarray], arrays: list[np.ndarray]) -> None:
        """Results as expected: equal shapes, types and, up to rounding, values."""
        try:
            found = flat_arrays(function())
        except Exception as error:
            raise PlanError(f"{what} fails: {error!r}\n  plan: {self.plan!r}") from error
        self.agree_values(what, found, expected, arrays)

    def agree_values(
        self, what: str, found: list[np.ndarray], expected: list[np.ndarray], arrays: Any, model: Any = None
    ) -> None:
        """Results as expected; `model` computes them once more where rounding may have decided."""
        for i, (a, b) in enumerate(zip(expected, found, strict=True)):
            if close(a, b):
                continue
            if a.shape == b.shape and a.dtype == b.dtype and not self.stable(arrays, expected, model):
                self.counts["decided by rounding"] += 1
                return
            apart = np.abs(a.astype(float) - b.astype(float)).max() if a.shape == b.shape else "-"
            fail(what, self.plan, f"output {i}: {a.dtype} {a.shape} and {b.dtype} {b.shape} differ by {apart}")

    def stable(self, arrays: list[np.ndarray], expected: list[np.ndarray], model: Any = None) -> bool:
        """Whether the results hardly move when inputs and weights move by a rounding error."""
        generator = np.random.default_rng(0)

        def moved(a: np.ndarray) -> np.ndarray:
            if a.dtype.kind != "f":
                return a
            return (
                a * (1 + 1e-6 * generator.standard_normal(a.shape)) + 1e-7 * generator.standard_normal(a.shape)
            ).astype(a.dtype)

        weights = {k: layer.get_weights() for k, layer in self.base.layers.items()}
        try:
            for k, layer in self.base.layers.items():
                layer.set_weights([moved(w) for w in weights[k]])
            again = flat_arrays((model or self.base.model)(packed_inputs([moved(a) for a in arrays])))
        finally:
            for k, layer in self.base.layers.items():
                layer.set_weights(weights[k])
        return all(close(a, b) for a, b in zip(expected, again, strict=True))


def check_refusal(plan: ModelPlan, error: Exception, r: Random, counts: Counter[str]) -> None:
    """A step was refused by one of our errors, and the same step fails eagerly for some admissible sizes."""
    step = plan.steps[-1]
    file = traceback.extract_tb(error.__traceback__)[-1].filename
    if not step.is_layer and os.path.basename(file).startswith("random_"):
        return  # a mistake of the program itself, such as x.shape[2] of a matrix
    if not is_ours(error):
        raise PlanError(f"refused by a foreign error: {error!r}\n  plan: {plan!r}") from error
    if step.is_layer and not any(text in str(error) for text in (_layer_name(step), step.name)):
        fail("the refusal names no layer", plan, repr(error))
    inputs = inputs_of(plan)
    found = size_names(inputs)
    tries = [dict.fromkeys(found, 5), *[{n: r.randint(1, 12) for n in found} for _ in range(20)]]
    tries += [{**dict.fromkeys(found, 5), n: v} for n in found for v in (1, 2, 3, 4)]
    layers: dict[int, Any] = {}  # weights made for the first sizes must do for all
    for binding in tries:
        arrays = draw_arrays(plan, inputs, binding, 3)
        outcome = _eager_outcome(plan, arrays, layers)
        if outcome is not None:
            if not is_ours(outcome):
                raise PlanError(f"eagerly a foreign error at {binding}: {outcome!r}\n  plan: {plan!r}") from outcome
            counts["refused, fails eagerly"] += 1
            return
    if any(text in str(error) for text in EXCUSED):
        counts["refused, excused"] += 1
        return
    fail("over-strict: refused, but runs at all sizes tried", plan, repr(error))


def _layer_name(step: Any) -> str:
    return f"step_{step.key if step.shared is None else step.shared}"


def _eager_outcome(plan: ModelPlan, arrays: list[np.ndarray], layers: dict[int, Any]) -> Exception | None:
    try:
        run_steps(plan, [sx.Tensor(a) for a in arrays], layers)
    except Exception as error:  # any kind: the caller looks whether it is one of ours
        return error
    return None


__all__ = ["Checker", "PlanError", "Ref", "check_refusal"]
