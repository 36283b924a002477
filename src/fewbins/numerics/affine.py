# SPDX-License-Identifier: Apache-2.0
"""Affine quantization of arrays: `real = s * (q - z)` (docs/numerics.md, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fewbins.errors import CalibrationError
from fewbins.levels import Levels

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.integer[Any]]
Number = TypeVar("Number", bound=np.generic)

MIN_NORMAL = 2.0**-126
"""The smallest normal float32."""


@dataclass(frozen=True, init=False, eq=False)
class Affine:
    """What the levels of a tensor mean: `real = scale * (q - zero_point)`.

    Equality and hash are by value, so that tensors which share their levels can be found.

    Attributes:
        scale: float32, read-only; shape () per tensor, (C,) per channel. Finite, normal and positive.
        zero_point: the level of 0.0; one for the whole tensor.
        levels: the levels that the tensor may take.
        axis: the channel axis of `scale`; None per tensor.

    Raises:
        CalibrationError: a scale or a zero point that breaks the rules above.

    >>> affine = Affine(0.5, -3, Levels.of(23))
    >>> float(affine.scale), affine.zero_point, affine.axis
    (0.5, -3, None)
    >>> affine == Affine(0.5, -3, Levels(-11, 11))
    True
    >>> Affine([0.5, 0.25], 0, Levels.weights(33), axis=0).scale
    array([0.5 , 0.25], dtype=float32)
    """

    scale: F32
    zero_point: int
    levels: Levels
    axis: int | None = None

    def __init__(self, scale: npt.ArrayLike, zero_point: int, levels: Levels, axis: int | None = None) -> None:
        with np.errstate(over="ignore", under="ignore"):
            values = np.array(scale, dtype=np.float32)
        if axis is None and values.size == 1:
            values = values.reshape(())
        if values.ndim != (axis is not None):
            raise CalibrationError(f"scale of shape {values.shape} with axis {axis}: one scale, or one per channel")
        bad = values[~(np.isfinite(values) & (values >= np.float32(MIN_NORMAL)))]
        if bad.size:
            raise CalibrationError(f"scale {bad.reshape(-1)[0]}: a scale is a finite, normal, positive float32")
        if not levels.lo <= zero_point <= levels.hi:
            raise CalibrationError(f"zero point {zero_point} lies outside the levels {levels}")
        values.flags.writeable = False
        object.__setattr__(self, "scale", values)
        object.__setattr__(self, "zero_point", int(zero_point))
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "axis", axis)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Affine):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (self.scale.shape, self.scale.tobytes(), self.zero_point, self.levels, self.axis)


def along(values: npt.NDArray[Number], ndim: int, axis: int | None) -> npt.NDArray[Number]:
    """Reshape one value, or one per channel, so that it broadcasts against an array of `ndim` dimensions.

    With `axis` None, or more than one dimension, `values` broadcasts as it is.

    >>> along(np.zeros(3), 4, 1).shape, along(np.zeros(1), 4, 1).shape, along(np.zeros((2, 3)), 4, 1).shape
    ((1, 3, 1, 1), (), (2, 3))
    """
    if values.size == 1:
        return values.reshape(())
    if axis is None or values.ndim != 1:
        return values
    shape = [1] * ndim
    shape[axis] = values.size
    return values.reshape(shape)


def quantize(x: npt.ArrayLike, affine: Affine) -> I32:
    """The levels of real numbers: `clamp(rint(f32(x / s)) + z, lo, hi)`.

    NaN gives the zero point; infinities saturate.

    Args:
        x: real numbers, taken as float32, any shape.
        affine: the levels and what they mean.

    Returns:
        Signed levels `q`, int32, of the shape of `x`.

    >>> affine = Affine(0.5, -3, Levels.of(23))
    >>> quantize([0.0, 0.25, 0.75, -0.3, 100.0, -np.inf, np.nan], affine).tolist()
    [-3, -3, -1, -4, 11, -11, -3]
    """
    real = np.asarray(x, dtype=np.float32)
    scale = along(affine.scale, real.ndim, affine.axis)
    z = affine.zero_point
    with np.errstate(over="ignore", under="ignore"):
        steps = np.rint(real / scale)
    # Clamped before the zero point is added, which gives the same level and cannot round or overflow.
    steps = np.clip(steps, np.float32(affine.levels.lo - z), np.float32(affine.levels.hi - z))
    whole: I32 = np.where(np.isnan(steps), np.float32(0), steps).astype(np.int32)
    return np.asarray(whole + np.int32(z))


def dequantize(q: Integers, affine: Affine) -> F32:
    """The real numbers of levels: `f32(s * f32(q - z))`.

    Args:
        q: signed levels, any integer type and shape.
        affine: what they mean.

    Returns:
        float32 of the same shape.

    >>> dequantize(np.array([-3, -1, 11]), Affine(0.5, -3, Levels.of(23))).tolist()
    [0.0, 1.0, 7.0]
    >>> dequantize(np.array([[1, 2], [1, 2]]), Affine([1.0, 0.5], 0, Levels.weights(5), axis=0)).tolist()
    [[1.0, 2.0], [0.5, 1.0]]
    """
    levels = np.asarray(q)
    steps = (levels.astype(np.int32) - np.int32(affine.zero_point)).astype(np.float32)
    return np.asarray(along(affine.scale, levels.ndim, affine.axis) * steps, dtype=np.float32)


def to_memory(q: Integers, levels: Levels) -> U8:
    """Signed levels of an activation as they lie in memory: `u = q - lo`, uint8.

    >>> to_memory(np.array([-11, 0, 11]), Levels.of(23)).tolist()
    [0, 11, 22]
    """
    unsigned: U8 = (np.asarray(q).astype(np.int32) - np.int32(levels.lo)).astype(np.uint8)
    return unsigned


def from_memory(u: Integers, levels: Levels) -> I32:
    """The signed levels `q = u + lo`, int32, of an activation in memory.

    >>> from_memory(np.array([0, 11, 22], np.uint8), Levels.of(23)).tolist()
    [-11, 0, 11]
    """
    return np.asarray(np.asarray(u).astype(np.int32) + np.int32(levels.lo))


def narrowed_levels(affine: Affine, clamp: tuple[float | None, float | None] | None) -> tuple[int, int]:
    """The levels `lo'..hi'` that a fused activation leaves: the levels of its real bounds.

    Args:
        affine: of the output, per tensor.
        clamp: lower and upper real bound, None where open; (0.0, None) is ReLU, (0.0, 6.0) is ReLU6.

    Returns:
        `(lo', hi')`, inside the levels.

    >>> affine = Affine(0.5, -3, Levels.of(23))
    >>> narrowed_levels(affine, None), narrowed_levels(affine, (0.0, None)), narrowed_levels(affine, (0.0, 6.0))
    ((-11, 11), (-3, 11), (-3, 9))
    """
    lo, hi = affine.levels.lo, affine.levels.hi
    if clamp is not None:
        low, high = clamp
        if high is not None:
            hi = int(quantize(high, affine))
        if low is not None:
            lo = min(int(quantize(low, affine)), hi)
    return lo, hi
