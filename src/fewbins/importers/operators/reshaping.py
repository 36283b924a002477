# SPDX-License-Identifier: Apache-2.0
"""Operators about shapes: Reshape and its kin, Expand, Shape, Size; and Constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import onnx

from fewbins.importers.context import Context
from fewbins.importers.free_sizes import FIX, axis_of
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.folds import check_elements, normal_axis
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.sizes import Size, Symbol, product, unrounded
from fewbins.importers.values import Activation, Constant, OnnxNode, Value
from fewbins.ops import BinaryAttrs, ExpandAttrs, ReshapeAttrs


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
            free = any(isinstance(size, Symbol) for size in sizes)
            raise NodeError(f"cannot make {show_shape(sizes)} into {show_shape(wanted)}{f'; {FIX}' if free else ''}")
        wanted[slot] = left if isinstance(left, Symbol) else int(left)
    if tuple(wanted) == tuple(sizes):
        return x
    return ctx.emit("Reshape", node, [x], _attributes(len(x.shape), sizes, wanted), suffix=suffix, sizes=wanted)


def _attributes(rank: int, sizes: Sequence[Size], wanted: Sequence[Size]) -> ReshapeAttrs:
    """How the wanted sizes come from those of the input, of which the first `rank` are axes of it."""
    shape = []
    for slot, size in enumerate(wanted):
        same_place = slot < min(len(sizes), rank) and size == sizes[slot]
        shape.append((0 if same_place else -1) if isinstance(size, Symbol) else int(size))
    if shape.count(-1) <= 1:
        return ReshapeAttrs(tuple(shape))
    axes, divisors = [-1] * len(shape), [1] * len(shape)
    for slot, size in enumerate(wanted):
        if shape[slot] != -1 or not isinstance(size, Symbol):
            continue
        for axis, have in enumerate(sizes[:rank]):
            # A rounded quotient that is not exact leaves elements over, and that is refused when it runs.
            ratio = unrounded(size) / unrounded(have) if isinstance(have, Symbol) and axis not in axes else size
            if not isinstance(ratio, Symbol) and ratio > 0:
                axes[slot], shape[slot], divisors[slot] = axis, Fraction(ratio).numerator, Fraction(ratio).denominator
                break
    if shape.count(-1) > 1:
        raise NodeError(f"cannot follow {show_shape(sizes)} into {show_shape(wanted)}; {FIX}")
    return ReshapeAttrs(tuple(shape), tuple(axes), tuple(divisors))


@lowers("Reshape", 5, 13, 14, 19, 21, 23, 24, 25)
def _reshape(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, target = ctx.operand(node, 0), ctx.sizes(node, 1, "the shape")
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
    x = ctx.operand(node, 0)
    sizes, axis = ctx.sizes_of(x), node.integer("axis", 1)
    if not -len(sizes) <= axis <= len(sizes):
        raise NodeError(f"axis {axis} does not exist in rank {len(sizes)}")
    axis = axis + len(sizes) if axis < 0 else axis
    return [reshape(ctx, node, x, [product(sizes[:axis]), product(sizes[axis:])])]


def axes_of(ctx: Context, node: OnnxNode, slot: int, inputs_since: int) -> tuple[int, ...] | None:
    """The axes as the file gives them: an attribute, or from the form `inputs_since` on an input."""
    return node.integers("axes") if node.version < inputs_since else ctx.integers(node, slot, "axes")


@lowers("Squeeze", 1, 11, 13, 21, 23, 24, 25)
def _squeeze(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, axes = ctx.operand(node, 0), axes_of(ctx, node, 1, 13)
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
    x, axes = ctx.operand(node, 0), axes_of(ctx, node, 1, 13)
    if axes is None:
        raise NodeError("axes are missing; the file is not valid ONNX")
    sizes = ctx.sizes_of(x)
    rank = len(sizes) + len(axes)
    new = {normal_axis(axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise NodeError(f"axes {axes} name one axis twice; the file is not valid ONNX")
    rest = iter(sizes)
    return [reshape(ctx, node, x, [1 if axis in new else next(rest) for axis in range(rank)])]


@lowers("Expand", 8, 13)
def _expand(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, target = ctx.operand(node, 0), ctx.sizes(node, 1, "the shape")
    if target is None:
        raise NodeError("the shape is missing; the file is not valid ONNX")
    sizes = ctx.sizes_of(x)
    rank = max(len(sizes), len(target))
    have, want = [1] * (rank - len(sizes)) + sizes, [1] * (rank - len(target)) + list(target)
    if any(old == 1 and isinstance(new, Symbol) for old, new in zip(have, want, strict=True)):
        return [expand(ctx, node, x, want)]
    ones: list[int] = []
    for old, new in zip(have, want, strict=True):
        if old != new and new != 1 and (old != 1 or isinstance(new, Symbol)):
            raise NodeError(f"cannot expand {show_shape(sizes)} to {show_shape(target)}; {FIX}")
        ones.append(1 if old == new or isinstance(new, Symbol) else int(new))
    if math.prod(ones) == 1 and rank == len(sizes):
        return [x]
    check_elements(ones)
    return [ctx.emit("Binary", node, [x, Constant(np.ones(ones, np.float32))], BinaryAttrs("mul"))]


def expand(ctx: Context, node: OnnxNode, x: Value, target: Sequence[Size]) -> Value:
    """Emit an Expand to sizes that are known at run time; a product of free sizes is made of one axis for each."""
    sizes = ctx.sizes_of(x)
    sizes = [1] * (len(target) - len(sizes)) + sizes
    inner: list[Size] = []  # the sizes of x with an axis of 1 for each axis to expand
    outer: list[Size] = []
    for old, new in zip(sizes, target, strict=True):
        if old != 1 and new not in (1, old):
            raise NodeError(f"cannot expand {show_shape(sizes)} to {show_shape(target)}; {FIX}")
        factors: list[Size] = [new]
        if old == 1 and isinstance(new, Symbol):
            factors = [Symbol((name,), new.coefficient if i == 0 else Fraction(1)) for i, name in enumerate(new.names)]
        inner += [old] * len(factors)
        outer += [old] if old != 1 else factors
    inside = reshape(ctx, node, x, inner, suffix="axes") if len(inner) > len(x.shape) else x
    likes: list[Value] = []
    rows: list[tuple[int, int, int, int]] = []
    for axis, (old, new) in enumerate(zip(inner, outer, strict=True)):
        if not isinstance(new, Symbol):
            rows.append((int(new), -1, 0, 1))
            continue
        found = (inside, axis, Fraction(1)) if old == new else axis_of(ctx, new)
        if found is None:
            raise NodeError(f"makes values for the free size {new}; {FIX}")
        like, place, ratio = found
        known = [other is like or (isinstance(other, Activation) and other == like) for other in likes]
        slot = 0 if like is inside else 1 + known.index(True) if any(known) else 1 + len(likes)
        likes += [like] if slot > len(likes) else []
        rows.append((ratio.numerator, slot, place, ratio.denominator))
    factor, source, axes, divisor = zip(*rows, strict=True)
    attrs = ExpandAttrs(factor, source, axes, divisor)
    y = ctx.emit("Expand", node, [inside, *likes], attrs, sizes=outer)
    final = [old if old != 1 else new for old, new in zip(sizes, target, strict=True)]
    return reshape(ctx, node, y, final, suffix="join", source=outer)


@lowers("Shape", 1, 13, 15, 19, 21, 23, 24, 25)
def _shape(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.input(node, 0)
    sizes = ctx.sizes_of(x)
    if isinstance(x, Activation):
        ctx.shaped.append(x)
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
