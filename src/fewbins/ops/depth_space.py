# SPDX-License-Identifier: Apache-2.0
"""DepthToSpace and SpaceToDepth: blocks of channels become blocks of pixels, and back."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes, check_choice


@attributes("DepthToSpace")
@dataclass(frozen=True)
class DepthToSpaceAttrs:
    """Attributes of DepthToSpace: input (x), rank 4, float32 or levels.

    Attributes:
        block: rows and columns of a block.
        mode: "DCR" (depth, column, row: ONNX's default) or "CRD" (PyTorch's PixelShuffle).
    """

    block: int
    mode: str = "DCR"

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("DepthToSpace mode", self.mode, ("DCR", "CRD"))
        if self.block < 1:
            raise GraphError(f"DepthToSpace: block (={self.block}) must be >= 1")


@attributes("SpaceToDepth")
@dataclass(frozen=True)
class SpaceToDepthAttrs:
    """Attributes of SpaceToDepth: input (x), rank 4, float32 or levels.

    Attributes:
        block: rows and columns of a block.
    """

    block: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.block < 1:
            raise GraphError(f"SpaceToDepth: block (={self.block}) must be >= 1")
