# SPDX-License-Identifier: Apache-2.0
"""Constants in front of a network, such as (x - mean) / std: folded into its first layers, or into the Quantize."""

from __future__ import annotations

import numpy as np
import pytest
from engine_compare import check
from onnx_models import expected, normal, parse

import fewbins
from fewbins import oracle
from fewbins.graph import Graph
from fewbins.importers import load_onnx
from fewbins.levels import Levels
from fewbins.numerics import Affine
from fewbins.ops import QuantizeAttrs
from fewbins.quantize import prepare

MEAN = np.float32([123.675, 116.28, 103.53])
STD = np.float32([58.395, 57.12, 57.375])
CONV = "Conv<pads = [1, 1, 1, 1]>(v, w, b)"
PIXELS = np.random.default_rng(3).integers(0, 256, (4, 3, 9, 7)).astype(np.float32)


def column(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, 1, 1)


def network(front: str, conv: str = CONV, layout: str = "N,3,9,7", **constants: np.ndarray):
    text = f"(float[{layout}] x) => (float[] y) {{ {front} [one] c = {conv} y = Relu(c) }}"
    weights = {"w": normal(4, 3, 3, 3), "b": normal(4)}
    return parse(text, 17, weights | constants)


def prepared(model, x: np.ndarray) -> Graph:
    """The folded graph, checked against ONNX Runtime."""
    graph = prepare(load_onnx(model))
    want = expected(model, {"x": x})["y"]
    got = oracle.run(graph, [x])["y"]
    assert np.abs(got - want).max() <= 2e-5 * np.abs(want).max()
    return graph


def kinds(graph: Graph) -> list[str]:
    return [getattr(node.attrs, "function", node.op) for node in graph.nodes]


