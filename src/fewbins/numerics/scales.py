# SPDX-License-Identifier: Apache-2.0
"""From real ranges to scales, biases and proofs against overflow (docs/numerics.md, sections 2 and 3)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fewbins.errors import CalibrationError
from fewbins.levels import Levels
from fewbins.numerics.affine import F32, F64, I32, I64, MIN_NORMAL, Affine, Integers

FLOAT32_MAX = float(np.finfo(np.float32).max)
BIAS_LIMIT = 2.0**30
"""The scale of a weight channel is raised until its quantized bias is at most this, half of int32."""


def affine_from_range(
    low: float, high: float, levels: Levels, *, po2: bool = False, round_up: bool = False, name: str = "tensor"
) -> Affine:
    """Scale and zero point for the range `[low, high]`, widened to contain 0.

    Args:
        low: smallest value to represent.
        high: largest value to represent.
        levels: of the tensor.
        po2: take the power of two nearest to the scale, in log2.
        round_up: with `po2`, take the next power of two that is not smaller, so that nothing saturates.
        name: of the tensor, for the error.

    Returns:
        The affine; scale 1 and zero point 0 for a range too small to have a normal scale.

    Raises:
        CalibrationError: the range is not finite, or `low > high`.

    >>> affine = affine_from_range(0.0, 11.0, Levels.of(23))         # a ReLU output uses all 23 bins
    >>> float(affine.scale), affine.zero_point
    (0.5, -11)
    >>> affine = affine_from_range(-1.0, 2.0, Levels.of(255))
    >>> affine.zero_point, float(affine.scale) == float(np.float32(3 / 254))
    (-42, True)
    >>> float(affine_from_range(0.0, 3.0, Levels.of(4), po2=True).scale)
    1.0
    >>> affine_from_range(0.0, 0.0, Levels.of(4)) == Affine(1.0, 0, Levels.of(4))
    True
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise CalibrationError(
            f"{name}: the range [{low}, {high}] is not a finite interval; look for NaN or infinity in the data"
        )
    a, b = min(float(low), 0.0), max(float(high), 0.0)
    steps = levels.hi - levels.lo
    if b - a < steps * MIN_NORMAL:
        return Affine(1.0, 0, levels)
    scale = _round_scale(np.asarray((b - a) / steps), po2, round_up, name)
    # Half to even as np.rint, in float64, with the scale as it is stored.
    zero_point = levels.lo - round(a / float(scale))
    return Affine(scale, min(max(zero_point, levels.lo), levels.hi), levels)


def symmetric_scale(
    magnitude: npt.ArrayLike,
    levels: Levels,
    *,
    po2: bool = False,
    round_up: bool = False,
    dead: float = 1.0,
    name: str = "tensor",
) -> F32:
    """Scales for the ranges `[-m, m]`: `s = f32(m / levels.magnitude)`; the zero point is 0.

    Args:
        magnitude: `m`, one value, or one per channel.
        levels: of the tensor.
        po2: take the power of two nearest to the scale, in log2.
        round_up: with `po2`, take the next power of two that is not smaller.
        dead: the scale where `m` is too small for a normal one; give 0 for weights whose scales go
            through `raise_weight_scales`, which replaces it.
        name: of the tensor, for the error.

    Returns:
        float32 of the shape of `magnitude`.

    Raises:
        CalibrationError: a magnitude is negative or not finite.

    >>> symmetric_scale([8.0, 4.0, 0.0], Levels.weights(33)).tolist()
    [0.5, 0.25, 1.0]
    >>> symmetric_scale([1.4, 1.5], Levels.weights(3), po2=True).tolist()     # sqrt(2) = 1.414 lies between
    [1.0, 2.0]
    """
    m = np.asarray(magnitude, dtype=np.float64)
    if not np.all(np.isfinite(m) & (m >= 0)):
        raise CalibrationError(f"{name}: a largest magnitude is negative or not finite; look for NaN or infinity")
    degenerate = m < (levels.hi - levels.lo) * MIN_NORMAL
    scale = _round_scale(np.where(degenerate, 1.0, m / levels.magnitude), po2, round_up, name)
    return np.asarray(np.where(degenerate, np.float32(dead), scale), dtype=np.float32)


