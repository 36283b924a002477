# SPDX-License-Identifier: Apache-2.0
"""Quantized operators against slow loops over Python's own integers, and float32 steps taken one at a time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fewbins.errors import ShapeError
from fewbins.levels import Levels
from fewbins.numerics import Affine, fixed_multiplier
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    ConvTransposeAttrs,
    GemmAttrs,
    PadAttrs,
    PoolAttrs,
    ReduceAttrs,
    Requantize,
    RequantizeAttrs,
    ResizeAttrs,
    SliceAttrs,
    TableAttrs,
)
from fewbins.ops.evaluate import evaluate

Array = np.ndarray[Any, np.dtype[Any]]
f32 = np.float32

KINDS = ["float", "fixed", "shift", "dequantize"]


def finish(acc: int, rule: Requantize, z: int, constants: dict[str, Any], channel: int, other: Any = None) -> Any:
    """Section 4 of docs/numerics.md for one element; `other`: q_r - z_r, or a float under dequantize."""

    def constant(role: str) -> Any:
        values = constants[role]
        return values[channel if len(values) > 1 else 0].item()

    negative = "_neg" if acc < 0 and "multiplier_neg" in constants else ""
    if rule.kind in ("float", "dequantize"):
        t = f32(f32(acc) * f32(constant("multiplier" + negative)))
        if rule.kind == "dequantize":
            return t if other is None else f32(t + f32(other))
        if other is not None:
            t = f32(t + f32(f32(other) * f32(constants["residual_multiplier"][0])))
        return int(np.rint(min(max(t, f32(rule.lo - z)), f32(rule.hi - z)))) + z
    if rule.kind == "fixed":
        e = constant("exponent" + negative)
        total = acc * constant("multiplier" + negative) + 2 ** (e - 1)
        if other is not None:
            total += other * constant("residual_multiplier")
        return min(max((total >> e) + z, rule.lo), rule.hi)
    n = constant("shift")
    if other is not None:
        n_r = constants["residual_shift"][0].item()
        common = max(n, n_r, 1)
        other = -other if rule.negate_residual else other
        total = acc * 2 ** (common - n) + other * 2 ** (common - n_r) + 2 ** (common - 1)
        return min(max((total >> common) + z, rule.lo), rule.hi)
    scaled = (acc + 2 ** (n - 1)) >> n if n >= 1 else acc * 2**-n
    return min(max(scaled + z, rule.lo), rule.hi)


def finish_all(acc: Array, rule: Requantize, z: int, constants: dict[str, Any], axis: int, other: Any = None) -> Array:
    """`finish` for every element of an array of Python integers."""
    out = np.empty(acc.shape, np.float32 if rule.kind == "dequantize" else np.int32)
    for index in np.ndindex(*acc.shape):
        residual = None if other is None else other[index].item()
        out[index] = finish(int(acc[index]), rule, z, constants, index[axis] if acc.ndim > axis else 0, residual)
    return out


def draw_rule(
    rng: np.random.Generator, kind: str, channels: int, size: float, residual: bool, leaky: bool
) -> tuple[Requantize, dict[str, Any]]:
    """A requantization and constants that bring accumulators of about `size` to about 100 levels."""
    m = rng.uniform(0.2, 2.0, channels) * 100 / size
    constants: dict[str, Any] = {}
    if kind in ("float", "dequantize"):
        constants["multiplier"] = m.astype(np.float32)
        if leaky:
            constants["multiplier_neg"] = (-0.3 * m).astype(np.float32)
        if residual and kind == "float":
            constants["residual_multiplier"] = np.float32([-0.7])
    elif kind == "fixed":
        constants["multiplier"], constants["exponent"] = fixed_multiplier(m)
        if leaky:
            constants["multiplier_neg"], constants["exponent_neg"] = fixed_multiplier(-0.3 * m)
        if residual:
            constants["residual_multiplier"] = rng.integers(-(2**28), 2**28, channels).astype(np.int32)
    else:
        constants["shift"] = np.rint(-np.log2(m)).astype(np.int32)
        if residual:
            constants["residual_shift"] = rng.integers(-1, 4, 1).astype(np.int32)
    lo, hi = sorted(rng.integers(-128, 128, 2).tolist())
    negate = kind == "shift" and residual and bool(rng.integers(2))
    return (Requantize(kind) if kind == "dequantize" else Requantize(kind, lo, hi, negate)), constants


def draw_affine(rng: np.random.Generator, bins: int = 256) -> Affine:
    levels = Levels.of(bins)
    return Affine(rng.uniform(0.01, 1), int(rng.integers(levels.lo, levels.hi + 1)), levels)


def draw_levels(rng: np.random.Generator, affine: Affine, *shape: int) -> Array:
    return rng.integers(affine.levels.lo, affine.levels.hi + 1, shape).astype(np.int32)


def draw_residual(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> tuple[Array, Affine | None, Array]:
    """A residual, its affine, and what `finish` takes for it."""
    if kind == "dequantize":
        value = rng.standard_normal(shape).astype(np.float32)
        return value, None, value
    affine = draw_affine(rng)
    q = draw_levels(rng, affine, *shape)
    return q, affine, q - affine.zero_point


def output_of(rule: Requantize, affine: Affine) -> Affine | None:
    return None if rule.kind == "dequantize" else affine


small = st.integers(1, 3)
pair = st.tuples(small, small)
size = st.integers(1, 7)
seeds = st.integers(0, 2**16)


def slow_conv(x: Array, weight: Array, bias: Array, attrs: ConvAttrs, z: int, out: tuple[int, ...]) -> Array:
    acc = np.empty((x.shape[0], weight.shape[0], *out), object)
    per_group, filters = weight.shape[1], weight.shape[0] // attrs.groups
    for n, o, i, j in np.ndindex(*acc.shape):
        total = int(bias[o])
        for c, a, b in np.ndindex(per_group, *attrs.kernel):
            row = i * attrs.strides[0] - attrs.pads[0] + a * attrs.dilations[0]
            column = j * attrs.strides[1] - attrs.pads[1] + b * attrs.dilations[1]
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                q = int(x[n, o // filters * per_group + c, row, column])
                total += (q - z) * int(weight[o, c, a, b])
        acc[n, o, i, j] = total
    return acc


@settings(max_examples=80)
@given(st.data())
def test_conv_equals_a_loop_over_integers(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    groups, per_group, filters = draw(small), draw(small), draw(small)
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    affine, z_y = draw_affine(rng), draw_affine(rng)
    x = draw_levels(rng, affine, draw(st.integers(1, 2)), groups * per_group, draw(size), draw(size))
    out = tuple(
        (x.shape[2 + i] + pads[i] + pads[i + 2] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1 for i in (0, 1)
    )
    assume(min(out) >= 1)
    weight = rng.integers(-127, 128, (groups * filters, per_group, *kernel)).astype(np.int8)
    bias = rng.integers(-(2**16), 2**16, groups * filters).astype(np.int32)
    residual = draw(st.booleans())
    kind = draw(st.sampled_from(KINDS))
    leaky = not residual and kind != "shift" and draw(st.booleans())
    rule, constants = draw_rule(rng, kind, groups * filters, 5e4, residual, leaky)
    attrs = ConvAttrs(kernel, strides, pads, dilations, groups, requantize=rule)
    acc = slow_conv(x, weight, bias, attrs, affine.zero_point, out)
    inputs, affines, other = [x], [affine], None
    if residual:
        value, its_affine, other = draw_residual(rng, kind, acc.shape)
        inputs, affines = [x, value], [affine, its_affine]
    want = finish_all(acc, rule, z_y.zero_point, constants, 1, other)
    params = {"weight": weight, "bias": bias, **constants}
    got = evaluate("Conv", attrs, inputs, affines=affines, output=output_of(rule, z_y), params=params)
    assert got.dtype == want.dtype and np.array_equal(got, want)


@settings(max_examples=40)
@given(st.data())
def test_conv_transpose_equals_a_loop_over_integers(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    groups, per_group, filters = draw(small), draw(small), draw(small)
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, 1)) for _ in range(4))
    affine, z_y = draw_affine(rng), draw_affine(rng)
    x = draw_levels(rng, affine, 1, groups * per_group, draw(size), draw(size))
    out = tuple(
        strides[i] * (x.shape[2 + i] - 1) + dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2] for i in (0, 1)
    )
    assume(min(out) >= 1)
    weight = rng.integers(-127, 128, (groups * per_group, filters, *kernel)).astype(np.int8)
    bias = rng.integers(-(2**16), 2**16, groups * filters).astype(np.int32)
    kind = draw(st.sampled_from(KINDS))
    rule, constants = draw_rule(rng, kind, groups * filters, 5e4, False, False)
    acc = np.empty((1, groups * filters, *out), object)
    acc[...] = bias.astype(object)[None, :, None, None]
    for c, j, a, b, i, k in np.ndindex(groups * per_group, filters, *kernel, *x.shape[2:]):
        row, column = i * strides[0] + a * dilations[0] - pads[0], k * strides[1] + b * dilations[1] - pads[1]
        if 0 <= row < out[0] and 0 <= column < out[1]:
            product = (int(x[0, c, i, k]) - affine.zero_point) * int(weight[c, j, a, b])
            acc[0, c // per_group * filters + j, row, column] += product
    attrs = ConvTransposeAttrs(kernel, strides, pads, dilations, groups, requantize=rule)
    params = {"weight": weight, "bias": bias, **constants}
    got = evaluate("ConvTranspose", attrs, [x], affines=[affine], output=output_of(rule, z_y), params=params)
    assert np.array_equal(got, finish_all(acc, rule, z_y.zero_point, constants, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("residual", [False, True])
def test_gemm_equals_a_loop_over_integers(kind: str, residual: bool, rng: np.random.Generator) -> None:
    affine, z_y = draw_affine(rng), draw_affine(rng)
    x = draw_levels(rng, affine, 2, 3, 40)
    weight = rng.integers(-127, 128, (5, 40)).astype(np.int8)
    bias = rng.integers(-(2**16), 2**16, 5).astype(np.int32)
    rule, constants = draw_rule(rng, kind, 5, 1e5, residual, not residual and kind != "shift")
    acc = np.empty((2, 3, 5), object)
    for n, t, m in np.ndindex(*acc.shape):
        products = ((int(a) - affine.zero_point) * int(w) for a, w in zip(x[n, t], weight[m], strict=True))
        acc[n, t, m] = int(bias[m]) + sum(products)
    inputs, affines, other = [x], [affine], None
    if residual:
        value, its_affine, other = draw_residual(rng, kind, acc.shape)
        inputs, affines = [x, value], [affine, its_affine]
    params = {"weight": weight, "bias": bias, **constants}
    attrs = GemmAttrs(requantize=rule)
    got = evaluate("Gemm", attrs, inputs, affines=affines, output=output_of(rule, z_y), params=params)
    assert np.array_equal(got, finish_all(acc, rule, z_y.zero_point, constants, 2, other))


def test_sums_beyond_float32_stay_exact() -> None:
    """4,608 extreme products reach 149 million: float32 would round, so the oracle must not use it."""
    x = np.full((1, 4608), 127, np.int32)
    x[0, 0] = 126
    affine = Affine(1.0, -128, Levels.of(256))
    weight = np.full((1, 4608), 127, np.int8)
    params = {"weight": weight, "bias": np.int32([0]), "shift": np.int32([0])}
    exact = 255 * 127 * 4607 + 254 * 127
    params["bias"] = np.int32([-exact + 5])
    got = evaluate("Gemm", GemmAttrs(requantize=Requantize("shift", -8, 7)), [x], affines=[affine],
                   output=Affine(1.0, 0, Levels.of(16)), params=params)  # fmt: skip
    assert got.tolist() == [[5]]


def test_every_group_of_a_transposed_conv_counts_for_exactness() -> None:
    """The first group is all zeros; the second sums 600 extreme products to an odd number beyond 2**24."""
    weight = np.zeros((1200, 1, 1, 1), np.int8)
    weight[600:] = 127
    x = np.full((1, 1200, 1, 1), 127, np.int32)
    x[0, 600] = 126
    exact = 255 * 127 * 599 + 254 * 127
    params = {"weight": weight, "bias": np.int32([0, -exact + 5]), "shift": np.int32([0])}
    attrs = ConvTransposeAttrs((1, 1), groups=2, requantize=Requantize("shift", -8, 7))
    got = evaluate("ConvTranspose", attrs, [x], affines=[Affine(1.0, -128, Levels.of(256))],
                   output=Affine(1.0, 0, Levels.of(16)), params=params)  # fmt: skip
    assert got.reshape(-1).tolist() == [0, 5]


@pytest.mark.parametrize("function", ["add", "sub", "mul"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("second", [(2, 3, 4, 5), (3, 1, 1), (1,)])
def test_quantized_binary_equals_a_loop(
    function: str, kind: str, second: tuple[int, ...], rng: np.random.Generator
) -> None:
    first, z_y = draw_affine(rng), draw_affine(rng)
    a = draw_levels(rng, first, 2, 3, 4, 5)
    floats = kind == "dequantize" and function != "mul"
    affine_b = None if floats else draw_affine(rng, 31)
    b = rng.standard_normal(second).astype(f32) if floats else draw_levels(rng, affine_b, *second)
    rule, constants = draw_rule(rng, kind, 1, 100.0 if function != "mul" else 2000.0, function != "mul", False)
    rule = Requantize(kind, rule.lo, rule.hi, kind == "shift" and function == "sub")
    steps_a = a.astype(object) - first.zero_point
    steps_b = b if floats else b.astype(object) - affine_b.zero_point
    full_b = np.broadcast_to(steps_b, a.shape)
    if function == "mul":
        want = finish_all(steps_a * full_b, rule, z_y.zero_point, constants, 1)
    else:
        other = -full_b if floats and function == "sub" else full_b
        other = other if floats else other.astype(np.int64)
        want = finish_all(steps_a, rule, z_y.zero_point, constants, 1, other)
    got = evaluate("Binary", BinaryAttrs(function, requantize=rule), [a, b], affines=[first, affine_b],
                   output=output_of(rule, z_y), params=constants)  # fmt: skip
    assert np.array_equal(got, want)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_lone_requantization_equals_a_loop(kind: str, channels: int, rng: np.random.Generator) -> None:
    affine, z_y = draw_affine(rng), draw_affine(rng)
    x = draw_levels(rng, affine, 2, 3, 4, 5)
    rule, constants = draw_rule(rng, kind, channels, 100.0, False, kind != "shift")
    want = finish_all(x.astype(object) - affine.zero_point, rule, z_y.zero_point, constants, 1)
    attrs, output = RequantizeAttrs(rule), output_of(rule, z_y)
    got = evaluate("Requantize", attrs, [x], affines=[affine], output=output, params=constants)
    assert np.array_equal(got, want)


def mean_constants(kind: str, s: float, n: int, s_y: float) -> tuple[Requantize, dict[str, Any]]:
    """The constants of a mean, from the contract's formula; a power of two goes by `shift` under `shift`."""
    m64 = s / n if kind == "dequantize" else s / (n * s_y)
    if kind in ("float", "dequantize"):
        return Requantize(kind, -100, 90) if kind == "float" else Requantize(kind), {"multiplier": np.float32([m64])}
    if kind == "shift" and np.frexp(m64)[0] == 0.5:
        return Requantize(kind, -100, 90), {"shift": np.int32([1 - np.frexp(m64)[1]])}
    m, e = fixed_multiplier(m64)
    return Requantize("fixed", -100, 90), {"multiplier": m[None], "exponent": e[None]}


