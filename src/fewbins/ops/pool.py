# SPDX-License-Identifier: Apache-2.0
"""MaxPool and AveragePool over two-dimensional windows.

One row of levels [3, -1, 5, 2], z = 1, windows of 3 with stride 2 and one column of padding on the left; ceil_mode
adds a second full step: windows [pad, 3, -1] and [-1, 5, 2]. Largest: 3 and 5. Sums of q - z: 2 - 2 = 0 and -2 + 4 + 1
= 3, over n = 2 (padding is not counted) and n = 3, with s = s_y: means 0 and 1, plus z_y = 1: 1 and 2.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> affine = Affine(1.0, 1, Levels.of(16))
>>> x = [[[[3, -1, 5, 2]]]]
>>> evaluate("MaxPool", PoolAttrs((1, 3), (1, 2), (0, 1, 0, 0)), [x], affines=[affine], output=affine).tolist()
[[[[3, 5]]]]
>>> evaluate("AveragePool", PoolAttrs((1, 3), (1, 2), (0, 1, 0, 0), requantize=Requantize("fixed", -8, 7)), [x],
...          affines=[affine], output=affine).tolist()
[[[[1, 2]]]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, Requantize, attributes, check_choice, check_window, register
from fewbins.ops.conv import AUTO_PADS
from fewbins.ops.operands import affine_of, centred, finish_mean, is_levels
from fewbins.ops.window import Extent, extents, output_sizes, pad_input, taps


@attributes("MaxPool", "AveragePool")
@dataclass(frozen=True)
class PoolAttrs:
    """Attributes of MaxPool and AveragePool: input (x), rank 4.

    Attributes:
        kernel: kH, kW.
        strides: down, right.
        pads: top, left, bottom, right; ignored unless auto_pad is "explicit".
        dilations: down, right.
        ceil_mode: the output's size is rounded up.
        count_include_pad: the average counts padding (but never what ceil_mode adds beyond it).
        auto_pad: as Conv's.
        requantize: AveragePool on levels only.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    ceil_mode: bool = False
    count_include_pad: bool = False
    auto_pad: str = "explicit"
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_window("pool", self.kernel, self.strides, self.pads, self.dilations)
        check_choice("pool auto_pad", self.auto_pad, AUTO_PADS)
        spans = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        if any(pad >= span for pad, span in zip(self.pads, spans * 2, strict=True)):
            raise GraphError(f"pool: pads {self.pads} must be smaller than the window {tuple(spans)}")


def infer_pool(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, C, H, W) gives (N, C, OH, OW)."""
    return [(*inputs[0][:2], *output_sizes(node, inputs[0], ceil_mode=node.attrs.ceil_mode))]


@register("MaxPool", infer_pool)
def max_pool(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """The largest element of each window, on floats or levels; padding never wins (it is -inf, or the lowest level)."""
    x = inputs[0]
    height, width = extents(node, x, ceil_mode=node.attrs.ceil_mode)
    lowest = affine_of(graph, node.inputs[0]).levels.lo if is_levels(graph, node.inputs[0]) else -np.inf
    padded = pad_input(x, height, width, lowest)
    y = np.full((*x.shape[:2], height.out, width.out), lowest, x.dtype)
    for _, _, view in taps(padded, node.attrs, (height.out, width.out)):
        np.maximum(y, view, out=y)
    return [y]


def counts(attrs: PoolAttrs, axis: int, size: int, window: Extent) -> Array:
    """How many taps of each window count on one axis: those on the input, or on its padding too, never beyond that.

    >>> attrs = PoolAttrs((3, 3), (2, 2), (1, 1, 1, 1), ceil_mode=True)
    >>> counts(attrs, 0, 6, Extent(begin=1, end=1, out=4, extra=1)).tolist()
    [2, 3, 3, 1]
    """
    first, last = (-window.begin, size + window.end) if attrs.count_include_pad else (0, size)
    starts = np.arange(window.out) * attrs.strides[axis] - window.begin
    rows = starts[:, None] + np.arange(attrs.kernel[axis]) * attrs.dilations[axis]
    return np.asarray(((rows >= first) & (rows < last)).sum(axis=1))


@register("AveragePool", infer_pool)
def average_pool(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Sum over the window divided by n, the product of the counts of both axes.

    n counts the taps that lie on the input, and with count_include_pad those on the padding that `pads` or auto_pad
    name too; taps that ceil_mode reaches beyond never count. Quantized: `acc = sum (q - z)`, padding contributes
    nothing, then `operands.finish_mean` with each position's own n. In float: the sum in float64, tap by tap, rows
    first, then `f32(sum / n)`.
    """
    x, attrs = inputs[0], node.attrs
    height, width = extents(node, x, ceil_mode=attrs.ceil_mode)
    n = counts(attrs, 0, x.shape[2], height)[:, None] * counts(attrs, 1, x.shape[3], width)
    steps = x.astype(np.float64) if attrs.requantize is None else centred(graph, node.inputs[0], x).astype(np.int64)
    total = np.zeros((*x.shape[:2], height.out, width.out), steps.dtype)
    for _, _, view in taps(pad_input(steps, height, width, 0), attrs, (height.out, width.out)):
        total += view
    n = np.maximum(n, 1)  # a dilated window may lie on padding alone: 0 / 1
    if attrs.requantize is None:
        return [(total / n).astype(np.float32)]
    return [finish_mean(node, graph, total, n)]