def asymmetric_scale(
    low: npt.ArrayLike, high: npt.ArrayLike, levels: Levels, *, po2: bool = False, name: str = "tensor"
) -> tuple[F32, int]:
    """Scales and the one zero point for weights with an offset (`u4`, `wN:asym`), per tensor or per channel.

    The zero point is that of the whole tensor's range. Per channel, the scale is the smallest that holds the channel's
    range around that zero point.

    Args:
        low: smallest weight, one value or one per channel.
        high: largest weight, of the same shape.
        levels: of the weights.
        po2: take the power of two nearest to the scale, in log2.
        name: of the tensor, for the error.

    Returns:
        float32 scales of the shape of `low`, and the zero point.

    >>> scale, zero_point = asymmetric_scale(-1.0, 2.0, Levels.u4())
    >>> float(scale) == float(np.float32(0.2)), zero_point
    (True, 5)
    >>> scale, zero_point = asymmetric_scale([-1.0, -0.5], [2.0, 0.0], Levels.u4())
    >>> scale.tolist() == [float(np.float32(0.2)), float(np.float32(0.1))], zero_point
    (True, 5)
    """
    a = np.minimum(np.asarray(low, dtype=np.float64), 0.0)
    b = np.maximum(np.asarray(high, dtype=np.float64), 0.0)
    whole = affine_from_range(float(a.min()), float(b.max()), levels, po2=po2, name=name)
    z = whole.zero_point
    if a.ndim == 0:
        return np.asarray(whole.scale), z
    # A side without levels has no weights either, unless rounding of the zero point cut it off: then it saturates.
    below = -a / (z - levels.lo) if z > levels.lo else np.zeros_like(a)
    above = b / (levels.hi - z) if z < levels.hi else np.zeros_like(b)
    exact = np.maximum(below, above)
    degenerate = exact < MIN_NORMAL
    scale = _round_scale(np.where(degenerate, 1.0, exact), po2, False, name)
    return scale, z


def power_of_two(scale: npt.ArrayLike, *, round_up: bool = False) -> F64:
    """The power of two nearest to each positive number in log2, or the next one that is not smaller.

    Exact: compared by mantissa, so that no library's logarithm decides.

    >>> power_of_two([1.0, 1.41, 1.42, 0.3]).tolist()
    [1.0, 1.0, 2.0, 0.25]
    >>> power_of_two([1.0, 1.01, 0.25]).tolist(), power_of_two([1.0, 1.01, 0.25], round_up=True).tolist()
    ([1.0, 1.0, 0.25], [1.0, 2.0, 0.25])
    """
    fraction, exponent = np.frexp(np.asarray(scale, dtype=np.float64))
    # scale = fraction * 2**exponent with fraction in [1/2, 1); sqrt(1/2) is irrational, so there are no ties.
    larger = fraction > (0.5 if round_up else math.sqrt(0.5))
    return np.asarray(np.ldexp(1.0, np.where(larger, exponent, exponent - 1)), dtype=np.float64)


def raise_weight_scales(
    scale_w: npt.ArrayLike, bias: npt.ArrayLike, scale_a: float, scale_y: float | None, *, po2: bool = False
) -> tuple[F32, npt.NDArray[np.bool_]]:
    """Raise the scales of weight channels to what their biases need, so that dead channels have usable scales.

    `s_w = max(s_w, |bias| / (s_a * 2**30))`, rounded up to float32 (with `po2` to a power of two); where that is
    still 0, `s_w = s_y / s_a`. With `po2` it is also at least `s_y / s_a * 2**-31`, so that no shift exceeds 31.

    Args:
        scale_w: scales, per channel or one for the tensor; 0 where the weights are dead.
        bias: real biases, one per channel; a shared scale is raised to the largest need.
        scale_a: scale of the input.
        scale_y: scale of the output; None when it is float32, which counts as 1.
        po2: all scales are powers of two.

    Returns:
        The scales, float32 of the shape of `scale_w`, and where they were raised.

    >>> scales, raised = raise_weight_scales([0.5, 0.0, 0.0], [3.0, 2.0**31, 0.0], scale_a=0.5, scale_y=0.25)
    >>> scales.tolist(), raised.tolist()
    ([0.5, 4.0, 0.5], [False, True, True])
    """
    old = np.asarray(scale_w, dtype=np.float32)
    real_bias = np.asarray(bias, dtype=np.float64)
    _check_bias(real_bias, "bias")
    need = np.asarray(np.abs(real_bias) / (float(scale_a) * BIAS_LIMIT))
    if old.size == 1:
        need = np.full(old.shape, np.max(need, initial=0.0))
    ratio = (1.0 if scale_y is None else float(scale_y)) / float(scale_a)
    floor = np.where(need > 0, np.maximum(need, MIN_NORMAL), 0.0)
    if po2:
        floor = np.where(floor > 0, power_of_two(np.where(floor > 0, floor, 1.0), round_up=True), 0.0)
    new = np.maximum(old, _float32_at_least(floor))
    fallback = min(max(power_of_two(ratio).item() if po2 else ratio, MIN_NORMAL), FLOAT32_MAX)
    new = np.where(new == 0, np.float32(fallback), new)
    if po2 and scale_y is not None:
        new = np.maximum(new, np.float32(min(max(ratio * 2.0**-31, MIN_NORMAL), 2.0**127)))
    return np.asarray(new, dtype=np.float32), np.asarray(new > old)


def flush_subnormals(weights: npt.ArrayLike) -> F32:
    """Weights with those below `2**-126` in magnitude set to 0.

    >>> flush_subnormals([1.0, 2.0**-126, -(2.0**-127)]).tolist() == [1.0, 2.0**-126, 0.0]
    True
    """
    values = np.asarray(weights, dtype=np.float32)
    return np.asarray(np.where(np.abs(values) < np.float32(MIN_NORMAL), np.float32(0), values), dtype=np.float32)


