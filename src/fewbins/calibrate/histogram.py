# SPDX-License-Identifier: Apache-2.0
"""A histogram that grows with its data and never with their number.

Bins have a width of a power of two and start at multiples of it, so that doubling the width merges pairs of bins and
nothing else. Whatever the order and the batches in which values arrive, the same values give the same histogram.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

HALF_BINS = 4096
"""Bins on each side of zero: the larger side of the data always fills more than half of them."""

_MIN_EXPONENT = -126  # 2.0 ** 126 and its inverse are both normal float32


class Histogram:
    """Counts of float32 values, with the exact smallest and largest of them.

    Attributes:
        count: how many values were counted, zeros included.
        zeros: how many of them were exactly 0; they stand in no bin, since quantization never moves them.
        min: the smallest value seen, counted or not.
        max: the largest.

    >>> h = Histogram()
    >>> h.add(np.float32([0.0, 0.5, 3.0]))
    >>> h.add(np.float32([-8.0]))
    >>> h.min, h.max, h.count, h.zeros
    (-8.0, 3.0, 4, 1)
    >>> values, counts = h.bins()
    >>> bool(np.allclose(values, [-8.0, 0.5, 3.0], atol=h.width)), counts.tolist()
    (True, [1.0, 1.0, 1.0])
    """

    def __init__(self) -> None:
        self.count = 0
        self.zeros = 0
        self.min = math.inf
        self.max = -math.inf
        self._exponent = _MIN_EXPONENT
        self._counts = np.zeros(2 * HALF_BINS, np.int64)

    @property
    def width(self) -> float:
        """The width of a bin, a power of two."""
        return float(2.0**self._exponent)

    def see(self, low: float, high: float) -> None:
        """Widen `min` and `max`, without counting anything."""
        self.min, self.max = min(self.min, low), max(self.max, high)

    def add(self, values: Array) -> None:
        """Count finite float32 values of any shape."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self.see(low, high)
        self._cover(max(-low, high))
        index = np.floor(values.ravel() * np.float32(2.0**-self._exponent)).astype(np.intp)
        index += HALF_BINS
        zeros = int(values.size - np.count_nonzero(values))
        self._counts += np.bincount(index, minlength=2 * HALF_BINS)
        self._counts[HALF_BINS] -= zeros
        self.zeros += zeros
        self.count += values.size

    def merge(self, other: Histogram) -> None:
        """Count what another histogram has counted, which stays as it is."""
        self.see(other.min, other.max)
        self._cover_exponent(other._exponent)
        self._counts += _coarser(other._counts, self._exponent - other._exponent)
        self.zeros += other.zeros
        self.count += other.count

    def bins(self) -> tuple[F64, F64]:
        """The middles of the bins that are not empty, kept within `min..max`, ascending, and their counts."""
        filled = np.flatnonzero(self._counts)
        middles = (filled - HALF_BINS + 0.5) * self.width
        return np.clip(middles, self.min, self.max), self._counts[filled].astype(np.float64)

    def quantile(self, fraction: float) -> float:
        """The value below which this fraction of all values lies, to the width of a bin.

        >>> h = Histogram()
        >>> h.add(np.arange(1000, dtype=np.float32))
        >>> abs(h.quantile(0.9) - 899) <= h.width, h.quantile(0.0), h.quantile(1.0)
        (True, 0.0, 999.0)
        """
        if fraction <= 0.0:
            return self.min
        if fraction >= 1.0:
            return self.max
        values, counts = self.bins()
        if self.zeros:
            place = int(np.searchsorted(values, 0.0))
            values, counts = np.insert(values, place, 0.0), np.insert(counts, place, float(self.zeros))
        reached = np.searchsorted(np.cumsum(counts), fraction * self.count)
        return float(values[min(int(reached), len(values) - 1)])

    def _cover(self, magnitude: float) -> None:
        """Widen the bins until `magnitude` lies inside them."""
        exponent = self._exponent
        while magnitude >= HALF_BINS * 2.0**exponent:
            exponent += 1
        self._cover_exponent(exponent)

    def _cover_exponent(self, exponent: int) -> None:
        if exponent > self._exponent:
            self._counts = _coarser(self._counts, exponent - self._exponent)
            self._exponent = exponent


def _coarser(counts: npt.NDArray[np.int64], doublings: int) -> npt.NDArray[np.int64]:
    """The counts after the bins' width has doubled so many times; zero stays in the middle."""
    for _ in range(min(doublings, 2 * HALF_BINS.bit_length())):
        pairs = counts.reshape(-1, 2).sum(axis=1)
        counts = np.zeros_like(counts)
        counts[HALF_BINS // 2 : HALF_BINS // 2 + HALF_BINS] = pairs
    return counts
