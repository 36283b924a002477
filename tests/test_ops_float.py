# SPDX-License-Identifier: Apache-2.0
"""Float operators against ONNX Runtime, ONNX's own reference, and definitions written out as loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from fewbins.levels import Levels
from fewbins.numerics import Affine, dequantize
from fewbins.ops import (
    BatchNormAttrs,
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    ConvTransposeAttrs,
    DepthToSpaceAttrs,
    GemmAttrs,
    PadAttrs,
    PoolAttrs,
    PReluAttrs,
    ReduceAttrs,
    ReshapeAttrs,
    ResizeAttrs,
    SliceAttrs,
    SoftmaxAttrs,
    SpaceToDepthAttrs,
    TransposeAttrs,
    UnaryAttrs,
)
from fewbins.ops.evaluate import evaluate

Array = np.ndarray[Any, np.dtype[Any]]


def onnx_model(op: str, inputs: Sequence[Array | None], attrs: dict[str, Any], opset: int) -> onnx.ModelProto:
    names = [f"x{i}" if value is not None else "" for i, value in enumerate(inputs)]
    node = onnx.helper.make_node(op, names, ["y"], **attrs)
    rows = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in zip(names, inputs, strict=True)
        if value is not None
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "single", rows, [output])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=9)


def runtime(op: str, inputs: Sequence[Array | None], *, opset: int = 20, **attrs: Any) -> Array:
    """The output of one ONNX node by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    model = onnx_model(op, inputs, attrs, opset).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {f"x{i}": value for i, value in enumerate(inputs) if value is not None}
    return np.asarray(session.run(None, feed)[0])


def reference(op: str, inputs: Sequence[Array | None], *, opset: int = 19, **attrs: Any) -> Array:
    """The output of one ONNX node by ONNX's Python reference."""
    feed = {f"x{i}": value for i, value in enumerate(inputs) if value is not None}
    return np.asarray(ReferenceEvaluator(onnx_model(op, inputs, attrs, opset)).run(None, feed)[0])


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(got: Array, want: Array, tolerance: float = 1e-5) -> None:
    assert got.dtype == np.float32 and got.shape == want.shape
    assert np.abs(got - want).max(initial=0) <= tolerance * max(1.0, np.abs(want).max(initial=0))


small = st.integers(1, 3)
pair = st.tuples(small, small)
size = st.integers(1, 9)
seeds = st.integers(0, 2**16)
auto_pads = st.sampled_from(["explicit", "explicit", "same_upper", "same_lower"])


@settings(max_examples=60)
@given(st.data())
def test_conv_equals_onnx_runtime(data: st.DataObject) -> None:
    draw = data.draw
    groups, per_group, filters = draw(small), draw(small), draw(small)
    kernel, strides, dilations, auto = draw(pair), draw(pair), draw(pair), draw(auto_pads)
    dilations = dilations if auto == "explicit" else (1, 1)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    x = normal(draw(seeds), draw(st.integers(1, 2)), groups * per_group, draw(size), draw(size))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    assume(auto != "explicit" or all(x.shape[2 + i] + pads[i] + pads[i + 2] >= spans[i] for i in (0, 1)))
    weight, bias = normal(1, groups * filters, per_group, *kernel), normal(2, groups * filters)
    extra = {"pads": pads} if auto == "explicit" else {"auto_pad": auto.upper()}
    want = runtime("Conv", [x, weight, bias], strides=strides, dilations=dilations, group=groups, **extra)
    attrs = ConvAttrs(kernel, strides, pads, dilations, groups, auto)
    close(evaluate("Conv", attrs, [x], params={"weight": weight, "bias": bias}), want)


@settings(max_examples=60)
@given(st.data())
def test_conv_transpose_equals_onnx_runtime(data: st.DataObject) -> None:
    draw = data.draw
    groups, per_group, filters = draw(small), draw(small), draw(small)
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    output_padding = (draw(st.integers(0, strides[0] - 1)), draw(st.integers(0, strides[1] - 1)))
    x = normal(draw(seeds), draw(st.integers(1, 2)), groups * per_group, draw(size), draw(size))
    for i in (0, 1):
        full = strides[i] * (x.shape[2 + i] - 1) + dilations[i] * (kernel[i] - 1) + 1 + output_padding[i]
        assume(full - pads[i] - pads[i + 2] >= 1)
    weight, bias = normal(1, groups * per_group, filters, *kernel), normal(2, groups * filters)
    common = {"strides": strides, "dilations": dilations, "pads": pads, "output_padding": output_padding}
    want = runtime("ConvTranspose", [x, weight, bias], group=groups, **common)
    attrs = ConvTransposeAttrs(kernel, groups=groups, **common)
    close(evaluate("ConvTranspose", attrs, [x], params={"weight": weight, "bias": bias}), want)


