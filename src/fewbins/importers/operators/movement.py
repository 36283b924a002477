# SPDX-License-Identifier: Apache-2.0
"""Operators that move values or reduce axes: Reshape and its kin, Transpose, Slice, Gather, Concat, Pad, Reduce."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.folds import check_elements, normal_axis, split_sizes
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.sizes import Size, Symbol, product
from fewbins.importers.values import Activation, Constant, OnnxNode, Value
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    DepthToSpaceAttrs,
    PadAttrs,
    ReduceAttrs,
    ReshapeAttrs,
    SliceAttrs,
    SpaceToDepthAttrs,
    TransposeAttrs,
)

FAR = 2**62
MAX_GATHER_RUNS = 64
FIX = "fix the free sizes with load_onnx(..., input_shapes=...)"


def reshape(
    ctx: Context,
    node: OnnxNode,
    x: Value,
    target: Sequence[Size],
    *,
    suffix: str = "",
    source: Sequence[Size] | None = None,
) -> Value:
    """Emit a Reshape to sizes of which one may be -1 and free ones may be there.

    Args:
        ctx: the graph under construction.
        node: the ONNX node it comes from.
        x: what to reshape.
        target: the new sizes.
        suffix: as in `Context.emit`.
        source: the sizes of x where they are better known than its shape tells.

    Raises:
        NodeError: more than one size is neither a number nor the input's of the same place.
    """
    sizes = ctx.sizes_of(x) if source is None else list(source)
    wanted = list(target)
    if wanted.count(-1) > 1:
        raise NodeError(f"shape {show_shape(wanted)} holds -1 twice; the file is not valid ONNX")
    if -1 in wanted:
        slot = wanted.index(-1)
        rest = product([size for index, size in enumerate(wanted) if index != slot])
        left = product(sizes) / rest if isinstance(rest, Symbol) or rest != 0 else 0
        # A quotient that cannot be expressed stays -1.
        whole = left.coefficient.denominator == 1 if isinstance(left, Symbol) else left == int(left)
        if not whole:
            raise NodeError(f"cannot make {show_shape(sizes)} into {show_shape(wanted)}")
        wanted[slot] = left if isinstance(left, Symbol) else int(left)
    shape: list[int] = []
    for axis, size in enumerate(wanted):
        if not isinstance(size, Symbol):
            shape.append(int(size))
        elif axis < len(sizes) and axis < len(x.shape) and size == sizes[axis]:
            shape.append(0)
        else:
            shape.append(-1)
    if shape.count(-1) > 1:
        raise NodeError(f"cannot follow {show_shape(sizes)} into {show_shape(wanted)}; {FIX}")
    if tuple(wanted) == tuple(sizes):
        return x
    return ctx.emit("Reshape", node, [x], ReshapeAttrs(tuple(shape)), suffix=suffix)


@lowers("Reshape", 5, 13, 14, 19, 21, 23, 24, 25)
def _reshape(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, target = ctx.activation(node, 0), ctx.sizes(node, 1, "the shape")
    if target is None:
        raise NodeError("the shape is missing; the file is not valid ONNX")
    sizes = ctx.sizes_of(x)
    if not node.integer("allowzero", 0):
        if any(size == 0 and axis >= len(sizes) for axis, size in enumerate(target)):
            raise NodeError(f"shape {show_shape(target)} copies an axis that {show_shape(sizes)} does not have")
        target = [sizes[axis] if size == 0 else size for axis, size in enumerate(target)]
    return [reshape(ctx, node, x, target)]


@lowers("Flatten", 1, 9, 11, 13, 21, 23, 24, 25)
def _flatten(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    sizes, axis = ctx.sizes_of(x), node.integer("axis", 1)
    if not -len(sizes) <= axis <= len(sizes):
        raise NodeError(f"axis {axis} does not exist in rank {len(sizes)}")
    axis = axis + len(sizes) if axis < 0 else axis
    return [reshape(ctx, node, x, [product(sizes[:axis]), product(sizes[axis:])])]


def _axes(ctx: Context, node: OnnxNode, slot: int, inputs_since: int) -> tuple[int, ...] | None:
    return node.integers("axes") if node.version < inputs_since else ctx.integers(node, slot, "axes")


@lowers("Squeeze", 1, 11, 13, 21, 23, 24, 25)
def _squeeze(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, axes = ctx.activation(node, 0), _axes(ctx, node, 1, 13)
    sizes = ctx.sizes_of(x)
    if axes is None:
        if any(isinstance(size, Symbol) for size in sizes):
            raise NodeError(f"removes all axes of size 1 of {show_shape(sizes)}; give it axes, or {FIX}")
        gone = {axis for axis, size in enumerate(sizes) if size == 1}
    else:
        gone = {normal_axis(axis, len(sizes)) for axis in axes}
    if any(isinstance(sizes[axis], int) and sizes[axis] != 1 for axis in gone):
        raise NodeError(f"removes axes {tuple(sorted(gone))} of {show_shape(sizes)}, which are not of size 1")
    return [reshape(ctx, node, x, [size for axis, size in enumerate(sizes) if axis not in gone])]


@lowers("Unsqueeze", 1, 11, 13, 21, 23, 24, 25)
def _unsqueeze(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, axes = ctx.activation(node, 0), _axes(ctx, node, 1, 13)
    if axes is None:
        raise NodeError("axes are missing; the file is not valid ONNX")
    sizes = ctx.sizes_of(x)
    rank = len(sizes) + len(axes)
    new = {normal_axis(axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise NodeError(f"axes {axes} name one axis twice; the file is not valid ONNX")
    rest = iter(sizes)
    return [reshape(ctx, node, x, [1 if axis in new else next(rest) for axis in range(rank)])]


@lowers("Transpose", 1, 13, 21, 23, 24, 25)
def _transpose(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    rank = len(x.shape)
    perm = node.integers("perm") or tuple(reversed(range(rank)))
    if sorted(perm) != list(range(rank)):
        raise NodeError(f"perm {perm} is no order of {rank} axes; the file is not valid ONNX")
    return [x if perm == tuple(range(rank)) else ctx.emit("Transpose", node, [x], TransposeAttrs(perm))]


@lowers("Slice", 1, 10, 11, 13)
def _slice(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
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
    x = ctx.activation(node, 0)
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
    x, indices = ctx.activation(node, 0), ctx.constant(node, 1, "the indices")
    if indices is None or indices.ndim > 1 or indices.size == 0:
        raise NodeError("the indices must be one number or a list of numbers")
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
    if indices.ndim == 0:
        sizes = ctx.sizes_of(x)
        return [reshape(ctx, node, y, sizes[:axis] + sizes[axis + 1 :], suffix="squeeze",
                        source=[*sizes[:axis], 1, *sizes[axis + 1 :]])]  # fmt: skip
    return [y]


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
    values = [ctx.activation(node, slot) for slot in range(len(node.inputs))]
    if any(isinstance(value, Constant) for value in values) and any(isinstance(value, Activation) for value in values):
        raise NodeError("joins a constant to activations; compute the constant part into the next layer's bias")
    axis = normal_axis(node.integer("axis", 1), len(values[0].shape))
    return [values[0] if len(values) == 1 else ctx.emit("Concat", node, values, ConcatAttrs(axis))]


@lowers("Expand", 8, 13)
def _expand(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, target = ctx.activation(node, 0), ctx.sizes(node, 1, "the shape")
    if target is None:
        raise NodeError("the shape is missing; the file is not valid ONNX")
    sizes = ctx.sizes_of(x)
    rank = max(len(sizes), len(target))
    wide = [1] * (rank - len(sizes)) + sizes
    ones: list[int] = []
    for have, want in zip(wide, [1] * (rank - len(target)) + list(target), strict=True):
        if have != want and want != 1 and (have != 1 or isinstance(want, Symbol)):
            raise NodeError(f"cannot expand {show_shape(sizes)} to {show_shape(target)}; {FIX}")
        ones.append(1 if have == want or isinstance(want, Symbol) else int(want))
    if math.prod(ones) == 1 and rank == len(sizes):
        return [x]
    check_elements(ones)
    return [ctx.emit("Binary", node, [x, Constant(np.ones(ones, np.float32))], BinaryAttrs("mul"))]


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
    x, axes = ctx.activation(node, 0), _axes(ctx, node, 1, inputs_since)
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


@lowers("Shape", 1, 13, 15, 19, 21, 23, 24, 25)
def _shape(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    sizes = ctx.sizes_of(ctx.input(node, 0))
    # Slicing clamps start and end as the operator's text asks.
    end = node.integer("end", len(sizes)) if "end" in node.attributes else len(sizes)
    return [_sizes(sizes[node.integer("start", 0) : end])]


@lowers("Size", 1, 13, 19, 21, 23, 24, 25)
def _size(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    whole = _sizes([product(ctx.sizes_of(ctx.input(node, 0)))])
    return [Constant(whole.data.reshape(()))]


def _sizes(sizes: Sequence[Size]) -> Constant:
    data = np.empty(len(sizes), dtype=object)
    data[:] = sizes
    return Constant.of_sizes(data, floating=False)


@lowers("Constant", 1, 9, 11, 12, 13, 19, 21, 23, 24, 25)
def _constant(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    if len(node.attributes) != 1:
        raise NodeError(f"has {len(node.attributes)} attributes, not one; the file is not valid ONNX")
    (kind,) = node.attributes
    value = node.attributes[kind]
    if kind in ("value", "sparse_value") and isinstance(value, onnx.TensorProto | onnx.SparseTensorProto):
        return [Constant(ctx.file.array(value, node.outputs[0]), node.outputs[0])]
    if kind in ("value_float", "value_floats"):
        return [Constant(np.array(value, np.float32), node.outputs[0])]
    if kind in ("value_int", "value_ints"):
        return [Constant(np.array(value, np.int64), node.outputs[0])]
    raise NodeError(f"attribute '{kind}' is not supported; only numbers can be imported")
