"""One batch: forward, loss, gradients, update, metrics. What `Model.train_step` and its like do by default."""

from __future__ import annotations

from typing import Any, Protocol

from ..core import tree
from ..data.structure import unpack_x_y_sample_weight
from ..gradient import GradientTape


class Trainable(Protocol):
    """What a step needs of a model."""

    optimizer: Any

    @property
    def trainable_variables(self) -> list[Any]:
        """Variables to update."""
        ...

    def __call__(self, inputs: Any, *, training: bool) -> Any:
        """Predictions."""
        ...

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The scalar to minimise."""
        ...

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update metrics and return their values."""
        ...


def train_step(model: Trainable, data: Any) -> dict[str, Any]:
    """Update the model by one batch; returns the running values of loss and metrics."""
    gradients, seen = gradients_of(model, data)
    if variables := model.trainable_variables:
        if model.optimizer is None:
            raise ValueError("the model has weights to train and no optimizer: call compile(optimizer, loss) first")
        model.optimizer.apply(gradients, variables)
    return model.compute_metrics(*seen)


def gradients_of(model: Trainable, data: Any, variables: list[Any] | None = None) -> tuple[list[Any], Any]:
    """Gradients of the loss of a batch by the trainable variables, and what metrics see of it (x, y, y_pred, weights).

    variables: where not all of them are wanted
    """
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    with GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
        scaled = loss if model.optimizer is None else model.optimizer.scale_loss(loss)
    variables = model.trainable_variables if variables is None else variables
    return tape.gradient(scaled, variables) if variables else [], (x, y, y_pred, sample_weight)


def test_step(model: Trainable, data: Any) -> dict[str, Any]:
    """Loss and metrics of one batch in inference mode."""
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    y_pred = model(x, training=False)
    model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
    return model.compute_metrics(x, y, y_pred, sample_weight)


def predict_step(model: Trainable, data: Any) -> Any:
    """Predictions for one batch in inference mode."""
    x, _, _ = unpack_x_y_sample_weight(data)
    return model(x, training=False)


def as_numbers(logs: dict[str, Any]) -> dict[str, float]:
    """Log values as Python numbers (lists for vectors)."""
    if all(type(value) is float for value in logs.values()):
        return logs

    def number(value: Any) -> Any:
        array = value if isinstance(value, (int, float)) else value.numpy() if hasattr(value, "numpy") else value
        if isinstance(array, (int, float)):
            return array
        return array.item() if array.ndim == 0 else array.tolist()

    missing = [name for name, value in logs.items() if value is None]
    if missing:
        raise TypeError(
            f"train_step and test_step return a dictionary of numbers by name, or a loss; {missing[0]!r} is None"
        )
    flat: dict[str, Any] = {}
    for name, value in logs.items():  # a group of metrics, such as all those of compile(), has names of its own
        flat.update(value if isinstance(value, dict) else {name: value})
    return {name: tree.map_structure(number, value) for name, value in flat.items()}