def test_conv_in_pieces_of_rows_equals_conv_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = normal(1, 2, 3, 9, 8), normal(2, 4, 3, 3, 3)
    whole = evaluate("Conv", ConvAttrs((3, 3)), [x], params={"weight": weight})
    monkeypatch.setattr("fewbins.ops.conv._COLUMN_BYTES", 3000)
    assert np.array_equal(evaluate("Conv", ConvAttrs((3, 3)), [x], params={"weight": weight}), whole)


def test_activation_and_residual_of_a_float_conv_come_in_order() -> None:
    x, r, weight = np.float32([[[[-2.0, 3.0]]]]), np.float32([[[[5.0, 5.0]]]]), np.float32([[[[2.0]]]])
    params = {"weight": weight, "bias": np.float32([1.0])}
    assert evaluate("Conv", ConvAttrs((1, 1), clamp=(0.0, 6.0)), [x, r], params=params).tolist() == [[[[2.0, 6.0]]]]
    leaky = params | {"slope": np.float32([0.5])}
    assert evaluate("Conv", ConvAttrs((1, 1)), [x], params=leaky).tolist() == [[[[-1.5, 7.0]]]]


@pytest.mark.parametrize("zero_point", [0, 3])
def test_weights_stored_in_integers_are_dequantized_first(zero_point: int) -> None:
    q = np.random.default_rng(0).integers(-7, 8, (4, 3, 2, 2)).astype(np.int8)
    affine = Affine(np.float32([0.1, 0.2, 0.3, 0.7]), zero_point, Levels.weights(15), axis=0)
    x = normal(0, 1, 3, 5, 5)
    got = evaluate("Conv", ConvAttrs((2, 2)), [x], params={"weight": q}, weight_affine=affine)
    want = evaluate("Conv", ConvAttrs((2, 2)), [x], params={"weight": dequantize(q, affine)})
    assert np.array_equal(got, want)


