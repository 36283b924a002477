# SPDX-License-Identifier: Apache-2.0
"""From an int32 accumulator to the next tensor: the four rules of docs/numerics.md, section 4.

In every rule `acc` holds exact integers of any shape, and a constant is either one value, one value per channel along
`axis`, or (with `axis` None) an array that broadcasts. `zero_point` and `lo..hi` belong to the output; the fused
activation has already narrowed `lo..hi`. A residual comes as `q_r - z_r`, negated by the caller for a subtraction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fewbins.errors import ArgumentError
from fewbins.numerics.affine import F32, I32, I64, Integers, Number, along

FIXED_MAX_EXPONENT = 62
SHIFT_MAX_SPREAD_ACC = 31
SHIFT_MAX_SPREAD_RESIDUAL = 52


def requantize_float(
    acc: Integers,
    multiplier: npt.ArrayLike,
    *,
    zero_point: int,
    lo: int,
    hi: int,
    axis: int | None = 1,
    multiplier_neg: npt.ArrayLike | None = None,
    residual: Integers | None = None,
    residual_multiplier: npt.ArrayLike | None = None,
) -> I32:
    """`rint(clamp(f32(f32(acc) * m), lo - z, hi - z)) + z`, each operation rounded once to float32.

    With a residual, `v = f32(f32(q_r - z_r) * m_r)` is added, with one more rounding, before the clamp.

    Args:
        acc: accumulator.
        multiplier: float32 `m`.
        zero_point: `z` of the output.
        lo: lowest level of the output, `lo'`.
        hi: highest level of the output, `hi'`.
        axis: channel axis of the constants in `acc`.
        multiplier_neg: float32, used where `acc < 0` (leaky ReLU); not together with a residual.
        residual: `q_r - z_r`, broadcasting against `acc`.
        residual_multiplier: float32 `m_r`.

    Returns:
        Signed levels of the output, int32.

    >>> acc = np.array([[-9, 5, 7, 4000]], np.int32)
    >>> requantize_float(acc, 0.5, zero_point=-3, lo=-11, hi=11).tolist()    # 2.5 and 3.5 round to even
    [[-7, -1, 1, 11]]
    >>> requantize_float(acc, 0.5, zero_point=-3, lo=-3, hi=11).tolist()     # with ReLU
    [[-3, -1, 1, 11]]
    >>> requantize_float(acc, 0.5, zero_point=0, lo=-11, hi=11, multiplier_neg=0.125).tolist()
    [[-1, 2, 4, 11]]
    >>> residual = np.array([[1, 1, -2, -3]])
    >>> requantize_float(acc, 0.5, zero_point=0, lo=-11, hi=11, residual=residual, residual_multiplier=2.0).tolist()
    [[-2, 4, 0, 11]]
    """
    _check_operands(multiplier_neg, residual, residual_multiplier)
    with np.errstate(over="ignore", under="ignore"):
        t = _scaled(acc, multiplier, axis, multiplier_neg)
        if residual is not None and residual_multiplier is not None:
            t = t + _scaled(residual, residual_multiplier, None, None)
        steps = np.rint(np.clip(t, np.float32(lo - zero_point), np.float32(hi - zero_point)))
    return np.asarray(steps.astype(np.int32) + np.int32(zero_point))


def requantize_fixed(
    acc: Integers,
    multiplier: npt.ArrayLike,
    exponent: npt.ArrayLike,
    *,
    zero_point: int,
    lo: int,
    hi: int,
    axis: int | None = 1,
    multiplier_neg: npt.ArrayLike | None = None,
    exponent_neg: npt.ArrayLike | None = None,
    residual: Integers | None = None,
    residual_multiplier: npt.ArrayLike | None = None,
) -> I32:
    """`clamp(((int64(acc) * M + 2**(e-1)) >> e) + z, lo, hi)`: integers only, halves round up.

    With a residual, `int64(q_r - z_r) * M_r` is added before the rounding, under the same exponent.

    Args:
        acc: accumulator.
        multiplier: int32 `M`.
        exponent: `e`, 1..62.
        zero_point: `z` of the output.
        lo: lowest level of the output, `lo'`.
        hi: highest level of the output, `hi'`.
        axis: channel axis of the constants in `acc`.
        multiplier_neg: int32, used with `exponent_neg` where `acc < 0`; not together with a residual.
        exponent_neg: see `multiplier_neg`.
        residual: `q_r - z_r`, broadcasting against `acc`.
        residual_multiplier: int32 `M_r`, one value or one per channel, under `exponent`.

    Returns:
        Signed levels of the output, int32.

    >>> acc = np.array([[-5, 5, 7, 4000]], np.int32)
    >>> requantize_fixed(acc, 2**30, 31, zero_point=0, lo=-11, hi=11).tolist()   # m = 1/2; -2.5 -> -2, 2.5 -> 3
    [[-2, 3, 4, 11]]
    >>> requantize_fixed(acc, -(2**30), 31, zero_point=0, lo=-11, hi=11).tolist()
    [[3, -2, -3, -11]]
    >>> residual = np.array([[1, 1, -2, -3]])
    >>> requantize_fixed(acc, 2**29, 30, zero_point=1, lo=-11, hi=11,
    ...                  residual=residual, residual_multiplier=2**30).tolist()
    [[0, 5, 3, 11]]
    """
    _check_operands(multiplier_neg, residual, residual_multiplier)
    wide = np.asarray(acc).astype(np.int64)
    m, e = _constant(multiplier, wide.ndim, axis), _constant(exponent, wide.ndim, axis)
    if multiplier_neg is not None and exponent_neg is not None:
        negative = wide < 0
        m = np.where(negative, _constant(multiplier_neg, wide.ndim, axis), m)
        e = np.where(negative, _constant(exponent_neg, wide.ndim, axis), e)
    if np.any((e < 1) | (e > FIXED_MAX_EXPONENT)):
        raise ArgumentError(f"exponent {_first(e, (e < 1) | (e > FIXED_MAX_EXPONENT))} lies outside 1..62")
    total = wide * m + (np.int64(1) << (e - 1))
    if residual is not None and residual_multiplier is not None:
        total = total + np.asarray(residual).astype(np.int64) * _constant(residual_multiplier, wide.ndim, axis)
    return _clamped(total >> e, zero_point, lo, hi)


def requantize_shift(
    acc: Integers,
    shift: npt.ArrayLike,
    *,
    zero_point: int,
    lo: int,
    hi: int,
    axis: int | None = 1,
    residual: Integers | None = None,
    residual_shift: npt.ArrayLike | None = None,
) -> I32:
    """`clamp(((acc + 2**(n-1)) >> n) + z, lo, hi)` for `n >= 1`, `clamp(acc << -n, lo - z, hi - z) + z` for `n <= 0`.

    With a residual, `N = max(n, n_r, 1)` and both terms are shifted left to it before the one rounding.

    Args:
        acc: accumulator, in int32's range.
        shift: `n`, the multiplier being `2**-n`.
        zero_point: `z` of the output.
        lo: lowest level of the output, `lo'`.
        hi: highest level of the output, `hi'`.
        axis: channel axis of `shift` in `acc`.
        residual: `q_r - z_r`, in -255..255, broadcasting against `acc`.
        residual_shift: `n_r`, one value.

    Returns:
        Signed levels of the output, int32.

    >>> acc = np.array([[-6, 6, 7, 4000]], np.int32)
    >>> requantize_shift(acc, 2, zero_point=0, lo=-11, hi=11).tolist()       # -1.5 -> -1, 1.5 -> 2
    [[-1, 2, 2, 11]]
    >>> requantize_shift(acc, -1, zero_point=-3, lo=-16, hi=16).tolist()
    [[-15, 9, 11, 16]]
    >>> requantize_shift(acc, 40, zero_point=-3, lo=-16, hi=16).tolist()
    [[-3, -3, -3, -3]]
    >>> requantize_shift(acc, 2, zero_point=0, lo=-11, hi=11,
    ...                  residual=np.array([[1, 1, 1, 1]]), residual_shift=1).tolist()
    [[-1, 2, 2, 11]]
    """
    _check_operands(None, residual, residual_shift)
    wide = np.asarray(acc).astype(np.int64)
    n = _constant(shift, wide.ndim, axis)
    if residual is None or residual_shift is None:
        # Beyond 32 places nothing is left of an int32; 9 places to the left saturate every level.
        right = np.clip(n, 1, 33)
        left = np.clip(-n, 0, 9)
        scaled = np.where(n >= 1, (wide + (np.int64(1) << (right - 1))) >> right, wide << left)
        return _clamped(scaled, zero_point, lo, hi)
    n_r = _constant(residual_shift, wide.ndim, None)
    common = np.maximum(np.maximum(n, n_r), 1)
    check_shift_spread(n, n_r)
    total = (wide << (common - n)) + (np.asarray(residual).astype(np.int64) << (common - n_r))
    return _clamped((total + (np.int64(1) << (common - 1))) >> common, zero_point, lo, hi)


def requantize_to_float(
    acc: Integers,
    multiplier: npt.ArrayLike,
    *,
    axis: int | None = 1,
    multiplier_neg: npt.ArrayLike | None = None,
    residual: npt.ArrayLike | None = None,
    clamp: tuple[float | None, float | None] | None = None,
) -> F32:
    """The rule `dequantize`: `y = f32(f32(acc) * m)`, then the float residual and the clamp.

    Args:
        acc: accumulator.
        multiplier: float32 `m`.
        axis: channel axis of the constants in `acc`.
        multiplier_neg: float32, used where `acc < 0`; not together with a residual.
        residual: float32, broadcasting against `acc`.
        clamp: real bounds, None where open; see `clamp_float`.

    Returns:
        float32 of the shape of `acc`.

    >>> acc = np.array([[-6, 6, 7]], np.int32)
    >>> requantize_to_float(acc, [0.5, 0.5, 2.0], clamp=(0.0, 6.0)).tolist()
    [[0.0, 3.0, 6.0]]
    >>> requantize_to_float(acc, 0.5, residual=np.float32([[1, 1, 1]])).tolist()
    [[-2.0, 4.0, 4.5]]
    """
    if multiplier_neg is not None and residual is not None:
        raise ArgumentError(
            "multiplier_neg and residual exclude each other: a leaky activation fuses without a residual"
        )
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        y = _scaled(acc, multiplier, axis, multiplier_neg)
        if residual is not None:
            y = np.asarray(y + np.asarray(residual, dtype=np.float32))
    return clamp_float(y, clamp)


def clamp_float(y: F32, clamp: tuple[float | None, float | None] | None) -> F32:
    """Clamp float32 values as `y = lo > y ? lo : y`, then `y = hi < y ? hi : y`.

    NaN and the sign of a zero at the bound stay as they are; `maxps(lo, y)` and `minps(hi, y)` on x86 do the same.

    >>> clamp_float(np.float32([-1.0, -0.0, 7.0, np.nan]), (0.0, 6.0)).tolist()
    [0.0, -0.0, 6.0, nan]
    """
    if clamp is not None:
        low, high = clamp
        if low is not None:
            y = np.where(np.float32(low) > y, np.float32(low), y)
        if high is not None:
            y = np.where(np.float32(high) < y, np.float32(high), y)
    return np.asarray(y, dtype=np.float32)


def check_shift_spread(shift: npt.ArrayLike, residual_shift: npt.ArrayLike) -> None:
    """Refuse shifts whose common form would leave int64: `N <= 62`, `N - n <= 31`, `N - n_r <= 52`.

    >>> check_shift_spread([4, 7], 2)
    >>> check_shift_spread([4, 40], 2)
    >>> check_shift_spread(-20, 20)
    Traceback (most recent call last):
    fewbins.errors.ArgumentError: shifts -20 and 20 of a sum with a residual are too far apart for 64 bits; use 'fixed'
    """
    n, n_r = np.broadcast_arrays(np.asarray(shift, dtype=np.int64), np.asarray(residual_shift, dtype=np.int64))
    common = np.maximum(np.maximum(n, n_r), 1)
    bad = (
        (common > FIXED_MAX_EXPONENT) | (common - n > SHIFT_MAX_SPREAD_ACC) | (common - n_r > SHIFT_MAX_SPREAD_RESIDUAL)
    )
    if np.any(bad):
        raise ArgumentError(
            f"shifts {_first(n, bad)} and {_first(n_r, bad)} of a sum with a residual are too far apart for 64 bits; "
            "use 'fixed'"
        )


def _scaled(acc: Integers, multiplier: npt.ArrayLike, axis: int | None, multiplier_neg: npt.ArrayLike | None) -> F32:
    """`f32(f32(acc) * m)`, with another `m` where `acc < 0` if there is one."""
    integers = np.asarray(acc)
    m = along(np.asarray(multiplier, dtype=np.float32), integers.ndim, axis)
    if multiplier_neg is not None:
        m = np.where(integers < 0, along(np.asarray(multiplier_neg, dtype=np.float32), integers.ndim, axis), m)
    return np.asarray(integers.astype(np.float32) * m, dtype=np.float32)


def _constant(values: npt.ArrayLike, ndim: int, axis: int | None) -> I64:
    return along(np.asarray(values).astype(np.int64), ndim, axis)


def _clamped(scaled: I64, zero_point: int, lo: int, hi: int) -> I32:
    levels: I32 = np.clip(scaled + np.int64(zero_point), lo, hi).astype(np.int32)
    return np.asarray(levels)


def _first(values: npt.NDArray[Number], where: npt.NDArray[np.bool_]) -> Number:
    picked: Number = np.broadcast_to(values, where.shape)[where].reshape(-1)[0]
    return picked


def _check_operands(
    multiplier_neg: npt.ArrayLike | None, residual: Integers | None, residual_constant: npt.ArrayLike | None
) -> None:
    """A leaky activation fuses only without a residual; a residual comes with its constant."""
    if multiplier_neg is not None and residual is not None:
        raise ArgumentError(
            "multiplier_neg and residual exclude each other: a leaky activation fuses without a residual"
        )
    if (residual is None) != (residual_constant is None):
        raise ArgumentError("a residual and its multiplier (or shift) are given together")
