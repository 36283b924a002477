# SPDX-License-Identifier: Apache-2.0
"""Conv: two-dimensional convolution, groups and depthwise included.

Two filters on a 1x3 input with levels -8..7 and z = 1, padded with one column on each side; x - z = [1, -2, 3], padded
[0, 1, -2, 3, 0]. Filter [1, 2, 3] with bias 1 gives 1 + [0+2-6, 1-4+9, -2+6+0] = [-3, 7, 5]; filter [0, -1, 0] gives
[-1, 2, -3]. With m = 1/2, halves to even and z_y = 0: [-1.5, 3.5, 2.5] -> [-2, 4, 2] and [-0.5, 1, -1.5] -> [0, 1, -2].

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> evaluate(
...     "Conv", ConvAttrs((1, 3), pads=(0, 1, 0, 1), requantize=Requantize("float", -8, 7)), [[[[[2, -1, 4]]]]],
...     affines=[Affine(1.0, 1, Levels.of(16))], output=Affine(2.0, 0, Levels.of(16)),
...     params={"weight": np.int8([[[[1, 2, 3]]], [[[0, -1, 0]]]]), "bias": np.int32([1, 0]),
...             "multiplier": np.float32([0.5])},
... ).tolist()
[[[[-2, 4, 2]], [[0, 1, -2]]]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import (
    Array,
    Requantize,
    attributes,
    check_choice,
    check_clamp,
    check_window,
    fail,
    register,
)
from fewbins.ops.operands import (
    centred,
    exact_dtype,
    finish_float,
    finish_levels,
    float_weight,
    integer_weight,
    with_bias,
)
from fewbins.ops.shapes import CONSTANT_ROLES, need_channels, need_constants, need_residual, show
from fewbins.ops.window import extents, output_sizes, pad_input, sliding, taps

AUTO_PADS = ("explicit", "same_upper", "same_lower")


@attributes("Conv")
@dataclass(frozen=True)
class ConvAttrs:
    """Attributes of Conv: inputs (x[, residual]); params weight (O, I/groups, kH, kW), bias (O,), slope (1,) or (O,).

    Attributes:
        kernel: kH, kW.
        strides: down, right.
        pads: top, left, bottom, right, all >= 0; ignored unless auto_pad is "explicit".
        dilations: down, right.
        groups: groups of channels; O and I are multiples of it.
        auto_pad: "explicit", or "same_upper" | "same_lower": pads come from the input's size at run time.
        clamp: the fused activation of a float node or of kind "dequantize"; information only under the other kinds.
        requantize: None for float arithmetic.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    auto_pad: str = "explicit"
    clamp: tuple[float | None, float | None] | None = None
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_window("Conv", self.kernel, self.strides, self.pads, self.dilations)
        check_choice("Conv auto_pad", self.auto_pad, AUTO_PADS)
        check_clamp("Conv", self.clamp)
        if self.groups < 1:
            raise GraphError(f"Conv: groups (={self.groups}) must be >= 1")


def infer_conv(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, I, H, W) and weight (O, I/groups, kH, kW) give (N, O, OH, OW)."""
    x = inputs[0]
    height, width = output_sizes(node, x)
    groups = node.attrs.groups
    weight = params.get("weight")
    if weight is None or len(weight) != 4 or tuple(weight[2:]) != node.attrs.kernel:
        fail(node, f"weight {show(weight or ())} must be (O, I/groups, kH, kW) with kernel {node.attrs.kernel}")
    out, per_group = weight[0], weight[1]
    if isinstance(out, int) and out % groups:
        fail(node, f"out_channels (={out}) must be divisible by groups (={groups})")
    if isinstance(x[1], int) and isinstance(per_group, int) and x[1] != per_group * groups:
        need = per_group * groups
        fail(node, f"input {show(x)} has {x[1]} channels, not the {need} of weight {show(weight)} in {groups} groups")
    need_channels(node, params, "bias", out, one=False)
    need_channels(node, params, "slope", out)
    need_constants(node, params, out)
    return [need_residual(node, inputs, (x[0], out, height, width))]


@register("Conv", infer_conv, arity=(1, 2), params=("weight", "bias", "slope", "weight_table", *CONSTANT_ROLES))
def conv(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """The exact sums of a convolution, then section 4 of docs/numerics.md.

    `acc[n, o, y, x] = b[o] + sum over i, r, c of (q[n, i, y*sh + r*dh - top, x*sw + c*dw - left] - z) * w[o, i, r, c]`,
    where i runs over the channels of o's group. Padding contributes nothing. In float: the sum in float64, rounded
    once, then slope, residual and clamp in float32.
    """
    attrs: ConvAttrs = node.attrs
    height, width = extents(node, inputs[0])
    out = (height.out, width.out)
    if attrs.requantize is None:
        x = pad_input(inputs[0].astype(np.float64), height, width, 0)
        y = correlate(x, float_weight(node, graph).astype(np.float64), attrs, out)
        return [finish_float(node, graph, y, inputs[1:], 1)]
    steps, weight = centred(graph, node.inputs[0], inputs[0]), integer_weight(node, graph)
    dtype = exact_dtype(steps, weight, 0)
    acc = correlate(pad_input(steps.astype(dtype), height, width, 0), weight.astype(dtype), attrs, out)
    return [finish_levels(node, graph, with_bias(node, graph, acc, 1), inputs[1:])]


# The columns of im2col are made for as many output rows at a time as this takes.
_COLUMN_BYTES = 2**25


def correlate(x: Array, weight: Array, attrs: ConvAttrs, out: tuple[int, int]) -> Array:
    """The sums of a convolution over padded `x`, in the float type of `x` and `weight`.

    Args:
        x: (N, I, H, W), padded.
        weight: (O, I/groups, kH, kW).
        attrs: strides, dilations and groups are read.
        out: OH, OW.

    Returns:
        (N, O, OH, OW).
    """
    n, channels = x.shape[:2]
    filters, per_group = weight.shape[:2]
    y = np.zeros((n, filters, *out), x.dtype)
    if attrs.groups > 1 and per_group == 1:
        repeat = filters // channels
        for row, column, view in taps(x, attrs, out):
            tap = view if repeat == 1 else np.repeat(view, repeat, axis=1)
            y += tap * weight[:, 0, row, column][:, None, None]
        return y
    matrix = weight.reshape(attrs.groups, filters // attrs.groups, -1)
    pointwise = matrix.shape[2] == per_group and attrs.strides == (1, 1)
    step = max(1, _COLUMN_BYTES // max(1, matrix.shape[2] * out[1] * x.itemsize))
    for image in range(n):
        for group in range(attrs.groups):
            part = x[image : image + 1, group * per_group : (group + 1) * per_group]
            target = y[image].reshape(attrs.groups, -1, *out)[group]
            if pointwise:
                target[...] = (matrix[group] @ part.reshape(per_group, -1)).reshape(target.shape)
                continue
            windows = sliding(part, attrs, out)[0].transpose(0, 3, 4, 1, 2)
            for top in range(0, out[0], step):
                columns = windows[..., top : top + step, :].reshape(matrix.shape[2], -1)
                target[:, top : top + step] = (matrix[group] @ columns).reshape(len(target), -1, out[1])
    return y
