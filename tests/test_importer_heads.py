# SPDX-License-Identifier: Apache-2.0
"""Comparisons, truth values, casts and places of extremes against ONNX Runtime, alone and in networks."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import expected, normal, parse
from PIL import Image

import fewbins
from fewbins import oracle

ODD = np.float32([[np.nan, 1, 2, 3], [1, np.nan, 0, 2], [1, 2, np.nan, np.nan], [3, np.nan, 3, 1], [1, 1, 1, 1]])


def run_both(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> None:
    """The oracle and the engine give what ONNX Runtime gives: same types, shapes and values."""
    graph = fewbins.load_onnx(model)
    session = fewbins.Session(fewbins.quantize(graph, scheme="float"))
    found = session.run(feed)
    engine = found if isinstance(found, dict) else {session.outputs[0].name: found}
    computed = oracle.run(graph, feed, trace=False)
    for name, want in expected(model, feed).items():
        for got in (engine[name], computed[name]):
            assert (got.dtype, got.shape) == (want.dtype, want.shape), name
            np.testing.assert_array_equal(got, want, err_msg=name)


COMPARISONS = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")


@pytest.mark.parametrize(("op", "dtype"), [*itertools.product(COMPARISONS, ("float", "int32", "int64"))])
def test_comparisons(op: str, dtype: str) -> None:
    model = parse(f"({dtype}[N,3,4] a, {dtype}[3,1] b) => (bool[] y) {{ y = {op}(a, b) }}", 16)
    kind = {"float": np.float32}.get(dtype, dtype)
    a = np.arange(-6, 6).reshape(1, 3, 4).astype(kind)
    if dtype == "float":
        a[0, 1, 1] = np.nan
    run_both(model, {"a": a, "b": np.array([[-5], [-1], [4]]).astype(kind)})


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_logic(op: str) -> None:
    a, b = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    run_both(
        parse(f"(bool[1,4] a, bool[1,4] b) => (bool[] y, bool[] n) {{ y = {op}(a, b) n = Not(y) }}", 13),
        {"a": a, "b": b},
    )


def test_where_with_constants_and_is_nan() -> None:
    text = (
        "(float[N,4] n, float[N,4] d) => (float[] y, bool[] nan) {"
        " z = Equal(d, zero) q = Div(n, d) y = Where(z, zero, q) nan = IsNaN(n) }"
    )
    model = parse(text, 17, {"zero": np.float32(0)})
    run_both(model, {"n": ODD, "d": np.float32([[0, 1, 2, 0]] * 5)})


TYPES = {"float": 1, "uint8": 2, "int32": 6, "int64": 7, "bool": 9}


@pytest.mark.parametrize(("source", "target"), [*itertools.permutations(TYPES, 2)])
def test_casts_of_what_the_type_can_hold(source: str, target: str) -> None:
    model = parse(f"({source}[N,6] x) => ({target}[] y) {{ y = Cast<to = {TYPES[target]}>(x) }}", 13)
    x = np.array([[0, 1, 2, 100, 255, 7.9]]).astype({"float": np.float32}.get(source, source))
    run_both(model, {"x": x})


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize(
    "attributes", ["axis = 0", "axis = 1", "axis = -1, keepdims = 0", "axis = 1, select_last_index = 1"]
)
def test_places_of_extremes(op: str, attributes: str) -> None:
    model = parse(f"(float[5,4] x) => (int64[] y) {{ y = {op}<{attributes}>(x) }}", 13)
    run_both(model, {"x": ODD})
    run_both(model, {"x": np.round(normal(5, 4))})


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 5), (7,)])
def test_places_of_extremes_of_every_rank(shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        model = parse(f"(float{list(shape)} x) => (int64[] y) {{ y = ArgMax<axis = {axis}, keepdims = 0>(x) }}", 13)
        run_both(model, {"x": np.round(normal(*shape))})


@pytest.mark.parametrize("attributes", ["axis = -1", "axis = 0, largest = 0", "axis = 1, largest = 1, sorted = 1"])
def test_top_k(attributes: str) -> None:
    model = parse(
        f"(float[5,4] x) => (float[] v, int64[] i) {{ v, i = TopK<{attributes}>(x, k) }}", 11, {"k": np.int64([3])}
    )
    run_both(model, {"x": ODD})
    run_both(model, {"x": np.round(normal(5, 4))})


def test_the_result_of_top_k_goes_on_into_gather_and_cast() -> None:
    text = (
        "(float[1,40] s, float[40,4] boxes) => (float[] best, int32[] where, float[] v) {"
        " v, i = TopK(s, k) where = Cast<to = 6>(i) flat = Squeeze(i, first) best = Gather(boxes, flat) }"
    )
    model = parse(text, 13, {"k": np.int64([5]), "first": np.int64([0])})
    run_both(model, {"s": normal(1, 40), "boxes": normal(40, 4, seed=1)})


def test_what_is_no_float_is_refused_where_floats_are_computed() -> None:
    model = parse("(float[N,4] x) => (float[] y) { b = Less(x, zero) y = Relu(b) }", 17, {"zero": np.float32(0)})
    with pytest.raises(fewbins.UnsupportedError) as error:
        fewbins.load_onnx(model)
    assert "bool" in "".join(error.value.nodes) and "cast it to float32" in "".join(error.value.nodes)
    model = parse("(float[N,4] x) => (float16[] y) { y = Cast<to = 10>(x) }", 17)
    with pytest.raises(fewbins.UnsupportedError) as error:
        fewbins.load_onnx(model)
    assert "casts to FLOAT16; at run time there are float32, bool, uint8, int32, int64" in "".join(error.value.nodes)


def peaks_model(after: str, outputs: str) -> onnx.ModelProto:
    """A head whose scores are compared with their own maxima."""
    text = (
        f"(float[N,3,16,16] x) => ({outputs}) {{ a = Conv<pads = [1,1,1,1]>(x, w0) ar = Relu(a) h = Conv(ar, w1)"
        " s = Sigmoid(h) m = MaxPool<kernel_shape = [3,3], pads = [1,1,1,1]>(s)"
        f" e = Equal(s, m) f = Cast<to = 1>(e) {after} }}"
    )
    return parse(
        text, 17, {"w0": 0.5 * normal(8, 3, 3, 3), "w1": normal(2, 8, 1, 1, seed=2), "w2": normal(4, 2, 1, 1, seed=3)}
    )


@pytest.mark.parametrize("scheme", ["float", "8bit", "255x33", "23x23:fixed"])
@pytest.mark.parametrize(
    ("after", "outputs"),
    [
        ("p = Mul(s, f)", "float[] s, bool[] e, float[] p"),
        # Scores that a convolution reads too, so that they exist in levels; and the maxima as well.
        ("p = Mul(s, f) z = Conv(s, w2)", "float[] s, bool[] e, float[] p, float[] z"),
        ("p = Mul(s, f) z = Conv(m, w2)", "float[] s, bool[] e, float[] p, float[] z"),
        ("z = Conv(s, w2) t = Conv(m, w2) p = Mul(s, f)", "float[] s, bool[] e, float[] p, float[] z, float[] t"),
    ],
)
def test_peaks_are_found_whatever_is_quantized(scheme: str, after: str, outputs: str) -> None:
    model = peaks_model(after, outputs)
    graph, images = fewbins.load_onnx(model), normal(16, 3, 16, 16, seed=5)
    quantized = fewbins.quantize(graph, None if scheme == "float" else images, scheme=scheme)
    found = fewbins.Session(quantized).run(images[:4])
    for name, want in oracle.run(quantized.graph, [images[:4]], trace=False).items():
        if want.dtype == np.bool_ or scheme != "float":
            np.testing.assert_allclose(found[name], want, rtol=0, atol=1e-6)
    peaks = found["e"]
    assert peaks.dtype == np.bool_
    # Every window has its largest element, and what is no peak has a larger neighbour.
    padded = np.pad(found["s"], ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-1)
    around = np.stack([padded[:, :, r : r + 16, c : c + 16] for r in range(3) for c in range(3)])
    largest = found["s"] == around.max(axis=0)
    assert (peaks | ~largest).all(), "a peak was lost"
    assert peaks.mean() < 0.6
    np.testing.assert_array_equal(found["p"] > 0, peaks & (found["p"] > 0))


def test_class_indices_of_a_segmentation_network_come_from_levels_where_those_are_there() -> None:
    text = (
        "(float[N,3,8,8] x) => (int64[] y, float[] z) { a = Conv<pads = [1,1,1,1]>(x, w0)"
        " y = ArgMax<axis = 1, keepdims = 0>(a) z = Conv(a, w1) }"
    )
    model = parse(text, 17, {"w0": normal(6, 3, 3, 3), "w1": normal(2, 6, 1, 1, seed=1)})
    images = normal(16, 3, 8, 8, seed=4)
    quantized = fewbins.quantize(fewbins.load_onnx(model), images, scheme="8bit")
    (node,) = [node for node in quantized.graph.nodes if node.op == "ArgReduce"]
    assert quantized.graph.tensors[node.inputs[0]].dtype == "levels"
    found, want = fewbins.Session(quantized).run(images), expected(model, {"x": images})
    assert found["y"].dtype == np.int64 and found["y"].shape == want["y"].shape
    assert (found["y"] == want["y"]).mean() > 0.95


@pytest.mark.parametrize("answers", ["ArgMax<axis = 1, keepdims = 0>(z)", "ArgMax<axis = 1>(z)"])
def test_evaluate_takes_class_numbers_as_they_are(answers: str) -> None:
    w, images = normal(7, 12), normal(20, 12, seed=2)
    scores = parse("(float[N,12] x) => (float[] z) { z = Gemm<transB = 1>(x, w) }", 13, {"w": w})
    places = parse(f"(float[N,12] x) => (int64[] y) {{ z = Gemm<transB = 1>(x, w) y = {answers} }}", 13, {"w": w})
    labels = np.argmax(images @ w.T, axis=1)
    labels[:5] = (labels[:5] + 1) % 7
    quantized = [fewbins.quantize(fewbins.load_onnx(model), scheme="float") for model in (scores, places)]
    found = [fewbins.evaluate(model, (images, labels)) for model in quantized]
    assert found[0]["top1_percent"] == found[1]["top1_percent"] == 75
    against = fewbins.evaluate(quantized[1], images, against=quantized[1])
    assert 100 in against.values()


def test_run_names_the_class_that_a_model_tells(tmp_path: Path) -> None:
    w = np.zeros((3, 3, 1, 1), np.float32)
    w[[0, 1, 2], [0, 1, 2]] = 1
    text = "(float[N,3,4,4] x) => (int64[] y) { a = Conv(x, w) p = GlobalAveragePool(a) y = ArgMax<axis = 1>(p) }"
    model = fewbins.quantize(
        fewbins.load_onnx(parse(text, 13, {"w": w})),
        scheme="float",
        labels=["red", "green", "blue"],
        preprocessing=fewbins.Preprocessing(size=(4, 4), mean=(0, 0, 0), std=(255, 255, 255)),
    )
    model.save(tmp_path / "m.fewbins")
    Image.new("RGB", (4, 4), (10, 20, 200)).save(tmp_path / "blue.png")
    command = [sys.executable, "-m", "fewbins", "run", str(tmp_path / "m.fewbins"), str(tmp_path / "blue.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "blue" in done.stdout.split()