def bias_to_int32(bias: npt.ArrayLike, scale_a: float, scale_w: npt.ArrayLike, *, name: str = "layer") -> I32:
    """`rint(bias / (s_a * s_w))` in float64, as int32.

    Args:
        bias: real biases, one per channel.
        scale_a: scale of the input.
        scale_w: scales of the weights, one per channel or one.
        name: of the layer, for the error.

    Raises:
        CalibrationError: a bias is not finite, or does not fit int32 at this scale.

    >>> bias_to_int32([1.0, -0.3, 0.3125], 0.5, [0.25, 0.25, 0.25]).tolist()    # 8, -2.4, 2.5
    [8, -2, 2]
    """
    real = np.asarray(bias, dtype=np.float64)
    _check_bias(real, name)
    product = np.asarray(scale_a, dtype=np.float64) * np.asarray(scale_w, dtype=np.float32).astype(np.float64)
    rounded = np.rint(real / product)
    bad = np.abs(rounded) >= 2.0**31
    if np.any(bad):
        channel = int(np.flatnonzero(bad)[0])
        raise CalibrationError(
            f"{name}: bias {np.broadcast_to(real, bad.shape).reshape(-1)[channel]} of channel {channel} does not fit "
            "int32; raise the weight's scale (raise_weight_scales)"
        )
    return np.asarray(rounded.astype(np.int32))


def weight_sums(weights: Integers, axis: int = 0) -> I64:
    """`sum_k |q_w|` for every channel, int64.

    Args:
        weights: `q_w`, or `q_w - z_w` where weights have a zero point.
        axis: of the output channels.

    >>> weight_sums(np.array([[1, -2], [-127, 127]], np.int8)).tolist()
    [3, 254]
    """
    values = np.moveaxis(np.asarray(weights), axis, 0).astype(np.int64)
    return np.asarray(np.abs(values).reshape(values.shape[0], -1).sum(axis=1))


def prove_int32(bias: Integers, sums: Integers, levels: Levels, zero_point: int, *, name: str = "layer") -> None:
    """Prove that no accumulator of a layer leaves int32: `|b| + max(hi - z, z - lo) * sum |q_w| < 2**31`.

    Args:
        bias: int32 biases, one per channel.
        sums: `weight_sums`, one per channel.
        levels: of the input.
        zero_point: of the input.
        name: of the layer, for the error.

    Raises:
        CalibrationError: a channel may overflow; it is named with its bound.

    >>> prove_int32(np.array([2**31 - 1 - 255 * 127]), np.array([127]), Levels.of(256), -128)
    >>> prove_int32(np.array([2**31 - 255 * 127]), np.array([127]), Levels.of(256), -128, name="conv1")
    Traceback (most recent call last):
    fewbins.errors.CalibrationError: conv1: channel 0 may reach 2147483648, outside int32; ...
    """
    reach = max(levels.hi - zero_point, zero_point - levels.lo)
    bound = np.abs(np.asarray(bias).astype(np.int64)) + reach * np.asarray(sums).astype(np.int64)
    bad = np.flatnonzero(bound >= 2**31)
    if bad.size:
        raise CalibrationError(
            f"{name}: channel {int(bad[0])} may reach {int(bound.reshape(-1)[bad[0]])}, outside int32; "
            "use fewer bins for this layer, or float"
        )


def prove_mean_int32(count: int, levels: Levels, *, name: str = "layer") -> None:
    """Prove that a sum over `count` levels fits int32: `n * (hi - lo) < 2**31`.

    >>> prove_mean_int32(49, Levels.of(256))
    >>> prove_mean_int32(2**24, Levels.of(256), name="pool")
    Traceback (most recent call last):
    fewbins.errors.CalibrationError: pool: a sum over 16777216 elements of levels -128..127 may leave int32; ...
    """
    if count * (levels.hi - levels.lo) >= 2**31:
        raise CalibrationError(
            f"{name}: a sum over {count} elements of levels {levels} may leave int32; use a smaller input, or float"
        )


def _round_scale(exact: F64, po2: bool, round_up: bool, name: str) -> F32:
    """Round positive float64 scales once to float32, or to powers of two that float32 holds."""
    if po2:
        exact = np.clip(power_of_two(exact, round_up=round_up), MIN_NORMAL, 2.0**127)
    with np.errstate(over="ignore", under="ignore"):
        scale = exact.astype(np.float32)
    if not np.all(np.isfinite(scale)):
        raise CalibrationError(f"{name}: the range is too large for a float32 scale")
    return np.asarray(scale)


def _float32_at_least(values: F64) -> F32:
    """The smallest float32 that is not below each number, `FLOAT32_MAX` at most."""
    capped = np.minimum(values, FLOAT32_MAX)
    with np.errstate(under="ignore", over="ignore"):
        nearest = capped.astype(np.float32)
    above = np.nextafter(nearest, np.float32(np.inf))
    return np.asarray(np.where(nearest < capped, above, nearest), dtype=np.float32)


def _check_bias(bias: F64, name: str) -> None:
    if not np.all(np.isfinite(bias)):
        channel = int(np.flatnonzero(~np.isfinite(bias))[0])
        raise CalibrationError(f"{name}: the bias of channel {channel} is {bias.reshape(-1)[channel]}, not finite")
