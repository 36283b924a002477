# SPDX-License-Identifier: Apache-2.0
"""L0: the arithmetic contract against Python's big integers and fractions.

`exact_f32` rounds a fraction once to float32; every rule is written a second time with it, one element at a time, and
compared with the vectorised NumPy form on ties, extremes, both signs and random values.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbins import numerics as fn
from fewbins.errors import ArgumentError, CalibrationError
from fewbins.levels import Levels
from fewbins.numerics import Affine

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
EDGES = [INT32_MIN, INT32_MIN + 1, -(2**24) - 1, -3, -2, -1, 0, 1, 2, 3, 2**24 + 1, 2**30, INT32_MAX - 1, INT32_MAX]

accumulators = st.one_of(st.sampled_from(EDGES), st.integers(-3000, 3000), st.integers(INT32_MIN, INT32_MAX))
levels = st.one_of(
    st.integers(3, 256).map(Levels.of),
    st.just(Levels.u4()),
)


def exact_f32(value: Fraction) -> Fraction:
    """Round half to even to 24 bits, subnormals included."""
    if value == 0:
        return value
    exponent = max(math.floor(math.log2(abs(value.numerator)) - math.log2(value.denominator)) - 25, -149)
    while abs(value) / Fraction(2) ** exponent >= 2**24:
        exponent += 1
    unit = Fraction(2) ** exponent
    return round(value / unit) * unit


def exact_f64(value: Fraction) -> float:
    """Python divides integers with one correct rounding."""
    return value.numerator / value.denominator


def f32(value: float) -> np.float32:
    return np.float32(value)


@st.composite
def multipliers(draw: st.DrawFn, *, signed: bool = True) -> float:
    """Float32 values between 2**-40 and 2**10, many of them with few bits so that ties happen."""
    mantissa = draw(st.one_of(st.sampled_from([1, 3, 5, 2**23 + 1, 2**24 - 1]), st.integers(1, 2**24 - 1)))
    value = math.ldexp(mantissa, draw(st.integers(-60, 0)))
    return -value if signed and draw(st.booleans()) else value


def test_exact_f32_agrees_with_numpy() -> None:
    """The reference itself, on halfway cases and subnormals."""
    rng = np.random.default_rng(1)
    values = [math.ldexp(2 * int(m) + 1, -24) for m in rng.integers(2**23, 2**24, 200)]
    values += [math.ldexp(float(m), -160) for m in rng.integers(1, 2**20, 200)]
    for value in values:
        assert float(exact_f32(Fraction(value))) == float(np.float64(value).astype(np.float32))


# Affine


def test_an_affine_is_a_hashable_value() -> None:
    same = Affine([0.5, 0.25], 0, Levels.weights(33), axis=0)
    assert same == Affine(np.float32([0.5, 0.25]), 0, Levels.weights(33), axis=0)
    assert hash(same) == hash(Affine([0.5, 0.25], 0, Levels.weights(33), axis=0))
    assert same != Affine([0.5, 0.25], 0, Levels.weights(33), axis=1)
    assert Affine(0.5, 0, Levels.of(3)) != Affine(0.5, 1, Levels.of(3))
    assert Affine(0.5, 0, Levels.of(3)) != "affine"
    with pytest.raises(ValueError, match="read-only"):
        same.scale[0] = 1.0


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 2.0**-127, 1e300])
def test_a_scale_that_is_not_finite_normal_and_positive_is_refused(scale: float) -> None:
    with pytest.raises(CalibrationError, match="finite, normal, positive"):
        Affine(scale, 0, Levels.of(23))


def test_a_zero_point_outside_the_levels_and_a_wrong_axis_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"zero point 12 lies outside the levels -11\.\.11"):
        Affine(1.0, 12, Levels.of(23))
    with pytest.raises(CalibrationError, match="axis None"):
        Affine([1.0, 2.0], 0, Levels.of(23))
    with pytest.raises(CalibrationError, match="axis 0"):
        Affine(1.0, 0, Levels.of(23), axis=0)


@given(st.floats(width=32, allow_nan=False), multipliers(signed=False), levels, st.integers(0, 255))
def test_quantize_divides_rounds_and_clamps(x: float, scale: float, lv: Levels, offset: int) -> None:
    z = lv.lo + offset % lv.bins
    affine = Affine(scale, z, lv)
    got = int(fn.quantize(x, affine))
    if math.isinf(x):
        assert got == (lv.hi if x > 0 else lv.lo)
        return
    quotient = exact_f32(Fraction(x) / Fraction(float(affine.scale)))
    assert got == min(max(round(quotient) + z, lv.lo), lv.hi)


def test_quantize_rounds_halves_to_even_and_nan_to_the_zero_point() -> None:
    affine = Affine(1.0, 1, Levels.of(11))
    x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, math.nan, math.inf, -math.inf]
    assert fn.quantize(x, affine).tolist() == [-1, -1, 1, 1, 3, 3, 1, 5, -5]


@given(st.integers(-128, 127), multipliers(signed=False))
def test_dequantize_rounds_once(q: int, scale: float) -> None:
    affine = Affine(scale, -5, Levels.of(256))
    expected = exact_f32(Fraction(float(affine.scale)) * (q + 5))
    assert Fraction(float(fn.dequantize(np.array(q), affine))) == expected


def test_scales_per_channel_follow_their_axis() -> None:
    affine = Affine([1.0, 2.0, 4.0], 0, Levels.weights(255), axis=1)
    q = fn.quantize(np.full((2, 3, 1), 8.0, np.float32), affine)
    assert q[1, :, 0].tolist() == [8, 4, 2]
    assert fn.dequantize(q, affine).tolist() == np.full((2, 3, 1), 8.0).tolist()


def test_memory_holds_unsigned_levels() -> None:
    for lv in (Levels.of(256), Levels.of(23), Levels.of(16), Levels.u4()):
        q = np.arange(lv.lo, lv.hi + 1)
        u = fn.to_memory(q, lv)
        assert u.dtype == np.uint8
        assert u.tolist() == list(range(lv.bins))
        assert fn.from_memory(u, lv).tolist() == q.tolist()


def test_a_fused_clip_narrows_the_levels_to_its_quantized_ends() -> None:
    affine = Affine(0.5, -3, Levels.of(23))
    assert fn.narrowed_levels(affine, (-1.0, 1.0)) == (-5, -1)
    assert fn.narrowed_levels(affine, (1.0, None)) == (-1, 11)
    assert fn.narrowed_levels(affine, (-math.inf, math.inf)) == (-11, 11)
    assert fn.narrowed_levels(affine, (3.0, 1.0)) == (-1, -1)


# Scales


@given(st.floats(-(2.0**100), 2.0**100, width=32), st.floats(-(2.0**100), 2.0**100, width=32), levels)
def test_a_range_gives_a_scale_that_covers_it_within_half_a_step(low: float, high: float, lv: Levels) -> None:
    low, high = min(low, high), max(low, high)
    affine = fn.affine_from_range(low, high, lv)
    a, b = min(low, 0.0), max(high, 0.0)
    if Fraction(b) - Fraction(a) < Fraction(lv.hi - lv.lo) * Fraction(2) ** -126:
        assert affine == Affine(1.0, 0, lv)
        return
    scale = float(affine.scale)
    assert scale == float(np.float32((b - a) / (lv.hi - lv.lo)))
    assert affine.zero_point == min(max(lv.lo - round(a / scale), lv.lo), lv.hi)
    assert (lv.lo - affine.zero_point) * scale <= a + scale * 0.51
    assert (lv.hi - affine.zero_point) * scale >= b - scale * 0.51


def test_ranges_that_are_not_finite_are_refused_by_name() -> None:
    for low, high in ((math.nan, 1.0), (0.0, math.inf), (-math.inf, 0.0), (2.0, 1.0)):
        with pytest.raises(CalibrationError, match=r"conv1\.output: the range"):
            fn.affine_from_range(low, high, Levels.of(23), name="conv1.output")
    with pytest.raises(CalibrationError, match=r"conv1.weight: .* not finite"):
        fn.symmetric_scale([1.0, math.nan], Levels.weights(33), name="conv1.weight")


def test_the_smallest_range_that_is_not_degenerate_has_the_smallest_normal_scale() -> None:
    lv = Levels.of(255)
    edge = 254 * 2.0**-126
    assert float(fn.affine_from_range(0.0, edge, lv).scale) == 2.0**-126
    assert float(fn.affine_from_range(0.0, np.nextafter(edge, 0), lv).scale) == 1.0
    assert fn.symmetric_scale([edge, np.nextafter(edge, 0)], lv, dead=0.0).tolist() == [2.0**-125, 0.0]


@given(st.floats(2.0**-100, 2.0**100))
def test_powers_of_two_are_nearest_in_log2_or_rounded_up(value: float) -> None:
    nearest = Fraction(float(fn.power_of_two(value)))
    # |log2(value) - k| <= 1/2 is value**2 between 2**(2k - 1) and 2**(2k + 1).
    assert nearest**2 / 2 <= Fraction(value) ** 2 <= nearest**2 * 2
    upper = Fraction(float(fn.power_of_two(value, round_up=True)))
    assert upper / 2 < Fraction(value) <= upper
    assert fn.is_power_of_two(float(nearest))


def test_po2_ranges_rounded_up_saturate_nothing() -> None:
    for high in (0.7, 1.0, 1.3, 100.0):
        affine = fn.affine_from_range(-0.2 * high, high, Levels.of(23), po2=True, round_up=True)
        assert fn.is_power_of_two(float(affine.scale))
        assert abs(float(fn.dequantize(fn.quantize(high, affine), affine)) - high) <= float(affine.scale) / 2


def test_weights_with_a_zero_point_share_it_across_channels() -> None:
    low, high = np.array([-1.0, -0.1, 0.0]), np.array([2.0, 0.1, 0.0])
    scale, z = fn.asymmetric_scale(low, high, Levels.of(16))
    affine = Affine(scale, z, Levels.of(16), axis=0)
    assert float(scale[2]) == 1.0
    for bound in (low, high):
        back = fn.dequantize(fn.quantize(bound, affine), affine)
        assert np.all(np.abs(back - bound) <= scale * 0.51)
    assert fn.asymmetric_scale([-1.0, -2.0], [0.0, 0.0], Levels.u4())[1] == 15
    assert fn.asymmetric_scale([1.0, 2.0], [3.0, 3.0], Levels.u4())[1] == 0


def test_dead_channels_get_the_scale_that_their_bias_needs() -> None:
    scale_a, scale_y = 0.1, 0.05
    bias = np.array([0.5, -3.0, 0.0, 1e-44, 1.0])
    old = np.float32([0.0, 0.0, 0.0, 0.0, 0.01])
    new, raised = fn.raise_weight_scales(old, bias, scale_a, scale_y)
    assert raised.tolist() == [True, True, True, True, False]
    for c in (0, 1):
        need = Fraction(abs(float(bias[c]))) / (Fraction(scale_a) * 2**30)
        assert Fraction(float(new[c])) >= need * (1 - Fraction(2) ** -50)
        assert Fraction(float(np.nextafter(new[c], np.float32(0)))) < need
    assert new[2] == np.float32(scale_y / scale_a)
    assert new[3] == np.float32(2.0**-126)
    assert new[4] == old[4]
    assert np.max(np.abs(fn.bias_to_int32(bias, scale_a, new))) <= 2**30 + 1


def test_a_live_channel_with_a_huge_bias_is_raised_too() -> None:
    new, raised = fn.raise_weight_scales([1e-6], [1e6], 1e-3, 1.0)
    assert raised.tolist() == [True]
    assert abs(int(fn.bias_to_int32([1e6], 1e-3, new)[0])) <= 2**30 + 1


def test_one_scale_for_the_tensor_is_raised_to_the_largest_need() -> None:
    new, raised = fn.raise_weight_scales(np.float32(0.0), [2.0**31, -(2.0**33)], 0.5, 1.0)
    assert (new.shape, float(new), bool(raised)) == ((), 16.0, True)


def test_po2_scales_are_raised_to_powers_of_two_and_no_shift_exceeds_31() -> None:
    new, _ = fn.raise_weight_scales([0.0, 0.0, 2.0**-60, 0.25], [3.0 * 2**30, 0.0, 1e-20, 0.0], 1.0, 0.5, po2=True)
    assert new.tolist() == [4.0, 0.5, 2.0**-32, 0.25]
    assert fn.shift_amount(fn.real_multiplier(1.0, new, 0.5)).max() == 31


def test_weights_below_the_smallest_normal_become_zero() -> None:
    tiny = np.float32([2.0**-126, -(2.0**-126), 2.0**-127, -1e-45, 0.0, -1.0])
    assert fn.flush_subnormals(tiny).tolist() == [2.0**-126, -(2.0**-126), 0.0, 0.0, 0.0, -1.0]


@given(st.floats(-1e3, 1e3), multipliers(signed=False), multipliers(signed=False))
def test_a_bias_is_rounded_in_float64(bias: float, scale_a: float, scale_w: float) -> None:
    s_a, s_w = float(f32(scale_a)), float(f32(scale_w))
    product = Fraction(s_a) * Fraction(s_w)
    assert Fraction(exact_f64(product)) == product, "a product of two float32 is exact in float64"
    expected = round(exact_f64(Fraction(bias) / product))
    if abs(expected) >= 2**31:
        with pytest.raises(CalibrationError, match=r"conv1: bias .* does not fit int32"):
            fn.bias_to_int32([bias], s_a, [s_w], name="conv1")
    else:
        assert int(fn.bias_to_int32([bias], s_a, [s_w])[0]) == expected


@pytest.mark.parametrize("bias", [math.nan, math.inf, -math.inf])
def test_a_bias_that_is_not_finite_is_refused_with_its_channel(bias: float) -> None:
    with pytest.raises(CalibrationError, match="conv1: the bias of channel 1 is"):
        fn.bias_to_int32([0.0, bias], 1.0, [1.0, 1.0], name="conv1")
    with pytest.raises(CalibrationError, match="channel 1"):
        fn.raise_weight_scales([1.0, 1.0], [0.0, bias], 1.0, 1.0)


@pytest.mark.parametrize(("zero_point", "reach"), [(-128, 255), (127, 255), (0, 128), (-100, 227)])
def test_the_overflow_proof_is_tight(zero_point: int, reach: int) -> None:
    weights = np.array([[127, -127, 5], [1, 0, 0]], np.int8)
    sums = fn.weight_sums(weights)
    assert sums.tolist() == [259, 1]
    room = 2**31 - 1 - reach * 259
    for sign in (1, -1):
        fn.prove_int32(np.array([sign * room, 0]), sums, Levels.of(256), zero_point)
        with pytest.raises(CalibrationError, match="channel 0 may reach 2147483648"):
            fn.prove_int32(np.array([sign * (room + 1), 0]), sums, Levels.of(256), zero_point)


def test_weight_sums_take_int8_extremes_and_any_axis() -> None:
    assert fn.weight_sums(np.full((2, 3), -128, np.int8), axis=1).tolist() == [256, 256, 256]


def test_the_proof_for_means_is_tight() -> None:
    count = (2**31 - 1) // 255
    fn.prove_mean_int32(count, Levels.of(256))
    with pytest.raises(CalibrationError, match="may leave int32"):
        fn.prove_mean_int32(count + 1, Levels.of(256))


# Multipliers


def check_fixed(m: float) -> None:
    big, e = (int(value) for value in fn.fixed_multiplier(m))
    if abs(m) < 2.0**-32:
        assert (big, e) == (0, 31)
        return
    assert 2**30 <= abs(big) < 2**31
    assert 1 <= e <= 62
    # Nearest, half to even; where rounding carried to 2**31, 2**30 under the smaller exponent is the same number.
    assert Fraction(big) == round(Fraction(m) * 2**e) or abs(big) == 2**30
    assert abs(Fraction(big) / 2**e - Fraction(m)) <= Fraction(1, 2 ** (e + 1)) * (2 if abs(big) == 2**30 else 1)


@given(multipliers())
def test_fixed_multipliers_are_normalized_and_nearest(m: float) -> None:
    check_fixed(m)


def test_fixed_multipliers_at_their_ends() -> None:
    below = float(np.nextafter(2.0**-32, 0.0))
    carry = 1.0 - 2.0**-40
    for m in (2.0**-32, below, -(2.0**-32), -below, carry, -carry, 0.0, 2.0**29, 2.0**30 - 1, 1e-300):
        check_fixed(m)
    assert [int(value) for value in fn.fixed_multiplier(2.0**-32)] == [2**30, 62]
    assert [int(value) for value in fn.fixed_multiplier(below)] == [0, 31]
    assert [int(value) for value in fn.fixed_multiplier(-carry)] == [-(2**30), 30]
    assert [int(value) for value in fn.fixed_multiplier(2.0**30 - 1)] == [2**31 - 2, 1]
    for m in (2.0**30, -(2.0**30), math.inf, math.nan, float(np.nextafter(2.0**30, 0))):
        with pytest.raises(CalibrationError):
            fn.fixed_multiplier(m)


def test_fixed_multipliers_round_half_to_even() -> None:
    for tail, expected in ((0.5, 0), (1.5, 2), (2.5, 2)):
        assert int(fn.fixed_multiplier((2**30 + tail) * 2.0**-31)[0]) == 2**30 + expected


def test_float_multipliers_that_could_overflow_are_refused() -> None:
    assert float(fn.float_multiplier(np.nextafter(2.0**96, 0) / 2)) > 0
    for m in (2.0**96, -(2.0**96), math.inf, math.nan):
        with pytest.raises(CalibrationError, match="too far apart"):
            fn.float_multiplier(m)


@given(multipliers(signed=False), multipliers(signed=False), multipliers(signed=False))
def test_real_multipliers_round_once_in_float64(scale_a: float, scale_w: float, scale_y: float) -> None:
    a, w, y = (f32(value) for value in (scale_a, scale_w, scale_y))
    exact = Fraction(float(a)) * Fraction(float(w)) / Fraction(float(y))
    assert float(fn.real_multiplier(a, w, y)) == exact_f64(exact)


@given(multipliers(), multipliers())
def test_sums_under_one_exponent_keep_the_coarser_one(m: float, m_r: float) -> None:
    e = min(int(fn.fixed_multiplier(value)[1]) for value in (m, m_r))
    first, second = (round(Fraction(value) * 2**e) for value in (m, m_r))
    if max(abs(first), abs(second)) < 2**12:
        with pytest.raises(CalibrationError, match="too small for 'fixed'"):
            fn.fixed_residual_multipliers(m, m_r)
    else:
        assert [int(value) for value in fn.fixed_residual_multipliers(m, m_r)] == [first, second, e]


def test_a_sum_whose_multipliers_vanish_is_refused() -> None:
    assert [int(value) for value in fn.fixed_residual_multipliers(0.0, 2.0**-19)] == [0, 2**12, 31]
    with pytest.raises(CalibrationError, match="use 'float'"):
        fn.fixed_residual_multipliers(0.0, 2.0**-20)


# From the accumulator to the next tensor


@st.composite
def outputs(draw: st.DrawFn) -> tuple[int, int, int]:
    """Zero point, lo', hi' of an output."""
    lv = draw(levels)
    ends = sorted((draw(st.integers(lv.lo, lv.hi)), draw(st.integers(lv.lo, lv.hi))))
    return draw(st.integers(lv.lo, lv.hi)), ends[0], ends[1]


def clamp(value: int | Fraction, lo: int, hi: int) -> int | Fraction:
    return min(max(value, lo), hi)


@given(accumulators, multipliers(), outputs(), st.one_of(st.none(), multipliers()))
def test_float_rule_is_two_roundings_then_clamp_then_rint(
    acc: int, m: float, out: tuple[int, int, int], m_neg: float | None
) -> None:
    z, lo, hi = out
    used = m_neg if m_neg is not None and acc < 0 else m
    t = exact_f32(exact_f32(Fraction(acc)) * Fraction(float(f32(used))))
    got = fn.requantize_float(np.array([acc]), m, zero_point=z, lo=lo, hi=hi, multiplier_neg=m_neg)
    assert got.tolist() == [round(clamp(t, lo - z, hi - z)) + z]


@given(accumulators, multipliers(), st.integers(-255, 255), multipliers(), outputs())
def test_float_rule_with_a_residual_rounds_each_term_and_the_sum(
    acc: int, m: float, r: int, m_r: float, out: tuple[int, int, int]
) -> None:
    z, lo, hi = out
    t = exact_f32(exact_f32(Fraction(acc)) * Fraction(float(f32(m))))
    v = exact_f32(Fraction(r) * Fraction(float(f32(m_r))))
    got = fn.requantize_float(
        np.array([acc]), m, zero_point=z, lo=lo, hi=hi, residual=np.array([r]), residual_multiplier=m_r
    )
    assert got.tolist() == [round(clamp(exact_f32(t + v), lo - z, hi - z)) + z]


@given(accumulators, multipliers(), outputs(), st.one_of(st.none(), multipliers()))
def test_fixed_rule_is_one_rounding_half_up(acc: int, m: float, out: tuple[int, int, int], m_neg: float | None) -> None:
    z, lo, hi = out
    used = m_neg if m_neg is not None and acc < 0 else m
    big, e = (int(value) for value in fn.fixed_multiplier(used))
    expected = math.floor(Fraction(acc * big, 2**e) + Fraction(1, 2)) + z
    constants = fn.fixed_multiplier(m)
    negative = (None, None) if m_neg is None else fn.fixed_multiplier(m_neg)
    got = fn.requantize_fixed(
        np.array([acc]), *constants, zero_point=z, lo=lo, hi=hi, multiplier_neg=negative[0], exponent_neg=negative[1]
    )
    assert got.tolist() == [clamp(expected, lo, hi)]


@given(accumulators, multipliers(), st.integers(-255, 255), multipliers(), outputs())
def test_fixed_rule_with_a_residual_rounds_the_sum_once(
    acc: int, m: float, r: int, m_r: float, out: tuple[int, int, int]
) -> None:
    z, lo, hi = out
    try:
        big, big_r, e = fn.fixed_residual_multipliers(m, m_r)
    except CalibrationError:
        return
    total = acc * int(big) + r * int(big_r) + 2 ** (int(e) - 1)
    assert abs(total) < 2**63
    got = fn.requantize_fixed(
        np.array([acc]), big, e, zero_point=z, lo=lo, hi=hi, residual=np.array([r]), residual_multiplier=big_r
    )
    assert got.tolist() == [clamp((total >> int(e)) + z, lo, hi)]


def test_fixed_rule_does_not_overflow_at_its_extremes() -> None:
    for acc in (INT32_MIN, INT32_MAX):
        for big in (2**31 - 1, -(2**31 - 1)):
            for e in (1, 31, 62):
                for r in (-255, 0, 255):
                    expected = (acc * big + r * big + 2 ** (e - 1)) >> e
                    got = fn.requantize_fixed(
                        np.array([acc]),
                        big,
                        e,
                        zero_point=0,
                        lo=-128,
                        hi=127,
                        residual=np.array([r]),
                        residual_multiplier=big,
                    )
                    assert got.tolist() == [clamp(expected, -128, 127)]


@given(accumulators, st.integers(-40, 70), outputs())
def test_shift_rule_rounds_halves_up_and_saturates(acc: int, n: int, out: tuple[int, int, int]) -> None:
    z, lo, hi = out
    expected = (acc + 2 ** (n - 1)) >> n if n >= 1 else acc << -n
    got = fn.requantize_shift(np.array([acc]), n, zero_point=z, lo=lo, hi=hi)
    assert got.tolist() == [clamp(expected + z, lo, hi)]


def test_a_shift_beyond_31_leaves_the_zero_point() -> None:
    for acc in EDGES:
        for n in (32, 33, 40, 62, 100):
            assert fn.requantize_shift(np.array([acc]), n, zero_point=5, lo=-128, hi=127).tolist() == [5]


@given(accumulators, st.integers(-31, 62), st.integers(-255, 255), st.integers(-54, 62), outputs())
def test_shift_rule_with_a_residual_rounds_the_sum_once(
    acc: int, n: int, r: int, n_r: int, out: tuple[int, int, int]
) -> None:
    z, lo, hi = out
    call = lambda: fn.requantize_shift(
        np.array([acc]), n, zero_point=z, lo=lo, hi=hi, residual=np.array([r]), residual_shift=n_r
    )
    common = max(n, n_r, 1)
    if common - n > 31 or common - n_r > 52:
        with pytest.raises(ArgumentError, match="too far apart for 64 bits"):
            call()
        return
    total = (acc << (common - n)) + (r << (common - n_r)) + 2 ** (common - 1)
    assert abs(total) < 2**63
    assert call().tolist() == [clamp((total >> common) + z, lo, hi)]


def test_common_shifts_beyond_62_are_refused() -> None:
    with pytest.raises(ArgumentError, match="use 'fixed'"):
        fn.check_shift_spread(63, 60)


@given(accumulators, st.integers(-29, 40), outputs())
def test_fixed_equals_shift_where_the_multiplier_is_a_power_of_two(acc: int, n: int, out: tuple[int, int, int]) -> None:
    z, lo, hi = out
    by_shift = fn.requantize_shift(np.array([acc]), n, zero_point=z, lo=lo, hi=hi)
    by_fixed = fn.requantize_fixed(np.array([acc]), *fn.fixed_multiplier(2.0**-n), zero_point=z, lo=lo, hi=hi)
    assert by_shift.tolist() == by_fixed.tolist()


@given(accumulators, multipliers(), st.one_of(st.none(), multipliers()))
def test_to_float_rounds_the_product_and_the_sum(acc: int, m: float, residual: float | None) -> None:
    y = exact_f32(exact_f32(Fraction(acc)) * Fraction(float(f32(m))))
    if residual is not None:
        y = exact_f32(y + Fraction(float(f32(residual))))
    got = fn.requantize_to_float(
        np.array([acc]), m, residual=None if residual is None else np.float32([residual]), clamp=(None, 6.0)
    )
    assert got.dtype == np.float32
    assert Fraction(float(got[0])) == min(y, Fraction(6))


def test_a_float_clamp_keeps_nan_and_the_sign_of_zero() -> None:
    y = fn.clamp_float(np.float32([-0.0, 0.0, math.nan, -2.0, 9.0]), (0.0, 6.0))
    assert y.tobytes() == np.float32([-0.0, 0.0, math.nan, 0.0, 6.0]).tobytes()


def test_constants_follow_the_channel_axis() -> None:
    acc = np.full((2, 3, 2, 2), 40, np.int32)
    m, out = [1.0, 0.5, 0.25], {"zero_point": 0, "lo": -128, "hi": 127}
    big, e = fn.fixed_multiplier(m)
    for q in (
        fn.requantize_float(acc, m, **out),
        fn.requantize_fixed(acc, big, e, **out),
        fn.requantize_shift(acc, fn.shift_amount(m), **out),
        fn.requantize_to_float(acc, m),
    ):
        assert q.shape == acc.shape
        assert [q[1, c, 1, 0] for c in range(3)] == [40, 20, 10]
    last = fn.requantize_float(np.full((2, 3), 40), m, axis=-1, **out)
    assert last.tolist() == [[40, 20, 10]] * 2
    square = fn.requantize_float(np.full((3, 3), 40), m, axis=0, **out)
    assert square.tolist() == [[40] * 3, [20] * 3, [10] * 3]


def test_a_multiplier_for_every_position_broadcasts() -> None:
    """Averages over windows that are cut at the border divide by fewer elements there."""
    count = np.array([[4, 2], [2, 1]])
    m64 = fn.mean_multiplier(1.0, count, 0.5)
    acc = np.full((1, 3, 2, 2), 10)
    q = fn.requantize_float(acc, fn.float_multiplier(m64), zero_point=0, lo=-128, hi=127, axis=None)
    assert q[0, 2].tolist() == [[5, 10], [10, 20]]
    assert float(fn.mean_multiplier(f32(0.1), 9, f32(0.3))) == float(f32(0.1)) / (9 * float(f32(0.3)))
    assert float(fn.mean_multiplier(f32(0.1), 9)) == float(f32(0.1)) / 9


def test_a_leaky_slope_and_a_residual_exclude_each_other() -> None:
    acc, out = np.array([1]), {"zero_point": 0, "lo": -1, "hi": 1}
    for call in (
        lambda: fn.requantize_float(acc, 1.0, multiplier_neg=0.1, residual=acc, residual_multiplier=1.0, **out),
        lambda: fn.requantize_fixed(
            acc, 2**30, 30, multiplier_neg=1, exponent_neg=1, residual=acc, residual_multiplier=1, **out
        ),
        lambda: fn.requantize_to_float(acc, 1.0, multiplier_neg=0.1, residual=np.float32([1])),
    ):
        with pytest.raises(ArgumentError, match="exclude each other"):
            call()
    with pytest.raises(ArgumentError, match="given together"):
        fn.requantize_float(acc, 1.0, residual=acc, **out)
    with pytest.raises(ArgumentError, match=r"exponent 63 lies outside 1\.\.62"):
        fn.requantize_fixed(acc, 2**30, 63, **out)


# Tables and interpolation


def test_a_table_equals_the_function_between_the_two_affines() -> None:
    source = fn.affine_from_range(-4.0, 4.0, Levels.of(255))
    target = fn.affine_from_range(0.0, 1.0, Levels.of(23))
    table = fn.build_table(lambda x: 1 / (1 + np.exp(-x)), source, target)
    assert (table.dtype, table.shape) == (np.uint8, (256,))
    for u in range(255):
        real = float(source.scale) * (u - 127 - source.zero_point)
        q = round(1 / (1 + math.exp(-real)) / float(target.scale)) + target.zero_point
        assert table[u] == clamp(q, -11, 11) + 11
    assert table[255] == table[254]


def test_a_table_saturates_infinities_and_gives_the_zero_point_for_nan() -> None:
    source, target = Affine(1.0, 0, Levels.of(3)), Affine(1.0, -2, Levels.of(23))
    table = fn.build_table(np.log, source, target)
    assert table[:3].tolist() == [-2 + 11, 0, -2 + 11]


def test_bilinear_weights_sum_to_2048_and_clamp_at_the_edges() -> None:
    coordinates = (np.arange(37) + 0.5) * 5 / 37 - 0.5
    i0, i1, w0, w1 = fn.bilinear_weights(coordinates, 5)
    assert np.all(w0 + w1 == 2048)
    assert (i0[0], w1[0]) == (0, 0)
    assert (i0[-1], i1[-1], w1[-1]) == (4, 4, 0)
    for c, first, second, weight in zip(coordinates, i0, i1, w1, strict=True):
        inside = min(max(Fraction(float(c)), Fraction(0)), Fraction(4))
        assert first == math.floor(inside)
        assert second == min(first + 1, 4)
        assert weight == round((inside - first) * 2048)
    assert [int(value[0]) for value in fn.bilinear_weights([0.999999], 2)] == [0, 1, 0, 2048]
