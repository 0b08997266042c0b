"""Boxes in images: NonMaxSuppression, RoiAlign, MaxRoiPool."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...trainer import ops
from ...trainer.core.dims import fresh
from ...trainer.core.spec import TensorSpec
from ...trainer.core.tensor import Tensor
from .opaque import opaque
from .table import Call
from .values import fixed, number


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (y1, x1, y2, x2)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    whole = np.prod(box[2:] - box[:2]) + areas - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


@opaque("NonMaxSuppression", lambda call, *specs: TensorSpec((fresh("boxes"), 3), np.int64), sizes=True)
def non_max_suppression(
    call: Call, boxes: Tensor, scores: Tensor, most: Any = None, overlap: Any = None, least: Any = None
) -> Tensor:
    """(batch, class, box) of the best boxes, none of which overlaps a better one by more than a share."""
    corners, chances = fixed(call, boxes, "the boxes"), fixed(call, scores, "the scores")
    if call.get("center_point_box", 0):
        x, y, w, h = np.moveaxis(corners, -1, 0)
        corners = np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], axis=-1)
    else:
        ends = np.sort(corners.reshape(*corners.shape[:2], 2, 2), axis=2)
        corners = ends.reshape(corners.shape)
    limit, share = int(number(call, most, "the number of boxes", 0)), number(call, overlap, "the overlap", 0.0)
    bound = number(call, least, "the least score")
    found: list[tuple[int, int, int]] = []
    for b, c in np.ndindex(*chances.shape[:2]):
        order = np.argsort(-chances[b, c], kind="stable")
        if bound is not None:
            order = order[chances[b, c][order] > bound]
        kept: list[int] = []
        while order.size and len(kept) < limit:
            kept.append(int(order[0]))
            order = order[1:][_overlap(corners[b, order[0]], corners[b, order[1:]]) <= share]
        found += [(b, c, box) for box in kept]
    return Tensor(np.asarray(found, np.int64).reshape(-1, 3))


def _between(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """The four weighted corners of places in (channels, height, width); nothing far outside."""
    height, width = image.shape[1:]
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    v, u = (y - top) * 1.0, (x - left) * 1.0
    return (
        image[:, top, left] * ((1 - v) * (1 - u) * inside), image[:, top, right] * ((1 - v) * u * inside),
        image[:, below, left] * (v * (1 - u) * inside), image[:, below, right] * (v * u * inside),
    )  # fmt: skip


def _regions(call: Call, x: TensorSpec, rois: TensorSpec, *rest: Any) -> TensorSpec:
    height, width = call.get("pooled_shape") or (call.get("output_height", 1), call.get("output_width", 1))
    return TensorSpec((rois.shape[0], x.shape[1], height, width), x.dtype)


@opaque("RoiAlign", _regions, before=(16, {"coordinate_transformation_mode": "output_half_pixel"}))
def roi_align(call: Call, x: Tensor, rois: Tensor, batch: Tensor) -> Tensor:
    """Regions of images in one size, cells read between those of the image and averaged, or the largest taken."""
    images, boxes = fixed(call, x, "the images"), fixed(call, rois, "the regions")
    owners = fixed(call, batch, "the images of the regions")
    height, width = call.get("output_height", 1), call.get("output_width", 1)
    ratio, scale = call.get("sampling_ratio", 0), call.get("spatial_scale", 1.0)
    aligned = call.version >= 16 and call.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    found = np.zeros((len(boxes), images.shape[1], height, width), images.dtype)
    for i, box in enumerate(boxes):
        x1, y1, x2, y2 = box * scale - (0.5 if aligned else 0)
        w, h = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
        ny, nx = (ratio, ratio) if ratio > 0 else (int(np.ceil(h / height)), int(np.ceil(w / width)))
        ys = y1 + (np.arange(height * ny) + 0.5) * h / (height * ny)
        xs = x1 + (np.arange(width * nx) + 0.5) * w / (width * nx)
        corners = _between(images[owners[i]], ys[:, None], xs[None, :])
        shape = (images.shape[1], height, ny, width, nx)
        if call.get("mode", "avg") == "avg":
            found[i] = sum(corners).reshape(shape).mean((2, 4))  # pyright: ignore[reportAttributeAccessIssue]
        else:
            found[i] = np.maximum.reduce(corners).reshape(shape).max((2, 4))
    return Tensor(found)


@opaque("MaxRoiPool", _regions)
def max_roi_pool(call: Call, x: Tensor, rois: Tensor) -> Tensor:
    """The largest cells of regions, each cut into the same number of windows."""
    images, boxes = fixed(call, x, "the images"), fixed(call, rois, "the regions")
    (height, width), scale = call.get("pooled_shape"), call.get("spatial_scale", 1.0)
    parts = []
    for box in boxes:
        x1, y1, x2, y2 = np.round(box[1:] * scale).astype(int)
        rows, columns = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        cut = ops.convert_to_tensor(images[int(box[0])][None, :, y1 : y1 + rows, x1 : x1 + columns])
        parts.append(ops.adaptive_max_pool(cut, (height, width), data_format="channels_first"))
    return ops.concatenate(parts, axis=0)
