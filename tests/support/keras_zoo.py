"""Run as a program: Keras builds networks of the zoo with random weights, saves them and computes their outputs.

A process of its own, because Keras takes one backend a process, and PyTorch's answers several times sooner than JAX's,
which compiles every operation of every shape.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from zoo import images, random_gain, random_values, random_variables


def twin(architecture: str, given: dict[str, Any]) -> Any:
    """Keras's network with random weights and statistics."""
    network = getattr(keras.applications, architecture)(**given)
    rng, gain = np.random.default_rng(0), random_gain(architecture)
    for variable in random_variables(network.weights):
        variable.assign(random_values(variable.path, tuple(variable.shape), rng, gain))
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            # It computes with a copy of its statistics, which only adapting and loading renew (a view on PyTorch).
            layer.finalize_state()
    return network


def write(folder: Path, architecture: str, ending: str, given: dict[str, Any]) -> None:
    """The weights, the outputs for `images`, and the names of the layers, each in a file of the folder."""
    network = twin(architecture, given)
    path = folder / f"{architecture}{ending}"
    (network.save_weights if ending == ".weights.h5" else network.save)(path)
    size = network.input_shape[1]
    outputs = network(images(architecture, size=size), training=False)
    np.save(folder / f"{architecture}.npy", keras.ops.convert_to_numpy(outputs))
    facts = {"names": [layer.name for layer in network.layers], "parameters": network.count_params()}
    (folder / f"{architecture}.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    for kind in (keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal):
        # Drawing values takes Keras minutes, and all are replaced.
        kind.__call__ = lambda self, shape, dtype=None, **_: keras.ops.zeros(shape, dtype)
    for work in json.loads(sys.argv[2]):
        write(Path(sys.argv[1]), *work)
