"""MatMul with a transposed operand or a vector added becomes Gemm where the operands are matrices."""

from __future__ import annotations

from ...trainer.core.dims import equal
from ..ir import OnnxNode
from .scope import Scope, Sweep


def turn_operands(scope: Scope) -> bool:
    """Before: any valid graph. After: no product of two matrices reads one that a Transpose made."""
    return Sweep(scope).run(_turn, ("MatMul", "Gemm"), beside=("Transpose",))


def _turn(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    specs = [sweep.spec(name) for name in node.inputs[:2]]
    if any(spec is None or spec.rank != 2 or spec.dtype.char not in "fd" for spec in specs):
        return None
    inputs, attributes = list(node.inputs), dict(node.attributes)
    for i, key in enumerate(("transA", "transB")):
        made = sweep.maker(inputs[i], "Transpose")
        if made is not None and list(made.attributes["perm"]) == [1, 0]:
            inputs[i] = made.inputs[0]
            attributes[key] = 1 - attributes.get(key, 0)
    if inputs == node.inputs:
        return None
    attributes = {key: value for key, value in attributes.items() if value or not key.startswith("trans")}
    if not attributes and len(inputs) == 2:
        return [OnnxNode("MatMul", inputs, node.outputs, {}, node.name, source=node.source)]
    name = node.name if node.operator == "Gemm" else sweep.shared.unique(_renamed(node.name))
    return [OnnxNode("Gemm", inputs, node.outputs, attributes, name, source=node.source)]


def fuse_gemm(scope: Scope) -> bool:
    """Before: constants are folded. After: no product of two matrices, used once, is followed by the addition of a
    vector that fits its columns (or of a matrix that needs no broadcasting of the product)."""
    return Sweep(scope, count_uses=True).run(_fuse, ("Add",), beside=("MatMul", "Gemm"))


def _fuse(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    for product, bias in (node.inputs, node.inputs[::-1]):
        made = sweep.maker(product, "MatMul", "Gemm")
        if made is None or not sweep.only_use(product) or not _fits(sweep, made, product, bias):
            continue
        inputs = [*made.inputs, bias]
        return [OnnxNode("Gemm", inputs, node.outputs, dict(made.attributes), _renamed(made.name), source=made.source)]
    return None


def _renamed(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.replace('MatMul', 'Gemm')}"


def _fits(sweep: Sweep, made: OnnxNode, product: str, bias: str) -> bool:
    if len(made.inputs) != 2 or not made.attributes.keys() <= {"transA", "transB"}:
        return False
    specs = [sweep.spec(name) for name in (*made.inputs, product, bias)]
    if any(spec is None for spec in specs):
        return False
    left, right, result, added = [spec for spec in specs if spec is not None]
    if left.rank != 2 or right.rank != 2 or result.dtype.char not in "fd" or added.rank > 2:
        return False
    wide = (1,) * (2 - added.rank) + added.shape
    return all(
        equal(size, 1) is True or equal(size, full) is True for size, full in zip(wide, result.shape, strict=True)
    )
