# SPDX-License-Identifier: Apache-2.0
"""Conv: two-dimensional convolution, groups and depthwise included."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import Requantize, attributes, check_choice, check_clamp, check_window

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