M, S = column(MEAN), column(STD)
NHWC = "t = Transpose<perm = [0, 3, 1, 2]>"
FRONTS = {
    "mean, std": ("s = Sub(x, m) v = Div(s, d)", {"m": M, "d": S}),
    "scale, then mean, std": (
        "k = Mul(x, q) s = Sub(k, m) v = Div(s, d)",
        {"q": np.float32(1 / 255), "m": M / 255, "d": S / 255},
    ),
    "factor, then sum": ("k = Mul(x, q) v = Add(k, t)", {"q": 1 / S, "t": -M / S}),
    "one number": (
        "k = Div(x, q) s = Mul(k, two) v = Sub(s, one)",
        {"q": np.float32(255), "two": np.float32(2), "one": np.float32([1])},
    ),
    "turned around": ("s = Sub(m, x) v = Div(s, d)", {"m": M, "d": S}),
    "a batch normalization": (
        "v = BatchNormalization(x, g, h, m, r)",
        {"g": np.ones(3, np.float32), "h": np.zeros(3, np.float32), "m": MEAN, "r": STD**2},
    ),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("pads", [0, 1])
def test_what_comes_before_the_first_layer_is_folded(front: str, pads: int) -> None:
    body, constants = FRONTS[front]
    conv = f"Conv<pads = [{pads}, {pads}, {pads}, {pads}]>(v, w, b)"
    graph = prepared(network(body, conv, **constants), PIXELS)
    assert kinds(graph) == (["sub", "Conv"] if pads else ["Conv"])
    assert graph.nodes[-1].attrs.clamp == (0.0, None)
    model = fewbins.quantize(load_onnx(network(body, conv, **constants)), PIXELS, scheme="8bit")
    assert [node.op for node in model.graph.nodes] == ["Quantize", "Conv"]
    assert ("offset" in model.graph.nodes[0].params) == bool(pads)


@pytest.mark.parametrize("where", ["before", "behind", "around"])
def test_a_transpose_of_tf_may_stand_among_the_constants(where: str) -> None:
    body = {
        "before": f"{NHWC}(x) s = Sub(t, m) v = Div(s, d)",
        "behind": "s = Sub(x, m) k = Div(s, d) v = Transpose<perm = [0, 3, 1, 2]>(k)",
        "around": "s = Sub(x, n) t = Transpose<perm = [0, 3, 1, 2]>(s) v = Div(t, d)",
    }[where]
    flat = {"m": MEAN, "d": STD} if where == "behind" else {"m": M, "n": MEAN, "d": S}
    model = network(body, layout="N,9,7,3", **flat)
    x = np.ascontiguousarray(PIXELS.transpose(0, 2, 3, 1))
    graph = prepared(model, x)
    assert kinds(graph) == ["sub", "Transpose", "Conv"]
    quantized = fewbins.quantize(load_onnx(model), x).graph
    assert [node.op for node in quantized.nodes] == ["Quantize", "Transpose", "Conv"]
    assert quantized.nodes[0].attrs.axis == 3
    assert_engine_equals_oracle(load_onnx(model), x)


def assert_engine_equals_oracle(graph: Graph, x: np.ndarray) -> None:
    model = fewbins.quantize(graph, x)
    want = oracle.run(model.graph, [x])
    got = fewbins.Session(model).trace(x)
    for name, tensor in model.graph.tensors.items():
        if not tensor.is_constant and tensor.affine is not None:
            np.testing.assert_array_equal(got[name].astype(int) + tensor.affine.levels.lo, want[name])


def test_grouped_and_several_first_layers_take_the_constants_in() -> None:
    text = (
        "(float[N,4,9,7] x) => (float[] y, float[] z) { s = Sub(x, m) v = Div(s, d) "
        "y = Conv<group = 2, pads = [1, 1, 1, 1]>(v, w) z = Conv(v, u) }"
    )
    constants = {"m": column(normal(4)), "d": column(np.float32([1, 1.5, 1.9, 1.2]))}
    model = parse(text, 17, constants | {"w": normal(6, 2, 3, 3), "u": normal(2, 4, 1, 1)})
    x = normal(2, 4, 9, 7)
    graph = prepare(load_onnx(model))
    assert kinds(graph) == ["sub", "Conv", "Conv"]
    for name, want in expected(model, {"x": x}).items():
        np.testing.assert_allclose(oracle.run(graph, [x])[name], want, rtol=0, atol=1e-5 * np.abs(want).max())
    assert_engine_equals_oracle(load_onnx(model), x)


def test_columns_in_front_of_a_gemm_are_folded_whole() -> None:
    text = "(float[N,5] x) => (float[] y) { s = Sub(x, m) v = Div(s, d) y = Gemm(v, w) }"
    model = parse(text, 17, {"m": normal(5), "d": np.float32([1, 1.5, 1.9, 1.2, 1]), "w": normal(5, 3)})
    assert kinds(prepared(model, normal(7, 5))) == ["Gemm"]


STAYS = {
    "channels of other units": ("s = Sub(x, m) v = Div(s, d)", {"m": M, "d": column(np.float32([1, 1000, 1]))}, 2),
    "a picture of means": ("v = Sub(x, m)", {"m": normal(3, 9, 7)}, 1),
    "a factor of zero": ("v = Mul(x, d)", {"d": column(np.float32([1, 0, 1]))}, 1),
    "a division of the constant": ("v = Div(d, x)", {"d": S}, 1),
    "another reader": ("s = Sub(x, m) r = Relu(s) v = Add(s, r)", {"m": M}, 3),
}


@pytest.mark.parametrize("front", STAYS)
def test_what_would_lose_precision_or_is_no_constant_per_channel_stays(front: str) -> None:
    body, constants, count = STAYS[front]
    graph = prepared(network(body, **constants), np.maximum(PIXELS, 1))
    assert len(kinds(graph)) == count + 1


def test_a_mean_of_many_deviations_is_subtracted_although_nothing_pads() -> None:
    """Pressure in pascal: levels from 0 to 101,500 would leave one or two for what the network sees."""
    body, constants = "s = Sub(x, m) v = Div(s, d)", {"m": np.float32(101325), "d": np.float32(100)}
    model = network(body, "Conv(v, w, b)", **constants)
    x = (101325 + 100 * normal(8, 3, 9, 7)).astype(np.float32)
    assert kinds(prepare(load_onnx(model))) == ["sub", "Conv"]
    got = fewbins.Session(fewbins.quantize(load_onnx(model), x)).run(x)
    want = expected(model, {"x": x})["y"]
    assert 10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()) > 30


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 40, 70, 61), (3, 1, 1, 1)])
def test_quantize_with_an_offset_gives_the_oracles_levels(shape: tuple[int, ...], axis: int) -> None:
    x = np.random.default_rng(5).normal(0, 40, shape).astype(np.float32)
    x.reshape(-1)[:3] = np.nan, np.inf, -np.inf
    offset = np.random.default_rng(6).normal(0, 90, shape[axis]).astype(np.float32)
    affine = Affine(0.75, 3, Levels.of(256))
    check("Quantize", QuantizeAttrs(axis), [x], params={"offset": offset}, output=affine)
    check("Quantize", QuantizeAttrs(axis), [x], params={"offset": offset[:1]}, output=affine)


@pytest.mark.parametrize(("shape", "axis"), [((6, 5), 1), ((6, 5), 0), ((9,), 0), ((2, 3, 4), 2)])
def test_quantize_with_an_offset_works_on_other_ranks(shape: tuple[int, ...], axis: int) -> None:
    x = np.random.default_rng(5).normal(0, 40, shape).astype(np.float32)
    offset = np.random.default_rng(6).normal(0, 90, shape[axis]).astype(np.float32)
    check("Quantize", QuantizeAttrs(axis), [x], params={"offset": offset}, output=Affine(0.75, 3, Levels.of(256)))


def test_an_offset_that_does_not_fit_is_refused() -> None:
    with pytest.raises(fewbins.ShapeError, match=r"offset of shape \(2\)|offset of shape 2|must be \(3,\)"):
        check(
            "Quantize",
            QuantizeAttrs(),
            [normal(1, 3, 2, 2)],
            params={"offset": normal(2)},
            output=Affine(1.0, 0, Levels.of(256)),
        )
