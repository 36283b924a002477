# SPDX-License-Identifier: Apache-2.0
"""Scales of weights, and rounding to the nearest level.

Weights come as rows, one for each output channel: float32 of shape (channels, everything else).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fewbins.levels import Levels
from fewbins.numerics import asymmetric_scale, power_of_two, symmetric_scale

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int8]

OUTLIERS = 1e-4
"""What the observer "percentile" cuts off, as a fraction of the weights of a scale."""

_CHUNK = 1 << 20  # elements in work at once
_SEARCH_LIMIT = 1 << 18  # elements that a search for one scale looks at
_MIN_SCALE = 2.0**-126  # the smallest normal float32


def round_rows(rows: F32, scale: F32, levels: Levels, zero_point: int = 0) -> I8:
    """The nearest levels: `clamp(rint(f32(w / s)) + z, lo, hi)`.

    Args:
        rows: weights (C, K).
        scale: () or (C,).
        levels: of the weights.
        zero_point: of the weights; 0 unless they are asymmetric.

    >>> round_rows(np.float32([[0.5, -3.0], [0.5, 1.0]]), np.float32([0.5, 0.25]), Levels.weights(5)).tolist()
    [[1, -2], [2, 2]]
    """
    steps = np.rint(rows / _column(scale))
    steps = np.clip(steps, levels.lo - zero_point, levels.hi - zero_point) + zero_point
    return np.asarray(steps, np.int8)


def symmetric_scales(rows: F32, levels: Levels, *, per_channel: bool, observer: str = "mse", po2: bool = False) -> F32:
    """Scales for weights without a zero point.

    Args:
        rows: weights (C, K).
        levels: of the weights, symmetric.
        per_channel: one scale for each row, or one for all.
        observer: "minmax" keeps the largest weight; "percentile" all but a ten-thousandth of the weights; "mse" makes
            the squared error least.
        po2: powers of two; "mse" picks them by error, the others take the nearest in log2.

    Returns:
        float32 (C,), or () for one scale; 0 where all weights of a scale are 0.

    >>> rows = np.float32([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    >>> symmetric_scales(rows, Levels.weights(5), per_channel=True, observer="minmax").tolist()
    [1.0, 0.0]
    """
    work = rows if per_channel else _thinned(rows.reshape(1, -1))
    largest = np.abs(rows if per_channel else rows.reshape(1, -1)).max(axis=1, initial=0.0).astype(np.float64)
    if observer == "percentile":
        largest = np.quantile(np.abs(work), 1.0 - OUTLIERS, axis=1).astype(np.float64)
    if observer == "mse":
        found = _search(work, largest / levels.magnitude, levels.lo, levels.hi, po2)
    else:
        found = symmetric_scale(largest, levels, po2=po2, dead=0.0, name="weights").astype(np.float64)
    scale = np.asarray(np.where(largest > 0, found, 0.0), np.float32)
    return scale if per_channel else scale.reshape(())


def asymmetric_scales(
    rows: F32, levels: Levels, *, per_channel: bool, observer: str = "mse", po2: bool = False
) -> tuple[F32, int]:
    """Scales and the one zero point of weights that have one (`u4`, `wN:asym`); see `symmetric_scales`.

    Zero points on both sides of what the range asks for are tried too; the least error wins, and the nearest among
    equals. As there, the scale is 0 where all of its weights are 0.

    >>> scale, zero_point = asymmetric_scales(np.float32([[-1.0, 2.0]]), Levels.u4(), per_channel=False)
    >>> zero_point
    5
    """
    work = rows if per_channel else _thinned(rows.reshape(1, -1))
    full = rows if per_channel else rows.reshape(1, -1)
    low = np.minimum(full.min(axis=1, initial=0.0), 0.0).astype(np.float64)
    high = np.maximum(full.max(axis=1, initial=0.0), 0.0).astype(np.float64)
    dead = low == high  # both are 0
    start, zero = asymmetric_scale(low, high, levels, po2=po2, name="weights")
    if observer != "mse":
        start = np.where(dead, np.float32(0), start)
        return (start if per_channel else start.reshape(())), zero
    best: tuple[float, F32, int] | None = None
    near = range(max(zero - 2, levels.lo), min(zero + 2, levels.hi) + 1)
    for z in sorted(near, key=lambda z: abs(z - zero)):
        below = -low / max(z - levels.lo, 1) if z > levels.lo else np.zeros_like(low)
        above = high / max(levels.hi - z, 1) if z < levels.hi else np.zeros_like(high)
        scale = _search(work, np.maximum(below, above), levels.lo - z, levels.hi - z, po2)
        error = float(_errors(work, scale, levels.lo - z, levels.hi - z).sum())
        if best is None or error < best[0]:
            best = (error, np.where(dead, 0.0, scale).astype(np.float32), z)
    assert best is not None  # the range above is never empty: the zero point is one of the levels
    return (best[1] if per_channel else best[1].reshape(())), best[2]


def _search(rows: F32, largest: F64, lo: int, hi: int, po2: bool) -> F64:
    """The scale of least squared error for each row, at most `largest`: a coarse walk down, then two finer ones."""
    usable = np.maximum(largest, _MIN_SCALE)
    if po2:
        top = power_of_two(usable, round_up=True)
        return _best(rows, lo, hi, [np.maximum(top * 2.0**-k, _MIN_SCALE) for k in range(5)])
    bins = hi - lo + 1
    factors = np.geomspace(0.1, 1.0, 24) if bins < 128 else np.geomspace(0.4, 1.0, 12)
    ratio = factors[1] / factors[0]
    scale = _best(rows, lo, hi, [np.maximum(usable * f, _MIN_SCALE) for f in factors])
    for _ in range(2):
        near = np.geomspace(1.0 / ratio, ratio, 9)[1:-1]
        scale = _best(rows, lo, hi, [np.clip(scale * f, _MIN_SCALE, usable) for f in near])
        ratio = ratio**0.25
    return scale


def _best(rows: F32, lo: int, hi: int, candidates: list[F64]) -> F64:
    best_error = np.full(len(rows), np.inf)
    best_scale = candidates[0]
    for scale in candidates:
        error = _errors(rows, scale, lo, hi)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale, best_scale)
    return best_scale


def _errors(rows: F32, scale: F64, lo: int, hi: int) -> F64:
    """Sum of squared rounding errors of each row."""

    def part(block: F32, s: F32) -> F64:
        steps = block / s
        np.rint(steps, out=steps)
        np.clip(steps, lo, hi, out=steps)
        steps *= s
        steps -= block
        return np.asarray(np.einsum("ck,ck->c", steps, steps, dtype=np.float64))

    return _by_blocks(part, rows, scale.astype(np.float32))


def _by_blocks(part: Callable[[F32, F32], F64], rows: F32, scale: F32) -> F64:
    step = max(1, _CHUNK // max(rows.shape[1], 1))
    blocks = [part(rows[i : i + step], scale[i : i + step, None]) for i in range(0, len(rows), step)]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _thinned(row: F32) -> F32:
    """Evenly spaced elements of one long row, for a search; a short row stays whole."""
    stride = -(-row.shape[1] // _SEARCH_LIMIT)
    return np.ascontiguousarray(row[:, :: max(stride, 1)])


def _column(scale: F32) -> F32:
    return scale.reshape(-1, 1) if scale.ndim else scale
