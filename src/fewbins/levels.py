# SPDX-License-Identifier: Apache-2.0
"""The integers that a quantized tensor may take, and how many products of them fit an accumulator.

The contract is docs/numerics.md, section 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fewbins.errors import SchemeError

MIN_BINS = 3
MAX_BINS = 256

PAIR_PRODUCT = 127
"""Largest product of two magnitudes in the 4.6-bit paper: every product fits a signed byte."""

DOT16_PRODUCT = 4095
"""Largest product of two magnitudes of which any 8 fit a 16-bit lane: such pairs always have a fast 16-bit form."""

U4_DEPTH = 65535 // (15 * 15)
"""Longest sum of `u4` products that an unsigned 16-bit accumulator takes: 291."""


@dataclass(frozen=True, order=True)
class Levels:
    """The integer levels `lo..hi`, both ends included.

    Args:
        lo: lowest level, in -128..0.
        hi: highest level, in 0..127.

    Raises:
        SchemeError: an end is out of its range, or there are fewer than 3 levels.

    >>> Levels(-11, 11).bins, Levels(-11, 11).magnitude
    (23, 11)
    >>> Levels(-128, 127).magnitude
    128
    >>> Levels(0, 1)
    Traceback (most recent call last):
    fewbins.errors.SchemeError: levels 0..1: there are 2 of them; a quantized tensor needs 3 to 256
    """

    lo: int
    hi: int

    def __post_init__(self) -> None:
        """Refuse levels that do not hold 0 or do not fit a byte."""
        if not all(isinstance(end, int) for end in (self.lo, self.hi)):
            raise SchemeError(f"levels {self.lo!r}..{self.hi!r}: the ends must be integers")
        if not -128 <= self.lo <= 0 <= self.hi <= 127:
            raise SchemeError(f"levels {self.lo}..{self.hi}: the ends must satisfy -128 <= lo <= 0 <= hi <= 127")
        if self.bins < MIN_BINS:
            raise SchemeError(
                f"levels {self.lo}..{self.hi}: there are {self.bins} of them; "
                f"a quantized tensor needs {MIN_BINS} to {MAX_BINS}"
            )

    @property
    def bins(self) -> int:
        """How many levels there are."""
        return self.hi - self.lo + 1

    @property
    def magnitude(self) -> int:
        """The largest absolute value of a level (`h_a`, `h_w` in docs/numerics.md)."""
        return max(-self.lo, self.hi)

    @classmethod
    def of(cls, bins: int) -> Levels:
        """The levels of an activation with `bins` bins: all of them used, symmetric when `bins` is odd.

        >>> Levels.of(23), Levels.of(16), Levels.of(256)
        (Levels(lo=-11, hi=11), Levels(lo=-8, hi=7), Levels(lo=-128, hi=127))
        """
        _check_bins(bins)
        return cls(-(bins // 2), (bins - 1) // 2)

    @classmethod
    def weights(cls, bins: int) -> Levels:
        """The levels of weights with `bins` bins: always symmetric, so an even `bins` leaves its lowest level unused.

        >>> Levels.weights(33), Levels.weights(16), Levels.weights(256)
        (Levels(lo=-16, hi=16), Levels(lo=-7, hi=7), Levels(lo=-127, hi=127))
        """
        _check_bins(bins)
        half = (bins - 1) // 2
        return cls(-half, half)

    @classmethod
    def u4(cls) -> Levels:
        """The levels of both operands of the 2020 algorithm: 0..15.

        >>> Levels.u4()
        Levels(lo=0, hi=15)
        """
        return cls(0, 15)

    def __str__(self) -> str:
        """As `lo..hi`."""
        return f"{self.lo}..{self.hi}"


def _check_bins(bins: int) -> None:
    if not MIN_BINS <= bins <= MAX_BINS:
        raise SchemeError(f"{bins} bins: a quantized tensor has {MIN_BINS} to {MAX_BINS} bins")


def pairs() -> tuple[tuple[int, int], ...]:
    """The pairs (bins of activations, bins of weights) of the 4.6-bit paper, by rising bins of activations.

    They are the odd pairs whose magnitudes have a product of at most 127 and of which neither side can grow.

    >>> len(pairs()), pairs()[0], pairs()[10], pairs()[-1]
    (21, (3, 255), (23, 23), (255, 3))

    Source: Trusov et al., Mathematics 2024, 12(5), 651, inequality for the products.
    """
    found = []
    for h_a in range(1, PAIR_PRODUCT + 1):
        h_w = PAIR_PRODUCT // h_a
        if PAIR_PRODUCT // h_w == h_a:
            found.append((2 * h_a + 1, 2 * h_w + 1))
    return tuple(found)


def average_bits(bins_a: int, bins_w: int) -> float:
    """Mean of the bits per activation and per weight, `(log2 bins_a + log2 bins_w) / 2`.

    >>> round(average_bits(23, 23), 3), round(average_bits(255, 3), 3)
    (4.524, 4.79)
    """
    return (math.log2(bins_a) + math.log2(bins_w)) / 2


def depth16(h_a: int, h_w: int) -> int:
    """How many products of magnitudes `h_a`, `h_w` a signed 16-bit lane sums without overflow.

    The lane holds the signed sum, as docs/numerics.md section 3 arranges it on every instruction set.

    >>> depth16(11, 11), depth16(127, 1), depth16(1, 127)
    (270, 258, 258)
    """
    return 32767 // (h_a * h_w)


def depth16_unsigned(h_a: int, h_w: int) -> int:
    """As `depth16`, where a lane sums unsigned activations `0..2*h_a` times signed weights: the naive x86 form.

    >>> depth16_unsigned(11, 11)
    135
    """
    return 32767 // (2 * h_a * h_w)


def fits_dot16(h_a: int, h_w: int) -> bool:
    """Whether activations and weights of these magnitudes always have a 16-bit form, whatever the weights are.

    >>> fits_dot16(Levels.of(255).magnitude, Levels.weights(33).magnitude)  # 255x33: 127 * 16 = 2032
    True
    >>> fits_dot16(Levels.of(256).magnitude, Levels.weights(256).magnitude)
    False
    """
    return h_a * h_w <= DOT16_PRODUCT
