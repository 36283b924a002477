# SPDX-License-Identifier: Apache-2.0
"""Operators whose window slides over height and width: Conv, ConvTranspose and the pools.

Those over one axis, of tensors (N, C, L), work on images of one row, (N, C, 1, L).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.rows import from_image, to_image
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import Constant, OnnxNode, Value
from fewbins.ops import ConvAttrs, ConvTransposeAttrs, PoolAttrs, ReduceAttrs

Pair = tuple[int, int]
AUTO_PADS = {"SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower"}


@dataclass(frozen=True)
class Window:
    """The attributes that Conv, ConvTranspose and the pools share.

    Attributes:
        auto_pad: "explicit" | "same_upper" | "same_lower".
    """

    kernel: Pair
    strides: Pair
    pads: tuple[int, int, int, int]
    dilations: Pair
    auto_pad: str


def _pair(node: OnnxNode, name: str, rank: int, default: Pair) -> Pair:
    """Two numbers; one, for a single axis, is the second, and the first is that of a row."""
    values = node.integers(name)
    if values is None:
        return default
    if len(values) != rank - 2:
        raise NodeError(f"{name} {values} is for {len(values)} spatial axes, the input has {rank - 2}")
    return (values[0], values[1]) if rank == 4 else (1, values[0])


def _window(node: OnnxNode, rank: int, kernel: Pair | None) -> Window:
    auto_pad = node.text("auto_pad", "NOTSET")
    given = node.integers("pads") or (0,) * (2 * rank - 4)
    if auto_pad not in ("NOTSET", "VALID", *AUTO_PADS):
        raise NodeError(f"auto_pad '{auto_pad}' is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if len(given) != 2 * rank - 4:
        raise NodeError(f"pads {given} are for {len(given) // 2} spatial axes, the input has {rank - 2}")
    if min(given) < 0:
        raise NodeError(f"pads {given} are negative; crop with a Slice before it")
    if rank == 3:
        given = (0, given[0], 0, given[1])
    shape = _pair(node, "kernel_shape", rank, kernel or (0, 0))
    if kernel is not None and shape != kernel:
        raise NodeError(f"kernel_shape {shape[4 - rank :]} is not the weight's {kernel[4 - rank :]}; not valid ONNX")
    return Window(
        shape,
        _pair(node, "strides", rank, (1, 1)),
        (given[0], given[1], given[2], given[3]) if auto_pad == "NOTSET" else (0, 0, 0, 0),
        _pair(node, "dilations", rank, (1, 1)),
        AUTO_PADS.get(auto_pad, "explicit"),
    )


def _channels(x: Value) -> None:
    if not isinstance(x.shape[1], int):
        raise NodeError("the number of channels is free; fix it with load_onnx(..., input_shapes=...)")


def _weight(ctx: Context, node: OnnxNode, rank: int) -> Constant:
    """The weight of a convolution over an input of that rank, as of rank 4."""
    weight = ctx.weights(node, 1, "the weight")
    if weight is None or len(weight.shape) != rank:
        found = "missing" if weight is None else show_shape(weight.shape)
        raise NodeError(f"the weight ({found}) must have the input's rank {rank}; the file is not valid ONNX")
    return weight if rank == 4 else Constant(np.expand_dims(weight.data, 2), weight.name)


@lowers("Conv", 1, 11, 22)
def _conv(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, rank = to_image(ctx, node, ctx.activation(node, 0))
    _channels(x)
    weight = _weight(ctx, node, rank)
    window = _window(node, rank, (weight.shape[2], weight.shape[3]))
    attrs = ConvAttrs(
        window.kernel, window.strides, window.pads, window.dilations, node.integer("group", 1), window.auto_pad
    )
    y = ctx.emit("Conv", node, [x], attrs, {"weight": weight, "bias": ctx.weights(node, 2, "the bias")})
    return [from_image(ctx, node, y, rank)]


@lowers("ConvTranspose", 1, 11, 22)
def _conv_transpose(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, rank = to_image(ctx, node, ctx.activation(node, 0))
    _channels(x)
    weight = _weight(ctx, node, rank)
    window = _window(node, rank, (weight.shape[2], weight.shape[3]))
    pads, padding = _transpose_pads(node, x, rank, window)
    attrs = ConvTransposeAttrs(window.kernel, window.strides, pads, window.dilations, node.integer("group", 1), padding)
    params = {"weight": weight, "bias": ctx.weights(node, 2, "the bias")}
    return [from_image(ctx, node, ctx.emit("ConvTranspose", node, [x], attrs, params), rank)]


def _transpose_pads(node: OnnxNode, x: Value, rank: int, window: Window) -> tuple[tuple[int, int, int, int], Pair]:
    """Pads and output padding, from `output_shape` and `auto_pad` where the file has these."""
    given = node.integers("output_padding") or (0,) * (rank - 2)
    target = node.integers("output_shape")
    if len(given) != rank - 2 or (target is not None and len(target) not in (rank - 2, rank)):
        raise NodeError(f"output_padding {given}, output_shape {target} must have a size for each spatial axis")
    output_padding = (given[0], given[1]) if rank == 4 else (0, given[0])
    target = target if target is None or rank == 4 else (1, target[-1])
    if target is None and window.auto_pad == "explicit":
        return window.pads, output_padding
    begins, ends, extra = [], [], []
    for axis in range(2):
        size, stride = x.shape[2 + axis], window.strides[axis]
        span = window.dilations[axis] * (window.kernel[axis] - 1) + 1
        if target is None:
            total = span + output_padding[axis] - stride
        elif isinstance(size, int):
            # Some exporters write the batch and the channels too.
            total = stride * (size - 1) + output_padding[axis] + span - target[axis - 2]
        else:
            raise NodeError("output_shape needs fixed sizes; give load_onnx(..., input_shapes=...)")
        # Rows that the windows do not reach lie at the end, as output padding does.
        extra.append(output_padding[axis] + max(-total, 0))
        total = max(total, 0)
        begin = total // 2 if window.auto_pad == "same_upper" else total - total // 2
        begins.append(begin)
        ends.append(total - begin)
    return (begins[0], begins[1], ends[0], ends[1]), (extra[0], extra[1])


@lowers("MaxPool", 8, 10, 11, 12, 22)
def _max_pool(ctx: Context, node: OnnxNode) -> Sequence[Value | None]:
    if ctx.wanted(node, 1):
        raise NodeError("its second output (the indices) is not supported; export the network without MaxUnpool")
    return [_pool(ctx, node, "MaxPool"), None]


@lowers("AveragePool", 7, 10, 11, 19, 22)
def _average_pool(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_pool(ctx, node, "AveragePool")]


def _pool(ctx: Context, node: OnnxNode, op: str) -> Value:
    x, rank = to_image(ctx, node, ctx.activation(node, 0))
    window = _window(node, rank, None)
    kernel = window.kernel if rank == 4 else (1, window.kernel[1])
    if min(kernel) < 1:
        raise NodeError("kernel_shape is missing or not positive; the file is not valid ONNX")
    count = bool(node.integer("count_include_pad", 0)) if op == "AveragePool" else False
    ceil_mode = bool(node.integer("ceil_mode", 0))
    attrs = PoolAttrs(kernel, window.strides, window.pads, window.dilations, ceil_mode, count, window.auto_pad)
    return from_image(ctx, node, ctx.emit(op, node, [x], attrs), rank)


@lowers("GlobalAveragePool", 1, 22)
def _global_average_pool(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _global(ctx, node, "mean")


@lowers("GlobalMaxPool", 1, 22)
def _global_max_pool(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _global(ctx, node, "max")


def _global(ctx: Context, node: OnnxNode, function: str) -> Sequence[Value]:
    x, rank = to_image(ctx, node, ctx.activation(node, 0))
    return [from_image(ctx, node, ctx.emit("Reduce", node, [x], ReduceAttrs(function, (2, 3))), rank)]
