# SPDX-License-Identifier: Apache-2.0
"""ConvTranspose: the transpose of a two-dimensional convolution."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import Requantize, attributes, check_clamp, check_window


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
