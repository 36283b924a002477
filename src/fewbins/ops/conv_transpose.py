# SPDX-License-Identifier: Apache-2.0
"""ConvTranspose: the transpose of a two-dimensional convolution.

One row of two pixels, stride 2, kernel [1, 2, 3], levels -8..7, z = 1: x - z = [1, -2]. The first pixel adds [1, 2, 3]
at columns 0..2, the second -2 * [1, 2, 3] at 2..4: [1, 2, 1, -4, -6]; one column is cropped on the left: [2, 1, -4,
-6]. With `shift` by 1 each becomes (acc + 1) >> 1: [1, 1, -2, -3].

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> evaluate(
...     "ConvTranspose", ConvTransposeAttrs((1, 3), (1, 2), (0, 1, 0, 0), requantize=Requantize("shift", -8, 7)),
...     [[[[[2, -1]]]]], affines=[Affine(1.0, 1, Levels.of(16))], output=Affine(2.0, 0, Levels.of(16)),
...     params={"weight": np.int8([[[[1, 2, 3]]]]), "bias": np.int32([0]), "shift": np.int32([1])},
... ).tolist()
[[[[1, 1, -2, -3]]]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.ops.base import Array, Requantize, attributes, check_clamp, check_window, fail, register
from fewbins.ops.operands import (
    centred,
    exact_dtype,
    finish_float,
    finish_levels,
    float_weight,
    integer_weight,
    with_bias,
)
from fewbins.ops.shapes import CONSTANT_ROLES, UNKNOWN, need_channels, need_constants, need_rank, need_residual, show


@attributes("ConvTranspose")
@dataclass(frozen=True)
class ConvTransposeAttrs:
    """Attributes of ConvTranspose: inputs (x[, residual]); params weight (I, O/groups, kH, kW), bias, slope as Conv's.

    The affine of a quantized weight has one scale per output channel, channel `g * O/groups + j` (docs/numerics.md 2).

    Attributes:
        kernel: kH, kW.
        strides: down, right.
        pads: top, left, bottom, right, cropped from the full result.
        dilations: down, right.
        groups: groups of channels.
        output_padding: rows and columns added at the bottom and right, each less than max(stride, dilation).
        clamp: as Conv's.
        requantize: None for float arithmetic.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    output_padding: tuple[int, int] = (0, 0)
    clamp: tuple[float | None, float | None] | None = None
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_window("ConvTranspose", self.kernel, self.strides, self.pads, self.dilations)
        check_clamp("ConvTranspose", self.clamp)
        if self.groups < 1:
            raise GraphError(f"ConvTranspose: groups (={self.groups}) must be >= 1")
        if not all(
            0 <= o < max(s, d) for o, s, d in zip(self.output_padding, self.strides, self.dilations, strict=True)
        ):
            raise GraphError(
                f"ConvTranspose: output_padding {self.output_padding} must be >= 0 and less than the larger of "
                f"strides {self.strides} and dilations {self.dilations}"
            )


def output_size(attrs: ConvTransposeAttrs, axis: int, size: int) -> int:
    """`stride * (in - 1) + output_padding + span - begin - end`, `span = dilation * (kernel - 1) + 1`."""
    span = attrs.dilations[axis] * (attrs.kernel[axis] - 1) + 1
    full = attrs.strides[axis] * (size - 1) + attrs.output_padding[axis] + span
    return full - attrs.pads[axis] - attrs.pads[axis + 2]


