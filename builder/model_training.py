"""What a model delegates to the training loop: a few lines each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..trainer import metrics as metric_functions
from ..trainer import optimizers
from ..trainer.core import tree
from ..trainer.core.graph import Graph
from ..trainer.core.told import tells_line
from ..trainer.loop import steps, training
from ..trainer.loop.compiled import CompiledLoss, CompiledMetrics, names_of_outputs
from ..trainer.ops import convert_to_tensor, shape
from . import later
from .freezing import refuse_all_frozen
from .inference import model_graph
from .prediction import DEFAULT_STEP, batch_size_for, predict_at_once, predict_whole, prediction_step, runs_whole
from .step_runner import Steps
from .tracking import owned, settled


class ModelTraining:
    """compile, fit, evaluate, predict and the steps they are made of; subclasses may override any step."""

    name: str
    optimizer: Any = None
    stop_training: bool = False
    history: Any = None
    _compile_arguments: dict[str, Any] | None = None
    _compiled_loss: CompiledLoss | None = None
    _compiled_metrics: CompiledMetrics | None = None
    _loss_tracker: Any = None
    _rehearsals: dict[bool, Any]
    _steps: dict[str, Steps] = {}  # noqa: RUF012 - replaced by compile, never changed
    _untracked_loss: tuple[Any, Any, list[int]] | None = None

    @tells_line
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose optimizer, losses and metrics: names, objects or functions; one for all outputs, a list, or by name.

        jit_compile: whether `fit` and `evaluate` run whole steps in onnxruntime. True: from the second batch on, where
            the step can be compiled (else a warning says why not). "auto": where that is measured to be faster, if
            NumPy would need more than a few seconds. False: NumPy. A compiled step has Python's values fixed, such as
            a rate in an attribute; they are looked at again before every epoch.
        run_eagerly: True is `jit_compile=False`, and every step runs as Python; otherwise NumPy runs steps that come
            again without layers and tape, where nothing in a model is the user's own code and that is faster
        steps_per_execution, auto_scale_loss: taken for the sake of Keras's programs; they change nothing

        Raises `ValueError` for unknown names, with the closest known ones, before any data is touched.

        >>> import sardonyx as sx
        >>> model = sx.Sequential([sx.Input((4,)), sx.layers.Dense(2)])
        >>> model.compile("adam", "mse", metrics=["mae"])
        """
        if jit_compile not in (True, False, "auto"):
            raise ValueError(f'compile: jit_compile must be True, False or "auto", got {jit_compile!r}')
        self._steps = {}
        self._rehearsals = {}
        self.optimizer = optimizers.get(optimizer)
        self._compiled_loss = CompiledLoss(loss, loss_weights)
        self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics, loss)
        self._loss_tracker = metric_functions.Mean(name="loss")
        self._compile_arguments = {
            "optimizer": self.optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly, "jit_compile": jit_compile,
        }  # fmt: skip
        known = self._known_output_names()
        self._compiled_loss.build(known) if known is not None else self._compiled_loss.check()
        self._compiled_metrics.check(known)

    def _known_output_names(self) -> list[str] | None:
        """Output names, if the model's graph is known already."""
        has_plan = getattr(self, "_plan", None) is not None
        return self.output_names if has_plan else None  # type: ignore[attr-defined]

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._compile_arguments is not None

    @property
    def metrics(self) -> list[Any]:
        """Loss tracker, metrics of `compile`, and metrics held in attributes."""
        found = [] if self._loss_tracker is None or self._loss_is_custom() else [self._loss_tracker]
        if self._compiled_loss is not None:
            found += self._compiled_loss.trackers
        if self._compiled_metrics is not None:
            found += self._metrics_to_update(self._compiled_metrics)
        return list({id(m): m for m in [*found, *self._metrics_held()]}.values())

    def _metrics_to_update(self, compiled: CompiledMetrics) -> list[Any]:
        """The metrics of `compile`; for a step of one's own, before a batch has shown which they are, all as one."""
        own_step = type(self).train_step is not ModelTraining.train_step
        return [compiled] if own_step and not compiled.built and any(compiled.given) else compiled.metrics

    def _metrics_held(self) -> list[Any]:
        """Metrics in attributes, without those passed to `compile`."""
        given = [] if self._compiled_metrics is None else tree.flatten(self._compiled_metrics.given)
        kind = metric_functions.Metric
        settled: Any = self._settled  # type: ignore[attr-defined]
        held = owned(self, kind) if settled is None else settled.metrics_held(kind)
        return [m for m in held if all(m is not other for other in given)]

    def _loss_is_custom(self) -> bool:
        return type(self).train_step is not ModelTraining.train_step and self._compiled_loss is None

    @property
    def metrics_names(self) -> list[str]:
        """Names of the metrics."""
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        """Start all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    def _ready(self, y_pred: Any) -> CompiledLoss:
        """The compiled losses, matched to the outputs."""
        if self._compiled_loss is None:
            raise ValueError(f"model '{self.name}' is not compiled: call compile(optimizer, loss) first")
        if not self._compiled_loss.built:
            self._compiled_loss.build(names_of_outputs(y_pred, None))
        return self._compiled_loss

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The scalar to minimise: losses of the outputs, `add_loss` terms and regularizers; may be overridden."""
        loss = self._ready(y_pred)(y, y_pred, sample_weight) if y is not None else None
        for extra in self.losses:  # type: ignore[attr-defined]
            loss = extra if loss is None else loss + extra
        if loss is None and y is None and self._compiled_loss is not None and self._compiled_loss.given is not None:
            raise ValueError(f"model '{self.name}': compile() was given a loss, but no targets came with the data (y)")
        if loss is None:
            raise ValueError(
                f"model '{self.name}': there is nothing to minimise: no loss was given to compile() for the targets, "
                "and no layer called add_loss()"
            )
        if self._loss_tracker is not None:
            count = shape(tree.flatten(y_pred if y_pred is not None else x)[0])[0]
            self._untracked_loss = (loss, count, _versions(self._loss_tracker))
        return convert_to_tensor(loss)

    def _track_loss(self) -> None:
        """Take the loss of the last batch into its running mean, unless a step of the user's own did so already."""
        if self._untracked_loss is not None and self._loss_tracker is not None:
            loss, count, versions = self._untracked_loss
            if versions == _versions(self._loss_tracker):
                self._loss_tracker.update_state(loss, sample_weight=count)
        self._untracked_loss = None

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Take a batch into the metrics; returns the running values by name."""
        if self._compiled_metrics is not None and y is not None:
            if not self._compiled_metrics.built:
                self._compiled_metrics.build(self._ready(y_pred).names, y, y_pred)
            self._compiled_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Running values of loss and metrics by name."""
        self._track_loss()
        results: dict[str, Any] = {}
        named = {} if self._compiled_metrics is None else self._compiled_metrics.results()
        compiled = [] if self._compiled_metrics is None else self._compiled_metrics.metrics
        for metric in self.metrics:
            if not any(metric is m for m in compiled):
                value = metric.result()
                results.update(value if isinstance(value, dict) else {metric.name: value})
        return {**results, **named}

    def step_runner(self, name: str, count: int | None) -> Steps:
        """What runs `train_step` or `test_step` for so many batches, compiled or not; made anew by `compile`."""
        if name not in self._steps:
            asked = self._compile_arguments or {}
            mode = False if asked.get("run_eagerly") else asked.get("jit_compile", False)
            # a step of the user's own may do in Python what a trace does not see: it is compiled when asked for
            own = getattr(type(self), name) is not getattr(ModelTraining, name)
            # a new dictionary: a model that is not compiled still has the one of the class
            flat = not own and not asked.get("run_eagerly")
            made = Steps(self, name, False if own and mode == "auto" else mode, flat)
            self._steps = {**self._steps, name: made}
        self._steps[name].steps_left = count or 0
        return self._steps[name]

    def _batch_step(self, name: str) -> Callable[[Any], Any]:
        """What runs one batch by itself: the compiled step where `compile` was told to, else Python's."""
        is_compiled = (self._compile_arguments or {}).get("jit_compile") is True
        return self.step_runner(name, 1).begin_epoch() if is_compiled else getattr(self, name)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from a batch (x, y, sample_weight); returns what to log. Override for training of your own."""
        return steps.train_step(self, data)  # type: ignore[arg-type]

    def test_step(self, data: Any) -> dict[str, Any]:
        """One batch of evaluation; returns what to log."""
        return steps.test_step(self, data)  # type: ignore[arg-type]

    def predict_step(self, data: Any) -> Any:
        """Predictions for one batch."""
        return steps.predict_step(self, data)  # type: ignore[arg-type]

    @tells_line
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        cache_features: Any = None,
    ) -> Any:
        """Train for some epochs; returns a History with the results of each.

        `x`: arrays (or a list or dictionary of them) with targets `y`; or a generator, DataLoader or any iterable of
        batches `(x, y)` or `(x, y, sample_weight)`; or a dataset with a length.

        cache_features: a folder. What the frozen first layers give for `x` is then computed once, on onnxruntime, and
            kept there, for this training and later ones; each epoch trains what follows them. Changed weights or data
            are noticed. True keeps it for this training alone. Needs arrays, and no random layer before frozen ones.

        >>> import numpy as np, sardonyx as sx
        >>> model = sx.Sequential([sx.Input((1,)), sx.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((8, 1)), np.ones((8, 1)), epochs=3, verbose=0)
        >>> len(history.history["loss"])
        3
        """
        self._require_compiled("fit")
        trained: Any = self
        may_refuse = type(self).train_step is ModelTraining.train_step
        if cache_features is not None and cache_features is not False:
            if may_refuse:
                refuse_all_frozen(self)
            trained, x, validation_data = later.on_features(self, cache_features, x, validation_data, verbose)
        with settled(trained):
            if may_refuse:
                refuse_all_frozen(trained)
            return training.fit(
                trained, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
                class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
                validation_freq,
            )  # fmt: skip

    def rehearse(self, batch: Any, whole: Any = None, validation: Any = None, class_weight: Any = None) -> None:
        """Trace a step for a batch, and look at all data in memory, so that `fit` fails before it has changed anything.

        A `train_step` of one's own is not traced: nobody knows what it does with a batch.
        """
        if type(self).train_step is ModelTraining.train_step:
            later.rehearse(self, batch, whole, validation, class_weight)

    @tells_line
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data, in inference mode: a number, a list, or a dictionary with `return_dict`."""
        self._require_compiled("evaluate")
        return training.evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict)

    def _require_compiled(self, what: str) -> None:
        if not self.compiled and type(self).train_step is ModelTraining.train_step:
            raise ValueError(f"model '{self.name}' is not compiled: call compile(optimizer, loss) before {what}()")

    @tells_line
    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update from one batch; returns loss and metrics as running values."""
        self._require_compiled("train_on_batch")
        return training.on_batch(self, self._batch_step("train_step"), x, y, sample_weight, class_weight, return_dict)

    @tells_line
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        return training.on_batch(self, self._batch_step("test_step"), x, y, sample_weight, None, return_dict)

    @tells_line
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        runtime: str = "auto",
        device: str = "auto",
        providers: list[str] | None = None,
    ) -> Any:
        """Outputs for all samples, as NumPy arrays in the structure of the model's output.

        batch_size: samples at a time; by default 32, and on onnxruntime up to 256 unless samples are large
        runtime: "onnxruntime" (the default where the model can be exported), or "numpy"
        device: "auto", "cpu" or "cuda"; a GPU that is asked for and missing is an error
        """
        if verbose == 0 and steps is None and callbacks is None and runtime in ("auto", "onnxruntime"):
            outputs = predict_at_once(self, x, batch_size, device, providers)
            if outputs is not None:
                return outputs
        step = prediction_step(self, runtime, device, providers)
        if steps is None and callbacks is None and runs_whole(self, x):
            return predict_whole(step, x)
        if batch_size is None and callbacks is None:
            batch_size = batch_size_for(self, x, runtime, device, providers)
        return training.predict(self, x, batch_size, verbose, steps, callbacks, step)

    def graph(self, training: bool = False) -> Graph:
        """The graph of the model in one of its modes, traced anew: what is exported, compared and drawn."""
        return model_graph(self, training)[0]

    @tells_line
    def predict_on_batch(self, x: Any, runtime: str = "auto") -> Any:
        """Outputs for one batch."""
        return tree.map_structure(np.asarray, prediction_step(self, runtime, "auto", None)((x,)))


def _versions(metric: Any) -> list[int]:
    """How often each variable of a metric was assigned."""
    return [variable.version for variable in metric.variables]


DEFAULT_STEP["predict_step"] = ModelTraining.predict_step