@settings(max_examples=60)
@given(st.data())
def test_average_pool_has_its_own_multiplier_for_every_count(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    kernel, strides = draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4))
    ceil_mode, include, kind = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from(KINDS))
    affine, output = Affine(0.5, 3, Levels.of(255)), Affine(0.25, -5, Levels.of(255))
    x = draw_levels(rng, affine, 1, 2, draw(size), draw(size))
    assume(all(x.shape[2 + i] + pads[i] + pads[i + 2] >= kernel[i] for i in (0, 1)))
    rule = mean_constants(kind, 0.5, 1, 0.25)[0]
    attrs = PoolAttrs(kernel, strides, pads, (1, 1), ceil_mode, include, requantize=Requantize(kind, rule.lo, rule.hi))
    got = evaluate("AveragePool", attrs, [x], affines=[affine], output=output_of(rule, output))
    for index in np.ndindex(*got.shape):
        top, left = (index[2 + i] * strides[i] - pads[i] for i in (0, 1))
        total, count = 0, 0
        for row, column in itertools.product(range(top, top + kernel[0]), range(left, left + kernel[1])):
            inside = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
            total += int(x[index[0], index[1], row, column]) - 3 if inside else 0
            padded = -pads[0] <= row < x.shape[2] + pads[2] and -pads[1] <= column < x.shape[3] + pads[3]
            count += padded if include else inside
        one, constants = mean_constants(kind, 0.5, max(count, 1), 0.25)
        assert got[index] == finish(total, one, -5, constants, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["mean", "sum"])
