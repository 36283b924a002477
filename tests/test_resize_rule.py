# SPDX-License-Identifier: Apache-2.0
"""Where an output of Resize lies in its input: ONNX Runtime's rule, PyTorch's beside it, and that of older files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from engine_compare import check
from onnx import TensorProto, helper
from onnx_models import normal

from fewbins.graph import Node
from fewbins.importers import load_onnx
from fewbins.levels import Levels
from fewbins.numerics import Affine, bilinear_weights
from fewbins.ops import Requantize, ResizeAttrs
from fewbins.ops.evaluate import evaluate
from fewbins.ops.resize import COORDINATES, NEAREST, infer_resize, nearest_index, source_coordinates

Array = np.ndarray[Any, np.dtype[Any]]
FACTORS = [4 / 3, 5 / 3, 1.2, 1.3, 1.75, 1.6, 1.05, 1.003, 2.0, 2.5, 3.0, 1.0, 0.95, 0.9, 0.75, 2 / 3, 0.6, 0.5, 0.3]
OPSETS = {"half_pixel_symmetric": 19}


@cache
def session(coordinates: str, nearest: str | None, target: str) -> onnxruntime.InferenceSession:
    """ONNX Runtime on Resize of one image of one channel; mode linear where `nearest` is None."""
    infos = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, "h", "w"]),
        helper.make_tensor_value_info("t", TensorProto.INT64 if target == "sizes" else TensorProto.FLOAT, [4]),
    ]
    empty = [helper.make_tensor(name, TensorProto.FLOAT, [0], []) for name in ("roi", "none")]
    mode = {"mode": "linear"} if nearest is None else {"mode": "nearest", "nearest_mode": nearest}
    inputs = ["x", "roi", "t"] if target == "scales" else ["x", "roi", "none", "t"]
    node = helper.make_node("Resize", inputs, ["y"], coordinate_transformation_mode=coordinates, **mode)
    result = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    opset = helper.make_opsetid("", OPSETS.get(coordinates, 11))
    model = helper.make_model(helper.make_graph([node], "g", infos, result, empty), opset_imports=[opset])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def attributes(mode: str, coordinates: str, nearest: str, target: str, height: float, width: float) -> ResizeAttrs:
    sizes = (int(height), int(width)) if target == "sizes" else None
    return ResizeAttrs(mode, sizes, None if sizes else (height, width), coordinates, nearest)


def rows_by_onnx_runtime(
    coordinates: str, nearest: str, target: str, n: int, width: int, to: tuple[float, float]
) -> Array:
    x = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None], (n, width))[None, None]
    kind = np.int64 if target == "sizes" else np.float32
    y = session(coordinates, nearest, target).run(None, {"x": x, "t": np.array([1, 1, *to], kind)})[0]
    return np.asarray(y[0, 0, :, 0].astype(np.int64))


def rows_by_rule(coordinates: str, nearest: str, target: str, n: int, width: int, to: tuple[float, float]) -> Array:
    attrs = attributes("nearest", coordinates, nearest, target, *to)
    shape = infer_resize(Node("Resize", "r", (), (), attrs), [(1, 1, n, width)], {})[0]
    outs = (int(shape[2]), int(shape[3]))
    return nearest_index(attrs, source_coordinates(attrs, 0, (n, width), outs), n)


def disagreements(
    cases: list[tuple[str, str, str, int, int, tuple[float, float]]], other: Callable[..., Array]
) -> list:
    return [case for case in cases if not np.array_equal(rows_by_rule(*case), other(*case))]


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_nearest_takes_onnx_runtimes_elements_for_all_sizes(coordinates: str) -> None:
    # Every size and factor is among the cases of some rounding; all pairs of 1..128 and 1..256 agree, tried once.
    pairs = [(n, out) for n in range(1, 129) for out in range(1 + n % 7, 257, 7)]
    cases = [
        (coordinates, NEAREST[i % 4], "sizes", n, 3, (float(out), 3.0 + i % 2)) for i, (n, out) in enumerate(pairs)
    ]
    cases += [
        (coordinates, nearest, "scales", n, 5, (factor, width))
        for i, n in enumerate(range(1, 129))
        for j, factor in enumerate(FACTORS)
        for nearest in (NEAREST[(i + j) % 4],)
        for width in (1.0, 1.1, 1.5)[(i + j) % 3 :][:1]
        if int(np.float32(n) * np.float32(factor))
    ]
    assert disagreements(cases, rows_by_onnx_runtime) == []


def test_an_output_that_lies_on_an_input_takes_it_where_older_files_take_the_one_before() -> None:
    for n, out in ((14, 18), (20, 44), (18, 42), (21, 27)):
        new, old = (
            nearest_index(attrs, source_coordinates(attrs, 0, (n, 1), (out, 1)), n)
            for places in ("float32", "float64")
            for attrs in (ResizeAttrs("nearest", (out, 1), None, "asymmetric", "floor", places=places),)
        )
        at = int(np.flatnonzero(new != old)[0])
        assert at * n % out == 0
        assert (new[at], old[at]) == (at * n // out, at * n // out - 1)


def test_pytorchs_rule_differs_on_about_four_percent_of_size_pairs() -> None:
    def pytorch(coordinates: str, nearest: str, target: str, n: int, width: int, to: tuple[float, float]) -> Array:
        places = np.arange(int(to[0]), dtype=np.float32) * np.float32(n / to[0])
        return np.minimum(np.floor(places).astype(np.int64), n - 1)

    pairs = [(n, float(out)) for n in range(1, 129) for out in range(1, 257, 3)]
    cases = [("asymmetric", "floor", "sizes", n, 1, (out, 1.0)) for n, out in pairs]
    assert 0.03 < len(disagreements(cases, pytorch)) / len(cases) < 0.05


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("places", ["float32", "float64"])
def test_linear_differs_from_onnx_runtime_by_rounding_only(coordinates: str, places: str) -> None:
    worst = 0.0
    for n in (1, 2, 3, 7, 26, 56, 101, 128):
        x = normal(1, 1, n, n + 1, seed=n)
        for target, to in (("sizes", (37, 64)), ("sizes", (n, 2 * n)), ("scales", (1.3, 0.6)), ("scales", (2.0, 2.0))):
            attrs = attributes("linear", coordinates, "floor", target, *to)
            if target == "scales" and min(np.float32(to) * n) < 1:
                continue
            kind = np.int64 if target == "sizes" else np.float32
            want = session(coordinates, None, target).run(None, {"x": x, "t": np.array([1, 1, *to], kind)})[0]
            chosen = ResizeAttrs("linear", attrs.sizes, attrs.scales, coordinates, places=places)
            if want.shape[2:] == x.shape[2:] and places == "float64":
                continue  # ONNX Runtime copies an image whose sizes stay, whatever the scales
            got = evaluate("Resize", chosen, [x])
            worst = max(worst, float(np.abs(got - want).max() / np.abs(want).max()))
    assert worst < 1e-4


@pytest.mark.parametrize("places", ["float32", "float64"])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_engine_takes_the_oracles_places_by_both_rules(coordinates: str, places: str) -> None:
    affine = Affine(0.5, 3, Levels.of(255))
    for index, (n, target, to) in enumerate(
        [(26, "sizes", (37, 7)), (14, "sizes", (18, 14)), (8, "scales", (0.6, 4 / 3)), (5, "scales", (1.1, 1.0)),
         (56, "sizes", (4, 76)), (6, "sizes", (22, 58)), (1, "sizes", (1, 5)), (29, "scales", (1.3, 0.6)),
         (5, "scales", (1.1, 1.15))]
    ):  # fmt: skip
        for nearest in NEAREST:
            attrs = attributes("nearest", coordinates, nearest, target, *to)
            attrs = ResizeAttrs("nearest", attrs.sizes, attrs.scales, coordinates, nearest, places=places)
            x = np.random.default_rng(index).integers(-127, 128, (1, 2, n, n))
            check("Resize", attrs, [x], affines=[affine], output=affine)
        attrs = ResizeAttrs("linear", attrs.sizes, attrs.scales, coordinates, places=places)
        check("Resize", attrs, [normal(1, 2, n, n, seed=index)])


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_engine_mixes_levels_with_the_oracles_weights(coordinates: str) -> None:
    # The exact sums leave as float32, so a weight that is one 2048th off shows. From 2 to 4097 columns every second
    # place of align_corners is half a 2048th; the others have quarters, halves and edges.
    affine, rule = Affine(0.5, -3, Levels.of(255)), Requantize("dequantize")
    for shape, sizes in (((3, 2), (5, 4097)), ((4, 4), (2, 8)), ((2, 3), (1, 1)), ((5, 1), (9, 2))):
        x = np.random.default_rng(shape[0]).integers(-127, 128, (1, 3, *shape))
        attrs = ResizeAttrs("linear", sizes, coordinates=coordinates, requantize=rule)
        check("Resize", attrs, [x], affines=[affine], params={"multiplier": np.float32([2.0**-23])})


def test_linear_reads_nothing_behind_the_last_element() -> None:
    # The neighbour of the last row and column has weight 0, but 0 * NaN would tell that it was read.
    x = np.stack([np.float32([[[8.0, 4.0], [2.0, 1.0]]]), np.full((1, 2, 2), np.nan, np.float32)])
    for coordinates in COORDINATES:
        attrs = ResizeAttrs("linear", (4, 4), coordinates=coordinates)
        assert np.isfinite(evaluate("Resize", attrs, [x])[0]).all()
        check("Resize", attrs, [x])


def test_weights_half_way_between_two_2048ths_go_to_the_even_one() -> None:
    attrs = ResizeAttrs("linear", (1, 4097), coordinates="align_corners")
    places = source_coordinates(attrs, 1, (1, 2), (1, 4097))
    _, _, w0, w1 = bilinear_weights(places, 2)
    # At the last column, which is an input, the whole weight is on that input and its (repeated) neighbour.
    assert w1[:6].tolist() == [0, 0, 1, 2, 2, 2] and w1[4094:].tolist() == [2047, 2048, 0]
    assert np.array_equal(w0 + w1, np.full(4097, 2048))


def test_weights_of_linear_are_exact_where_places_are() -> None:
    # Quarters and halves of half_pixel, thirds of align_corners that end on the corners, edges that repeat.
    half = ResizeAttrs("linear", (4, 1))
    assert source_coordinates(half, 0, (2, 1), (4, 1)).tolist() == [-0.25, 0.25, 0.75, 1.25]
    assert evaluate("Resize", half, [np.float32([[[[8.0], [4.0]]]])]).ravel().tolist() == [8.0, 7.0, 5.0, 4.0]
    middle = ResizeAttrs("linear", (1, 3), coordinates="align_corners")
    assert evaluate("Resize", middle, [np.float32([[[[8.0, 4.0]]]])]).ravel().tolist() == [8.0, 6.0, 4.0]
    down = ResizeAttrs("linear", (1, 2))
    assert evaluate("Resize", down, [np.float32([[[[8.0, 4.0, 1.0, 0.0]]]])]).ravel().tolist() == [6.0, 0.5]
    corner = ResizeAttrs("linear", (1, 1), coordinates="align_corners")
    assert evaluate("Resize", corner, [np.float32([[[[8.0, 4.0]]]])]).ravel().tolist() == [8.0]
    edge = ResizeAttrs("linear", (1, 6), coordinates="asymmetric")
    assert evaluate("Resize", edge, [np.float32([[[[8.0, 4.0]]]])])[0, 0, 0, -2:].tolist() == [4.0, 4.0]


def test_tensorflows_old_nearest_coordinates_add_half_a_pixel() -> None:
    attrs = ResizeAttrs("nearest", sizes=(4, 4), coordinates="tf_half_pixel_for_nn", nearest="floor")
    assert nearest_index(attrs, source_coordinates(attrs, 0, (8, 8), (4, 4)), 8).tolist() == [1, 3, 5, 7]
    same = ResizeAttrs("nearest", sizes=(4, 4), coordinates="tf_half_pixel_for_nn", nearest="ceil")
    assert nearest_index(same, source_coordinates(same, 0, (4, 4), (4, 4)), 4).tolist() == [0, 1, 2, 3]


def test_imported_resizes_have_onnx_runtimes_rule() -> None:
    text = '<ir_version: 8, opset_import: ["": 13]> g (float[N,1,14,14] x) => (float[] y) { y = Resize(x, , s) }'
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([1, 1, 1.5, 1.5]), "s"))
    assert load_onnx(model).nodes[0].attrs.places == "float32"
