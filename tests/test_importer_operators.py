# SPDX-License-Identifier: Apache-2.0
"""Every operator of the importer, in each of its forms, against ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import assert_close, check, expected, normal, operators, parse
from test_importer_arithmetic import FOLDED

import fewbins
from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx
from fewbins.importers.operators import OPERATORS

NEWEST = onnx.defs.onnx_opset_version()


@dataclass(frozen=True)
class Case:
    """A graph body that holds from opset `since` to `until`; x is float32 (batch, 6, 5, 4), batch free or 2."""

    op: str
    body: str
    since: int = 9
    until: int = NEWEST
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    positive: bool = False
    batch: str = "batch"
    name: str = ""


SLOPES = normal(6, 1, 1)
PER_CHANNEL = normal(6, 1, 1, seed=1)
HALF = np.float32(0.5)
LAYER_NORMALIZATIONS = [
    Case("LayerNormalization", f"y = LayerNormalization<axis = {axis}, epsilon = 0.01>(x, scale, bias)", since=17,
         constants={"scale": normal(*shape), "bias": normal(*shape, seed=1)}, batch="2", name=f"axis {axis}")
    for axis, shape in ((-1, (4,)), (3, (4,)), (2, (5, 4)), (-3, (6, 5, 4)), (0, (2, 6, 5, 4)), (-4, (2, 6, 5, 4)))
]  # fmt: skip
# Equation with x (batch, 6, 5, 4), the shape of the constant, and the batch.
EINSUMS = (
    ("bchw,cd->bdhw", (6, 3), "batch"),
    ("bchw,dw->bchd", (3, 4), "batch"),
    ("bchw,w->bch", (4,), "batch"),
    ("bchw,hwd->bcd", (5, 4, 3), "batch"),
    ("bchw,cwd->bchd", (6, 4, 3), "batch"),
    ("...hw,wd", (4, 3), "2"),
    ("bchw,c->bchw", (6,), "batch"),
    ("bchw,k->bckwh", (3,), "2"),
    ("bchw,ck->bk", (6, 3), "batch"),
)
RUN_TIME_EINSUMS = (
    ("bchw,bchw->bhw", "2"),
    ("bchw,bcij->bhwij", "2"),
    ("bchw,bdhw->bcd", "2"),
    ("bchw,bcjw->bchj", "batch"),
    ("bchw,bchw->bchw", "batch"),
    ("bchw , bchw", "2"),
    ("...w,...w->...", "2"),
)
CASES = [
    *(
        Case(op, f"y = {op}(x)")
        for op in ("Abs", "Ceil", "Erf", "Exp", "Floor", "HardSwish", "Neg", "Relu", "Sigmoid", "Softplus", "Tanh")
    ),
    *(Case(op, f"y = {op}(x)", positive=True) for op in ("Log", "Reciprocal", "Sqrt")),
    Case("Swish", "y = Swish(x)"),
    Case("Elu", "y = Elu<alpha = 0.7>(x)"),
    Case("Gelu", "y = Gelu(x)"),
    Case("Gelu", 'y = Gelu<approximate = "tanh">(x)', name="tanh"),
    Case("HardSigmoid", "y = HardSigmoid<alpha = 0.3, beta = 0.4>(x)"),
    Case("LeakyRelu", "y = LeakyRelu<alpha = 0.2>(x)"),
    Case("Swish", "y = Swish<alpha = 1.5>(x)", name="alpha"),
    Case("PRelu", "y = PRelu(x, slope)", constants={"slope": SLOPES}),
    Case("PRelu", "y = PRelu(x, slope)", constants={"slope": np.float32([0.2])}, name="one slope"),
    Case("Clip", "y = Clip<min = -0.5, max = 1.0>(x)", until=10),
    Case("Clip", "y = Clip(x, lo, hi)", since=11, constants={"lo": np.float32(-0.5), "hi": np.float32(1)}),
    Case("Clip", "y = Clip(x, , hi)", since=11, constants={"hi": np.float32(1)}, name="upper"),
    Case("Clip", "y = Clip(x)", since=11, name="none"),
    *(Case(op, f"y = {op}(x, c)", constants={"c": PER_CHANNEL})
      for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")),
    *(Case(op, f"y = {op}(c, x)", constants={"c": PER_CHANNEL}, name="constant first") for op in ("Sub", "Mul")),
    Case("Div", "y = Div(c, x)", constants={"c": PER_CHANNEL}, positive=True, name="constant first"),
    *(Case(op, f"t = Relu(x) y = {op}(x, t)", name="two activations") for op in ("Add", "Sub", "Mul", "Max", "Min")),
    *(Case(op, f"t = Relu(x) s = Abs(x) y = {op}(x, t, s)", name="three") for op in ("Max", "Min", "Sum")),
    *(Case(op, f"y = {op}(x, c)", constants={"c": HALF}, name="with a number") for op in ("Add", "Max", "Min")),
    Case("Pow", "y = Pow(x, c)", constants={"c": np.float32(2)}),
    Case("Pow", "y = Pow(x, c)", since=12, constants={"c": np.int64(3)}, name="integer exponent"),
    Case("Pow", "y = Pow(x, c)", constants={"c": np.abs(PER_CHANNEL)}, positive=True, name="array of exponents"),
    Case("Cast", "y = Cast<to = 1>(x)"),
    Case("Dropout", "y = Dropout(x)"),
    Case("Identity", "y = Identity(x)"),
    Case("Mish", "y = Mish(x)", since=18),
    *LAYER_NORMALIZATIONS,
    Case("LayerNormalization", "y = LayerNormalization<axis = 1>(x, scale)", since=17,
         constants={"scale": normal(6, 5, 4)}, name="no bias"),
    Case("LayerNormalization", "s = Slice(x, zero, one) r = Squeeze(s, zero) y = LayerNormalization<axis = 1>(x, r, r)",
         since=17, constants={"zero": np.int64([0]), "one": np.int64([1])}, batch="2", name="scale at run time"),
    Case("LayerNormalization", "n, m, d = LayerNormalization<axis = 2>(x, scale) t = Add(n, m) y = Mul(t, d)", since=17,
         constants={"scale": normal(5, 4)}, batch="2", name="three outputs"),
    Case("InstanceNormalization", "y = InstanceNormalization<epsilon = 0.01>(x, scale, bias)",
         constants={"scale": normal(6), "bias": normal(6, seed=1)}),
    Case("InstanceNormalization", "t = Reshape(x, s) u = InstanceNormalization(t, scale, bias) y = Relu(u)", since=13,
         constants={"scale": normal(6), "bias": normal(6, seed=1), "s": np.int64([0, 6, 20])}, name="rank 3"),
    Case("GroupNormalization", "y = GroupNormalization<num_groups = 3>(x, scale, bias)", since=18, until=20,
         constants={"scale": normal(3), "bias": normal(3, seed=1)}, name="by group"),
    Case("GroupNormalization", "y = GroupNormalization<num_groups = 2, epsilon = 0.1>(x, scale, bias)", since=21,
         constants={"scale": normal(6), "bias": normal(6, seed=1)}, name="by channel"),
    *(Case("Einsum", f'y = Einsum<equation = "{equation}">(x, c)', since=12, constants={"c": normal(*shape, seed=7)},
           batch=batch, name=equation)
      for equation, shape, batch in EINSUMS),
    *(Case("Einsum", f't = Relu(x) y = Einsum<equation = "{equation}">(x, t)', since=12, batch=batch,
           name=f"run time {equation}")
      for equation, batch in RUN_TIME_EINSUMS),
    Case("Einsum", 't = Relu(x) y = Einsum<equation = "bchw,bcij,c->bhi">(x, t, c)', since=12, batch="2",
         constants={"c": normal(6)}, name="three operands"),
    *(Case("Einsum", f'y = Einsum<equation = "{equation}">(x)', since=12, name=equation)
      for equation in ("abcd->dcab", "abcd->ac", "...d->d...", "...ij->...ji")),
    Case("Softmax", "y = Softmax(x)"),
    Case("Softmax", "y = Softmax<axis = 1>(x)", name="axis 1"),
    Case("Softmax", "y = Softmax<axis = -2>(x)", name="axis -2"),
    Case("Concat", "t = Relu(x) y = Concat<axis = 1>(x, t, x)"),
    Case("Concat", "t = Relu(x) y = Concat<axis = -1>(x, t)", since=11, name="negative axis"),
    Case("Concat", "y = Concat<axis = 1>(c, x, d, c)", batch="2", name="constants",
         constants={"c": normal(2, 1, 5, 4), "d": normal(2, 3, 5, 4, seed=2)}),
    Case("Tile", "y = Tile(x, r)", constants={"r": np.int64([1, 2, 1, 3])}),
    Case("Split", "a, b = Split<axis = 1, split = [2, 4]>(x) c = Relu(a) y = Concat<axis = 1>(b, c)", until=12),
    Case("Split", "a, b = Split<axis = 1>(x, parts) c = Relu(a) y = Concat<axis = 1>(b, c)", since=13,
         constants={"parts": np.int64([2, 4])}),
    Case("Split", "a, b = Split<axis = 1>(x) y = Sub(a, b)", until=17, name="equal"),
    Case("Split", "a, b, c = Split<axis = 2, num_outputs = 3>(x) t = Sub(a, b) y = Concat<axis = 2>(t, c)", since=18,
         name="num_outputs"),
    Case("Slice", "y = Slice<axes = [1, 3], starts = [1, -3], ends = [5, 1000]>(x)", until=9),
    Case("Slice", "y = Slice(x, starts, ends, axes, steps)", since=10,
         constants={"starts": np.int64([1, -1]), "ends": np.int64([6, -(2**62)]), "axes": np.int64([1, -2]),
                    "steps": np.int64([2, -1])}),
    Case("Slice", "y = Slice(x, starts, ends)", since=10, name="no axes",
         constants={"starts": np.int64([0, 1, 2, 0]), "ends": np.int64([2**31, 3, 5, 3])}),
    Case("Gather", "y = Gather<axis = 1>(x, i)", constants={"i": np.int64([2, 1, 0])}, name="reverse"),
    Case("Gather", "y = Gather<axis = 1>(x, i)", constants={"i": np.int64([0, 2, 5, -5, -5])}, name="scattered"),
    Case("Gather", "y = Gather<axis = 2>(x, i)", constants={"i": np.int64(-1)}, name="scalar"),
    Case("Gather", "y = Gather<axis = 1>(x, i)", constants={"i": np.int64([[2, 1], [5, 5]])}, name="matrix"),
    Case("Pad", "y = Pad<pads = [0, 1, 2, 0, 0, 3, -1, 1], value = 0.5>(x)", until=10),
    Case("Pad", "y = Pad(x, pads, value)", since=11,
         constants={"pads": np.int64([0, 1, 2, 0, 0, 3, -1, 1]), "value": np.float32(0.5)}),
    *(Case("Pad", f'y = Pad<mode = "{mode}">(x, pads)', since=11, name=mode,
           constants={"pads": np.int64([0, 0, 2, 1, 0, 0, 1, 2])}) for mode in ("reflect", "edge")),
    Case("Reshape", "y = Reshape(x, s)", constants={"s": np.int64([0, -1, 2, 2])}),
    Case("Reshape", "y = Reshape(x, s)", constants={"s": np.int64([-1, 30])}, name="into the batch"),
    Case("Transpose", "y = Transpose<perm = [0, 2, 3, 1]>(x)"),
    Case("Transpose", "y = Transpose(x)", name="reverse"),
    Case("Flatten", "y = Flatten(x)"),
    Case("Squeeze", "t = Unsqueeze<axes = [1]>(x) y = Squeeze<axes = [1]>(t)", until=12),
    Case("Unsqueeze", "t = Unsqueeze<axes = [1, 5]>(x) y = Squeeze<axes = [1]>(t)", until=12),
    Case("Squeeze", "t = Unsqueeze(x, a) y = Squeeze(t, a)", since=13, constants={"a": np.int64([1])}),
    Case("Unsqueeze", "y = Unsqueeze(x, a)", since=13, constants={"a": np.int64([-1])}),
    *(Case(f"Reduce{f}", f"y = Reduce{f}<axes = [2, -1], keepdims = 0>(x)", until=12 if f == "Sum" else 17)
      for f in ("Mean", "Sum", "Max", "Min", "Prod")),
    *(Case(f"Reduce{f}", f"y = Reduce{f}(x, a)", since=13 if f == "Sum" else 18, constants={"a": np.int64([1])})
      for f in ("Mean", "Sum", "Max", "Min", "Prod")),
    *(Case(f"Reduce{f}", f"y = Reduce{f}(x)", name="all axes") for f in ("Mean", "Sum", "Max", "Min")),
    Case("ReduceSum", "t = ReduceSum<noop_with_empty_axes = 1>(x) y = Relu(t)", since=13, name="no axes, no operation"),
    Case("Expand", "y = Expand(x, s)", constants={"s": np.int64([1, 1, 5, 1])}),
    Case("Expand", "t = ReduceMean<axes = [2, 3]>(x) y = Expand(t, s)", until=17,
         constants={"s": np.int64([1, 1, 5, 4])}, name="spatial"),
    Case("MaxPool", "y = MaxPool<kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 1, 1]>(x)"),
    Case("MaxPool", "y = MaxPool<kernel_shape = [2, 2], strides = [2, 3], ceil_mode = 1>(x)", since=10, name="ceil"),
    Case("AveragePool", "y = AveragePool<kernel_shape = [3, 3], strides = [2, 1], pads = [1, 1, 1, 1]>(x)"),
    Case("AveragePool", "y = AveragePool<kernel_shape = [3, 2], strides = [2, 3], pads = [1, 1, 1, 1], ceil_mode = 1, "
         "count_include_pad = 1>(x)", since=19, name="ceil, padding counted"),
    Case("GlobalAveragePool", "y = GlobalAveragePool(x)"),
    Case("GlobalMaxPool", "y = GlobalMaxPool(x)"),
    Case("DepthToSpace", "t = Concat<axis = 1>(x, x) y = DepthToSpace<blocksize = 2>(t)"),
    Case("DepthToSpace", 't = Concat<axis = 1>(x, x) y = DepthToSpace<blocksize = 2, mode = "CRD">(t)', since=11,
         name="CRD"),
    Case("SpaceToDepth", "t = Concat<axis = 2>(x, x) y = SpaceToDepth<blocksize = 2>(t)"),
    Case("Conv", "y = Conv<group = 2, dilations = [1, 2], strides = [2, 1], pads = [1, 2, 0, 1]>(x, w, b)",
         constants={"w": normal(4, 3, 3, 2), "b": normal(4)}),
    *(Case("Conv", f'y = Conv<auto_pad = "{mode}", strides = [2, 3]>(x, w)', name=mode,
           constants={"w": normal(4, 6, 3, 3)})
      for mode in ("SAME_UPPER", "SAME_LOWER", "VALID")),
    Case("ConvTranspose", "y = ConvTranspose<group = 2, strides = [2, 3], pads = [1, 0, 0, 2], dilations = [1, 2], "
         "output_padding = [1, 0]>(x, w, b)", constants={"w": normal(6, 2, 3, 2), "b": normal(4)}),
    # The padding is odd on both axes, so its larger half is at the end (upper) or at the beginning (lower).
    *(Case("ConvTranspose", f'y = ConvTranspose<auto_pad = "{mode}", strides = [2, 3]>(x, w)', name=mode,
           constants={"w": normal(6, 2, 3, 4)}) for mode in ("SAME_UPPER", "SAME_LOWER")),
    *(Case("ConvTranspose", f'y = ConvTranspose<auto_pad = "{mode}", strides = [2, 2], output_shape = [10, 7]>(x, w)',
           name=f"{mode}, output_shape", constants={"w": normal(6, 2, 3, 4)})
      for mode in ("SAME_UPPER", "SAME_LOWER", "NOTSET")),
    # Here the windows do not reach the last rows and columns.
    Case("ConvTranspose", 'y = ConvTranspose<strides = [4, 5], output_shape = [20, 20]>(x, w)', name="gaps",
         constants={"w": normal(6, 2, 3, 4)}),
    Case("BatchNormalization", "y = BatchNormalization<epsilon = 0.001>(x, s, b, m, v)",
         constants={"s": normal(6), "b": normal(6, seed=1), "m": normal(6, seed=2), "v": np.abs(normal(6, seed=3))}),
    Case("Gemm", "t = Flatten(x) y = Gemm<transB = 1, alpha = 0.5, beta = 2.0>(t, w, b)",
         constants={"w": normal(7, 120), "b": normal(7)}),
    Case("Gemm", "t = Flatten(x) y = Gemm(t, w)", since=11, constants={"w": normal(120, 7)}, name="no bias"),
    Case("Gemm", "t = Flatten(x) u = Relu(t) y = Gemm<transB = 1, alpha = 0.5, beta = 2.0>(t, u, b)", since=11,
         constants={"b": normal(2)}, batch="2", name="two activations"),
    Case("Gemm", "t = Flatten(x) u = Relu(t) y = Gemm<transA = 1>(t, u)", since=11, name="two activations, A turned"),
    Case("Gemm", "t = Flatten(x) y = Gemm(t, w, b)", name="one bias",
         constants={"w": normal(120, 7), "b": normal(1, 1)}),
    Case("Gemm", "t = Flatten(x) u = Relu(t) v = Gemm(u, w, b) y = Gemm<beta = 0.5>(t, w, v)", name="C at run time",
         constants={"w": normal(120, 7), "b": normal(7)}),
    Case("Gemm", "t = Flatten(x) y = Gemm<transA = 1, transB = 1>(w, t)", since=11, constants={"w": normal(120, 7)},
         name="constant first"),
    Case("MatMul", "y = MatMul(x, w)", constants={"w": normal(4, 7)}),
    Case("MatMul", "y = MatMul(w, x)", constants={"w": normal(7, 5)}, name="constant first"),
    Case("MatMul", "y = MatMul(x, w)", constants={"w": normal(4)}, name="vector"),
    Case("MatMul", "t = Relu(x) u = Transpose<perm = [0, 1, 3, 2]>(t) y = MatMul(x, u)", name="two activations"),
    Case("MatMul", "y = MatMul(x, w)", constants={"w": normal(6, 4, 3)}, name="constant stack"),
    Case("MatMul", "y = MatMul(w, x)", constants={"w": normal(1, 6, 2, 5)}, name="constant stack first"),
    Case("MatMul", "y = MatMul(w, x)", constants={"w": normal(5)}, name="vector first"),
    Case("MatMul", "s = Slice(x, i, j) r = Squeeze(s, k) y = MatMul(x, r)", since=13, batch="2",
         name="matrix at run time",
         constants={"i": np.int64([0, 0, 0, 0]), "j": np.int64([1, 1, 4, 4]), "k": np.int64([0, 1])}),
    Case("MatMul", "s = Slice(x, i, j) r = Squeeze(s, k) y = MatMul(r, x)", since=13, batch="2",
         name="vector at run time",
         constants={"i": np.int64([0, 0, 0, 0]), "j": np.int64([1, 1, 5, 1]), "k": np.int64([0, 1, 3])}),
    Case("MatMul", "s = Slice(x, i, j) r = Squeeze(s, k) y = MatMul(x, r)", since=13, batch="2", name="vector last",
         constants={"i": np.int64([0, 0, 0, 0]), "j": np.int64([1, 1, 1, 4]), "k": np.int64([0, 1, 2])}),
    Case("Upsample", 'y = Upsample<mode = "linear">(x, s)', constants={"s": np.float32([1, 1, 2, 3])}, name="linear"),
    *(Case("Resize", f'y = Resize<mode = "{mode}">(x, s)', until=10, constants={"s": np.float32([1, 1, *s])},
           name=f"{mode} {s}") for mode, s in (("nearest", (2, 3)), ("nearest", (0.5, 0.6)), ("linear", (2, 1.5)))),
    *(Case("Resize", f'y = Resize<mode = "linear", coordinate_transformation_mode = "{c}">(x, roi, scales, sizes)',
           since=11, constants={"roi": np.float32([]), "scales": np.float32([]), "sizes": np.int64([2, 6, 9, 3])},
           batch="2", name=c)
      for c in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")),
    *(Case("Resize", f'y = Resize<nearest_mode = "{n}", coordinate_transformation_mode = "asymmetric">(x, roi, scales)',
           since=11, constants={"roi": np.float32([]), "scales": np.float32([1, 1, 2.5, 0.6])}, name=n)
      for n in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
    Case("Resize", 'y = Resize<coordinate_transformation_mode = "tf_half_pixel_for_nn", nearest_mode = "floor">'
         "(x, roi, scales)", since=11, until=12, name="tf_half_pixel_for_nn",
         constants={"roi": np.float32([]), "scales": np.float32([1, 1, 2, 2])}),
    # Operators on constants and shapes.
    Case("Constant", "c = Constant<value = float[1] {2.0}>() y = Mul(x, c)"),
    Case("Constant", "c = Constant<value_float = 2.0>() y = Mul(x, c)", since=12, name="float"),
    Case("Constant", "c = Constant<value_floats = [2.0, 3.0, 4.0, 5.0]>() y = Mul(x, c)", since=12, name="floats"),
    Case("Constant", "c = Constant<value_int = 1>() d = Cast<to = 1>(c) y = Mul(x, d)", since=12, name="int"),
    Case("Constant", "c = Constant<value_ints = [0, 30, 4]>() y = Reshape(x, c)", since=12, name="ints"),
    Case("ConstantOfShape", "c = ConstantOfShape<value = float[1] {2.0}>(s) y = Mul(x, c)",
         constants={"s": np.int64([5, 4])}),
    Case("Range", "r = Range(zero, four, one) c = Cast<to = 1>(r) y = Mul(x, c)", since=11,
         constants={"zero": np.int64(0), "four": np.int64(4), "one": np.int64(1)}),
    Case("Range", "c = Range(start, end, step) y = Mul(x, c)", since=11, name="float",
         constants={"start": np.float32(1), "end": np.float32(-1), "step": np.float32(-0.5)}),
    Case("Shape", "s = Shape(x) y = Reshape(x, s)"),
    Case("Shape", "s = Shape<start = 0, end = -1>(x) t = Concat<axis = 0>(s, two, two) y = Reshape(x, t)", since=15,
         constants={"two": np.int64([2])}, name="start, end"),
    Case("Size", "n = Size(c) f = Cast<to = 1>(n) y = Div(x, f)", constants={"c": PER_CHANNEL}),
    Case("Where", "i = Cast<to = 9>(k) c = Where(i, a, b) y = Mul(x, c)",
         constants={"k": np.int64([1, 0, 0, 1]), "a": np.float32(2), "b": np.float32([3])}),
    Case("Equal", "i = Equal(k, two) f = Cast<to = 1>(i) y = Mul(x, f)",
         constants={"k": np.int64([1, 2, 2, 1]), "two": np.int64(2)}),
]  # fmt: skip


def forms(case: Case) -> list[int]:
    """One opset for each form of the case's operator within the case's opsets."""
    opsets = {max(version, case.since) for version in OPERATORS[case.op].versions}
    return sorted(
        opset
        for opset in opsets
        if opset <= case.until and onnx.defs.get_schema(case.op, opset, "").since_version in OPERATORS[case.op].versions
    )


def case_id(value: object) -> str:
    return f"{value.op} {value.name}".strip() if isinstance(value, Case) else f"opset {value}"


@pytest.mark.parametrize(("case", "opset"), [(case, opset) for case in CASES for opset in forms(case)], ids=case_id)
def test_operator_agrees_with_onnx_runtime(case: Case, opset: int) -> None:
    model = parse(f"(float[{case.batch},6,5,4] x) => (float[] y) {{ {case.body} }}", opset, case.constants)
    x = normal(2, 6, 5, 4, seed=5)
    check(model, {"x": np.abs(x) + np.float32(0.1) if case.positive else x})


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_operator_in_the_engine_agrees_with_onnx_runtime(case: Case) -> None:
    model = parse(f"(float[{case.batch},6,5,4] x) => (float[] y) {{ {case.body} }}", forms(case)[-1], case.constants)
    x = normal(2, 6, 5, 4, seed=5)
    x = np.abs(x) + np.float32(0.1) if case.positive else x
    session = fewbins.Session(fewbins.quantize(load_onnx(model), scheme="float").to_bytes())
    assert_close({"y": session.run(x)}, expected(model, {"x": x}), 2e-5, "engine")


def test_every_operator_of_the_importer_is_tested() -> None:
    listed = (Path(__file__).parent / "onnx_node_tests.txt").read_text().split("\n")
    from_onnx = {line.split()[2] for line in listed if line.startswith(("right", "computed"))}
    assert set(OPERATORS) <= from_onnx | {case.op for case in CASES} | {op for op, *_ in FOLDED}


def test_every_form_that_onnx_knows_is_known_here() -> None:
    schemas = [s for s in onnx.defs.get_all_schemas_with_history() if s.domain == "" and s.name in OPERATORS]
    missing = []
    for name in OPERATORS:
        versions = sorted(s.since_version for s in schemas if s.name == name and not s.deprecated)
        used = {max((v for v in versions if v <= opset), default=0) for opset in range(9, NEWEST + 1)} - {0}
        missing += [f"{name}-{version}" for version in sorted(used - OPERATORS[name].versions)]
    # Upsample ended with opset 9.
    assert [entry for entry in missing if not entry.startswith("Upsample")] == []


def test_coordinates_joined_to_an_image_are_quantized_with_it() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8)))[None].astype(np.float32)
    weights = {"c": grid, "w": normal(8, 5, 3, 3) / 4, "v": normal(4, 8, 1, 1) / 2}
    text = "(float[1,3,8,8] x) => (float[] y) { a = Concat<axis = 1>(x, c) b = Conv(a, w) d = Relu(b) y = Conv(d, v) }"
    model = parse(text, 13, weights)
    images = [normal(1, 3, 8, 8, seed=seed) for seed in range(32)]
    session = fewbins.Session(fewbins.quantize(load_onnx(model), images))
    want = np.concatenate([expected(model, {"x": x})["y"] for x in images])
    got = np.concatenate([session.run(x) for x in images])
    assert np.square(got - want).mean() < 1e-3 * np.square(want).mean()


def test_clip_of_zero_and_nothing_is_a_relu() -> None:
    model = parse("(float[N,2] x) => (float[] y) { y = Clip(x, lo) }", 13, {"lo": np.float32(0)})
    assert operators(load_onnx(model)) == ["relu"]


def test_clip_whose_limits_cross_gives_the_upper_one() -> None:
    limits = {"lo": np.float32(2), "hi": np.float32(-1)}
    check(parse("(float[N,2] x) => (float[] y) { y = Clip(x, lo, hi) }", 13, limits), {"x": normal(3, 2)})


def test_things_that_do_nothing_vanish() -> None:
    body = "a = Identity(x) b = Dropout(a) c = Cast<to = 1>(b) d = Relu(c) e = Identity(d) y = Reshape(e, s)"
    model = parse(f"(float[N,4] x) => (float[] y) {{ {body} }}", 13, {"s": np.int64([0, 4])})
    graph = check(model, {"x": normal(2, 4)})
    assert operators(graph) == ["relu"]
    assert graph.outputs == ("y",)


def test_an_output_that_is_an_input_is_copied() -> None:
    model = parse("(float[N,4] x) => (float[] y, float[] z) { y = Identity(x) z = Relu(x) }", 13)
    graph = check(model, {"x": normal(2, 4)})
    assert graph.inputs == ("x",)
    assert set(graph.outputs) == {"y", "z"}


def test_several_inputs_and_outputs_keep_their_names() -> None:
    body = "t = Add(a, b) first = Relu(t) second = Sub(a, t)"
    model = parse(f"(float[N,4] a, float[N,4] b) => (float[] first, float[] second) {{ {body} }}", 13)
    graph = check(model, {"a": normal(2, 4), "b": normal(2, 4, seed=1)})
    assert (graph.inputs, graph.outputs) == (("a", "b"), ("first", "second"))


def test_nodes_are_called_as_in_the_file_and_unnamed_ones_by_operator_and_index() -> None:
    model = parse("(float[N,4] x) => (float[] y) { a = Relu(x) b = Sigmoid(a) y = Relu(b) }", 13)
    model.graph.node[1].name = "gate"
    assert [node.name for node in load_onnx(model).nodes] == ["Relu_0", "gate", "Relu_2"]


def test_nodes_with_one_name_are_told_apart() -> None:
    model = parse("(float[N,4] x) => (float[] y) { a = Relu(x) y = Sigmoid(a) }", 13)
    for node in model.graph.node:
        node.name = "same"
    assert [node.name for node in load_onnx(model).nodes] == ["same", "same:2"]


def test_float16_weights_behind_cast_become_float32_and_keep_their_values() -> None:
    w = normal(4, 3, 1, 1).astype(np.float16)
    model = parse("(float[N,3,2,2] x) => (float[] y) { v = Cast<to = 1>(w) y = Conv(x, v) }", 13, {"w": w})
    graph = load_onnx(model)
    np.testing.assert_array_equal(graph.constant(graph.nodes[0], "weight"), w.astype(np.float32))


def test_weights_below_the_smallest_normal_number_become_zero() -> None:
    w = np.float32([1e-39, 2.0**-126, -1e-40, 1]).reshape(4, 1, 1, 1)
    graph = load_onnx(parse("(float[N,1,2,2] x) => (float[] y) { y = Conv(x, w) }", 13, {"w": w}))
    assert graph.constant(graph.nodes[0], "weight").ravel().tolist() == [0, 2.0**-126, 0, 1]


def test_one_constant_read_twice_is_one_tensor() -> None:
    model = parse("(float[N,3,2,2] x) => (float[] y) { a = Conv(x, w) y = Conv(a, w) }", 13, {"w": normal(3, 3, 1, 1)})
    graph = load_onnx(model)
    assert [node.params["weight"] for node in graph.nodes] == ["w", "w"]


CONTROL_FLOW = (
    "y = If<then_branch = a () => (float[2] p) { p = Relu(x) }, else_branch = b () => (float[2] q) { q = Abs(x) }>(k)",
    "y = Loop<body = b (int64 i, bool c, float[2] s) => (bool d, float[2] t) { d = Identity(c) t = Relu(s) }>(, k, x)",
    "y = Scan<num_scan_inputs = 1, body = b (float[2] s) => (float[2] t) { t = Relu(s) }>(x)",
)
REFUSED = {
    "y = NonZero(x)": "operator is not supported",
    **{f"y = {op}(x, x, x)": "recurrent layers are not supported" for op in ("LSTM", "GRU", "RNN")},
    **dict.fromkeys(CONTROL_FLOW, "control flow is not supported"),
    "y, i = MaxPool<kernel_shape = [2, 2]>(x) z = Cast<to = 1>(i)": "indices",
    'y = Resize<mode = "cubic">(x, , s)': "'cubic'",
    'y = Pad<mode = "wrap">(x, p)': "'wrap'",
    "t = Relu(x) y = MatMul(x, t)": "rows of 4",
    "t = Relu(x) y = GroupNormalization<num_groups = 4>(x, t, t)": "cannot be cut into num_groups (=4)",
    "t = Relu(x) y = GroupNormalization<num_groups = 3>(x, t, t)": "the scale ('t') must be a constant",
    "y = InstanceNormalization(x, c3, c3)": "the scale 3 must hold 6 numbers",
    "y = LayerNormalization(x, c54)": "the scale 5 x 4 has more axes than 4",
    "y = LayerNormalization<axis = 4>(x, c4)": "axis 4",
    'y = Einsum<equation = "bccw->bw">(x)': "diagonals are not supported",
    'y = Einsum<equation = "bchw->bx">(x)': "a letter in its output that no operand has",
    'y = Einsum<equation = "bchw,c->b">(x)': "has 2 operands, the node 1",
    'y = Einsum<equation = "bch->b">(x)': "'bch' does not fit an operand of 4 axes",
    'y = Einsum<equation = "b$hw->b">(x)': "must be letters",
    "y = Cast<to = 10>(x)": "FLOAT16",
    "t = Relu(x) y = Conv(x, t)": "must be a constant",
    "y = Conv<pads = [-1, 0, 0, 0]>(x, w)": "negative",
    "y = MaxPool<kernel_shape = [2]>(x)": "kernel_shape (2,)",
    "y = MaxPool(x)": "kernel_shape is missing",
    "y = Relu<alpha = 1.0>(x)": "attribute 'alpha' is unknown",
    "y = Conv(x, bad)": "",
    "t = Shape(x) y = Cast<to = 1>(t)": "does not depend",
    "y = Softmax<axis = 7>(x)": "axis 7",
    "b = Less(x, x) y = Relu(b)": "bool; only float32 can be computed here",
    "t = Flatten<axis = 2>(x) y = Relu(t)": "free",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_cannot_be_imported_is_refused_with_node_shapes_and_remedy(body: str) -> None:
    constants = {
        "s": np.float32([1, 1, 2, 2]),
        "p": np.int64([0] * 8),
        "w": normal(4, 6, 1, 1),
        "bad": normal(4, 5, 1, 1),
        "k": np.array([True]),
        "c3": normal(3),
        "c4": normal(4),
        "c54": normal(5, 4),
    }
    # The output of Flatten with two free sizes on either side cannot be followed.
    shape = "batch,c,h,w" if "Flatten" in body else "batch,6,5,4"
    text = f"(float[{shape}] x) => (float[] {'z' if 'z =' in body else 'y'}) {{ {body} }}"
    with pytest.raises(UnsupportedError) as caught:
        load_onnx(parse(text, 19, constants))
    message = str(caught.value)
    assert REFUSED[body] in message
    assert "\n" not in message


def test_all_offending_nodes_are_named_at_once_and_those_behind_them_are_not() -> None:
    body = "a = LSTM(x, x, x) b = Relu(a) c = NonZero(x) d = LRN<size = 1>(b) y = Relu(x)"
    with pytest.raises(UnsupportedError) as caught:
        load_onnx(parse(f"(float[N,3,4] x) => (float[] y, float[] c, float[] d) {{ {body} }}", 13))
    assert [line.split()[0] for line in caught.value.nodes[:3]] == ["LSTM", "NonZero", "LRN"]
    assert "N x 3 x 4" in caught.value.nodes[0]


def test_the_table_in_the_docs_lists_every_operator() -> None:
    text = (Path(__file__).parents[1] / "docs" / "onnx.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    listed = {name.strip() for row in rows for name in row.split(",")} - {"ONNX"}
    assert listed == set(OPERATORS)