def infer_conv_transpose(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, I, H, W) and weight (I, O/groups, kH, kW) give (N, O, OH, OW)."""
    x, attrs = inputs[0], node.attrs
    need_rank(node, x, 4)
    weight = params.get("weight")
    if weight is None or len(weight) != 4 or tuple(weight[2:]) != attrs.kernel:
        fail(node, f"weight {show(weight or ())} must be (I, O/groups, kH, kW) with kernel {attrs.kernel}")
    channels, per_group = weight[0], weight[1]
    if isinstance(x[1], int) and x[1] != channels:
        fail(node, f"input {show(x)} has {x[1]} channels, but weight {show(weight)} needs {channels}")
    if not isinstance(channels, int) or not isinstance(per_group, int) or channels % attrs.groups:
        fail(node, f"in_channels (={channels}) must be divisible by groups (={attrs.groups})")
    out = per_group * attrs.groups
    need_channels(node, params, "bias", out, one=False)
    need_channels(node, params, "slope", out)
    need_constants(node, params, out)
    sizes: list[Dim] = []
    for axis, size in enumerate(x[2:]):
        sizes.append(output_size(attrs, axis, size) if isinstance(size, int) else UNKNOWN)
    if any(isinstance(size, int) and size < 1 for size in sizes):
        fail(node, f"output size {show(tuple(sizes))} from input {show(x)}: pads {attrs.pads} leave nothing")
    return [need_residual(node, inputs, (x[0], out, *sizes))]


@register(
    "ConvTranspose",
    infer_conv_transpose,
    arity=(1, 2),
    params=("weight", "bias", "slope", "weight_table", *CONSTANT_ROLES),
)
def conv_transpose(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Every `(q[n, i, y, x] - z) * w[i, o, r, c]` is added to `acc[n, o, y*sh + r*dh - top, x*sw + c*dw - left]`.

    What falls outside the output is dropped. Input channel i belongs to group `i / (I/groups)`, whose output channels
    are `g * O/groups + o`. Then bias and section 4 of docs/numerics.md; in float as Conv.
    """
    attrs: ConvTransposeAttrs = node.attrs
    if attrs.requantize is None:
        weight = float_weight(node, graph, groups=attrs.groups, transposed=True).astype(np.float64)
        return [finish_float(node, graph, scatter(inputs[0].astype(np.float64), weight, attrs), inputs[1:], 1)]
    steps, whole = centred(graph, node.inputs[0], inputs[0]), integer_weight(node, graph)
    grouped = whole.reshape(attrs.groups, -1, *whole.shape[1:]).swapaxes(1, 2)
    dtype = exact_dtype(steps, grouped.reshape(-1, *grouped.shape[2:]), 0)
    acc = scatter(steps.astype(dtype), whole.astype(dtype), attrs)
    return [finish_levels(node, graph, with_bias(node, graph, acc, 1), inputs[1:])]


def scatter(x: Array, weight: Array, attrs: ConvTransposeAttrs) -> Array:
    """The sums of a transposed convolution of `x` (N, I, H, W) and `weight` (I, O/groups, kH, kW), in their type."""
    n, channels, height, width = x.shape
    per_group = weight.shape[1]
    (sh, sw), (dh, dw), (kh, kw) = attrs.strides, attrs.dilations, attrs.kernel
    full_height = sh * (height - 1) + dh * (kh - 1) + 1 + attrs.output_padding[0]
    full_width = sw * (width - 1) + dw * (kw - 1) + 1 + attrs.output_padding[1]
    full = np.zeros((n, attrs.groups, per_group, full_height, full_width), x.dtype)
    pixels = x.reshape(n, attrs.groups, channels // attrs.groups, height * width)
    matrix = weight.reshape(attrs.groups, channels // attrs.groups, per_group, kh, kw)
    for row in range(kh):
        for column in range(kw):
            part = np.matmul(matrix[:, :, :, row, column].swapaxes(1, 2), pixels)
            rows = slice(row * dh, row * dh + sh * (height - 1) + 1, sh)
            columns = slice(column * dw, column * dw + sw * (width - 1) + 1, sw)
            full[:, :, :, rows, columns] += part.reshape(n, attrs.groups, per_group, height, width)
    top, left, bottom, right = attrs.pads
    cropped = full[..., top : full_height - bottom, left : full_width - right]
    return cropped.reshape(n, attrs.groups * per_group, *cropped.shape[3:])
