# SPDX-License-Identifier: Apache-2.0
"""Pad: more rows, columns or channels around a tensor, or fewer."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes, check_choice

MODES = ("constant", "reflect", "edge")


@attributes("Pad")
@dataclass(frozen=True)
class PadAttrs:
    """Attributes of Pad: input (x), float32 or levels.

    Attributes:
        pads: 2 * rank numbers, all begins and then all ends; a negative one crops.
        mode: "constant" | "reflect" | "edge".
        value: what mode "constant" pads with; on levels, `quantize(value)`.
    """

    pads: tuple[int, ...]
    mode: str = "constant"
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Pad mode", self.mode, MODES)
        if len(self.pads) % 2:
            raise GraphError(f"Pad: pads {self.pads} must hold a begin and an end for each axis")
