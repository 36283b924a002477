# SPDX-License-Identifier: Apache-2.0
"""LayerNormalization, GroupNormalization and InstanceNormalization: all become Normalize."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.folds import normal_axis
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import Activation, Constant, OnnxNode, Value
from fewbins.ops import BinaryAttrs, NormalizeAttrs, ReduceAttrs, UnaryAttrs


@lowers("LayerNormalization", 17)
def _layer_normalization(ctx: Context, node: OnnxNode) -> Sequence[Value | None]:
    x = ctx.activation(node, 0)
    rank = len(x.shape)
    axis = normal_axis(node.integer("axis", -1), rank)
    scale, bias = ctx.input(node, 1), ctx.optional(node, 2)
    for what, param in (("scale", scale), ("bias", bias)):
        if param is not None and len(param.shape) > rank - axis:
            raise NodeError(f"the {what} {show_shape(param.shape)} has more axes than {show_shape(x.shape[axis:])}")
    axes = tuple(range(axis, rank))
    attrs = NormalizeAttrs(axes, epsilon=_epsilon(node))
    if isinstance(scale, Activation) or isinstance(bias, Activation):
        y = ctx.emit("Normalize", node, [x], attrs)
        y = ctx.emit("Binary", node, [y, ctx.activation(node, 1)], BinaryAttrs("mul"), suffix="scale")
        if bias is not None:
            y = ctx.emit("Binary", node, [y, ctx.activation(node, 2)], BinaryAttrs("add"), suffix="bias")
    else:
        params = {"scale": ctx.weights(node, 1, "the scale"), "bias": ctx.weights(node, 2, "the bias")}
        y = ctx.emit("Normalize", node, [x], attrs, params)
    return [y, *_statistics(ctx, node, x, axes)]


def _statistics(ctx: Context, node: OnnxNode, x: Value, axes: tuple[int, ...]) -> tuple[Value | None, Value | None]:
    """The mean and the inverse of the deviation, where something reads them."""
    if not ctx.wanted(node, 1) and not ctx.wanted(node, 2):
        return None, None
    mean = ctx.emit("Reduce", node, [x], ReduceAttrs("mean", axes), suffix="mean")
    if not ctx.wanted(node, 2):
        return mean, None
    centred = ctx.emit("Binary", node, [x, mean], BinaryAttrs("sub"), suffix="centred")
    squares = ctx.emit("Unary", node, [centred], UnaryAttrs("pow", alpha=2.0), suffix="squares")
    variance = ctx.emit("Reduce", node, [squares], ReduceAttrs("mean", axes), suffix="variance")
    epsilon = Constant(np.float32(_epsilon(node)).reshape(()))
    raised = ctx.emit("Binary", node, [variance, epsilon], BinaryAttrs("add"), suffix="epsilon")
    root = ctx.emit("Unary", node, [raised], UnaryAttrs("sqrt"), suffix="deviation")
    return mean, ctx.emit("Unary", node, [root], UnaryAttrs("reciprocal"), suffix="inverse")


@lowers("GroupNormalization", 18, 21)
def _group_normalization(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    groups = node.integer("num_groups", 0)
    channels = x.shape[1] if len(x.shape) >= 3 else None
    if not isinstance(channels, int) or groups < 1 or channels % groups:
        raise NodeError(f"the channels of {show_shape(x.shape)} cannot be cut into num_groups (={groups})")
    # Opset 18 has one scale and one bias for each group, opset 21 for each channel.
    count, repeats = (groups, channels // groups) if node.version < 21 else (channels, 1)
    return [_by_channel(ctx, node, x, NormalizeAttrs(_places(x, 1), groups, _epsilon(node)), count, repeats)]


@lowers("InstanceNormalization", 6, 22)
def _instance_normalization(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    if len(x.shape) < 3 or not isinstance(x.shape[1], int):
        raise NodeError(f"input {show_shape(x.shape)} must have a fixed number of channels and axes behind them")
    return [_by_channel(ctx, node, x, NormalizeAttrs(_places(x, 2), epsilon=_epsilon(node)), x.shape[1], 1)]


def _by_channel(ctx: Context, node: OnnxNode, x: Value, attrs: NormalizeAttrs, count: int, repeats: int) -> Value:
    """Emit Normalize with `count` scales and biases, each for `repeats` channels."""
    params = {}
    for slot, role in ((1, "scale"), (2, "bias")):
        value = ctx.weights(node, slot, f"the {role}")
        if value is None:
            raise NodeError(f"the {role} is missing; the file is not valid ONNX")
        if value.shape != (count,):
            raise NodeError(f"the {role} {show_shape(value.shape)} must hold {count} numbers")
        params[role] = Constant(np.repeat(value.data, repeats).reshape(-1, *(1,) * (len(x.shape) - 2)))
    return ctx.emit("Normalize", node, [x], attrs, params)


def _places(x: Value, first: int) -> tuple[int, ...]:
    return tuple(range(first, len(x.shape)))


def _epsilon(node: OnnxNode) -> float:
    return node.number("epsilon", 1e-5)
