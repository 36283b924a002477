# SPDX-License-Identifier: Apache-2.0
"""Concat: tensors side by side along one axis."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes


@attributes("Concat")
@dataclass(frozen=True)
class ConcatAttrs:
    """Attributes of Concat: one or more inputs of one dtype; levels all have the output's affine.

    Attributes:
        axis: not negative.
    """

    axis: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.axis < 0:
            raise GraphError(f"Concat: axis (={self.axis}) must not be negative")
