# SPDX-License-Identifier: Apache-2.0
"""Tables of 16 int8 values for `lut4` weights: k-means in one dimension (Lloyd 1982), on a histogram.

Source: Vandersteegen, Van Beeck, Goedemé, Electronics 2021, 10(22), 2823, for the idea; the fitting is ours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fewbins.levels import Levels
from fewbins.numerics import power_of_two

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int8]
U8 = npt.NDArray[np.uint8]

TABLE_LEVELS = Levels.weights(256)
ENTRIES = 16

_BINS = 4096
_ROUNDS = 60


def fit_table(rows: F32, *, per_channel: bool, po2: bool) -> tuple[I8, F32]:
    """One table for the layer, and the scales that its entries are multiplied by.

    Scales put the largest weight of a channel on +-127; a real scale is fitted once more when the table is known.

    Args:
        rows: weights (C, K).
        per_channel: one scale for each row, or one for all.
        po2: scales are powers of two.

    Returns:
        int8 (16,), ascending, with 0 among the entries if any weight is exactly 0; float32 (C,) or (), 0 for a dead
        channel.

    >>> table, scale = fit_table(np.float32([[-1.0, 0.0, 0.5, 1.0]]), per_channel=True, po2=False)
    >>> sorted(set(table.tolist()) & {-127, 0, 127}), len(table)
    ([-127, 0, 127], 16)
    """
    largest = np.abs(rows).max(axis=1, initial=0.0) if per_channel else np.abs(rows).max(initial=0.0).reshape(1)
    scale = largest.astype(np.float64) / TABLE_LEVELS.magnitude
    alive = scale > 0
    if po2:
        scale = np.where(alive, power_of_two(np.where(alive, scale, 1.0), round_up=True), 0.0)
    divisor = np.where(alive, scale, 1.0)[:, None]
    # Errors count by what they do to the layer: a channel of small weights weighs little.
    weight = np.broadcast_to(np.where(alive, scale, 0.0)[:, None] ** 2, rows.shape)
    table = _lloyd((rows / divisor).astype(np.float64), weight, keep_zero=bool(np.any(rows == 0)))
    if not po2 and per_channel:
        chosen = table[nearest_entry(rows, np.where(alive, scale, 1.0).astype(np.float32), table)].astype(np.float64)
        power = (chosen * chosen).sum(axis=1)
        fitted = (rows * chosen).sum(axis=1) / np.where(power > 0, power, 1.0)
        scale = np.where(alive & (fitted > 0), fitted, scale)
    result = scale.astype(np.float32)
    return table, result if per_channel else result.reshape(())


def nearest_entry(rows: F32, scale: F32, table: I8) -> U8:
    """The index 0..15 of the nearest table entry for every weight.

    >>> table = np.arange(-8, 8, dtype=np.int8)
    >>> nearest_entry(np.float32([[0.9, -20.0]]), np.float32([1.0]), table).tolist()
    [[9, 0]]
    """
    middles = (table[1:].astype(np.float32) + table[:-1].astype(np.float32)) / 2
    values = rows / (scale.reshape(-1, 1) if scale.ndim else scale)
    return np.searchsorted(middles, values).astype(np.uint8)


def _lloyd(values: F64, weight: F64, *, keep_zero: bool) -> I8:
    """Entries that make the weighted squared error small, rounded to distinct integers."""
    low, high = TABLE_LEVELS.lo, TABLE_LEVELS.hi
    place = np.clip(((values - low) / (high - low) * (_BINS - 1)).round(), 0, _BINS - 1).astype(np.intp).ravel()
    mass = np.bincount(place, weights=weight.ravel(), minlength=_BINS)
    points = low + np.arange(_BINS) * ((high - low) / (_BINS - 1))
    total = mass.sum()
    if total == 0:
        return np.arange(-8, 8, dtype=np.int8)
    # A cube root of the density spreads the entries as the best quantizer of many entries does (Panter and Dite).
    spread = np.cumsum(np.cbrt(np.convolve(mass, np.ones(33) / 33, mode="same")))
    centers = np.interp((np.arange(ENTRIES) + 0.5) / ENTRIES * spread[-1], spread, points)
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    moment = np.concatenate([[0.0], np.cumsum(mass * points)])
    for _ in range(_ROUNDS):
        if keep_zero:
            centers[np.argmin(np.abs(centers))] = 0.0
        edges = np.concatenate([[0], np.searchsorted(points, (centers[1:] + centers[:-1]) / 2), [_BINS]])
        inside = cumulative[edges[1:]] - cumulative[edges[:-1]]
        means = (moment[edges[1:]] - moment[edges[:-1]]) / np.where(inside > 0, inside, 1.0)
        centers = np.sort(np.where(inside > 0, means, centers))
    if keep_zero:
        centers[np.argmin(np.abs(centers))] = 0.0
    entries = np.unique(np.clip(np.rint(centers), low, high).astype(np.int64))
    unused = (level for distance in range(256) for level in (distance, -distance) if low <= level <= high)
    chosen = set(entries.tolist())
    while len(chosen) < ENTRIES:
        chosen.add(next(unused))
    return np.array(sorted(chosen), np.int8)