@pytest.mark.parametrize("spatial", [(7, 7), (4, 2)])
def test_reductions_equal_a_loop(kind: str, function: str, spatial: tuple[int, int], rng: np.random.Generator) -> None:
    affine, output = Affine(0.5, 3, Levels.of(255)), Affine(0.25, -5, Levels.of(255))
    x = draw_levels(rng, affine, 2, 3, *spatial)
    rule, constants = mean_constants(kind, 0.5, spatial[0] * spatial[1] if function == "mean" else 1, 0.25)
    attrs = ReduceAttrs(function, (2, 3), requantize=Requantize(kind, rule.lo, rule.hi))
    got = evaluate("Reduce", attrs, [x], affines=[affine], output=output_of(rule, output))
    acc = (x.astype(object) - 3).sum(axis=(2, 3), keepdims=True)
    assert np.array_equal(got, finish_all(acc, rule, -5, constants, 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), [((3, 4), (7, 5)), ((5, 6), (2, 3)), ((1, 4), (3, 4))])
@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
def test_bilinear_resize_equals_a_loop(
    kind: str, before: tuple[int, int], after: tuple[int, int], coordinates: str, rng: np.random.Generator
) -> None:
    affine, z_y = draw_affine(rng), draw_affine(rng)
    x = draw_levels(rng, affine, 1, 2, *before)
    rule, constants = draw_rule(rng, kind, 1, 100.0 * 2**22, False, False)
    attrs = ResizeAttrs("linear", sizes=after, coordinates=coordinates, requantize=rule)
    got = evaluate("Resize", attrs, [x], affines=[affine], output=output_of(rule, z_y), params=constants)

    def taps(axis: int, i: int) -> list[tuple[int, int]]:
        place = {
            "half_pixel": (i + 0.5) / (after[axis] / before[axis]) - 0.5,
            "align_corners": i * (before[axis] - 1) / (after[axis] - 1),
            "asymmetric": i / (after[axis] / before[axis]),
        }[coordinates]
        place = i if before[axis] == after[axis] else min(max(place, 0.0), before[axis] - 1.0)
        first = int(place)
        w1 = round((place - first) * 2048)
        return [(first, 2048 - w1), (min(first + 1, before[axis] - 1), w1)]

    for index in np.ndindex(*got.shape):
        acc = 0
        for (row, v), (column, w) in itertools.product(taps(0, index[2]), taps(1, index[3])):
            acc += v * w * (int(x[0, index[1], row, column]) - affine.zero_point)
        assert abs(acc) < 2**31
        assert got[index] == finish(acc, rule, z_y.zero_point, constants, 0)