def test_transposed_weights_stored_in_integers_have_scales_per_output_channel() -> None:
    q = np.random.default_rng(0).integers(-7, 8, (4, 3, 2, 2)).astype(np.int8)
    scale = np.float32([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    real = q.astype(np.float32)
    for channel in range(4):
        for j in range(3):
            real[channel, j] *= scale[channel // 2 * 3 + j]
    x, attrs = normal(0, 1, 4, 3, 3), ConvTransposeAttrs((2, 2), groups=2)
    affine = Affine(scale, 0, Levels.weights(15), axis=1)
    got = evaluate("ConvTranspose", attrs, [x], params={"weight": q}, weight_affine=affine)
    assert np.array_equal(got, evaluate("ConvTranspose", attrs, [x], params={"weight": real}))


@pytest.mark.parametrize("lead", [(2,), (2, 5), ()])
def test_gemm_is_a_matrix_product_over_the_last_axis(lead: tuple[int, ...]) -> None:
    x, weight, bias = normal(0, *lead, 7), normal(1, 4, 7), normal(2, 4)
    want = np.einsum("...k,mk->...m", x.astype(np.float64), weight.astype(np.float64)) + bias
    close(evaluate("Gemm", GemmAttrs(), [x], params={"weight": weight, "bias": bias}), want, 1e-6)


def slow_pool(x: Array, attrs: PoolAttrs, out: tuple[int, int], begin: tuple[int, int], end: tuple[int, int], function: str) -> Array:  # fmt: skip # noqa: E501
    """A pool written out from ONNX's text: windows, one element at a time."""
    y = np.zeros((*x.shape[:2], *out), np.float32)
    for n, c, i, j in np.ndindex(*y.shape):
        inside, counted = [], 0
        for a in range(attrs.kernel[0]):
            for b in range(attrs.kernel[1]):
                row = i * attrs.strides[0] - begin[0] + a * attrs.dilations[0]
                column = j * attrs.strides[1] - begin[1] + b * attrs.dilations[1]
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                    inside.append(float(x[n, c, row, column]))
                if -begin[0] <= row < x.shape[2] + end[0] and -begin[1] <= column < x.shape[3] + end[1]:
                    counted += 1
        if function == "MaxPool":
            y[n, c, i, j] = max(inside, default=-np.inf)
        else:
            y[n, c, i, j] = np.float32(sum(inside) / max(1, counted if attrs.count_include_pad else len(inside)))
    return y


@settings(max_examples=100)
@given(st.data())
def test_pools_equal_their_definition(data: st.DataObject) -> None:
    draw = data.draw
    function = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    kernel, strides, dilations = draw(pair), draw(pair), draw(pair)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = tuple(draw(st.integers(0, spans[i % 2] - 1)) for i in range(4))
    ceil_mode, include = draw(st.booleans()), draw(st.booleans())
    x = normal(draw(seeds), 1, 2, draw(size), draw(size))
    assume(all(x.shape[2 + i] + pads[i] + pads[i + 2] >= spans[i] for i in (0, 1)))
    attrs = PoolAttrs(kernel, strides, pads, dilations, ceil_mode, include)
    got = evaluate(function, attrs, [x])
    for axis in (0, 1):
        room = x.shape[2 + axis] + pads[axis] + pads[axis + 2] - spans[axis]
        out = (math.ceil if ceil_mode else math.floor)(room / strides[axis]) + 1
        if ceil_mode and (out - 1) * strides[axis] >= x.shape[2 + axis] + pads[axis]:
            out -= 1
        assert got.shape[2 + axis] == out
    want = slow_pool(x, attrs, got.shape[2:], pads[:2], pads[2:], function)
    assert np.array_equal(got, want)


@settings(max_examples=60)
@given(st.data())
def test_pools_equal_onnx_runtime(data: st.DataObject) -> None:
    draw = data.draw
    function = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    kernel, strides, auto = draw(pair), draw(pair), draw(auto_pads)
    pads = tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4))
    ceil_mode, include = draw(st.booleans()), function == "AveragePool" and draw(st.booleans())
    x = normal(draw(seeds), 1, 2, draw(size), draw(size))
    assume(auto != "explicit" or all(x.shape[2 + i] + pads[i] + pads[i + 2] >= kernel[i] for i in (0, 1)))
    # ONNX Runtime refuses strides that leave elements out under auto_pad.
    assume(auto == "explicit" or all(s <= k for s, k in zip(strides, kernel, strict=True)))
    extra: dict[str, Any] = {"pads": pads} if auto == "explicit" else {"auto_pad": auto.upper()}
    if function == "AveragePool":
        extra["count_include_pad"] = int(include)
    ceil_mode = ceil_mode and auto == "explicit"
    want = runtime(function, [x], kernel_shape=kernel, strides=strides, ceil_mode=int(ceil_mode), **extra)
    close(evaluate(function, PoolAttrs(kernel, strides, pads, (1, 1), ceil_mode, include, auto), [x]), want, 1e-6)


UNARY = {
    "relu": ("Relu", UnaryAttrs("relu"), {}),
    "leaky_relu": ("LeakyRelu", UnaryAttrs("leaky_relu", alpha=float(np.float32(0.1))), {"alpha": 0.1}),
    "sigmoid": ("Sigmoid", UnaryAttrs("sigmoid"), {}),
    "tanh": ("Tanh", UnaryAttrs("tanh"), {}),
    "hard_sigmoid": ("HardSigmoid", UnaryAttrs("hard_sigmoid", alpha=0.25, beta=0.4), {"alpha": 0.25, "beta": 0.4}),
    "hard_swish": ("HardSwish", UnaryAttrs("hard_swish"), {}),
    "gelu": ("Gelu", UnaryAttrs("gelu"), {}),
    "gelu_tanh": ("Gelu", UnaryAttrs("gelu_tanh"), {"approximate": "tanh"}),
    "exp": ("Exp", UnaryAttrs("exp"), {}),
    "sqrt": ("Sqrt", UnaryAttrs("sqrt"), {}),
    "erf": ("Erf", UnaryAttrs("erf"), {}),
    "abs": ("Abs", UnaryAttrs("abs"), {}),
    "neg": ("Neg", UnaryAttrs("neg"), {}),
    "log": ("Log", UnaryAttrs("log"), {}),
    "softplus": ("Softplus", UnaryAttrs("softplus"), {}),
    "elu": ("Elu", UnaryAttrs("elu", alpha=1.5), {"alpha": 1.5}),
    "reciprocal": ("Reciprocal", UnaryAttrs("reciprocal"), {}),
    "floor": ("Floor", UnaryAttrs("floor"), {}),
    "ceil": ("Ceil", UnaryAttrs("ceil"), {}),
}


@pytest.mark.parametrize("function", sorted(UNARY))
def test_unary_functions_equal_onnx_runtime(function: str) -> None:
    op, attrs, extra = UNARY[function]
    x = np.concatenate([np.linspace(-9, 9, 301, dtype=np.float32), np.float32([-100, -0.0, 80])])
    if function in ("sqrt", "log"):
        x = np.abs(x) + np.float32(1e-3)
    got, want = evaluate("Unary", attrs, [x]), runtime(op, [x], **extra)
    assert got.dtype == np.float32
    finite = np.isfinite(want)
    assert np.array_equal(got[~finite], want[~finite])
    got, want = got[finite], want[finite]
    assert np.all(np.abs(got - want) <= 2e-6 + 1e-5 * np.abs(want))


def test_the_other_unary_functions_are_what_they_say() -> None:
    x = np.float32([-3.0, -0.5, 0.0, 2.0])
    assert evaluate("Unary", UnaryAttrs("pow", alpha=2.0), [x]).tolist() == [9.0, 0.25, 0.0, 4.0]
    assert evaluate("Unary", UnaryAttrs("clip", lo=-1.0), [x]).tolist() == [-1.0, -0.5, 0.0, 2.0]
    assert evaluate("Unary", UnaryAttrs("clip", hi=1.0), [x]).tolist() == [-3.0, -0.5, 0.0, 1.0]
    want = (x.astype(np.float64) / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)
    assert evaluate("Unary", UnaryAttrs("silu"), [x]).tolist() == want.tolist()
    assert evaluate("Unary", UnaryAttrs("silu"), [np.float32([-1e30, 1e30])]).tolist() == [-0.0, np.float32(1e30)]


@pytest.mark.parametrize("function", ["add", "sub", "mul", "div", "pow", "max", "min"])
@pytest.mark.parametrize("shapes", [((2, 3, 4, 5), (3, 1, 1)), ((4, 1), (2, 3, 1, 5)), ((5,), ())])
def test_binary_functions_broadcast_as_numpys(function: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = np.abs(normal(1, *shapes[0])) + 1, normal(2, *shapes[1])
    got = evaluate("Binary", BinaryAttrs(function, clamp=(0.25, None)), [a, b])
    numpys = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
              "max": np.maximum, "min": np.minimum}  # fmt: skip
    close(got, np.maximum(numpys[function](a, b), np.float32(0.25)), 1e-6)


@pytest.mark.parametrize("function", ["mean", "sum", "max", "min", "prod"])
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axes", [(2, 3), (1,), (0, 2), (0, 1, 2, 3)])
def test_reductions_equal_numpys(function: str, keepdims: bool, axes: tuple[int, ...]) -> None:
    x = normal(1, 2, 3, 4, 5)
    got = evaluate("Reduce", ReduceAttrs(function, axes, keepdims), [x])
    close(got, np.asarray(getattr(x.astype(np.float64), function)(axis=axes, keepdims=keepdims)), 1e-6)


def test_float_sums_run_element_by_element_in_row_major_order() -> None:
    """NumPy's pairwise sum would keep the small terms that a sum from left to right drops."""
    x = np.full((1, 1, 64, 64), 1.0, np.float32)
    x[0, 0, 0, 0] = 2.0**53
    assert evaluate("Reduce", ReduceAttrs("sum", (2, 3)), [x])[0, 0, 0, 0] == 2.0**53
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 1.0, 2.0**60
    x[0, 0, 63, 63] = -(2.0**60)
    assert evaluate("Reduce", ReduceAttrs("sum", (2, 3)), [x])[0, 0, 0, 0] == 0.0


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_softmax_equals_onnx_runtime(axis: int) -> None:
    x = normal(1, 2, 3, 4, 5) * 20
    close(evaluate("Softmax", SoftmaxAttrs(axis), [x]), runtime("Softmax", [x], axis=axis), 1e-6)


def test_prelu_and_batch_normalization_go_along_axis_1() -> None:
    x, slope = normal(1, 2, 3, 4, 5), normal(2, 3)
    got = evaluate("PRelu", PReluAttrs(), [x], params={"slope": slope})
    assert np.array_equal(got, runtime("PRelu", [x, slope[:, None, None]]))
    params = {role: np.abs(normal(i, 3)) for i, role in enumerate(("scale", "bias", "mean", "var"))}
    got = evaluate("BatchNormalization", BatchNormAttrs(1e-3), [x], params=params)
    close(got, runtime("BatchNormalization", [x, *params.values()], epsilon=1e-3))


COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]


