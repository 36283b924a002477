# SPDX-License-Identifier: Apache-2.0
"""Activations spelled out in simple operators become one node, and what only looks like one does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx_models import check, normal, operators, parse

from fewbins.importers import load_onnx

NUMBERS = {
    "half": np.float32(0.5),
    "one": np.float32([1]),
    "two": np.float32(2),
    "three": np.float32(3),
    "six": np.float32(6),
    "sixth": np.float32(1 / 6),
    "zero": np.float32(0),
    "root2": np.float32(math.sqrt(2)),
    "inv_root2": np.float32(math.sqrt(0.5)),
    "c": np.float32(math.sqrt(2 / math.pi)),
    "a": np.float32(0.044715),
}
SPELLED = {
    "hard_swish": [
        "t = Add(x, three) u = Clip(t, zero, six) v = Mul(x, u) y = Div(v, six)",
        "t = Add(three, x) u = Clip(t, zero, six) v = Div(u, six) y = Mul(x, v)",
        "t = Add(x, three) u = Clip(t, zero, six) v = Mul(u, sixth) y = Mul(v, x)",
        "t = HardSigmoid<alpha = 0.1666667, beta = 0.5>(x) y = Mul(x, t)",
    ],
    "silu": ["t = Sigmoid(x) y = Mul(x, t)", "t = Sigmoid(x) y = Mul(t, x)"],
    "gelu": [
        "t = Div(x, root2) u = Erf(t) v = Add(u, one) w = Mul(x, v) y = Mul(w, half)",
        "t = Mul(x, inv_root2) u = Erf(t) v = Add(one, u) w = Mul(v, half) y = Mul(w, x)",
        "h = Mul(x, half) t = Div(x, root2) u = Erf(t) v = Add(u, one) y = Mul(h, v)",
        "t = Div(x, root2) u = Erf(t) v = Add(u, one) w = Mul(x, v) y = Div(w, two)",
    ],
    "mish": ["t = Softplus(x) u = Tanh(t) y = Mul(x, u)", "t = Softplus(x) u = Tanh(t) y = Mul(u, x)"],
    "gelu_tanh": [
        "p = Pow(x, three) q = Mul(p, a) r = Add(x, q) s = Mul(r, c) t = Tanh(s) v = Add(t, one) w = Mul(x, v) "
        "y = Mul(w, half)",
        "p = Mul(x, x) q = Mul(p, x) r = Mul(a, q) s = Add(r, x) t = Mul(c, s) u = Tanh(t) v = Add(one, u) "
        "h = Mul(half, x) y = Mul(h, v)",
        "p = Mul(x, x) q = Mul(p, a) r = Add(q, one) s = Mul(x, r) t = Mul(s, c) u = Tanh(t) v = Add(u, one) "
        "h = Mul(x, half) y = Mul(h, v)",
    ],
}


@pytest.mark.parametrize(("name", "body"), [(name, body) for name, bodies in SPELLED.items() for body in bodies])
def test_a_spelled_out_activation_becomes_one_node(name: str, body: str) -> None:
    model = parse(f"(float[N,3,4,5] x) => (float[] y) {{ {body} }}", 14, NUMBERS)
    graph = check(model, {"x": 3 * normal(2, 3, 4, 5)})
    assert operators(graph) == [name]
    assert graph.nodes[0].inputs == ("x",)


NOT_QUITE = [
    "t = Add(x, two) u = Clip(t, zero, six) v = Mul(x, u) y = Div(v, six)",
    "t = Add(x, three) u = Clip(t, zero, three) v = Mul(x, u) y = Div(v, six)",
    "t = Add(x, three) u = Clip(t, zero, six) v = Mul(x, u) y = Div(v, three)",
    "r = Relu(x) t = Sigmoid(r) y = Mul(x, t)",
    "t = Sigmoid(x) y = Add(x, t)",
    "t = Sigmoid(x) u = Mul(x, t) y = Mul(u, half)",
    "t = HardSigmoid<alpha = 0.2, beta = 0.5>(x) y = Mul(x, t)",
    "t = Div(x, two) u = Erf(t) v = Add(u, one) w = Mul(x, v) y = Mul(w, half)",
    "p = Pow(x, two) q = Mul(p, a) r = Add(x, q) s = Mul(r, c) t = Tanh(s) v = Add(t, one) w = Mul(x, v) "
    "y = Mul(w, half)",
]


@pytest.mark.parametrize("body", NOT_QUITE)
def test_what_only_looks_like_an_activation_is_left_alone(body: str) -> None:
    graph = check(parse(f"(float[N,3,4,5] x) => (float[] y) {{ {body} }}", 14, NUMBERS), {"x": normal(2, 3, 4, 5)})
    assert not {"hard_swish", "gelu", "gelu_tanh"} & set(operators(graph))
    if "half" in body and "Sigmoid(x)" in body:
        assert operators(graph) == ["silu", "mul"]
    else:
        assert "silu" not in operators(graph)


def test_an_inner_value_that_something_else_reads_stays() -> None:
    model = parse("(float[N,3] x) => (float[] y, float[] z) { t = Sigmoid(x) y = Mul(x, t) z = Relu(t) }", 14)
    assert sorted(operators(check(model, {"x": normal(2, 3)}))) == ["relu", "sigmoid", "silu"]


def test_a_long_chain_of_products_takes_no_long_time_and_no_deep_stack() -> None:
    chain = " ".join(f"t{k + 1} = Mul(t{k}, two)" for k in range(3000))
    model = parse(f"(float[N,3] x) => (float[] y) {{ t0 = Relu(x) {chain} y = Relu(t3000) }}", 14, NUMBERS)
    assert len(load_onnx(model).nodes) == 3002


CENTRED = "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) "
ROOT = "v = ReduceMean<axes = [-1]>(q) e = Add(v, eps) s = Sqrt(e) "
NORMALIZATIONS = {
    "plain": CENTRED + "q = Pow(d, two) " + ROOT + "y = Div(d, s)",
    "PyTorch": CENTRED + "q = Pow(d, two) " + ROOT + "n = Div(d, s) t = Mul(n, row) y = Add(t, bias)",
    "constants first": CENTRED + "q = Mul(d, d) " + ROOT + "n = Div(d, s) t = Mul(row, n) y = Add(bias, t)",
    "reciprocal": CENTRED + "q = Pow(d, two) " + ROOT + "r = Reciprocal(s) n = Mul(r, d) y = Mul(n, row)",
    "centred twice": CENTRED + "f = Sub(x, m) q = Mul(f, f) " + ROOT + "y = Div(d, s)",
    "bias alone": CENTRED + "q = Mul(d, d) " + ROOT + "n = Div(d, s) y = Add(n, bias)",
    "groups of old opsets": "g = Reshape(x, cut) n = InstanceNormalization<epsilon = 0.1>(g, ones, zeros) "
    "b = Reshape(n, back) t = Mul(b, column) y = Add(t, column)",
}
NORMALIZATION_NUMBERS = {
    "two": np.float32(2),
    "eps": np.float32(0.01),
    "row": normal(5),
    "bias": normal(1, 1, 5, seed=1),
    "cut": np.int64([0, 3, -1]),
    "back": np.int64([-1, 6, 4, 5]),
    "ones": np.ones(3, np.float32),
    "zeros": np.zeros(3, np.float32),
    "column": normal(6, 1, 1),
}


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_spelled_out_normalization_becomes_one_node(name: str) -> None:
    model = parse(f"(float[N,6,4,5] x) => (float[] y) {{ {NORMALIZATIONS[name]} }}", 14, NORMALIZATION_NUMBERS)
    graph = check(model, {"x": 3 * normal(2, 6, 4, 5) + 1})
    assert operators(graph) == ["Normalize"]
    assert graph.nodes[0].attrs.groups == (3 if "groups" in name else 1)


NOT_NORMALIZATIONS = {
    "another power": CENTRED + "q = Pow(d, three) t = Abs(q) " + ROOT.replace("(q)", "(t)") + "y = Div(d, s)",
    "another tensor": CENTRED + "r = Relu(x) q = Mul(r, r) " + ROOT + "y = Div(d, s)",
    "another axis": CENTRED + "q = Mul(d, d) " + ROOT.replace("-1", "1") + "y = Div(d, s)",
    "a sum": CENTRED + "q = Mul(d, d) " + ROOT.replace("ReduceMean", "ReduceSum") + "y = Div(d, s)",
    "no root": CENTRED + "q = Mul(d, d) v = ReduceMean<axes = [-1]>(q) e = Add(v, eps) y = Div(d, e)",
}


@pytest.mark.parametrize("name", NOT_NORMALIZATIONS)
def test_what_is_no_normalization_keeps_its_nodes(name: str) -> None:
    numbers = {**NORMALIZATION_NUMBERS, "three": np.float32(3)}
    body = NOT_NORMALIZATIONS[name]
    model = parse(f"(float[N,6,4,5] x) => (float[] y) {{ {body} }}", 12, numbers)
    assert "Normalize" not in operators(check(model, {"x": 3 * normal(2, 6, 4, 5) + 1}))


def test_a_normalization_that_others_read_keeps_its_scale_to_itself() -> None:
    body = "n = LayerNormalization(x, row) t = Mul(n, column) y = Add(t, n)"
    model = parse(f"(float[N,6,4,5] x) => (float[] y) {{ {body} }}", 17, NORMALIZATION_NUMBERS)
    assert operators(check(model, {"x": normal(2, 6, 4, 5)})) == ["Normalize", "mul", "add"]


def test_a_bias_that_adds_axes_stays_an_addition() -> None:
    numbers = {**NORMALIZATION_NUMBERS, "wide": normal(3, 1, 5)}
    model = parse("(float[4,5] x) => (float[] y) { n = LayerNormalization(x, row) y = Add(n, wide) }", 17, numbers)
    assert operators(check(model, {"x": normal(4, 5)})) == ["Normalize", "add"]
