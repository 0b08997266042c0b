"""Trees of ai.onnx.ml, all rows and trees at once: from node to node as many times as the deepest tree has levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.tensor import Tensor
from .labels import DOMAIN, as_float, finished, labelled
from .table import Call, UnsupportedOperatorError, operator
from .values import is_string, scalar_like

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
COMPARE = (ops.less_equal, ops.less, ops.greater_equal, ops.greater, ops.equal, ops.not_equal)
JOINED = {"SUM": ops.sum, "AVERAGE": ops.mean, "MIN": ops.amin, "MAX": ops.amax}


@dataclass
class Forest:
    """Nodes of all trees in arrays. A leaf has itself as both children.

    roots: where each tree begins
    yes, no: the node that follows where the comparison holds, and where not
    modes: places in `MODES`; members: for each node with a set, the set
    missing: whether a feature that is NaN counts as holding
    weights: what a node that is a leaf adds to each target; given: whether it says anything of a target
    """

    roots: np.ndarray
    features: np.ndarray
    splits: np.ndarray
    modes: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    missing: np.ndarray
    weights: np.ndarray
    given: np.ndarray
    members: dict[int, np.ndarray]

    def depth(self, call: Call) -> int:
        """Levels of the deepest tree. Raises `ValueError` for branches that run in a circle."""
        found, level = self.roots, 0
        while True:
            inner = found[(self.yes[found] != found) | (self.no[found] != found)]
            if not inner.size:
                return level
            if level > len(self.yes):
                raise ValueError(f"{call.label}: the branches of a tree run in a circle")
            found, level = np.unique(np.concatenate([self.yes[inner], self.no[inner]])), level + 1

    def leaves(self, call: Call, x: Tensor) -> Tensor:
        """The leaf that each row reaches in each tree: whole numbers of shape (rows, trees)."""
        one = ops.cast(ops.zeros_like(x[:, :1]), "int64")
        node = one + Tensor(self.roots[None].astype(np.int64))
        for _ in range(self.depth(call)):
            value = ops.take_along_axis(x, _at(self.features, node), axis=1)
            holds = self._holds(node, value)
            if self.missing.any():
                holds = ops.logical_or(holds, ops.logical_and(ops.isnan(value), _at(self.missing, node)))
            node = ops.where(holds, _at(self.yes, node), _at(self.no, node))
        return node

    def _holds(self, node: Tensor, value: Tensor) -> Tensor:
        split = _at(self.splits.astype(value.dtype), node)
        inner = (self.yes != np.arange(len(self.yes))) | (self.no != np.arange(len(self.no)))
        kinds = np.unique(self.modes[inner]).tolist() or [0]
        found = self._compare(kinds[0], node, value, split)
        for kind in kinds[1:]:
            found = ops.where(_at(self.modes == kind, node), self._compare(kind, node, value, split), found)
        return found

    def _compare(self, kind: int, node: Tensor, value: Tensor, split: Tensor) -> Tensor:
        if kind < len(COMPARE):
            return COMPARE[kind](value, split)
        width = max(map(len, self.members.values()))
        table = np.full((len(self.modes), width), np.nan, value.dtype)
        for place, members in self.members.items():
            table[place, : len(members)] = members
        return ops.any(ops.equal(ops.expand_dims(value, -1), _at(table, node)), axis=-1)

    def scores(self, call: Call, x: Tensor, kind: str) -> Tensor:
        """What the leaves say of each target, joined over the trees: (rows, targets)."""
        leaves = self.leaves(call, x)
        values = _at(self.weights.astype(x.dtype), leaves)
        if kind in ("MIN", "MAX") and not self.given[_leaf_nodes(self)].all():
            nothing = scalar_like(np.inf if kind == "MIN" else -np.inf, values)
            values = ops.where(_at(self.given, leaves), values, nothing)
        found = JOINED[kind](values, axis=1)
        return ops.where(ops.isfinite(found), found, scalar_like(0, found)) if kind in ("MIN", "MAX") else found


def _leaf_nodes(forest: Forest) -> np.ndarray:
    own = np.arange(len(forest.yes))
    return (forest.yes == own) & (forest.no == own)


def _at(table: np.ndarray, node: Tensor) -> Tensor:
    return ops.take(Tensor(np.ascontiguousarray(table)), node, axis=0)


def _numbers(call: Call, name: str, default: Any = None) -> np.ndarray:
    tensor = call.get(f"{name}_as_tensor")
    values = call.get(name, default) if tensor is None else tensor
    if values is None:
        raise ValueError(f"{call.label}: the attribute '{name}' is missing")
    return np.asarray(values)


def old_forest(call: Call, prefix: str, targets: int) -> Forest:
    """The trees of TreeEnsembleRegressor and TreeEnsembleClassifier: nodes by the numbers of tree and node."""
    keys = list(zip(_numbers(call, "nodes_treeids").tolist(), _numbers(call, "nodes_nodeids").tolist(), strict=True))
    places = {key: i for i, key in enumerate(keys)}
    modes = call.get("nodes_modes")
    yes, no = (
        np.asarray([
            i if mode == "LEAF" else places[tree, child]
            for i, ((tree, _), mode, child) in enumerate(zip(keys, modes, children.tolist(), strict=True))
        ])
        for children in (_numbers(call, "nodes_truenodeids"), _numbers(call, "nodes_falsenodeids"))
    )  # fmt: skip
    roots: dict[Any, int] = {}
    for i, (tree, _) in enumerate(keys):
        roots.setdefault(tree, i)
    children = {int(c) for c in (*yes[yes != np.arange(len(keys))], *no[no != np.arange(len(keys))])}
    for i, (tree, _) in enumerate(keys):
        if i not in children:
            roots[tree] = i
    weights, given = np.zeros((len(keys), targets)), np.zeros((len(keys), targets), bool)
    leaves = zip(
        _numbers(call, f"{prefix}_treeids").tolist(), _numbers(call, f"{prefix}_nodeids").tolist(),
        _numbers(call, f"{prefix}_ids").tolist(), _numbers(call, f"{prefix}_weights").tolist(), strict=True,
    )  # fmt: skip
    for tree, node, target, weight in leaves:
        weights[places[tree, node], target] += weight
        given[places[tree, node], target] = True
    unknown = [mode for mode in modes if mode not in (*MODES[:6], "LEAF")]
    if unknown:
        raise UnsupportedOperatorError(f"{call.label}: nodes of the mode {unknown[0]} are not read")
    numbers = np.asarray([0 if mode == "LEAF" else MODES.index(mode) for mode in modes])
    missing = np.asarray(call.get("nodes_missing_value_tracks_true") or np.zeros(len(keys)), bool)
    return Forest(
        np.asarray(list(roots.values())), _numbers(call, "nodes_featureids").astype(np.int64),
        _numbers(call, "nodes_values"), numbers, yes, no, missing, weights, given, {},
    )  # fmt: skip


def new_forest(call: Call) -> Forest:
    """The trees of TreeEnsemble: inner nodes and leaves apart."""
    yes, no = (_numbers(call, f"nodes_{side}nodeids") for side in ("true", "false"))
    count, leaves = len(yes), len(call.get("leaf_weights"))
    yes_leaf, no_leaf = (_numbers(call, f"nodes_{side}leafs").astype(bool) for side in ("true", "false"))
    own = np.arange(count, count + leaves)
    first = np.where(yes_leaf, yes + count, yes)
    second = np.where(no_leaf, no + count, no)
    modes = np.concatenate([_numbers(call, "nodes_modes"), np.zeros(leaves)]).astype(np.int64)
    weights, given = (np.zeros((count + leaves, call.get("n_targets", 1)), kind) for kind in (float, bool))
    weights[own, _numbers(call, "leaf_targetids")] = _numbers(call, "leaf_weights")
    given[own, _numbers(call, "leaf_targetids")] = True
    members = call.get("membership_values")
    sets = [] if members is None else np.split(members, np.flatnonzero(np.isnan(members)) + 1)
    holders = np.flatnonzero(modes[:count] == len(COMPARE)).tolist()
    missing = np.zeros(count + leaves, bool)
    missing[:count] = np.asarray(call.get("nodes_missing_value_tracks_true") or np.zeros(count), bool)
    fill = np.zeros(leaves)
    return Forest(
        _numbers(call, "tree_roots"), np.concatenate([_numbers(call, "nodes_featureids"), fill]).astype(np.int64),
        np.concatenate([_numbers(call, "nodes_splits"), fill]), modes, np.concatenate([first, own]),
        np.concatenate([second, own]), missing, weights, given,
        {i: s[~np.isnan(s)] for i, s in zip(holders, sets, strict=False)},
    )  # fmt: skip


def _features(call: Call, x: Tensor) -> Tensor:
    if is_string(x):
        raise UnsupportedOperatorError(f"{call.label}: trees of texts are not read")
    return x if x.dtype.kind == "f" else as_float(x)


@operator("TreeEnsemble", domain=DOMAIN, since=5)
def ensemble(call: Call, x: Tensor) -> Tensor:
    """Sums (or means, least, greatest) over trees of the weights of the leaves that rows reach."""
    kind = ("AVERAGE", "SUM", "MIN", "MAX")[call.get("aggregate_function", 1)]
    found = new_forest(call).scores(call, _features(call, x), kind)
    name = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")[call.get("post_transform", 0)]
    return finished(call, found, name)


@operator("TreeEnsembleRegressor", domain=DOMAIN)
def regress(call: Call, x: Tensor) -> Tensor:
    """One number a target."""
    count = call.get("n_targets", 1)
    found = old_forest(call, "target", count).scores(call, _features(call, x), call.get("aggregate_function", "SUM"))
    return finished(call, _with_base(call, ops.cast(found, "float32")))


def _with_base(call: Call, scores: Tensor) -> Tensor:
    base = call.get("base_values_as_tensor", call.get("base_values"))
    return scores if base is None or not len(base) else scores + Tensor(np.asarray(base, np.float32))


@operator("TreeEnsembleClassifier", domain=DOMAIN)
def classify(call: Call, x: Tensor) -> tuple[Tensor, Tensor]:
    """The label, and the scores of the classes."""
    labels: Sequence[Any] = call.get("classlabels_strings") or call.get("classlabels_int64s")
    ids = np.unique(_numbers(call, "class_ids"))
    forest = old_forest(call, "class", len(labels))
    rows = _features(call, x)
    scores = ops.cast(forest.scores(call, rows, "SUM"), "float32")
    if len(labels) != 2 or len(ids) != 1:
        scores = _with_base(call, scores)
        spoken = ops.any(_at(forest.given, forest.leaves(call, rows)), axis=1)
        best = ops.argmax(ops.where(spoken, scores, scalar_like(-np.inf, scores)), axis=-1)
        return labelled(call, best, labels), finished(call, scores)
    return _two_classes(call, scores, int(ids[0]), labels)


def _two_classes(call: Call, scores: Tensor, place: int, labels: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Trees that speak of one of two classes only: what they say of it decides, as onnxruntime has it."""
    if len(call.get("base_values") or ()) > 1:
        raise UnsupportedOperatorError(f"{call.label}: two base values for trees that speak of one class are not read")
    single = _with_base(call, scores[:, place : place + 1])
    positive = bool((_numbers(call, "class_weights") >= 0).all())
    best = ops.cast(ops.greater(single[:, 0], scalar_like(0.5 if positive else 0, single)), "int64")
    if place == 1:
        return labelled(call, best, labels), finished(call, ops.concatenate([ops.zeros_like(single), single], axis=-1))
    if positive:
        pair = [scalar_like(1, single) - single, single]
    else:
        pair = [-single, single]
        if call.get("post_transform", "NONE") == "LOGISTIC":
            pair = [ops.sigmoid(s) for s in pair]
    return labelled(call, best, labels), ops.concatenate(pair, axis=-1)
