"""Run in a process of its own: opens saved models whose classes are not known there, and tells what it finds."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import sardonyx as sx


def summary(model: Any) -> list[str]:
    """The table, expanded, without the lines after it."""
    lines: list[str] = []
    model.summary(print_fn=lines.append, expand_nested=True, line_length=110)
    return [line for line in lines[0].splitlines() if "Recorded" not in line]


def outputs(model: Any, x: Any, training: bool) -> list[Any]:
    """Flat results."""
    return [np.asarray(v).tolist() for v in sx.tree.flatten(model(x, training=training))]


def layer_paths(model: Any) -> list[str]:
    """Paths of all layers in their models."""
    return list(model.weight_names().values())


def facts(model: Any, x: Any, y: Any, folder: Path) -> dict[str, Any]:
    """What is compared between the original and the one that was opened."""
    found: dict[str, Any] = {
        "inference": outputs(model, x, False),
        "predicted": [v.tolist() for v in sx.tree.flatten(model.predict(x, verbose=0))],
        "summary": summary(model), "weights": layer_paths(model), "paths": [v.path for v in model.variables],
        "trainable": [v.path for v in model.trainable_variables], "inputs": model.input_names,
        "outputs": model.output_names, "tensors": len(model.tensors()),
        "constraints": [type(v.constraint).__name__ for v in model.weights],
    }  # fmt: skip
    inner = list(model.tensors().values())[-1]
    cut = sx.Model(model.input, [inner])
    found["cut"] = [np.asarray(v).tolist() for v in sx.tree.flatten(cut(x, training=False))]
    model.export(folder / "exported.onnx")
    found["exported"] = [np.asarray(v).tolist() for v in run(folder / "exported.onnx", x)]
    history = model.fit(x, y, batch_size=2, epochs=3, shuffle=False, verbose=0).history
    found["history"] = history["loss"]
    found["training"] = outputs(model, x, True)
    return found


def run(path: Path, x: Any) -> list[Any]:
    """Results of onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    leaves = sx.tree.flatten(x)
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, leaves, strict=True)))


def main(folder: Path) -> None:
    """Open every model of a folder; write what was found, and what was told, beside it."""
    structures = json.loads((folder / "structures.json").read_text())
    found: dict[str, Any] = {}
    for name, structure in structures.items():
        arrays = np.load(folder / f"{name}.npz")
        x, y = sx.tree.pack_sequence_as(structure, [arrays[str(i)] for i in range(len(arrays))])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = sx.models.load_model(folder / f"{name}.onnx")
        notes = [str(w.message) for w in told]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(folder / "again.onnx")
            again = sx.models.load_model(folder / "again.onnx")
            entry = {"again": outputs(again, x, False), "kind": type(model).__name__, "told": notes}
            entry["json"] = sx.models.model_from_json(model.to_json()).count_params()
            entry["clone"] = sx.models.clone_model(model).count_params()
        found[name] = {**entry, **facts(model, x, y, folder)}
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
