"""MatMul and Add become Gemm where the operands are matrices."""

from __future__ import annotations

from ...trainer.core.dims import equal
from ..ir import OnnxNode
from .scope import Scope, Sweep


def fuse_gemm(scope: Scope) -> bool:
    """Before: constants are folded. After: no product of two matrices, used once, is followed by the addition of a
    vector that fits its columns (or of a matrix that needs no broadcasting of the product)."""
    return Sweep(scope, count_uses=True).run(_fuse, ("Add",))


def _fuse(sweep: Sweep, node: OnnxNode) -> list[OnnxNode] | None:
    for product, bias in (node.inputs, node.inputs[::-1]):
        made = sweep.maker(product, "MatMul")
        if made is None or not sweep.only_use(product) or not _fits(sweep, made, product, bias):
            continue
        return [OnnxNode("Gemm", [*made.inputs, bias], node.outputs, {}, _renamed(made.name), source=made.source)]
    return None


def _renamed(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.replace('MatMul', 'Gemm')}"


def _fits(sweep: Sweep, made: OnnxNode, product: str, bias: str) -> bool:
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
