# SPDX-License-Identifier: Apache-2.0
"""The passes that stand next to the importer: batch normalization and constants are folded; nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import assert_close, expected, normal, operators, parse

from fewbins import oracle
from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Tensor
from fewbins.importers import load_onnx
from fewbins.ops import BinaryAttrs
from fewbins.passes import fold_batchnorm, fold_constants
from fewbins.passes.fold_pad import fold_pad


def statistics(channels: int) -> dict[str, np.ndarray]:
    return {
        "s": normal(channels, seed=1),
        "o": normal(channels, seed=2),
        "m": normal(channels, seed=3),
        "v": np.abs(normal(channels, seed=4)),
    }


def folded(body: str, shape: str, channels: int, **constants: np.ndarray) -> tuple[Graph, Graph]:
    model = parse(f"(float[{shape}] x) => (float[] y) {{ {body} }}", 15, {**statistics(channels), **constants})
    graph = load_onnx(model)
    return graph, fold_batchnorm(graph).validate()


BN = "y = BatchNormalization(a, s, o, m, v)"


@pytest.mark.parametrize(
    ("body", "shape", "constants"),
    [
        (f"a = Conv(x, w) {BN}", "N,4,5,5", {"w": normal(6, 4, 3, 3)}),
        (f"a = Conv(x, w, b) {BN}", "N,4,5,5", {"w": normal(6, 4, 3, 3), "b": normal(6)}),
        (f"a = Conv<group = 2>(x, w, b) {BN}", "N,4,5,5", {"w": normal(6, 2, 3, 3), "b": normal(6)}),
        (f"a = ConvTranspose<group = 2>(x, w, b) {BN}", "N,4,5,5", {"w": normal(4, 3, 2, 2), "b": normal(6)}),
        (f"a = Gemm<transB = 1>(x, w, b) {BN}", "N,4", {"w": normal(6, 4), "b": normal(6)}),
        (f"b = Conv(x, w) a = BatchNormalization(b, s, o, m, v) {BN}", "N,4,5,5", {"w": normal(6, 4, 3, 3)}),
    ],
)
def test_batch_normalization_goes_into_the_weights_before_it(body: str, shape: str, constants: dict) -> None:
    before, after = folded(body, shape, 6, **constants)
    assert len(after.nodes) == 1
    assert after.nodes[0].name == before.nodes[0].name
    x = normal(2, *(int(size) for size in shape.split(",")[1:]))
    assert_close(oracle.run(after, [x], trace=False), oracle.run(before, [x], trace=False), 1e-5, body)


@pytest.mark.parametrize(("shape", "ops"), [("N,4,5,5", ["Conv"]), ("N,4", ["mul", "add"]), ("N,4,7", ["mul", "add"])])
def test_a_standalone_batch_normalization_becomes_a_depthwise_convolution_or_a_product_and_a_sum(
    shape: str, ops: list[str]
) -> None:
    before, after = folded(f"a = Relu(x) {BN}", shape, 4)
    assert operators(after) == ["relu", *ops]
    x = normal(2, *(int(size) for size in shape.split(",")[1:]))
    assert_close(oracle.run(after, [x], trace=False), oracle.run(before, [x], trace=False), 1e-5, shape)


def test_batch_normalization_behind_a_convolution_that_others_read_stays_apart() -> None:
    before, after = folded(f"a = Conv(x, w) b = Relu(a) n = {BN[4:]} y = Add(n, b)", "N,4,5,5", 6, w=normal(6, 4, 3, 3))
    assert operators(after) == ["Conv", "relu", "Conv", "add"]
    assert after.nodes[2].attrs.groups == 6
    x = normal(2, 4, 5, 5)
    assert_close(oracle.run(after, [x], trace=False), oracle.run(before, [x], trace=False), 1e-5, "shared")


def test_batch_normalization_over_another_axis_than_the_bias_stays_apart() -> None:
    before, after = folded(f"a = MatMul(x, w) {BN}", "N,3,4", 3, w=normal(4, 5))
    assert operators(after) == ["Gemm", "mul", "add"]
    x = normal(2, 3, 4)
    assert_close(oracle.run(after, [x], trace=False), oracle.run(before, [x], trace=False), 1e-5, "axis")


def test_a_negative_variance_is_refused_by_name() -> None:
    text = f"(float[N,2,3,3] x) => (float[] y) {{ a = Relu(x) {BN} }}"
    numbers = {**statistics(2), "v": np.float32([1, -1])}
    with pytest.raises(GraphError, match="channel 1 has variance -1"):
        fold_batchnorm(load_onnx(parse(text, 15, numbers)))


def test_a_channel_that_folds_below_the_smallest_normal_number_becomes_zero() -> None:
    numbers = {
        **statistics(2),
        "s": np.float32([1e-37, 1]),
        "v": np.float32([1e6, 1]),
        "w": np.full((2, 1, 1, 1), 0.1, "f4"),
    }
    text = f"(float[N,1,3,3] x) => (float[] y) {{ a = Conv(x, w) {BN} }}"
    graph = fold_batchnorm(load_onnx(parse(text, 15, numbers)))
    weight = graph.constant(graph.nodes[0], "weight")
    assert weight.ravel()[0] == 0
    assert weight.ravel()[1] != 0


def test_constants_fold_through_a_chain_and_stop_at_the_input() -> None:
    c = Tensor.constant("c", normal(3))
    tensors = {
        t.name: t for t in (c, Tensor("x", ("N", 3)), Tensor("d", (3,)), Tensor("e", (3,)), Tensor("y", ("N", 3)))
    }
    nodes = (
        Node("Binary", "twice", ("c", "c"), ("d",), BinaryAttrs("add")),
        Node("Binary", "square", ("d", "d"), ("e",), BinaryAttrs("mul")),
        Node("Binary", "apply", ("x", "e"), ("y",), BinaryAttrs("sub")),
    )
    graph = fold_constants(Graph(nodes, tensors, ("x",), ("y",)).validate()).validate()
    assert [node.name for node in graph.nodes] == ["apply"]
    np.testing.assert_allclose(graph.tensors["e"].value, (2 * c.value) ** 2)


@pytest.mark.parametrize(
    ("body", "value"),
    [("y = Conv<strides = [2, 2]>(a, w)", 0), ("y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(a)", -np.inf)],
)
def test_a_pad_as_tensorflow_writes_it_goes_into_the_convolution_or_pool_behind_it(body: str, value: float) -> None:
    constants = {"w": normal(6, 4, 3, 3), "pads": np.int64([0, 0, 0, 0, 0, 0, 1, 1]), "value": np.float32(value)}
    model = parse(f"(float[N,4,6,6] x) => (float[] y) {{ a = Pad(x, pads, value) {body} }}", 13, constants)
    graph = fold_pad(load_onnx(model)).validate()
    assert len(graph.nodes) == 1
    x = normal(2, 4, 6, 6)
    assert_close(oracle.run(graph, [x], trace=False), expected(model, {"x": x}), 1e-5, body)
