"""Callbacks that write files: checkpoints and logs."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from typing import Any, TextIO

from .callback import Callback
from .monitor import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model (or its weights) after epochs or batches (Keras name: `ModelCheckpoint`).

    `filepath` may hold `{epoch}` (counted from 1), `{batch}` and names of logs: "m-{epoch:02d}-{val_loss:.3f}.onnx".
    `save_freq` is "epoch" or a number of batches. Files appear whole or not at all.
    """

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        save_weights_only: bool = False, mode: str = "auto", save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        endings = (".safetensors", ".npz", ".weights.npz") if save_weights_only else (".onnx",)
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: {'weights' if save_weights_only else 'a model'} must be saved to a file that ends "
                f"in {' or '.join(endings[:2])}, got {self.filepath!r}"
            )
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f'ModelCheckpoint: save_freq must be "epoch" or a positive integer, got {save_freq!r}')
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self.batches_seen = 0
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember the epoch for file names."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save every `save_freq` batches."""
        if isinstance(self.save_freq, int):
            self.batches_seen += 1
            if self.batches_seen % self.save_freq == 0:
                self._save(self.epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save after the epoch."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        if self.save_best_only:
            value = self.current(logs)
            if value is None or not self.improves(value, self.best):
                return
            self.best = value
        path = self._path(epoch, batch, logs or {})
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        if self.verbose:
            print(f"epoch {epoch + 1}: saved {path}")

    def _path(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> str:
        names = {"epoch": epoch + 1, **logs} | ({} if batch is None else {"batch": batch + 1})
        try:
            return self.filepath.format(**names)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: the file name {self.filepath!r} asks for {error}, which is not in the logs: "
                f"{sorted(names)}"
            ) from None


class CSVLogger(Callback):
    """Writes the results of each epoch as a line of a CSV file; `append` goes on with an existing one."""

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self.file: TextIO | None = None
        self.keys: list[str] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the file, before any training is done."""
        has_header = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        if has_header:
            with open(self.filename, newline="") as existing:
                self.keys = next(csv.reader(existing, delimiter=self.separator))[1:]
        self.file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115 - stays open while training

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write a line, at once on disk."""
        if self.file is None:
            return
        writer = csv.writer(self.file, delimiter=self.separator)
        if not self.keys:
            self.keys = sorted(logs or {})
            writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *[(logs or {}).get(key, "NA") for key in self.keys]])
        self.file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
            self.file = None
