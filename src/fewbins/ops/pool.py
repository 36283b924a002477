# SPDX-License-Identifier: Apache-2.0
"""MaxPool and AveragePool over two-dimensional windows."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import Requantize, attributes, check_choice, check_window
from fewbins.ops.conv import AUTO_PADS


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
