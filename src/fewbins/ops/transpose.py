# SPDX-License-Identifier: Apache-2.0
"""Transpose: axes in another order."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import attributes


@attributes("Transpose")
@dataclass(frozen=True)
class TransposeAttrs:
    """Attributes of Transpose: input (x), float32 or levels.

    Attributes:
        perm: output axis i is input axis perm[i].
    """

    perm: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if sorted(self.perm) != list(range(len(self.perm))):
            raise GraphError(f"Transpose: perm {self.perm} must hold each axis once")
