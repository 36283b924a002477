# SPDX-License-Identifier: Apache-2.0
"""The oracle walks whole graphs, float and quantized."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from fewbins import oracle
from fewbins.errors import GraphError, ShapeError
from fewbins.graph import Graph, Node, Tensor
from fewbins.levels import Levels
from fewbins.numerics import Affine
from fewbins.ops import (
    BinaryAttrs,
    ConvAttrs,
    DequantizeAttrs,
    QuantizeAttrs,
    Requantize,
    UnaryAttrs,
    infer_shapes,
)

S8 = Levels.of(256)


def quantized_graph() -> Graph:
    """X -> Quantize -> 1x1 Conv -> Add a constant of levels -> Dequantize -> y."""
    affine = Affine(0.5, 1, S8)
    tensors = {
        "x": Tensor("x", ("batch", 1, "height", 2)),
        "q": Tensor("q", (), "levels", affine),
        "c": Tensor("c", (), "levels", affine),
        "s": Tensor("s", (), "levels", affine),
        "y": Tensor("y", ()),
        "k": Tensor.constant("k", np.uint8([[[[129 + 4]]]]), dtype="levels", affine=affine),  # q - z = 4
        "w": Tensor.constant("w", np.int8([[[[3]]], [[[-2]]]])),
        "b": Tensor.constant("b", np.int32([1, 0])),
        "half": Tensor.constant("half", np.float32([0.5])),
        "one": Tensor.constant("one", np.float32([1.0])),
    }
    rule = Requantize("float", -128, 127)
    nodes = (
        Node("Quantize", "quantize", ("x",), ("q",), QuantizeAttrs()),
        Node("Conv", "conv", ("q",), ("c",), ConvAttrs((1, 1), requantize=rule),
             {"weight": "w", "bias": "b", "multiplier": "half"}),
        Node("Binary", "add", ("c", "k"), ("s",), BinaryAttrs("add", requantize=rule),
             {"multiplier": "one", "residual_multiplier": "half"}),
        Node("Dequantize", "dequantize", ("s",), ("y",), DequantizeAttrs()),
    )  # fmt: skip
    return infer_shapes(Graph(nodes, tensors, ("x",), ("y",), "tiny"))


X = np.float32([[[[1.0, -1.0]]]])  # steps 2 and -2 of 0.5


def test_a_quantized_graph_gives_the_numbers_worked_out_by_hand() -> None:
    values = oracle.run(quantized_graph(), {"x": X})
    assert values["q"].tolist() == [[[[3, -1]]]]
    # 1 + 3 * [2, -2] = [7, -5] -> [3.5, -2.5] -> [4, -2]; -2 * [2, -2] = [-4, 4] -> [-2, 2]; z = 1
    assert values["c"].tolist() == [[[[5, -1]], [[-1, 3]]]]
    # plus 4 / 2
    assert values["s"].tolist() == [[[[7, 1]], [[1, 5]]]]
    assert values["y"].tolist() == [[[[3.0, 0.0]], [[0.0, 2.0]]]]
    assert {name: value.dtype for name, value in values.items()} == {
        "x": np.float32, "q": np.int32, "c": np.int32, "s": np.int32, "y": np.float32,
    }  # fmt: skip


def test_without_trace_only_the_outputs_come_back() -> None:
    assert set(oracle.run(quantized_graph(), [X], trace=False)) == {"y"}


def test_until_stops_behind_a_tensor() -> None:
    assert set(oracle.run(quantized_graph(), [X], until="c")) == {"x", "q", "c"}
    assert set(oracle.run(quantized_graph(), [X], until="c", trace=False)) == {"c"}
    assert set(oracle.run(quantized_graph(), [X], until="x", trace=False)) == {"x"}
    with pytest.raises(GraphError, match="'z' is no activation"):
        oracle.run(quantized_graph(), [X], until="z")


def test_a_node_runs_on_given_values() -> None:
    graph = quantized_graph()
    values = oracle.run(graph, [X])
    for node in graph.nodes:
        by_slot = oracle.run_node(graph, node, [oracle.value_of(graph, name, values) for name in node.inputs])
        by_name = oracle.run_node(graph, node, values)
        assert np.array_equal(by_slot[0], values[node.output]) and np.array_equal(by_name[0], values[node.output])


@pytest.mark.parametrize(
    ("name", "attrs", "message"),
    [
        ("conv", ConvAttrs((1, 1)), "'q' holds levels; it must hold float32"),
        ("conv", ConvAttrs((1, 1), requantize=Requantize("dequantize")), "'c' holds levels; it must hold float32"),
        ("add", BinaryAttrs("add", requantize=Requantize("dequantize")), "'k' holds levels; it must hold float32"),
    ],
)
def test_levels_where_floats_belong_are_refused(name: str, attrs: Any, message: str) -> None:
    graph = quantized_graph()
    values = oracle.run(graph, [X])
    with pytest.raises(ShapeError, match=f"node '{name}' .*{message}"):
        oracle.run_node(graph, graph.node(name).with_(attrs=attrs), values)


def test_a_missing_constant_of_the_requantization_is_named() -> None:
    graph = quantized_graph()
    conv = graph.node("conv").with_(attrs=ConvAttrs((1, 1), requantize=Requantize("fixed", -128, 127)))
    with pytest.raises(GraphError, match=r"node 'conv' .* has no 'exponent'"):
        oracle.run_node(graph, conv, oracle.run(graph, [X]))


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(GraphError, match=r"node 'n' \(LSTM\)"):
        oracle.run_node(quantized_graph(), Node("LSTM", "n", (), (), None), [])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "1 inputs \\(x\\), not 0"),
        ({"z": X}, "\\['z'\\] must be exactly \\['x'\\]"),
        ([X.astype(np.float64)], "dtype float64"),
        ([X[0]], "shape \\(1, 1, 2\\)"),
        ([np.concatenate([X, X], axis=3)], "takes \\(batch, 1, height, 2\\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        oracle.run(quantized_graph(), inputs)


def test_equal_symbols_are_equal_sizes_but_unknown_ones_are_free() -> None:
    tensors = {name: Tensor(name, ("n", "?")) for name in ("a", "b")}
    node = Node("Unary", "abs", ("a",), ("y",), UnaryAttrs("abs"))
    graph = infer_shapes(Graph((node,), tensors, ("a", "b"), ("y",)))
    a = np.zeros((2, 3), np.float32)
    assert oracle.run(graph, [a, np.zeros((2, 5), np.float32)])["y"].shape == (2, 3)
    with pytest.raises(ShapeError, match=r"input 'b' has shape \(3, 3\); the graph takes \(n, \?\) with n=2"):
        oracle.run(graph, [a, np.zeros((3, 3), np.float32)])


def test_a_deep_layer_takes_no_minutes(rng: np.random.Generator) -> None:
    """64 to 64 channels, 3x3, on 7 images of 56x56: 0.8 billion products, in float matrix products that stay exact."""
    weight = rng.integers(-127, 128, (64, 64, 3, 3)).astype(np.int8)
    affine = Affine(1.0, 0, S8)
    tensors = {
        "x": Tensor("x", (7, 64, 56, 56), "levels", affine),
        "y": Tensor("y", (7, 64, 56, 56)),
        "w": Tensor.constant("w", weight),
        "b": Tensor.constant("b", np.zeros(64, np.int32)),
        "m": Tensor.constant("m", np.float32([1.0])),
    }
    attrs = ConvAttrs((3, 3), pads=(1, 1, 1, 1), requantize=Requantize("dequantize"))
    node = Node("Conv", "conv", ("x",), ("y",), attrs, {"weight": "w", "bias": "b", "multiplier": "m"})
    x = rng.integers(-128, 128, (7, 64, 56, 56)).astype(np.int32)
    start = time.perf_counter()
    y = oracle.run_node(Graph((node,), tensors, ("x",), ("y",)), node, [x])[0]
    assert time.perf_counter() - start < 20
    assert y[3, 5, 20, 30] == np.sum(x[3, :, 19:22, 29:32].astype(np.int64) * weight[5])
