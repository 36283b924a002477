# SPDX-License-Identifier: Apache-2.0
"""Windows that slide over height and width: the geometry that Conv and the pools share.

A window covers `span = dilation * (kernel - 1) + 1` rows. With explicit pads the output has
`(in + begin + end - span) / stride + 1` rows, rounded down, or up in ceil mode; a last window of ceil mode that would
start beyond the input and its first padding, `(out - 1) * stride >= in + begin`, is dropped. With auto_pad the output
has `ceil(in / stride)` rows and `max((out - 1) * stride + span - in, 0)` rows of padding, of which the odd one lies at
the end ("same_upper") or at the beginning ("same_lower"). Source: the operator texts of ONNX, Conv-11 and
AveragePool-19.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fewbins.graph import Dim, Node, Shape
from fewbins.ops.base import Array, fail
from fewbins.ops.shapes import UNKNOWN, need_rank


class Window(Protocol):
    """The attributes that make a window; ConvAttrs and PoolAttrs have them."""

    @property
    def kernel(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def strides(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def pads(self) -> tuple[int, int, int, int]: ...  # noqa: D102
    @property
    def dilations(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def auto_pad(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Extent:
    """A window on one axis of known size.

    Attributes:
        begin: padding before the input.
        end: padding after the input, as the operator has it.
        out: output size; may be below 1 when the window is larger than the padded input.
        extra: further padding after `end` that the last window of ceil mode reaches.
    """

    begin: int
    end: int
    out: int
    extra: int


def extent(window: Window, axis: int, size: int, *, ceil_mode: bool = False) -> Extent:
    """The window on axis 0 (height) or 1 (width) of an input of `size`.

    >>> from fewbins.ops.pool import PoolAttrs
    >>> extent(PoolAttrs((3, 3), (2, 2), (1, 1, 1, 1)), 0, 5)
    Extent(begin=1, end=1, out=3, extra=0)
    >>> extent(PoolAttrs((3, 3), (2, 2)), 0, 6, ceil_mode=True)
    Extent(begin=0, end=0, out=3, extra=1)
    >>> extent(PoolAttrs((3, 3), (2, 2), auto_pad="same_upper"), 0, 6)
    Extent(begin=0, end=1, out=3, extra=0)
    """
    stride = window.strides[axis]
    span = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    if window.auto_pad == "explicit":
        begin, end = window.pads[axis], window.pads[axis + 2]
        room = size + begin + end - span
        out = (-(-room // stride) if ceil_mode else room // stride) + 1
        if ceil_mode and (out - 1) * stride >= size + begin:
            out -= 1
    else:
        out = -(-size // stride)
        total = max((out - 1) * stride + span - size, 0)
        begin = total // 2 if window.auto_pad == "same_upper" else total - total // 2
        end = total - begin
    extra = max((out - 1) * stride + span - (begin + size + end), 0)
    return Extent(begin, end, out, extra)


def output_size(node: Node, axis: int, size: Dim, *, ceil_mode: bool = False) -> Dim:
    """The output's size on one axis; a symbol stays when the window keeps every size, else it becomes unknown."""
    window: Window = node.attrs
    if isinstance(size, int):
        out = extent(window, axis, size, ceil_mode=ceil_mode).out
        if out < 1:
            what = "height" if axis == 0 else "width"
            fail(
                node,
                f"{what} {size} is too small for kernel {window.kernel}, dilations {window.dilations}, "
                f"pads {window.pads}: no output is left",
            )
        return out
    if window.strides[axis] != 1:
        return UNKNOWN
    span = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    keeps = window.auto_pad != "explicit" or window.pads[axis] + window.pads[axis + 2] == span - 1
    return size if keeps else UNKNOWN


def output_sizes(node: Node, shape: Shape, *, ceil_mode: bool = False) -> tuple[Dim, Dim]:
    """The output's height and width, from an input shape (N, C, H, W)."""
    need_rank(node, shape, 4)
    height, width = (output_size(node, axis, shape[2 + axis], ceil_mode=ceil_mode) for axis in (0, 1))
    return height, width


def extents(node: Node, x: Array, *, ceil_mode: bool = False) -> tuple[Extent, Extent]:
    """The window on both axes of the array `x` (N, C, H, W); ShapeError when no output is left."""
    output_sizes(node, x.shape, ceil_mode=ceil_mode)
    height, width = (extent(node.attrs, axis, x.shape[2 + axis], ceil_mode=ceil_mode) for axis in (0, 1))
    return height, width


def pad_input(x: Array, height: Extent, width: Extent, value: float) -> Array:
    """`x` (N, C, H, W) with the padding that its windows need, `extra` included."""
    pads = ((0, 0), (0, 0), (height.begin, height.end + height.extra), (width.begin, width.end + width.extra))
    return np.pad(x, pads, constant_values=value) if any(map(any, pads)) else x


def taps(x: Array, window: Window, out: tuple[int, int]) -> Iterator[tuple[int, int, Array]]:
    """For every tap of the window, row by row: its row, column, and the view (N, C, *out) of padded `x` under it."""
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            views = []
            for tap, dilation, stride, size in zip((row, column), window.dilations, window.strides, out, strict=True):
                start = tap * dilation
                views.append(slice(start, start + (size - 1) * stride + 1, stride))
            yield row, column, x[:, :, views[0], views[1]]


def sliding(x: Array, window: Window, out: tuple[int, int]) -> np.ndarray[Any, np.dtype[Any]]:
    """A view (N, C, OH, OW, kH, kW) of padded `x`: every window of it, nothing copied."""
    n, c = x.shape[:2]
    row, column = x.strides[2], x.strides[3]
    strides = (
        *x.strides[:2],
        row * window.strides[0],
        column * window.strides[1],
        row * window.dilations[0],
        column * window.dilations[1],
    )
    return np.lib.stride_tricks.as_strided(x, (n, c, *out, *window.kernel), strides, writeable=False)
