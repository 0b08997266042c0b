"""Names of layers, from those of weights and nodes in the file: `layer1.0.conv1`, as its maker called it."""

from __future__ import annotations

import re
from collections import Counter

from .view import Found, GraphView, sharing_key

ENDINGS = re.compile(
    r"[./](weight|bias|kernel|gamma|beta|moving_mean|moving_variance|running_mean|running_var|embeddings?|alpha|"
    r"depthwise_kernel|recurrent_kernel|weight_(ih|hh)_l\d+|bias_(ih|hh)_l\d+|[wb]_\d+(_deepcopy_\d+)?)(:\d+)?$"
)
OPERATORS = re.compile(r"^[A-Z][A-Za-z0-9]*(_\d+)?$")

SPREAD = ("MultiHeadAttention",)
"""Layers whose nodes stand in several scopes."""


def scope_of(view: GraphView, i: int) -> str:
    """The part of a node's name that says where it stands; empty without one."""
    return _plain(view.nodes[i].name).rpartition("/")[0].strip("/")


def name_layers(view: GraphView, layers: list[Found]) -> None:
    """Give each layer a name that is its own."""
    places = {(scope_of(view, i), sharing_key(x)) for x in layers for i in x.nodes}
    crowd = Counter(scope for scope, _ in places)
    for scope in {scope for scope, _ in places}:  # what holds other scopes is no layer's own
        parts = scope.split("/")
        crowd.update("/".join(parts[:k]) for k in range(1, len(parts)))
    shared = _common(view, layers)
    taken: dict[str, int] = {}
    known: dict[str, str] = {}
    for layer in layers:
        key = sharing_key(layer)
        if key in known:
            layer.name = known[key]
            continue
        name = _from_weights(layer) or ("" if layer.kind in SPREAD else _from_nodes(view, layer, crowd, shared))
        name = _clean(name) or _snake(layer.kind)
        count = taken.get(name.lower(), -1) + 1
        taken[name.lower()] = count
        while count and f"{name}_{count}".lower() in taken:
            count += 1
        layer.name = f"{name}_{count}" if count else name
        taken.setdefault(layer.name.lower(), 0)
        known[key] = layer.name


def _from_weights(layer: Found) -> str:
    """The path before `.weight`, `/kernel` and their like; what the paths have in common, if there are several."""
    paths: list[str] = []
    for source in layer.weights.values():
        path = source.name.removesuffix(":0").removesuffix("/ReadVariableOp")
        found = ENDINGS.search(path)
        if found is not None and not path.startswith("onnx::"):
            paths.append(path[: found.start()])
    if len(set(paths)) < 2:
        return paths[0] if paths else ""
    first, *others = [re.split(r"[./]", path) for path in paths]
    same = 0
    while same < len(first) and all(x[same : same + 1] == first[same : same + 1] for x in others):
        same += 1
    return ".".join(first[:same])


def _from_nodes(view: GraphView, layer: Found, crowd: Counter[str], shared: int) -> str:
    """The scope of the layer's nodes, with the node's own name where others stand in it too."""
    i = layer.nodes[0] if layer.weights else layer.nodes[-1]
    name = _plain(view.nodes[i].name)
    path, leaf = path_of(name, shared)
    in_parts = len({scope_of(view, k) for k in layer.nodes}) == 1 and len(layer.nodes) > 1
    if path and crowd[scope_of(view, i)] < 2 and (in_parts or OPERATORS.match(leaf) is not None):
        return path
    return f"{path}.{leaf}" if path else leaf


def path_of(name: str, shared: int = 0) -> tuple[str, str]:
    """Path of modules and own name of a node: `/layer1/layer1.0/conv1/Conv` stands in `layer1.0.conv1`.

    shared: how many leading parts of names are left out that do not begin with a slash
    """
    scope, _, leaf = name.rpartition("/")
    parts = [x for x in scope.split("/") if x][0 if name.startswith("/") else shared :]
    path: list[str] = []
    for before, part in zip(["", *parts], parts, strict=False):
        path = [*path[:-1], part] if before and part.startswith(f"{before}.") else [*path, part]
    return ".".join(path), leaf.removeprefix("node_")


def _common(view: GraphView, layers: list[Found]) -> int:
    """How many leading parts of the scopes are the same for all nodes (a model's own name)."""
    scopes = [scope_of(view, i).split("/") for x in layers for i in x.nodes[:1] if "/" in _plain(view.nodes[i].name)]
    count = 0
    while scopes and all(len(s) > count + 1 for s in scopes) and len({s[count] for s in scopes}) == 1:
        count += 1
    return count


def _plain(name: str) -> str:
    return name.partition(";")[0]


def _clean(name: str) -> str:
    return re.sub(r"[\s:;/]+", "_", name.replace("/", ".")).strip("._")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
