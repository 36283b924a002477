# SPDX-License-Identifier: Apache-2.0
"""Tables of functions and the weights of bilinear interpolation (docs/numerics.md, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fewbins.numerics.affine import F64, I32, I64, U8, Affine

TABLE_SIZE = 256

BILINEAR_BITS = 11
"""Bilinear weights are multiples of `2**-11`; a product of two of them of `2**-22`."""


def build_table(function: Callable[[F64], F64], in_affine: Affine, out_affine: Affine) -> U8:
    """The table `u -> u'` of a function between two quantized tensors.

    The real input, the function and the division by the output's scale are float64; the result is rounded half to even,
    clamped to the output's levels, and NaN gives the zero point. Entries above the input's levels repeat the last one.

    Args:
        function: maps a float64 array to a float64 array of the same shape.
        in_affine: of the input, per tensor.
        out_affine: of the output, per tensor.

    Returns:
        uint8 of shape (256,).

    >>> from fewbins.levels import Levels
    >>> table = build_table(np.square, Affine(0.5, 0, Levels.of(5)), Affine(0.25, -2, Levels.of(5)))
    >>> table[:6].tolist()                                   # inputs -1, -0.5, 0, 0.5, 1; outputs 4, 1, 0, 1, 4 steps
    [4, 1, 0, 1, 4, 4]
    """
    u = np.minimum(np.arange(TABLE_SIZE), in_affine.levels.bins - 1)
    q = u + in_affine.levels.lo
    real = in_affine.scale.astype(np.float64) * (q - in_affine.zero_point).astype(np.float64)
    with np.errstate(all="ignore"):
        steps = np.rint(function(real) / out_affine.scale.astype(np.float64))
    levels, z = out_affine.levels, out_affine.zero_point
    steps = np.clip(np.where(np.isnan(steps), 0.0, steps), levels.lo - z, levels.hi - z)
    table: U8 = (steps.astype(np.int64) + z - levels.lo).astype(np.uint8)
    return table


def bilinear_weights(coordinates: npt.ArrayLike, size: int) -> tuple[I64, I64, I32, I32]:
    """Where one axis of a bilinear resize reads, and with which weights.

    Args:
        coordinates: source coordinate of every output position, float64, any value.
        size: of the source axis.

    Returns:
        `(i0, i1, w0, w1)`: two source positions, and int32 weights with `w0 + w1 = 2048`.

    >>> [value.tolist() for value in bilinear_weights([-0.25, 0.25, 0.75, 1.25], 2)]
    [[0, 0, 0, 1], [1, 1, 1, 1], [2048, 1536, 512, 2048], [0, 512, 1536, 0]]
    """
    inside = np.clip(np.asarray(coordinates, dtype=np.float64), 0.0, float(size - 1))
    first = np.floor(inside)
    w1 = np.rint((inside - first) * 2.0**BILINEAR_BITS).astype(np.int32)
    i0 = first.astype(np.int64)
    i1 = np.minimum(i0 + 1, size - 1)
    return i0, i1, np.asarray(np.int32(2**BILINEAR_BITS) - w1), w1