def test_u4_weights_have_a_zero_point(rng: np.random.Generator) -> None:
    """`acc = sum ua*uw - zw * sum ua - za * sum uw + K * za * zw`, and padding contributes nothing."""
    affine, weights = Affine(0.5, 6, Levels.u4()), Affine(0.25, 9, Levels.u4())
    x = draw_levels(rng, affine, 1, 4, 5, 5)
    weight = rng.integers(0, 16, (3, 4, 3, 3)).astype(np.uint8)
    rule = Requantize("dequantize")
    params = {"weight": weight, "bias": np.int32([0, 7, -7]), "multiplier": np.float32([1])}
    attrs = ConvAttrs((3, 3), pads=(1, 1, 1, 1), requantize=rule)
    got = evaluate("Conv", attrs, [x], affines=[affine], params=params, weight_affine=weights)
    for o, i, j in np.ndindex(3, 5, 5):
        window = [
            (int(x[0, c, i + a - 1, j + b - 1]), int(weight[o, c, a, b]))
            for c, a, b in np.ndindex(4, 3, 3)
            if 0 <= i + a - 1 < 5 and 0 <= j + b - 1 < 5
        ]
        acc = sum(u * w for u, w in window) - 9 * sum(u for u, _ in window) - 6 * sum(w for _, w in window)
        assert got[0, o, i, j] == acc + len(window) * 6 * 9 + int(params["bias"][o])


