# SPDX-License-Identifier: Apache-2.0
"""Resize: nearest or bilinear, over height and width."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import Requantize, attributes, check_choice

MODES = ("nearest", "linear")
COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "half_pixel_symmetric",
    "tf_half_pixel_for_nn",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@attributes("Resize")
@dataclass(frozen=True)
class ResizeAttrs:
    """Attributes of Resize: input (x), rank 4; height and width change.

    Attributes:
        mode: "nearest" | "linear".
        sizes: the output's height and width, or None.
        scales: output over input for height and width, or None; exactly one of sizes and scales is given.
        coordinates: how an output index becomes a place in the input; one of `COORDINATES`.
        nearest: how that place becomes an index in mode "nearest"; one of `NEAREST`.
        requantize: mode "linear" on levels only.
    """

    mode: str
    sizes: tuple[int, int] | None = None
    scales: tuple[float, float] | None = None
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Resize mode", self.mode, MODES)
        check_choice("Resize coordinates", self.coordinates, COORDINATES)
        check_choice("Resize nearest", self.nearest, NEAREST)
        if (self.sizes is None) == (self.scales is None):
            raise GraphError(f"Resize: exactly one of sizes ({self.sizes}) and scales ({self.scales}) must be given")
        if self.sizes is not None and min(self.sizes) < 1:
            raise GraphError(f"Resize: sizes {self.sizes} must be >= 1")
        if self.scales is not None and not min(self.scales) > 0:
            raise GraphError(f"Resize: scales {self.scales} must be positive")
        if self.requantize is not None and self.mode != "linear":
            raise GraphError("Resize: mode 'nearest' moves levels and takes no requantization")
