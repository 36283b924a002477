# SPDX-License-Identifier: Apache-2.0
"""Slice: part of a tensor, with steps of either sign."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes


@attributes("Slice")
@dataclass(frozen=True)
class SliceAttrs:
    """Attributes of Slice: input (x), float32 or levels. ONNX's meaning of every field.

    Attributes:
        starts: one per axis in `axes`; negative counts from the end.
        ends: likewise; values beyond the size mean "to the end", +-2**62 is usual.
        axes: not negative, each at most once.
        steps: not 0.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    axes: tuple[int, ...]
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if not len(self.starts) == len(self.ends) == len(self.axes) == len(self.steps):
            raise GraphError(
                f"Slice: starts {self.starts}, ends {self.ends}, axes {self.axes} steps {self.steps} differ in length"
            )
        if any(axis < 0 for axis in self.axes) or len(set(self.axes)) != len(self.axes):
            raise GraphError(f"Slice: axes {self.axes} must not be negative or repeat")
        if 0 in self.steps:
            raise GraphError(f"Slice: steps {self.steps} must not be 0")
