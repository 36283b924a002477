# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on constants and shapes, as exporters write it for masks, anchors and sizes, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import check, normal, operators, parse

from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx
from fewbins.importers.operators import OPERATORS
from fewbins.importers.sizes import Symbol, absolute, at_least, larger, modulo, smaller

INTEGERS = {
    "a": np.int64([[5, -3, 0, 7], [2, 2, -9, 1]]),
    "b": np.int64([[2, 2, 4, -3], [5, -5, 4, 1]]),
    "f": np.float32([[0.5, -1.5, 2.0, 3.25], [1.0, -0.0, 4.0, 0.1]]),
    "g": np.float32([[2.0, 2.0, -3.0, 1.5], [1.0, 1.0, 0.5, 3.0]]),
    "p": np.array([True, False, True, True]),
    "q": np.array([[True, True, False, False], [False, True, False, True]]),
    "lo": np.int64(-2),
    "hi": np.int64(4),
    "ax": np.int64([1]),
    "axis": np.int64(1),
    "times": np.int64([2, 3]),
    "i": np.int64([[3, 0, -1, 1]]),
    "u": np.int64([[10, 20, 30, 40]]),
    "at": np.int64([[0, 3], [1, -1]]),
    "new": np.int64([70, 80]),
    "row": np.int64([[1]]),
    "rows": np.int64([[6, 6, 6, 6]]),
    "two": np.int64(2),
}
# Bodies that compute a tensor c from constants: since which opset.
FOLDED = [
    ("Max", 12, "c = Max(a, b)"), ("Max", 12, "c = Max(a, b, hi)"), ("Min", 12, "c = Min(a, b)"),
    ("Max", 8, "c = Max(f, g)"), ("Clip", 12, "c = Clip(a, lo, hi)"), ("Clip", 12, "c = Clip(a, , hi)"),
    ("Clip", 6, "c = Clip<min = -1.0, max = 2.0>(f)"), ("Abs", 13, "c = Abs(a)"), ("Abs", 13, "c = Abs(f)"),
    ("Cos", 7, "c = Cos(f)"), ("Sin", 7, "c = Sin(f)"), ("Sqrt", 13, "t = Abs(f) c = Sqrt(t)"),
    ("Mod", 13, "c = Mod(a, b)"), ("Mod", 13, "c = Mod<fmod = 1>(a, b)"), ("Mod", 13, "c = Mod<fmod = 1>(f, g)"),
    ("Pow", 13, "c = Pow(a, two)"), ("Pow", 13, "t = Abs(f) c = Pow(t, g)"), ("Div", 13, "c = Div(a, b)"),
    ("Less", 13, "c = Less(a, b)"), ("LessOrEqual", 12, "c = LessOrEqual(a, b)"), ("Greater", 13, "c = Greater(f, g)"),
    ("GreaterOrEqual", 12, "c = GreaterOrEqual(a, b)"), ("And", 7, "c = And(p, q)"), ("Or", 7, "c = Or(p, q)"),
    ("Xor", 7, "c = Xor(p, q)"), ("Not", 7, "c = Not(q)"), ("ReduceMax", 13, "c = ReduceMax<axes = [1]>(a)"),
    ("ReduceMin", 13, "c = ReduceMin<axes = [0], keepdims = 0>(a)"), ("ReduceSum", 13, "c = ReduceSum(a, ax)"),
    ("ReduceMax", 18, "c = ReduceMax(a, ax)"), ("ReduceSum", 13, "c = ReduceSum<keepdims = 0>(f)"),
    ("CumSum", 11, "c = CumSum(a, axis)"), ("CumSum", 11, "c = CumSum<exclusive = 1, reverse = 1>(a, axis)"),
    ("Tile", 13, "t = Tile(a, times) c = ReduceSum<keepdims = 0>(t)"),
    ("ScatterElements", 13, "c = ScatterElements<axis = 1>(a, i, u)"), ("ScatterND", 13, "c = ScatterND(a, at, new)"),
    ("ScatterND", 13, "c = ScatterND(a, row, rows)"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "since", "body"), FOLDED)
def test_arithmetic_on_constants_agrees_with_onnx_runtime(op: str, since: int, body: str) -> None:
    read = {name: data for name, data in INTEGERS.items() if f"{name})" in body or f"{name}," in body}
    for opset in sorted({max(since, version, 9) for version in OPERATORS[op].versions}):
        if opset <= (10 if "min =" in body else 17 if "axes =" in body else opset):
            made = parse(f"(float[N,4] x) => (float[] y) {{ {body} d = Cast<to = 1>(c) y = Mul(x, d) }}", opset, read)
            graph = check(made, {"x": normal(2, 4)})
            assert operators(graph) == ["mul"]


