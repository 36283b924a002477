# SPDX-License-Identifier: Apache-2.0
"""Reshape: the same elements in another shape; also Flatten, Squeeze and Unsqueeze."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes


@attributes("Reshape")
@dataclass(frozen=True)
class ReshapeAttrs:
    """Attributes of Reshape: input (x), float32 or levels.

    Attributes:
        shape: the new sizes; 0 copies the input's size of the same index, one -1 takes what is left.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if any(size < -1 for size in self.shape) or self.shape.count(-1) > 1:
            raise GraphError(f"Reshape: shape {self.shape} must hold sizes >= 0 and at most one -1")
