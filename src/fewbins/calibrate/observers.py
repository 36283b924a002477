# SPDX-License-Identifier: Apache-2.0
"""From a histogram to the scale and the zero point of an activation: min-max, percentile and MSE.

All three follow docs/numerics.md, section 2: the range contains 0, and 0.0 is exactly a level.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fewbins.calibrate.histogram import Histogram
from fewbins.checks import is_word, shown
from fewbins.errors import ArgumentError
from fewbins.levels import Levels
from fewbins.numerics import Affine, affine_from_range

F64 = npt.NDArray[np.float64]

OBSERVERS = ("mse", "minmax", "percentile")

OUTLIERS = 1e-4
"""What "percentile" cuts off at each end: a ten-thousandth of the values."""

_SHRINKS = np.geomspace(0.02, 1.0, 56)
_NUDGES = np.linspace(0.9, 1.1, 21)


def check_observer(name: str) -> None:
    """Raise ArgumentError unless `name` is one of `OBSERVERS`."""
    if not is_word(name, OBSERVERS):
        raise ArgumentError(f"observer {shown(name)} is unknown (expected one of: {', '.join(OBSERVERS)})")


def choose_affine(histogram: Histogram, levels: Levels, *, observer: str = "mse", po2: bool = False) -> Affine:
    """The scale and zero point that an observer picks.

    Args:
        histogram: of everything that the tensor (or the group that shares its scale) held.
        levels: the levels that the tensor takes.
        observer: "minmax" covers all values; "percentile" all but a ten-thousandth at each end; "mse" the range that
            makes the mean squared error of quantization least.
        po2: the scale is a power of two; "mse" picks it by error, the others take the nearest in log2.

    >>> h = Histogram()
    >>> h.add(np.linspace(0, 22, 23, dtype=np.float32))
    >>> affine = choose_affine(h, Levels.of(23), observer="minmax")
    >>> float(affine.scale), affine.zero_point
    (1.0, -11)
    """
    check_observer(observer)
    low, high = choose_range(histogram, levels, observer)
    if po2:
        return _po2_affine(histogram, levels, low, high, by_error=observer == "mse")
    return affine_from_range(low, high, levels)


def choose_range(histogram: Histogram, levels: Levels, observer: str) -> tuple[float, float]:
    """The real range, containing 0, that the levels are spread over."""
    low, high = min(histogram.min, 0.0), max(histogram.max, 0.0)
    if observer == "percentile" and histogram.count:
        return min(histogram.quantile(OUTLIERS), 0.0), max(histogram.quantile(1.0 - OUTLIERS), 0.0)
    if observer == "mse" and high > low and len(histogram.bins()[0]):
        return _mse_range(histogram, levels, low, high)
    return low, high


def _mse_range(histogram: Histogram, levels: Levels, low: float, high: float) -> tuple[float, float]:
    """Shrink both ends together, then each by itself in turn, then finer; the best range met wins."""
    values, counts = histogram.bins()
    best = (math.inf, low, high)

    def attempt(lows: F64, highs: F64) -> None:
        nonlocal best
        errors = _errors(values, counts, *_scales(lows, highs, levels), levels)
        i = int(np.argmin(errors))
        best = min(best, (float(errors[i]), float(lows[i]), float(highs[i])), key=lambda row: row[0])

    attempt(low * _SHRINKS, high * _SHRINKS)
    if low < 0.0 < high:
        for _ in range(2):
            attempt(low * _SHRINKS, np.full(len(_SHRINKS), best[2]))
            attempt(np.full(len(_SHRINKS), best[1]), high * _SHRINKS)
    for _ in range(2):
        attempt(np.maximum(best[1] * _NUDGES, low), np.minimum(best[2] * _NUDGES, high))
        if low < 0.0 < high:
            attempt(np.maximum(best[1] * _NUDGES, low), np.full(len(_NUDGES), best[2]))
            attempt(np.full(len(_NUDGES), best[1]), np.minimum(best[2] * _NUDGES, high))
    return best[1], best[2]


def _scales(lows: F64, highs: F64, levels: Levels) -> tuple[F64, F64]:
    scales = (highs - lows) / (levels.hi - levels.lo)
    zeros = np.clip(levels.lo - np.rint(lows / scales), levels.lo, levels.hi)
    return scales, zeros


def _errors(values: F64, counts: F64, scales: F64, zeros: F64, levels: Levels) -> F64:
    """Sum of squared quantization errors of the counted values, one for each (scale, zero point)."""
    steps = np.rint(values[None, :] / scales[:, None])
    np.clip(steps, (levels.lo - zeros)[:, None], (levels.hi - zeros)[:, None], out=steps)
    steps *= scales[:, None]
    steps -= values[None, :]
    steps *= steps
    return np.asarray(steps @ counts, np.float64)


def _po2_affine(histogram: Histogram, levels: Levels, low: float, high: float, *, by_error: bool) -> Affine:
    exact = affine_from_range(low, high, levels)
    nearest = round(math.log2(float(exact.scale)))
    exponents = range(nearest - 2, nearest + 3) if by_error and histogram.count > histogram.zeros else (nearest,)
    pairs = []
    for exponent in exponents:
        start = levels.lo - round(low * 2.0**-exponent)
        near = range(start - 2, start + 3) if by_error and low < 0.0 < high else (start,)
        pairs += [(2.0**exponent, min(max(z, levels.lo), levels.hi)) for z in near]
    scales, zeros = np.array([s for s, _ in pairs]), np.array([z for _, z in pairs], np.float64)
    errors = _errors(*histogram.bins(), scales, zeros, levels) if len(pairs) > 1 else np.zeros(1)
    scale, zero_point = pairs[int(np.argmin(errors))]
    return Affine(scale, zero_point, levels)