def test_lut4_weights_are_looked_up(rng: np.random.Generator) -> None:
    table = rng.integers(-127, 128, 16).astype(np.int8)
    index = rng.integers(0, 16, (5, 8)).astype(np.uint8)
    affine = draw_affine(rng)
    x = draw_levels(rng, affine, 3, 8)
    common = {"bias": np.int32([0] * 5), "multiplier": np.float32([1])}
    attrs = GemmAttrs(requantize=Requantize("dequantize"))
    got = evaluate("Gemm", attrs, [x], affines=[affine], params={"weight": index, "weight_table": table, **common})
    want = evaluate("Gemm", attrs, [x], affines=[affine], params={"weight": table[index], **common})
    assert np.array_equal(got, want)
    assert got.tolist() == ((x - affine.zero_point) @ table[index].astype(np.int64).T).tolist()


def test_depthwise_equals_the_same_filters_without_groups(rng: np.random.Generator) -> None:
    affine = draw_affine(rng)
    x = draw_levels(rng, affine, 2, 6, 8, 8)
    depthwise = rng.integers(-127, 128, (12, 1, 3, 3)).astype(np.int8)
    dense = np.zeros((12, 6, 3, 3), np.int8)
    for o in range(12):
        dense[o, o // 2] = depthwise[o, 0]
    common = {"bias": np.arange(12, dtype=np.int32), "multiplier": np.float32([1])}
    results = [
        evaluate("Conv", ConvAttrs((3, 3), (2, 2), (1, 1, 1, 1), groups=groups, requantize=Requantize("dequantize")),
                 [x], affines=[affine], params={"weight": weight, **common})
        for groups, weight in ((6, depthwise), (1, dense))
    ]  # fmt: skip
    assert np.array_equal(*results)


def test_max_pool_on_levels_ignores_padding() -> None:
    affine = Affine(1.0, 7, Levels.of(16))
    x = np.full((1, 1, 2, 2), -8)
    attrs = PoolAttrs((3, 3), (1, 1), (1, 1, 1, 1))
    assert evaluate("MaxPool", attrs, [x], affines=[affine], output=affine).tolist() == [[[[-8, -8], [-8, -8]]]]


def test_moves_keep_signed_levels(rng: np.random.Generator) -> None:
    affine = draw_affine(rng)
    x = draw_levels(rng, affine, 2, 3, 4, 4)
    got = evaluate("Slice", SliceAttrs((0,), (2**62,), (1,), (2,)), [x], affines=[affine], output=affine)
    assert got.dtype == np.int32 and np.array_equal(got, x[:, ::2])
    got = evaluate("Resize", ResizeAttrs("nearest", scales=(2.0, 2.0)), [x], affines=[affine], output=affine)
    assert got.dtype == np.int32 and np.array_equal(got, x.repeat(2, 2).repeat(2, 3))
    got = evaluate("Concat", ConcatAttrs(1), [x, x], affines=[affine, affine], output=affine)
    assert np.array_equal(got, np.concatenate([x, x], 1))
    got = evaluate("Reduce", ReduceAttrs("max", (2, 3)), [x], affines=[affine], output=affine)
    assert np.array_equal(got, x.max(axis=(2, 3), keepdims=True))


def test_pad_quantizes_its_value() -> None:
    affine = Affine(0.5, 3, Levels.of(16))
    got = evaluate("Pad", PadAttrs((1, 1), value=-2.0), [[0]], affines=[affine], output=affine)
    assert got.tolist() == [-1, 0, -1] and got.dtype == np.int32


def test_concat_of_different_scales_is_refused() -> None:
    affines = [Affine(1.0, 0, Levels.of(16)), Affine(2.0, 0, Levels.of(16))]
    with pytest.raises(ShapeError, match="input 'x1' must have the scale"):
        evaluate("Concat", ConcatAttrs(0), [[1], [2]], affines=affines, output=affines[0])


def test_table_goes_from_the_inputs_memory_to_the_outputs(rng: np.random.Generator) -> None:
    table = rng.integers(0, 32, 256).astype(np.uint8)
    first, second = Affine(1.0, 0, Levels.of(256)), Affine(1.0, 5, Levels.of(33))
    x = np.arange(-128, 128).reshape(1, 256)
    got = evaluate("Table", TableAttrs(), [x], affines=[first], output=second, params={"table": table})
    assert got.tolist() == [[int(u) - 16 for u in table]]
