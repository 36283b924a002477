# SPDX-License-Identifier: Apache-2.0
"""Resize and Upsample: nearest and linear, over height and width of images, or the length of signals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewbins.graph import Shape
from fewbins.importers.context import Context
from fewbins.importers.free_sizes import FIX
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.folds import normal_axis
from fewbins.importers.operators.rows import from_image, to_image
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.sizes import Size, Symbol
from fewbins.importers.values import Constant, OnnxNode, Value
from fewbins.ops import ResizeAttrs

COORDINATES = {
    11: ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"),
    13: ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"),
    18: ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"),
    19: ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"),
}
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@lowers("Upsample", 7, 9)
def _upsample(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_resize_by_floor(ctx, node)]


@lowers("Resize", 10, 11, 13, 18, 19)
def _resize(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    if node.version == 10:
        return [_resize_by_floor(ctx, node)]
    x = ctx.activation(node, 0)
    image, rank = to_image(ctx, node, x)
    mode = _mode(node)
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    if coordinates not in COORDINATES[node.version]:
        raise NodeError(
            f"coordinate_transformation_mode '{coordinates}' is not supported; "
            f"use one of {', '.join(COORDINATES[node.version])}"
        )
    if nearest not in NEAREST:
        raise NodeError(f"nearest_mode '{nearest}' is not one of {', '.join(NEAREST)}")
    if node.integer("antialias", 0):
        raise NodeError("antialias=1 is not supported; resize without antialiasing")
    if node.integer("exclude_outside", 0):
        raise NodeError("exclude_outside=1 is not supported; leave it out")
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        raise NodeError(f"keep_aspect_ratio_policy '{policy}' is not supported; give the final sizes and 'stretch'")
    sizes, scales = _targets(ctx, node, x)
    if coordinates == "align_corners" and scales is not None and not _whole(image.shape[2:], scales):
        raise NodeError(
            f"scales {scales} with align_corners do not give whole sizes, which ONNX's texts and runtimes read "
            "differently; give sizes instead of scales"
        )
    y = ctx.emit("Resize", node, [image], ResizeAttrs(mode, sizes, scales, coordinates, nearest))
    return [from_image(ctx, node, y, rank)]


def _whole(shape: Shape, scales: tuple[float, float]) -> bool:
    return all(
        (size * scale if isinstance(size, int) else scale).is_integer()
        for size, scale in zip(shape, scales, strict=True)
    )


def _mode(node: OnnxNode) -> str:
    mode = node.text("mode", "nearest")
    # Before opset 11 some exporters wrote the name that Upsample had for linear.
    mode = "linear" if mode == "bilinear" and node.version < 11 else mode
    if mode not in ("nearest", "linear"):
        raise NodeError(f"mode '{mode}' is not supported; use nearest or linear")
    return mode


def _resize_by_floor(ctx: Context, node: OnnxNode) -> Value:
    """Upsample, and Resize of opset 10: place = index / scale; nearest takes the floor, or the ceiling going down."""
    x, rank = to_image(ctx, node, ctx.activation(node, 0))
    mode, factors = _mode(node), _factors(ctx, node, 1, rank, tuple(range(rank)))
    if factors is None:
        raise NodeError("the scales are missing; the file is not valid ONNX")
    down = [factor < 1 for factor in factors]
    if mode == "nearest" and any(down) and any(factor > 1 for factor in factors):
        raise NodeError(f"scales {factors} grow one axis and shrink the other; resize them one after the other")
    nearest = "ceil" if any(down) else "floor"
    y = ctx.emit("Resize", node, [x], ResizeAttrs(mode, None, factors, "asymmetric", nearest))
    return from_image(ctx, node, y, rank)


def _targets(ctx: Context, node: OnnxNode, x: Value) -> tuple[tuple[int, int] | None, tuple[float, float] | None]:
    """Sizes or scales of height and width; a signal's height is 1."""
    axes, rank = node.integers("axes") if node.version >= 18 else None, len(x.shape)
    places = tuple(range(rank)) if axes is None else tuple(normal_axis(axis, rank) for axis in axes)
    factors = _factors(ctx, node, 2, rank, places)
    if factors is not None:
        return None, factors
    wanted = ctx.sizes(node, 3, "the sizes")
    if wanted is None or len(wanted) != len(places):
        raise NodeError(f"needs scales or sizes for {len(places)} axes; the file is not valid ONNX")
    have = ctx.sizes_of(x)
    full: list[Size] = list(have)
    for axis, size in zip(places, wanted, strict=True):
        full[axis] = size
    if full[:2] != have[:2]:
        raise NodeError(f"sizes {show_shape(full)} change the batch or the channels of {show_shape(have)}")
    height, width = full[2:] if rank == 4 else [1, full[2]]
    if not isinstance(height, Symbol) and not isinstance(width, Symbol):
        return (int(height), int(width)), None
    old_height, old_width = have[2:] if rank == 4 else [1, have[2]]
    return None, (_ratio(height, old_height), _ratio(width, old_width))


def _ratio(size: Size, old: Size) -> float:
    ratio = size / old if isinstance(size, Symbol) or isinstance(old, Symbol) else size / float(old)
    # A scale that is not whole would give other coordinates than the sizes do.
    if isinstance(ratio, Symbol) or float(ratio) != int(ratio):
        raise NodeError(f"resizes {old} to {size}; {FIX}")
    return float(ratio)


def _factors(ctx: Context, node: OnnxNode, slot: int, rank: int, places: tuple[int, ...]) -> tuple[float, float] | None:
    listed = node.numbers("scales")  # Upsample before opset 9
    value = ctx.optional(node, slot)
    if listed is None and (value is None or (isinstance(value, Constant) and value.data.size == 0)):
        return None
    data = ctx.constant(node, slot, "the scales") if listed is None else np.asarray(listed)
    if data is None or data.size != len(places):
        raise NodeError(f"needs one scale for each of {len(places)} axes; the file is not valid ONNX")
    full = [1.0] * rank
    for axis, factor in zip(places, data.reshape(-1), strict=True):
        full[axis] = float(factor)
    if full[0] != 1 or full[1] != 1:
        raise NodeError(f"scales {tuple(full)} change the batch or the channels; only those behind them can")
    if not min(full) > 0:
        raise NodeError(f"scales {tuple(full)} must be positive")
    return (full[2], full[3]) if rank == 4 else (1.0, full[2])
