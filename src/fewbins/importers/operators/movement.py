# SPDX-License-Identifier: Apache-2.0
"""Operators that move values or reduce axes: Transpose, Slice, Split, Gather, Concat, Pad, Reduce, DepthToSpace."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fewbins.importers.context import Context
from fewbins.importers.free_sizes import FIX
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.folds import normal_axis, split_sizes
from fewbins.importers.operators.reshaping import axes_of, reshape
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.sizes import Size, Symbol, product
from fewbins.importers.values import Activation, OnnxNode, Value
from fewbins.ops import (
    ConcatAttrs,
    DepthToSpaceAttrs,
    GatherAttrs,
    PadAttrs,
    ReduceAttrs,
    SliceAttrs,
    SpaceToDepthAttrs,
    TransposeAttrs,
)

FAR = 2**62
MAX_GATHER_RUNS = 64


@lowers("Transpose", 1, 13, 21, 23, 24, 25)
def _transpose(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.operand(node, 0)
    rank = len(x.shape)
    perm = node.integers("perm") or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        raise NodeError(f"perm {perm} is no order of {rank} axes; the file is not valid ONNX")
    return [x if perm == tuple(range(rank)) else ctx.emit("Transpose", node, [x], TransposeAttrs(perm))]


@lowers("Slice", 1, 10, 11, 13)
def _slice(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.operand(node, 0)
    sizes = ctx.sizes_of(x)
    if node.version == 1:
        bounds: list[Sequence[Size] | None] = [node.integers("starts"), node.integers("ends")]
        axes, steps = node.integers("axes"), None
    else:
        bounds = [ctx.sizes(node, 1, "starts"), ctx.sizes(node, 2, "ends")]
        axes, steps = ctx.integers(node, 3, "axes"), ctx.integers(node, 4, "steps")
    starts, ends = bounds
    if starts is None or ends is None:
        raise NodeError("starts or ends is missing; the file is not valid ONNX")
    axes = tuple(range(len(starts))) if axes is None else tuple(normal_axis(axis, len(sizes)) for axis in axes)
    steps = (1,) * len(axes) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise NodeError("starts, ends, axes and steps differ in length; the file is not valid ONNX")
    attrs = SliceAttrs(
        tuple(_bound(start, sizes[axis]) for start, axis in zip(starts, axes, strict=True)),
        tuple(_bound(end, sizes[axis]) for end, axis in zip(ends, axes, strict=True)),
        axes,
        steps,
    )
    whole = all(
        start == 0 and step == 1 and (end == FAR or end == sizes[axis])
        for start, end, axis, step in zip(attrs.starts, attrs.ends, axes, steps, strict=True)
    )
    return [x if whole else ctx.emit("Slice", node, [x], attrs)]


def _bound(bound: Size, size: Size) -> int:
    if isinstance(bound, Symbol):
        if bound == size:
            return FAR
        raise NodeError(f"bound {bound} of a slice depends on the input's size; {FIX}")
    return max(-FAR, min(int(bound), FAR))


@lowers("Split", 2, 11, 13, 18)
def _split(ctx: Context, node: OnnxNode) -> Sequence[Value | None]:
    x = ctx.operand(node, 0)
    axis = normal_axis(node.integer("axis", 0), len(x.shape))
    size = x.shape[axis]
    given = node.integers("split") if node.version < 13 else ctx.integers(node, 1, "the sizes of the parts")
    if not isinstance(size, int):
        raise NodeError(f"splits axis {axis} of {show_shape(x.shape)}, whose size is free; {FIX}")
    parts: list[Value | None] = []
    start = 0
    for slot, part in enumerate(split_sizes(given, size, len(node.outputs))):
        attrs = SliceAttrs((start,), (start + part,), (axis,), (1,))
        parts.append(ctx.emit("Slice", node, [x], attrs) if ctx.wanted(node, slot) else None)
        start += part
    return parts


@lowers("Gather", 1, 11, 13)
def _gather(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.operand(node, 0)
    if isinstance(ctx.input(node, 1), Activation):
        axis = normal_axis(node.integer("axis", 0), len(x.shape))
        return [ctx.emit("Gather", node, [x, ctx.operand(node, 1)], GatherAttrs(axis))]
    indices = ctx.constant(node, 1, "the indices")
    if indices is None or indices.size == 0:
        raise NodeError("the indices are missing or empty; at least one is needed")
    axis = normal_axis(node.integer("axis", 0), len(x.shape))
    size = x.shape[axis]
    if not isinstance(size, int):
        raise NodeError(f"reads axis {axis} of {show_shape(x.shape)}, whose size is free; {FIX}")
    flat = [int(index) for index in indices.flat]
    if not all(-size <= index < size for index in flat):
        raise NodeError(f"reads index {max(flat, key=abs)} of an axis of size {size}")
    runs = _runs([index % size for index in flat])
    if len(runs) > MAX_GATHER_RUNS:
        raise NodeError(f"gathers {len(runs)} runs of indices; at most {MAX_GATHER_RUNS} are supported")
    parts = [ctx.emit("Slice", node, [x], SliceAttrs((a,), (b,), (axis,), (step,))) for a, b, step in runs]
    y = parts[0] if len(parts) == 1 else ctx.emit("Concat", node, parts, ConcatAttrs(axis), suffix="concat")
    if indices.ndim == 1:
        return [y]
    before, after = ctx.sizes_of(x)[:axis], ctx.sizes_of(x)[axis + 1 :]
    target, source = [*before, *indices.shape, *after], [*before, indices.size, *after]
    return [reshape(ctx, node, y, target, suffix="reshape", source=source)]


def _runs(indices: Sequence[int]) -> list[tuple[int, int, int]]:
    """Indices as slices (start, end, step) of constant step.

    >>> _runs([0, 1, 3]), _runs([2, 1, 0])
    ([(0, 2, 1), (3, 4, 1)], [(2, -4611686018427387904, -1)])
    """
    runs: list[tuple[int, int, int]] = []
    start = 0
    while start < len(indices):
        step = indices[start + 1] - indices[start] if start + 1 < len(indices) else 1
        end = start + 1
        if step:
            while end < len(indices) and indices[end] - indices[end - 1] == step:
                end += 1
        step = step or 1
        bound = indices[end - 1] + (1 if step > 0 else -1)
        runs.append((indices[start], bound if bound >= 0 else -FAR, step if end > start + 1 else 1))
        if end == start + 1:
            runs[-1] = (indices[start], indices[start] + 1, 1)
        start = end
    return runs


@lowers("Concat", 4, 11, 13)
def _concat(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    values = [ctx.operand(node, slot) for slot in range(len(node.inputs))]
    axis = normal_axis(node.integer("axis", 1), len(values[0].shape))
    return [values[0] if len(values) == 1 else ctx.emit("Concat", node, values, ConcatAttrs(axis))]


@lowers("Tile", 6, 13)
def _tile(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, repeats = ctx.activation(node, 0), ctx.integers(node, 1, "the repeats")
    if repeats is None or len(repeats) != len(x.shape) or min(repeats) < 1 or max(repeats) > MAX_GATHER_RUNS:
        raise NodeError(f"repeats {repeats} must be 1 to {MAX_GATHER_RUNS} for each of {len(x.shape)} axes")
    for axis, count in enumerate(repeats):
        if count > 1:
            x = ctx.emit("Concat", node, [x] * count, ConcatAttrs(axis))
    return [x]


@lowers("Pad", 2, 11, 13, 18, 19, 21, 23, 24, 25)
def _pad(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, mode = ctx.activation(node, 0), node.text("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise NodeError(f"mode '{mode}' is not one of constant, reflect, edge")
    rank = len(x.shape)
    if node.version < 11:
        given, fill = node.integers("pads"), node.number("value", 0.0)
    else:
        given, data = ctx.integers(node, 1, "pads"), ctx.constant(node, 2, "the value")
        fill = 0.0 if data is None or data.size == 0 else float(data.reshape(-1)[0])
    axes = ctx.integers(node, 3, "axes") if node.version >= 18 else None
    places = tuple(range(rank)) if axes is None else tuple(normal_axis(axis, rank) for axis in axes)
    if given is None or len(given) != 2 * len(places):
        raise NodeError(f"pads must hold a begin and an end for each of {len(places)} axes")
    pads = [0] * (2 * rank)
    for index, axis in enumerate(places):
        pads[axis], pads[axis + rank] = given[index], given[index + len(places)]
    if not any(pads):
        return [x]
    # Files hold finite numbers only; no float32 is below the least one, so a MaxPool cannot tell.
    limit = float(np.finfo(np.float32).max)
    if math.isnan(fill):
        raise NodeError("pads with NaN")
    return [ctx.emit("Pad", node, [x], PadAttrs(tuple(pads), mode, max(-limit, min(fill, limit))))]


@lowers("ReduceMean", 1, 11, 13, 18)
def _reduce_mean(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_reduce(ctx, node, "mean", 18)]


@lowers("ReduceSum", 1, 11, 13)
def _reduce_sum(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_reduce(ctx, node, "sum", 13)]


@lowers("ReduceMax", 1, 11, 12, 13, 18, 20)
def _reduce_max(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_reduce(ctx, node, "max", 18)]


@lowers("ReduceMin", 1, 11, 12, 13, 18, 20)
def _reduce_min(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_reduce(ctx, node, "min", 18)]


@lowers("ReduceProd", 1, 11, 13, 18)
def _reduce_prod(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_reduce(ctx, node, "prod", 18)]


def _reduce(ctx: Context, node: OnnxNode, function: str, inputs_since: int) -> Value:
    x, axes = ctx.activation(node, 0), axes_of(ctx, node, 1, inputs_since)
    rank = len(x.shape)
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return x
        axes = tuple(range(rank))
    normal = tuple(sorted({normal_axis(axis, rank) for axis in axes}))
    return ctx.emit("Reduce", node, [x], ReduceAttrs(function, normal, bool(node.integer("keepdims", 1))))


@lowers("DepthToSpace", 1, 11, 13, 28)
def _depth_to_space(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    attrs = DepthToSpaceAttrs(node.integer("blocksize", 0), _block_mode(node))
    return [ctx.emit("DepthToSpace", node, [ctx.activation(node, 0, rank=4)], attrs)]


@lowers("SpaceToDepth", 1, 13, 28)
def _space_to_depth(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, block = ctx.activation(node, 0, rank=4), node.integer("blocksize", 0)
    y = ctx.emit("SpaceToDepth", node, [x], SpaceToDepthAttrs(block))
    if _block_mode(node) == "DCR":
        return [y]
    # DCR's channels are (row and column in the block, channel), CRD's (channel, row and column in the block).
    sizes, channels = ctx.sizes_of(y), ctx.sizes_of(x)[1]
    split = reshape(ctx, node, y, [sizes[0], block * block, channels, product(sizes[2:])], suffix="split")
    turned = ctx.emit("Transpose", node, [split], TransposeAttrs((0, 2, 1, 3)), suffix="transpose")
    source = [sizes[0], channels, block * block, product(sizes[2:])]
    return [reshape(ctx, node, turned, sizes, suffix="join", source=source)]


def _block_mode(node: OnnxNode) -> str:
    mode = node.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise NodeError(f"mode '{mode}' is not one of DCR, CRD")
    return mode