SIZES = {
    "zero": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "three": np.int64([3]), "four": np.int64([4]),
    "minus": np.int64([-1]), "far": np.int64([2**31]), "fill": np.int64([8]), "at": np.int64([[1]]),
}  # fmt: skip
# Bodies that make a shape t for (batch, 6, height, 4); n, c, h, w are the sizes.
RESHAPES = {
    "max with one": "k = Max(n, one) t = Concat<axis = 0>(k, c, minus)",
    "min with one": "k = Min(n, one) m = Mul(k, n) t = Concat<axis = 0>(m, c, minus)",
    "clip": "k = Clip(n, one1) t = Concat<axis = 0>(k, c, minus)",
    "abs": "k = Abs(n) t = Concat<axis = 0>(k, c, minus)",
    "mod": "k = Mul(n, two) r = Mod(k, two) m = Add(n, r) t = Concat<axis = 0>(m, c, minus)",
    "greater": "k = Greater(n, zero) m = Where(k, n, one) t = Concat<axis = 0>(m, c, minus)",
    "less or equal": "k = LessOrEqual(n, zero) m = Where(k, one, n) t = Concat<axis = 0>(m, c, minus)",
    "and, not": """k = Less(n, zero) l = Equal(n, zero) a = Or(k, l) b = Not(a) m = Where(b, n, one)
        t = Concat<axis = 0>(m, c, minus)""",
    "power": "k = Pow(n, two) m = Div(k, n) t = Concat<axis = 0>(m, c, minus)",
    "largest": "k = Concat<axis = 0>(n, one) m = ReduceMax<axes = [0]>(k) t = Concat<axis = 0>(m, c, minus)",
    "sum": "k = Concat<axis = 0>(n, n, zero) a = ReduceSum(k, zero) m = Div(a, two) t = Concat<axis = 0>(m, c, minus)",
    "scatter": "a = Concat<axis = 0>(n, one, minus) t = ScatterND(a, at, c)",
    "scattered elements": "a = Concat<axis = 0>(n, one, minus) t = ScatterElements(a, one, c)",
}  # fmt: skip


@pytest.mark.parametrize("body", RESHAPES.values(), ids=RESHAPES)
def test_arithmetic_on_shapes_keeps_the_batch_free(body: str) -> None:
    whole = f"s = Shape(x) n, c, h, w = Split<axis = 0>(s) {body} y = Reshape(x, t)"
    constants = {**SIZES, "one1": np.int64(1)}
    made = parse(f"(float[batch,6,height,4] x) => (float[] y) {{ {whole} }}", 13, constants)
    for batch in (1, 3):
        check(made, {"x": normal(batch, 6, 5, 4)})


@pytest.mark.parametrize(
    "body",
    [
        "k = Greater(h, four) m = Where(k, h, four) t = Concat<axis = 0>(n, c, m, w)",
        "k = Pow(h, minus) t = Concat<axis = 0>(n, c, k, w)",
        "k = Max(h, four) t = Concat<axis = 0>(n, c, k, minus)",
        "k = Mod(h, two) t = Concat<axis = 0>(n, k, minus, w)",
    ],
)
def test_what_depends_on_a_free_size_asks_for_input_shapes(body: str) -> None:
    whole = f"s = Shape(x) n, c, h, w = Split<axis = 0>(s) {body} y = Reshape(x, t)"
    made = parse(f"(float[batch,6,height,4] x) => (float[] y) {{ {whole} }}", 13, SIZES)
    with pytest.raises(UnsupportedError, match="input_shapes"):
        load_onnx(made)


def test_orders_of_sizes_are_known_from_the_least_that_they_can_be() -> None:
    h = Symbol.of("height")
    odd = h - 5
    assert at_least(h * 8, 8) is True
    assert at_least(7, h * 8) is False
    assert at_least(h, 2) is None
    assert at_least(odd, 1) is None
    assert at_least(-h, -1) is None
    assert (larger(h, 0), smaller(0, h), larger(h * 2, h)) == (h, 0, h * 2)
    assert larger(odd, 3) == larger(3, odd) == Symbol.of("max(3, height-5)")
    assert (absolute(-h), str(absolute(odd))) == (h, "abs(height-5)")
    assert (modulo(h * 4, 2), modulo(7, 4), modulo(h * 6, h * 2)) == (0, 3, 0)
    assert isinstance(modulo(7, h), Symbol)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("c = Mod(a, z)", "divides integers by zero"),
        ("c = ScatterElements<axis = 1>(a, far, u)", "writes index 9"),
        ('c = ScatterElements<axis = 1, reduction = "add">(a, i, u)', "reduction 'none'"),
        ("c = ScatterND(a, at, u)", "do not fit"),
        ("c = Tile(a, ax)", "a count for each of 2 axes"),
        ("c = Tile(a, big)", "exceeds"),
    ],
)
def test_arithmetic_that_makes_no_sense_is_refused(body: str, message: str) -> None:
    more = {"z": np.int64([0]), "far": np.int64([[9, 0, 0, 0]]), "big": np.int64([2**20, 2**20])}
    text = f"(float[N,4] x) => (float[] y) {{ {body} d = Cast<to = 1>(c) y = Mul(x, d) }}"
    with pytest.raises(UnsupportedError, match=message):
        load_onnx(parse(text, 16, {**INTEGERS, **more}))
