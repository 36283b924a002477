# SPDX-License-Identifier: Apache-2.0
"""Constants whose shape has free sizes, computed at run time: anchors and coordinates of detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx

from fewbins.importers.context import Context
from fewbins.importers.free_sizes import FIX, axis_of, exact_float32
from fewbins.importers.operators.base import grids
from fewbins.importers.operators.reshaping import expand
from fewbins.importers.problems import NodeError
from fewbins.importers.sizes import Size, Symbol, ceil
from fewbins.importers.values import Activation, Constant, OnnxNode, Value
from fewbins.ops import RangeAttrs


@grids("Range")
def _range(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    start, limit, step = (ctx.sizes(node, slot, "a bound") or [0] for slot in range(3))
    if len(start) != 1 or len(limit) != 1 or len(step) != 1 or isinstance(start[0], Symbol) or step[0] == 0:
        raise NodeError(f"start, limit and delta must be one number each, a free size for the limit only; {FIX}")
    first, by = start[0], step[0]
    count = first if isinstance(by, Symbol) else ceil((limit[0] - first) / by)
    found = axis_of(ctx, count) if isinstance(count, Symbol) else None
    if found is None or isinstance(by, Symbol):
        raise NodeError(f"counts from {first} to {limit[0]} by {by}; {FIX}")
    like, axis, ratio = found
    attrs = RangeAttrs((ratio.numerator,), (0,), (axis,), (ratio.denominator,), float(first), float(by))
    y = ctx.emit("Range", node, [like], attrs, sizes=[count])
    value = ctx.input(node, 1)
    return [_whole(y, integer=isinstance(value, Constant) and not value.floating)]


@grids("ConstantOfShape")
def _constant_of_shape(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    target, fill = ctx.sizes(node, 0, "the shape"), node.attributes.get("value")
    data = onnx.numpy_helper.to_array(fill) if isinstance(fill, onnx.TensorProto) else np.zeros(1, np.float32)
    if target is None or data.size != 1:
        raise NodeError("needs a shape and a value of one element; the file is not valid ONNX")
    return [_expanded(ctx, node, Constant(data.reshape(1)), target)]


@grids("Expand")
def _expand(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, target = ctx.input(node, 0), ctx.sizes(node, 1, "the shape")
    if not isinstance(x, Constant) or x.symbolic or target is None:
        raise NodeError(f"expands free sizes; {FIX}")
    rank = max(len(x.shape), len(target))
    return [_expanded(ctx, node, x, [1] * (rank - len(target)) + target)]


def _expanded(ctx: Context, node: OnnxNode, x: Constant, target: Sequence[Size]) -> Value:
    if x.data.dtype.kind not in "iu" and x.data.dtype != np.float32:
        raise NodeError(f"makes {x.data.dtype} of free sizes; only float32 and integers are supported")
    return _whole(expand(ctx, node, exact_float32(x), target), integer=x.data.dtype.kind in "iu")


def _whole(value: Value, *, integer: bool) -> Value:
    return replace(value, integer=integer) if isinstance(value, Activation) else value
