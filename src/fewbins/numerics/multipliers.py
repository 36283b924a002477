# SPDX-License-Identifier: Apache-2.0
"""The constants of section 4 of docs/numerics.md, from real scales.

A real multiplier `m64` is computed in float64 from float32 scales (a product of two of them is exact there) and then
becomes one of: a float32 (`float`), an integer with an exponent (`fixed`), or a shift (`shift`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fewbins.errors import CalibrationError
from fewbins.numerics.affine import F32, F64, I32
from fewbins.numerics.requantize import FIXED_MAX_EXPONENT

FLOAT_LIMIT = 2.0**96
"""Float multipliers stay below this, so that no product with an int32 overflows float32."""

FIXED_RESIDUAL_MIN = 2**12
"""A sum under one exponent keeps at least this much precision in its larger multiplier."""


def real_multiplier(scale_a: npt.ArrayLike, scale_w: npt.ArrayLike, scale_y: npt.ArrayLike | None = None) -> F64:
    """`s_a * s_w / s_y` in float64; without `scale_y` the multiplier of the rule `dequantize`.

    For a plain requantization, or a residual, give 1 as `scale_w`.

    >>> real_multiplier(0.5, [0.25, 0.125], 2.0).tolist()
    [0.0625, 0.03125]
    >>> real_multiplier(0.5, 0.25).item()
    0.125
    """
    product = _f64(scale_a) * _f64(scale_w)
    return np.asarray(product if scale_y is None else product / _f64(scale_y), dtype=np.float64)


def mean_multiplier(scale: npt.ArrayLike, count: npt.ArrayLike, scale_y: npt.ArrayLike | None = None) -> F64:
    """`s / (n * s_y)` in float64, for a mean over `n` elements (a sum: `n` = 1); one value per distinct `n`.

    Args:
        scale: of the input.
        count: `n`, any shape.
        scale_y: of the output; None when it is float32.

    Returns:
        The real multiplier, of the shape of `count`.

    >>> mean_multiplier(0.5, [4, 9]).tolist() == [0.125, 0.5 / 9]
    True
    >>> mean_multiplier(0.5, 49, 0.25).item() == 0.5 / (49 * 0.25)
    True
    """
    n = _f64(count)
    return np.asarray(_f64(scale) / (n if scale_y is None else n * _f64(scale_y)), dtype=np.float64)


def float_multiplier(m64: npt.ArrayLike) -> F32:
    """`f32(m64)`.

    Raises:
        CalibrationError: a multiplier is not finite or reaches 2**96, where a product with an int32 could overflow.

    >>> float_multiplier([0.1, 0.5]).dtype, float_multiplier(2.0**-3).item()
    (dtype('float32'), 0.125)
    """
    m = _finite(m64, FLOAT_LIMIT, "2**96")
    with np.errstate(under="ignore"):
        return np.asarray(m.astype(np.float32))


def fixed_multiplier(m64: npt.ArrayLike) -> tuple[I32, I32]:
    """The `(M, e)` of the rule `fixed`: `m = M * 2**-e`, `2**30 <= abs(M) < 2**31`, `1 <= e <= 62`.

    A multiplier below `2**-32` in magnitude becomes `M = 0, e = 31`.

    Raises:
        CalibrationError: a multiplier is not finite or too large (2**30 and above).

    >>> fixed_multiplier([0.5, 0.75, -0.75, 2.0**-33])
    (array([ 1073741824,  1610612736, -1610612736,           0], dtype=int32), array([31, 31, 31, 31], dtype=int32))
    >>> [int(value) for value in fixed_multiplier(1 - 2.0**-40)]     # rounds up to 2**31, so it is halved
    [1073741824, 30]
    """
    m = _finite(m64, 2.0**30, "2**30")
    fraction, power = np.frexp(m)
    mantissa = np.rint(np.ldexp(fraction, 31)).astype(np.int64)
    exponent = 31 - power.astype(np.int64)
    full = np.abs(mantissa) == 2**31
    mantissa = np.where(full, mantissa // 2, mantissa)
    exponent = np.where(full, exponent - 1, exponent)
    tiny = np.abs(m) < 2.0**-32
    mantissa = np.where(tiny, 0, mantissa)
    exponent = np.where(tiny, 31, exponent)
    if np.any((exponent < 1) | (exponent > FIXED_MAX_EXPONENT)):
        raise CalibrationError(f"multiplier {m[exponent < 1].reshape(-1)[0]} is too large for 'fixed'; use 'float'")
    return np.asarray(mantissa.astype(np.int32)), np.asarray(exponent.astype(np.int32))


def fixed_residual_multipliers(m64: npt.ArrayLike, m64_residual: npt.ArrayLike) -> tuple[I32, I32, I32]:
    """The constants `(M, M_r, e)` of a `fixed` sum: `e = min(e_1, e_r)`, `M_i = rint(m_i * 2**e)`.

    Args:
        m64: real multipliers of `acc`, per channel or one.
        m64_residual: real multiplier of the residual, one value (negative for a subtraction).

    Returns:
        int32 arrays of the shape of `m64`.

    Raises:
        CalibrationError: a multiplier does not fit `fixed`, or both would keep fewer than 12 bits.

    >>> [value.tolist() for value in fixed_residual_multipliers([0.5, 2.0**-12], 0.25)]
    [[1073741824, 1048576], [536870912, 1073741824], [31, 32]]
    """
    m, m_r = np.broadcast_arrays(_f64(m64), _f64(m64_residual))
    exponent = np.minimum(fixed_multiplier(m)[1], fixed_multiplier(m_r)[1])
    first = np.rint(np.ldexp(m, exponent)).astype(np.int64)
    second = np.rint(np.ldexp(m_r, exponent)).astype(np.int64)
    coarse = np.maximum(np.abs(first), np.abs(second)) < FIXED_RESIDUAL_MIN
    if np.any(coarse):
        raise CalibrationError(
            f"multipliers {m[coarse].reshape(-1)[0]} and {m_r[coarse].reshape(-1)[0]} of a sum are too small for "
            "'fixed'; use 'float'"
        )
    return first.astype(np.int32), second.astype(np.int32), np.asarray(exponent.astype(np.int32))


def shift_amount(m64: npt.ArrayLike) -> I32:
    """The `n` of the rule `shift`: `m64 = 2**-n`.

    Raises:
        CalibrationError: a multiplier is not a power of two.

    >>> shift_amount([0.25, 1.0, 8.0]).tolist()
    [2, 0, -3]
    >>> shift_amount(0.3)
    Traceback (most recent call last):
    fewbins.errors.CalibrationError: multiplier 0.3 is not a power of two, which 'shift' needs; use 'fixed'
    """
    m = _f64(m64)
    exact = is_power_of_two(m)
    if not np.all(exact):
        raise CalibrationError(
            f"multiplier {m[~exact].reshape(-1)[0]} is not a power of two, which 'shift' needs; use 'fixed'"
        )
    return np.asarray((1 - np.frexp(m)[1]).astype(np.int32))


def is_power_of_two(m64: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each number is exactly `2**k` for an integer `k`.

    >>> is_power_of_two([0.25, 3.0, 0.0, -1.0, float("inf")]).tolist()
    [True, False, False, False, False]
    """
    return np.asarray(np.frexp(_f64(m64))[0] == 0.5)


def _f64(values: npt.ArrayLike) -> F64:
    return np.asarray(values, dtype=np.float64)


def _finite(m64: npt.ArrayLike, limit: float, limit_text: str) -> F64:
    m = _f64(m64)
    bad = ~(np.abs(m) < limit)
    if np.any(bad):
        raise CalibrationError(
            f"multiplier {m[bad].reshape(-1)[0]} must be finite and below {limit_text}; "
            "the scales of this layer are too far apart"
        )
    return m
