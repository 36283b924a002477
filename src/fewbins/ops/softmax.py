# SPDX-License-Identifier: Apache-2.0
"""Softmax along one axis."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes


@attributes("Softmax")
@dataclass(frozen=True)
class SoftmaxAttrs:
    """Attributes of Softmax: input (x), float32.

    Attributes:
        axis: the axis that sums to 1, not negative.
    """

    axis: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.axis < 0:
            raise GraphError(f"Softmax: axis (={self.axis}) must not be negative")
