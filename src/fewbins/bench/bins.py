# SPDX-License-Identifier: Apache-2.0
"""Schemes as the kernels see them: a family, the levels of the activations, the largest weight."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import SchemeError
from fewbins.levels import Levels


@dataclass(frozen=True)
class BenchScheme:
    """A scheme of one layer.

    >>> BenchScheme.of("255x33")
    BenchScheme(name='255x33', family='dot16', levels=(-127, 127, 16))
    """

    name: str
    family: str
    levels: tuple[int, int, int]

    @classmethod
    def of(cls, name: str) -> BenchScheme:
        """A scheme by name: float, 8bit, u4, lut4, or NxM with N bins of activations and M of weights.

        Raises:
            SchemeError: a name that is none of these.
        """
        special = {"float": "f32", "8bit": "dot32", "lut4": "lut4"}
        if name in special:
            return cls(name, special[name], (-128, 127, 127))
        if name == "u4":
            return cls(name, "u4", (0, 15, 15))
        bins = name.split("x")
        if len(bins) != 2 or not all(part.isdigit() for part in bins):
            raise SchemeError(f"scheme '{name}' is unknown here; one of float, 8bit, u4, lut4, or NxM such as 255x33")
        levels, weights = Levels.of(int(bins[0])), Levels.of(int(bins[1]))
        return cls(name, "dot16", (levels.lo, levels.hi, weights.hi))

    @property
    def worst_block(self) -> int:
        """Quads per block that fit whatever the weights are; 0: not one.

        >>> BenchScheme.of("255x33").worst_block
        8
        """
        lo, hi, weight = self.levels
        return 32767 // (max(-lo, hi) * weight) // 2
