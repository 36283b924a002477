# SPDX-License-Identifier: Apache-2.0
"""Operators whose window slides over height and width: Conv, ConvTranspose and the pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import OnnxNode, Value
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


def _pair(node: OnnxNode, name: str, default: Pair) -> Pair:
    values = node.integers(name)
    if values is None:
        return default
    if len(values) != 2:
        raise NodeError(f"{name} {values} is for {len(values)} spatial axes; only images (N, C, H, W) are supported")
    return values[0], values[1]


def _window(node: OnnxNode, kernel: Pair | None) -> Window:
    auto_pad = node.text("auto_pad", "NOTSET")
    given = node.integers("pads") or (0, 0, 0, 0)
    if auto_pad not in ("NOTSET", "VALID", *AUTO_PADS):
        raise NodeError(f"auto_pad '{auto_pad}' is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if len(given) != 4:
        raise NodeError(f"pads {given} are for {len(given) // 2} spatial axes; only images (N, C, H, W) are supported")
    if min(given) < 0:
        raise NodeError(f"pads {given} are negative; crop with a Slice before it")
    shape = _pair(node, "kernel_shape", kernel or (0, 0))
    if kernel is not None and shape != kernel:
        raise NodeError(f"kernel_shape {shape} is not the weight's {kernel}; the file is not valid ONNX")
    return Window(
        shape,
        _pair(node, "strides", (1, 1)),
        (given[0], given[1], given[2], given[3]) if auto_pad == "NOTSET" else (0, 0, 0, 0),
        _pair(node, "dilations", (1, 1)),
        AUTO_PADS.get(auto_pad, "explicit"),
    )


def _channels(x: Value, node: OnnxNode) -> None:
    if not isinstance(x.shape[1], int):
        raise NodeError("the number of channels is free; fix it with load_onnx(..., input_shapes=...)")


@lowers("Conv", 1, 11, 22)
def _conv(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0, rank=4)
    _channels(x, node)
    weight = ctx.weights(node, 1, "the weight")
    if weight is None or len(weight.shape) != 4:
        raise NodeError("the weight must have rank 4; only images (N, C, H, W) are supported")
    window = _window(node, (weight.shape[2], weight.shape[3]))
    attrs = ConvAttrs(
        window.kernel, window.strides, window.pads, window.dilations, node.integer("group", 1), window.auto_pad
    )
    return [ctx.emit("Conv", node, [x], attrs, {"weight": weight, "bias": ctx.weights(node, 2, "the bias")})]


@lowers("ConvTranspose", 1, 11, 22)
def _conv_transpose(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0, rank=4)
    _channels(x, node)
    weight = ctx.weights(node, 1, "the weight")
    if weight is None or len(weight.shape) != 4:
        raise NodeError("the weight must have rank 4; only images (N, C, H, W) are supported")
    window = _window(node, (weight.shape[2], weight.shape[3]))
    pads, padding = _transpose_pads(node, x, window)
    attrs = ConvTransposeAttrs(window.kernel, window.strides, pads, window.dilations, node.integer("group", 1), padding)
    params = {"weight": weight, "bias": ctx.weights(node, 2, "the bias")}
    return [ctx.emit("ConvTranspose", node, [x], attrs, params)]


def _transpose_pads(node: OnnxNode, x: Value, window: Window) -> tuple[tuple[int, int, int, int], Pair]:
    """Pads and output padding, from `output_shape` and `auto_pad` where the file has these."""
    output_padding = _pair(node, "output_padding", (0, 0))
    target = node.integers("output_shape")
    if target is not None and len(target) not in (2, 4):
        raise NodeError(f"output_shape {target} must hold a height and a width")
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
            raise NodeError("output_shape needs a fixed height and width; give load_onnx(..., input_shapes=...)")
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
    return [ctx.emit("MaxPool", node, [ctx.activation(node, 0, rank=4)], _pool(node, counts=False)), None]


@lowers("AveragePool", 7, 10, 11, 19, 22)
def _average_pool(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [ctx.emit("AveragePool", node, [ctx.activation(node, 0, rank=4)], _pool(node, counts=True))]


def _pool(node: OnnxNode, *, counts: bool) -> PoolAttrs:
    window = _window(node, None)
    if min(window.kernel) < 1:
        raise NodeError("kernel_shape is missing or not positive; the file is not valid ONNX")
    count = bool(node.integer("count_include_pad", 0)) if counts else False
    ceil_mode = bool(node.integer("ceil_mode", 0))
    return PoolAttrs(window.kernel, window.strides, window.pads, window.dilations, ceil_mode, count, window.auto_pad)


@lowers("GlobalAveragePool", 1, 22)
def _global_average_pool(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _global(ctx, node, "mean")


@lowers("GlobalMaxPool", 1, 22)
def _global_max_pool(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _global(ctx, node, "max")


def _global(ctx: Context, node: OnnxNode, function: str) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    if len(x.shape) < 3:
        raise NodeError(f"input {show_shape(x.shape)} has no spatial axes")
    return [ctx.emit("Reduce", node, [x], ReduceAttrs(function, tuple(range(2, len(x.shape))), True))]