@settings(max_examples=60)
@given(st.data())
def test_linear_resize_equals_onnx_runtime(data: st.DataObject) -> None:
    draw = data.draw
    x = normal(0, 1, 2, draw(size), draw(size))
    coordinates = draw(st.sampled_from(COORDINATES))
    mode = {"mode": "linear", "coordinate_transformation_mode": coordinates}
    if draw(st.booleans()):
        sizes = (draw(st.integers(1, 12)), draw(st.integers(1, 12)))
        want = runtime("Resize", [x, None, None, np.int64([*x.shape[:2], *sizes])], opset=19, **mode)
        attrs = ResizeAttrs("linear", sizes=sizes, coordinates=coordinates)
    else:
        scales = (draw(st.sampled_from([0.5, 1.0, 2.0, 2.5])), draw(st.sampled_from([0.75, 1.0, 1.5, 4.0])))
        assume(all(x.shape[2 + i] * scales[i] >= 1 for i in (0, 1)))
        want = runtime("Resize", [x, None, np.float32([1, 1, *scales]), None], opset=19, **mode)
        attrs = ResizeAttrs("linear", scales=scales, coordinates=coordinates)
    close(evaluate("Resize", attrs, [x]), want)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_pad_equals_onnx_runtime(mode: str) -> None:
    x = normal(1, 2, 3, 4, 5)
    pads = (0, 1, 2, -1, 0, 2, -1, 3)
    value = np.asarray(1.5, np.float32)
    want = runtime("Pad", [x, np.int64(pads), value if mode == "constant" else None], mode=mode)
    got = evaluate("Pad", PadAttrs(pads, mode, float(value)), [x])
    assert np.array_equal(got, want)


