# SPDX-License-Identifier: Apache-2.0
"""Every operator of the engine equals the oracle, for attributes that hypothesis makes: test layer L2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_compare import check
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_ops_quantized import (
    KINDS,
    draw_affine,
    draw_levels,
    draw_residual,
    draw_rule,
    output_of,
)

from fewbins.levels import Levels
from fewbins.numerics import Affine
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    ConvTransposeAttrs,
    DepthToSpaceAttrs,
    ExpandAttrs,
    GemmAttrs,
    MatMulAttrs,
    NormalizeAttrs,
    PadAttrs,
    PoolAttrs,
    PReluAttrs,
    RangeAttrs,
    ReduceAttrs,
    Requantize,
    RequantizeAttrs,
    ReshapeAttrs,
    ResizeAttrs,
    SliceAttrs,
    SoftmaxAttrs,
    SpaceToDepthAttrs,
    TableAttrs,
    TransposeAttrs,
    UnaryAttrs,
)
from fewbins.ops.resize import COORDINATES, NEAREST
from fewbins.ops.unary import FUNCTIONS as UNARY_FUNCTIONS

Array = np.ndarray[Any, np.dtype[Any]]

FLOAT_SUM = 1e-5  # sums of products run in any order
FUNCTION = 4e-7  # about two units in the last place of the largest

pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
sizes = st.integers(1, 9)
seeds = st.integers(0, 2**16)
schemes = st.sampled_from([(256, 127), (255, 16), (255, 32), (64, 14), (23, 11), (16, 7), (3, 1)])  # bins, magnitude


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def draw_operands(
    rng: np.random.Generator, draw: Any, channels: int, acc_size: float, y_shape: tuple[int, ...], x: Array
) -> tuple[Requantize, dict[str, Any], list[Any], list[Any]]:
    """A rule with its constants, and the inputs with their affines: x and perhaps a residual."""
    kind = draw(st.sampled_from(KINDS))
    with_residual = draw(st.booleans())
    leaky = not with_residual and kind != "shift" and draw(st.booleans())
    rule, constants = draw_rule(rng, kind, channels, acc_size, with_residual, leaky)
    inputs, affines = [x], []
    if with_residual:
        value, affine, _ = draw_residual(rng, kind, y_shape)
        inputs, affines = [x, value], [affine]
    return rule, constants, inputs, affines


@settings(max_examples=120)
@given(st.data())
def test_quantized_conv_equals_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    bins, magnitude = draw(schemes)
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    per_group, filters = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    auto = draw(st.sampled_from(["explicit", "explicit", "same_upper", "same_lower"]))
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    affine, z_y = draw_affine(rng, bins), draw_affine(rng)
    x = draw_levels(rng, affine, draw(st.integers(1, 3)), groups * per_group, draw(sizes), draw(sizes))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    assume(auto != "explicit" or all(x.shape[2 + i] + pads[i] + pads[i + 2] >= spans[i] for i in (0, 1)))
    out = tuple(
        (x.shape[2 + i] + pads[i] + pads[i + 2] - spans[i]) // strides[i] + 1
        if auto == "explicit"
        else -(-x.shape[2 + i] // strides[i])
        for i in (0, 1)
    )
    weight = rng.integers(-magnitude, magnitude + 1, (groups * filters, per_group, *kernel)).astype(np.int8)
    acc_size = bins * magnitude * np.sqrt(weight[0].size)
    y_shape = (x.shape[0], groups * filters, *out)
    rule, constants, inputs, others = draw_operands(rng, draw, groups * filters, acc_size, y_shape, x)
    bias = rng.integers(-(2**12), 2**12, groups * filters).astype(np.int32)
    check(
        "Conv",
        ConvAttrs(kernel, strides, pads, dilations, groups, auto, requantize=rule),
        inputs,
        affines=[affine, *others],
        output=output_of(rule, z_y),
        params={"weight": weight, "bias": bias, **constants},
    )


@settings(max_examples=60)
@given(st.data())
def test_quantized_depthwise_conv_equals_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    bins, magnitude = draw(schemes)
    channels = draw(st.integers(2, 70))
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    affine, z_y = draw_affine(rng, bins), draw_affine(rng)
    x = draw_levels(rng, affine, draw(st.integers(1, 2)), channels, draw(st.integers(5, 9)), draw(st.integers(5, 9)))
    out = tuple(
        (x.shape[2 + i] + pads[i] + pads[i + 2] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1 for i in (0, 1)
    )
    assume(min(out) >= 1)
    weight = rng.integers(-magnitude, magnitude + 1, (channels, 1, *kernel)).astype(np.int8)
    y_shape = (x.shape[0], channels, *out)
    rule, constants, inputs, others = draw_operands(rng, draw, channels, 3.0 * bins * magnitude, y_shape, x)
    check(
        "Conv",
        ConvAttrs(kernel, strides, pads, dilations, channels, requantize=rule),
        inputs,
        affines=[affine, *others],
        output=output_of(rule, z_y),
        params={"weight": weight, "bias": rng.integers(-900, 900, channels).astype(np.int32), **constants},
    )


@settings(max_examples=60)
@given(st.data())
def test_float_conv_equals_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    depthwise = draw(st.booleans())
    groups = draw(st.integers(2, 40)) if depthwise else draw(st.sampled_from([1, 1, 2]))
    per_group, filters = (1, 1) if depthwise else (draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    x = normal(rng, draw(st.integers(1, 2)), groups * per_group, draw(st.integers(5, 9)), draw(st.integers(5, 9)))
    out = tuple(
        (x.shape[2 + i] + pads[i] + pads[i + 2] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1 for i in (0, 1)
    )
    assume(min(out) >= 1)
    inputs = [x]
    params = {"weight": normal(rng, groups * filters, per_group, *kernel)}
    if draw(st.booleans()):
        params["bias"] = normal(rng, groups * filters)
    if draw(st.booleans()):
        inputs.append(normal(rng, x.shape[0], groups * filters, *out))
    elif draw(st.booleans()):
        params["slope"] = normal(rng, draw(st.sampled_from([1, groups * filters])))
    clamp = draw(st.sampled_from([None, (0.0, None), (0.0, 1.5), (None, 0.5)]))
    check("Conv", ConvAttrs(kernel, strides, pads, dilations, groups, clamp=clamp), inputs, params=params,
          tolerance=FLOAT_SUM)  # fmt: skip


@settings(max_examples=60)
@given(st.data())
def test_conv_transpose_equals_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    groups, per_group, filters = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    padding = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(strides, dilations, strict=True))
    shape = (draw(st.integers(1, 2)), groups * per_group, draw(sizes), draw(sizes))
    out = tuple(
        strides[i] * (shape[2 + i] - 1) + padding[i] + dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2]
        for i in (0, 1)
    )
    assume(min(out) >= 1)
    common = (kernel, strides, pads, dilations, groups, padding)
    y_shape = (shape[0], groups * filters, *out)
    if draw(st.booleans()):
        params = {"weight": normal(rng, groups * per_group, filters, *kernel), "bias": normal(rng, groups * filters)}
        inputs = [normal(rng, *shape)] + ([normal(rng, *y_shape)] if draw(st.booleans()) else [])
        check("ConvTranspose", ConvTransposeAttrs(*common, clamp=(-1.0, 2.0)), inputs, params=params,
              tolerance=FLOAT_SUM)  # fmt: skip
        return
    bins, magnitude = draw(schemes)
    affine, z_y = draw_affine(rng, bins), draw_affine(rng)
    x = draw_levels(rng, affine, *shape)
    weight = rng.integers(-magnitude, magnitude + 1, (groups * per_group, filters, *kernel)).astype(np.int8)
    acc_size = bins * magnitude * np.sqrt(per_group)
    rule, constants, inputs, others = draw_operands(rng, draw, groups * filters, acc_size, y_shape, x)
    check(
        "ConvTranspose",
        ConvTransposeAttrs(*common, requantize=rule),
        inputs,
        affines=[affine, *others],
        output=output_of(rule, z_y),
        params={"weight": weight, "bias": rng.integers(-99, 99, groups * filters).astype(np.int32), **constants},
    )


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 75, 2)])
def test_conv_transpose_takes_strides_far_longer_than_its_kernel(pads):
    rng = np.random.default_rng(0)
    x, weight, bias = normal(rng, 2, 3, 3, 2), normal(rng, 3, 4, 2, 3), normal(rng, 4)
    residual = normal(rng, 2, 4, 70 * 2 + 2 - pads[0] - pads[2], 90 + 3 - pads[1] - pads[3])
    attrs = ConvTransposeAttrs((2, 3), (70, 90), pads, (1, 1), 1, (0, 0))
    for inputs in ([x], [x, residual]):
        check("ConvTranspose", attrs, inputs, params={"weight": weight, "bias": bias}, tolerance=FLOAT_SUM)


@settings(max_examples=60)
@given(st.data())
def test_gemm_equals_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    lead = draw(st.sampled_from([(), (1,), (7,), (3, 5), (2, 3, 4), (1, 2, 1)]))
    depth, columns = draw(st.integers(1, 300)), draw(st.integers(1, 70))
    if draw(st.booleans()):
        params = {"weight": normal(rng, columns, depth), "bias": normal(rng, columns)}
        inputs = [normal(rng, *lead, depth)] + ([normal(rng, *lead, columns)] if draw(st.booleans()) else [])
        check("Gemm", GemmAttrs(clamp=(-1.0, None)), inputs, params=params, tolerance=FLOAT_SUM)
        return
    bins, magnitude = draw(schemes)
    affine, z_y = draw_affine(rng, bins), draw_affine(rng)
    x = draw_levels(rng, affine, *lead, depth)
    weight = rng.integers(-magnitude, magnitude + 1, (columns, depth)).astype(np.int8)
    acc_size = bins * magnitude * np.sqrt(depth)
    rule, constants, inputs, others = draw_operands(rng, draw, columns, acc_size, (*lead, columns), x)
    bias = rng.integers(-99, 99, columns).astype(np.int32)
    check("Gemm", GemmAttrs(requantize=rule), inputs, affines=[affine, *others], output=output_of(rule, z_y),
          params={"weight": weight, "bias": bias, **constants})  # fmt: skip


def test_extreme_operands_do_not_overflow(rng: np.random.Generator) -> None:
    """All levels and weights at their ends, where sums in 16-bit lanes would wrap if a block were too long."""
    for bins, magnitude in ((256, 127), (255, 16), (255, 32), (63, 66), (23, 11)):
        levels = Levels.of(bins)
        for z in (levels.lo, 0, levels.hi):
            affine = Affine(0.5, z, levels)
            x = np.where(rng.integers(0, 2, (2, 64, 6, 6)), levels.hi, levels.lo).astype(np.int32)
            x[0] = levels.hi
            weight = np.full((33, 64, 3, 3), magnitude, np.int8)
            weight[1::2] = -magnitude
            params = {"weight": weight, "bias": np.zeros(33, np.int32), "multiplier": np.float32([1.0])}
            attrs = ConvAttrs((3, 3), pads=(1, 1, 1, 1), requantize=Requantize("dequantize"))
            check("Conv", attrs, [x], affines=[affine], params=params)


def test_weights_of_every_scheme_run(rng: np.random.Generator) -> None:
    affine = Affine(0.5, 6, Levels.u4())
    x = draw_levels(rng, affine, 2, 12, 5, 5)
    weight = rng.integers(0, 16, (7, 12, 3, 3)).astype(np.uint8)
    params = {"weight": weight, "bias": rng.integers(-9, 9, 7).astype(np.int32), "multiplier": np.float32([1])}
    attrs = ConvAttrs((3, 3), pads=(1, 1, 1, 1), requantize=Requantize("dequantize"))
    check("Conv", attrs, [x], affines=[affine], params=params, weight_affine=Affine(0.25, 9, Levels.u4()))
    table = {**params, "weight_table": rng.integers(-127, 128, 16).astype(np.int8)}
    check("Conv", attrs, [x], affines=[affine], params=table)
    q = rng.integers(-7, 8, (4, 3, 2, 2)).astype(np.int8)
    per_channel = Affine(np.float32([0.1, 0.2, 0.3, 0.7]), 3, Levels.weights(15), axis=0)
    check("Conv", ConvAttrs((2, 2)), [normal(rng, 1, 3, 5, 5)], params={"weight": q}, weight_affine=per_channel,
          tolerance=FLOAT_SUM)  # fmt: skip
    per_output = Affine(np.float32([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), 0, Levels.weights(15), axis=1)
    check("ConvTranspose", ConvTransposeAttrs((2, 2), groups=2), [normal(rng, 1, 4, 3, 3)],
          params={"weight": q}, weight_affine=per_output, tolerance=FLOAT_SUM)  # fmt: skip


BROADCASTS = [
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((1, 3, 1, 1), (2, 3, 4, 5)),
    ((2, 3, 4, 1), (4, 5)),
    ((3, 7, 2), (7, 1)),
    ((5,), ()),
    ((2, 600), (1, 600)),
    ((2, 3, 1, 5), (2, 1, 4, 5)),
]


@pytest.mark.parametrize("function", ["add", "sub", "mul"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shapes", BROADCASTS)
def test_quantized_binary_equals_the_oracle(
    function: str, kind: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], rng: np.random.Generator
) -> None:
    first, z_y = draw_affine(rng), draw_affine(rng)
    a = draw_levels(rng, first, *shapes[0])
    floats = kind == "dequantize" and function != "mul"
    second = None if floats else draw_affine(rng, 31)
    b = normal(rng, *shapes[1]) if second is None else draw_levels(rng, second, *shapes[1])
    rule, constants = draw_rule(rng, kind, 1, 100.0 if function != "mul" else 2000.0, function != "mul", False)
    rule = Requantize(kind, rule.lo, rule.hi, kind == "shift" and function == "sub")
    for fixed in ((), (1,)) if shapes[1] else ((1,),):  # NumPy gives no contiguous array of rank 0
        check("Binary", BinaryAttrs(function, requantize=rule), [a, b], affines=[first, second],
              output=output_of(rule, z_y), params=constants, constants=fixed)  # fmt: skip


@pytest.mark.parametrize("function", ["add", "sub", "mul", "div", "pow", "max", "min"])
@pytest.mark.parametrize("shapes", BROADCASTS)
def test_float_binary_equals_the_oracle(
    function: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], rng: np.random.Generator
) -> None:
    a, b = np.abs(normal(rng, *shapes[0])) + np.float32(0.1), normal(rng, *shapes[1])
    if function in ("max", "min"):
        a.reshape(-1)[0] = np.nan
    tolerance = FUNCTION if function == "pow" else 0.0
    check("Binary", BinaryAttrs(function, clamp=(-0.5, 2.0)), [a, b], tolerance=tolerance, constants=(1,))
    if shapes[1]:
        check("Binary", BinaryAttrs(function), [a, b], tolerance=tolerance)


@pytest.mark.parametrize("function", UNARY_FUNCTIONS)
def test_unary_equals_the_oracle(function: str, rng: np.random.Generator) -> None:
    x = np.concatenate([np.linspace(-9, 9, 999, dtype=np.float32), np.float32([-100, 0.0, 80])])
    if function in ("sqrt", "log"):
        x = np.abs(x) + np.float32(1e-3)
    if function == "reciprocal":
        x = x[x != 0]
    if function in ("exp", "pow"):
        x = np.clip(x, -20, 20)
    attrs = UnaryAttrs(function, alpha=2.0 if function == "pow" else 0.3, beta=0.4, lo=-1.0, hi=2.0)
    exact = function in ("relu", "clip", "abs", "neg", "floor", "ceil", "sqrt", "reciprocal")
    for part in np.array_split(x, 40):  # so that each tolerance is relative to values near by
        check("Unary", attrs, [part], tolerance=0.0 if exact else FUNCTION)
    check("Unary", attrs, [np.abs(normal(rng, 2, 3, 4, 5))], tolerance=0.0 if exact else FUNCTION)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (2, 3, 7)])
def test_prelu_equals_the_oracle(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    for channels in (1, 3):
        check("PRelu", PReluAttrs(), [normal(rng, *shape)], params={"slope": normal(rng, channels)})


@settings(max_examples=100)
@given(st.data())
def test_pools_equal_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    op = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = tuple(draw(st.integers(0, spans[i % 2] - 1)) for i in range(4))
    auto = draw(st.sampled_from(["explicit", "explicit", "same_upper", "same_lower"]))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 70)), draw(sizes), draw(sizes))
    assume(auto != "explicit" or all(shape[2 + i] + pads[i] + pads[i + 2] >= spans[i] for i in (0, 1)))
    common = (kernel, strides, pads, dilations, draw(st.booleans()), draw(st.booleans()), auto)
    if draw(st.booleans()):
        check(op, PoolAttrs(*common), [normal(rng, *shape)])
        return
    affine, z_y = draw_affine(rng, 255), draw_affine(rng, 255)
    x = draw_levels(rng, affine, *shape)
    if op == "MaxPool":
        check(op, PoolAttrs(*common), [x], affines=[affine], output=affine)
        return
    kind = draw(st.sampled_from(KINDS))
    rule = Requantize(kind) if kind == "dequantize" else Requantize(kind, -100, 90)
    check(op, PoolAttrs(*common, requantize=rule), [x], affines=[affine], output=output_of(rule, z_y))


@settings(max_examples=100)
@given(st.data())
def test_reductions_equal_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    rank = draw(st.integers(1, 5))
    shape = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    if draw(st.booleans()) and rank == 4:
        shape = (2, 200, 3, 3)
    axes = tuple(sorted(draw(st.sets(st.integers(0, rank - 1), min_size=1))))
    keepdims = draw(st.booleans())
    function = draw(st.sampled_from(["mean", "sum", "max", "min", "prod"]))
    if function == "prod" or draw(st.booleans()):
        check("Reduce", ReduceAttrs(function, axes, keepdims), [normal(rng, *shape)])
        return
    affine, z_y = draw_affine(rng, 255), draw_affine(rng, 255)
    x = draw_levels(rng, affine, *shape)
    if function in ("max", "min"):
        check("Reduce", ReduceAttrs(function, axes, keepdims), [x], affines=[affine], output=affine)
        return
    kind = draw(st.sampled_from(KINDS))
    rule = Requantize(kind) if kind == "dequantize" else Requantize(kind, -100, 90)
    check("Reduce", ReduceAttrs(function, axes, keepdims, rule), [x], affines=[affine], output=output_of(rule, z_y))


@st.composite
def normalizations(draw: st.DrawFn) -> tuple[tuple[int, ...], NormalizeAttrs]:
    """A shape of rank 1 to 4, now and then 5, and what of it to normalize."""
    rank = draw(st.integers(1, 5))
    groups = draw(st.sampled_from([1, 1, 2, 3])) if rank > 1 else 1
    most = 80 if rank < 3 else 20 if rank == 3 else 9
    shape = [draw(st.integers(1, most)) for _ in range(rank)]
    axes = draw(st.sets(st.integers(0, rank - 1), min_size=1))
    if groups > 1:
        shape[1] *= groups
        axes.add(1)
    return tuple(shape), NormalizeAttrs(tuple(sorted(axes)), groups, draw(st.sampled_from([0.0, 1e-5, 1.0])))


@settings(max_examples=150)
@given(normalizations(), st.data())
def test_normalize_equals_the_oracle_to_the_last_bit(
    case: tuple[tuple[int, ...], NormalizeAttrs], data: st.DataObject
) -> None:
    shape, attrs = case
    rng = np.random.default_rng(data.draw(seeds))
    params = {}
    for role in data.draw(st.sets(st.sampled_from(["scale", "bias"]))):
        one = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
        whole = [1 if single else size for single, size in zip(one, shape, strict=True)]
        params[role] = normal(rng, *whole[data.draw(st.integers(0, len(shape) - 1)) :])
    check("Normalize", attrs, [normal(rng, *shape) * 3 + 100], params=params)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, 1e-40])
def test_normalize_treats_rare_numbers_as_the_oracle_does(value: float, rng: np.random.Generator) -> None:
    x = normal(rng, 2, 3, 4, 5)
    x[0, 1, 2, 3] = value
    for axes in ((1,), (1, 2, 3), (2, 3), (3,)):
        check("Normalize", NormalizeAttrs(axes), [x])


@settings(max_examples=100)
@given(st.data())
def test_matmul_equals_the_oracle_to_the_last_bit(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    rows, depth, columns = (draw(st.integers(1, limit)) for limit in (70, 40, 40))
    stack = draw(st.lists(st.integers(1, 3), max_size=3))

    def operand(*matrix: int) -> np.ndarray:
        own = [draw(st.sampled_from([1, size])) for size in stack[draw(st.integers(0, len(stack))) :]]
        return normal(rng, *own, *matrix)

    constants = draw(st.sampled_from([(), (0,), (1,)]))
    check("MatMul", MatMulAttrs(), [operand(rows, depth), operand(depth, columns)], constants=constants)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_softmax_equals_the_oracle(axis: int, rng: np.random.Generator) -> None:
    check("Softmax", SoftmaxAttrs(axis), [normal(rng, 2, 3, 4, 5) * 20], tolerance=FUNCTION)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3), (2, 3, 7)])
def test_a_lone_requantization_equals_the_oracle(
    kind: str, channels: int, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    affine, z_y = draw_affine(rng), draw_affine(rng)
    rule, constants = draw_rule(rng, kind, channels, 100.0, False, kind != "shift")
    check("Requantize", RequantizeAttrs(rule), [draw_levels(rng, affine, *shape)], affines=[affine],
          output=output_of(rule, z_y), params=constants)  # fmt: skip


def test_table_equals_the_oracle(rng: np.random.Generator) -> None:
    first, second = Affine(1.0, 0, Levels.of(256)), Affine(1.0, 5, Levels.of(33))
    x = np.arange(-128, 128).reshape(1, 4, 8, 8)
    table = rng.integers(0, 33, 256).astype(np.uint8)
    check("Table", TableAttrs(), [x], affines=[first], output=second, params={"table": table})


@settings(max_examples=80)
@given(st.data())
def test_resize_equals_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 40)), draw(sizes), draw(sizes))
    size: dict[str, Any] = {"sizes": (draw(sizes), draw(sizes))}
    if draw(st.booleans()):
        size = {"scales": (draw(st.sampled_from([0.6, 1.0, 1.5, 2.0])), draw(st.sampled_from([0.7, 2.0, 3.1])))}
        assume(
            all(
                int(np.floor(np.float32(n) * np.float32(s))) >= 1
                for n, s in zip(shape[2:], size["scales"], strict=True)
            )
        )
    common = {"coordinates": draw(st.sampled_from(COORDINATES)), "nearest": draw(st.sampled_from(NEAREST)), **size}
    affine, z_y = draw_affine(rng), draw_affine(rng)
    x = draw_levels(rng, affine, *shape)
    if draw(st.booleans()):
        if draw(st.booleans()):
            check("Resize", ResizeAttrs("nearest", **common), [x], affines=[affine], output=affine)
        else:
            check("Resize", ResizeAttrs("nearest", **common), [normal(rng, *shape)])
        return
    kind = draw(st.sampled_from(["float32", *KINDS]))
    if kind == "float32":
        check("Resize", ResizeAttrs("linear", **common), [normal(rng, *shape)])
        return
    rule, constants = draw_rule(rng, kind, 1, 100.0 * 2**22, False, False)
    check("Resize", ResizeAttrs("linear", requantize=rule, **common), [x], affines=[affine],
          output=output_of(rule, z_y), params=constants)  # fmt: skip


@settings(max_examples=150)
@given(st.data())
def test_operators_that_move_elements_equal_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    op = draw(st.sampled_from(["Concat", "Slice", "Pad", "Transpose", "Reshape"]))
    rank = draw(st.integers(1, 5))
    shape = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    affine = draw_affine(rng) if draw(st.booleans()) else None

    def operand(*dims: int) -> Array:
        return normal(rng, *dims) if affine is None else draw_levels(rng, affine, *dims)

    inputs = [operand(*shape)]
    attrs: Any = None
    if op == "Concat":
        axis = draw(st.integers(0, rank - 1))
        attrs = ConcatAttrs(axis)
        for _ in range(draw(st.integers(0, 2))):
            inputs.append(operand(*shape[:axis], draw(st.integers(1, 6)), *shape[axis + 1 :]))
    elif op == "Slice":
        axes = tuple(sorted(draw(st.sets(st.integers(0, rank - 1), min_size=1))))
        ends = st.sampled_from([-(2**62), 2**62, -2, 1, 3, 5])
        steps = tuple(draw(st.sampled_from([-3, -1, 1, 1, 2])) for _ in axes)
        attrs = SliceAttrs(tuple(draw(st.integers(-3, 3)) for _ in axes), tuple(draw(ends) for _ in axes), axes, steps)
        cuts = [slice(None)] * rank
        for axis, start, end, step in zip(axes, attrs.starts, attrs.ends, steps, strict=True):
            start, end = (n + shape[axis] if n < 0 else n for n in (start, end))
            cuts[axis] = slice(max(start, 0), end if end >= 0 else (None if step < 0 else 0), step)
        assume(inputs[0][tuple(cuts)].size > 0)
    elif op == "Pad":
        mode = draw(st.sampled_from(["constant", "reflect", "edge"]))
        least = 0 if mode == "constant" and min(shape) < 3 else -1 if min(shape) > 2 else 0
        most = 3 if mode != "reflect" else max(0, min(shape) - 3)
        attrs = PadAttrs(tuple(draw(st.integers(least, max(most, 0))) for _ in range(2 * rank)), mode, -0.7)
    elif op == "Transpose":
        attrs = TransposeAttrs(tuple(draw(st.permutations(range(rank)))))
    else:
        total = int(np.prod(shape))
        first = draw(st.sampled_from([n for n in range(1, total + 1) if total % n == 0]))
        order = tuple(draw(st.permutations(range(rank))))
        divisors = tuple(draw(st.sampled_from([n for n in range(1, 7) if shape[axis] % n == 0])) for axis in order)
        attrs = draw(
            st.sampled_from(
                [ReshapeAttrs(to) for to in ((first, -1), (-1, 1, first), (1, first, -1, 1), (-1,), (0, -1, 1, 1))]
                + [ReshapeAttrs((*(1,) * rank, -1), (*order, -1), (*divisors, 1))]
                + [ReshapeAttrs((2, -1), (order[0], -1), (2, 1))]
            )
        )
    check(op, attrs, inputs, affines=[affine] * len(inputs), output=affine)


@settings(max_examples=60)
@given(st.data())
def test_values_made_of_sizes_equal_the_oracle(data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(seeds))
    like = tuple(draw(st.integers(1, 4)) for _ in range(4))
    # The sizes of a tensor are read whatever it holds.
    affine = draw_affine(rng) if draw(st.booleans()) else None
    other = normal(rng, *like) if affine is None else draw_levels(rng, affine, *like)
    axis = draw(st.integers(0, 3))
    divisor = draw(st.sampled_from([n for n in (1, 2, 3) if like[axis] % n == 0]))
    if draw(st.booleans()):
        start, step = draw(st.floats(-3, 3)), draw(st.floats(-3, 3))
        attrs = RangeAttrs((draw(st.integers(1, 5)),), (0,), (axis,), (divisor,), start, step)
        check("Range", attrs, [other], affines=[affine])
        return
    rank = draw(st.integers(1, 5))
    rows = [draw(st.sampled_from([(3, -1, 0, 1), (2, 1, axis, divisor), (1, 1, 2, 1)])) for _ in range(rank)]
    attrs = ExpandAttrs(*(tuple(column) for column in zip(*rows, strict=True)))
    sizes_of_rows = [factor if slot < 0 else like[place] * factor // by for factor, slot, place, by in rows]
    own = draw(st.integers(1, rank))
    shape = [size if draw(st.booleans()) else 1 for size in sizes_of_rows[rank - own :]]
    check(
        "Expand",
        attrs,
        [normal(rng, *shape), other],
        affines=[None, affine],
        constants=draw(st.sampled_from([(), (0,)])),
    )


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_blocks_of_channels_and_pixels_equal_the_oracle(mode: str, block: int, rng: np.random.Generator) -> None:
    affine = draw_affine(rng)
    deep, wide = (2, 2 * block * block, 3, 4), (2, 5, 3 * block, 2 * block)
    check("DepthToSpace", DepthToSpaceAttrs(block, mode), [normal(rng, *deep)])
    check("DepthToSpace", DepthToSpaceAttrs(block, mode), [draw_levels(rng, affine, *deep)], affines=[affine],
          output=affine)  # fmt: skip
    check("SpaceToDepth", SpaceToDepthAttrs(block), [normal(rng, *wide)])