@settings(max_examples=60)
@given(st.data())
def test_slices_equal_onnx_runtime(data: st.DataObject) -> None:
    draw = data.draw
    x = normal(1, 2, 7, 5)
    axes = draw(st.permutations([0, 1, 2]))[: draw(st.integers(1, 3))]
    bound = st.sampled_from([-(2**62), *range(-9, 10), 2**62])
    starts, ends = (tuple(draw(bound) for _ in axes) for _ in range(2))
    steps = tuple(draw(st.sampled_from([-3, -1, 1, 2])) for _ in axes)
    want = runtime("Slice", [x, np.int64(starts), np.int64(ends), np.int64(axes), np.int64(steps)])
    assume(want.size)
    assert np.array_equal(evaluate("Slice", SliceAttrs(starts, ends, tuple(axes), steps), [x]), want)


def test_moves_equal_onnx_runtime() -> None:
    x = normal(1, 2, 12, 4, 6)
    assert np.array_equal(evaluate("Transpose", TransposeAttrs((0, 3, 1, 2)), [x]), x.transpose(0, 3, 1, 2))
    assert np.array_equal(evaluate("Reshape", ReshapeAttrs((0, -1, 8)), [x]), x.reshape(2, -1, 8))
    assert np.array_equal(evaluate("Concat", ConcatAttrs(2), [x, x]), np.concatenate([x, x], 2))
    for mode in ("DCR", "CRD"):
        want = runtime("DepthToSpace", [x], blocksize=2, mode=mode)
        assert np.array_equal(evaluate("DepthToSpace", DepthToSpaceAttrs(2, mode), [x]), want)
    assert np.array_equal(
        evaluate("SpaceToDepth", SpaceToDepthAttrs(2), [x]), runtime("SpaceToDepth", [x], blocksize=2)
    )
