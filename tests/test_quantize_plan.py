# SPDX-License-Identifier: Apache-2.0
"""Who works on integers, who shares a scale, which levels a tensor gets: docs/numerics.md, section 5, on small nets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import fewbins
from fewbins import oracle
from fewbins.graph import Graph, Node, Tensor
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    NormalizeAttrs,
    PadAttrs,
    PoolAttrs,
    PReluAttrs,
    ReduceAttrs,
    ReshapeAttrs,
    ResizeAttrs,
    SliceAttrs,
    SoftmaxAttrs,
    UnaryAttrs,
)
from fewbins.ops.infer import infer_shapes

RNG = np.random.default_rng(0)


def conv(x: str, y: str, weight: str = "w", residual: str | None = None, **attrs) -> Node:
    inputs = (x, residual) if residual else (x,)
    return Node("Conv", y, inputs, (y,), ConvAttrs(attrs.pop("kernel", (1, 1)), **attrs), {"weight": weight})


def node(op: str, inputs: tuple[str, ...], y: str, attrs, **params: str) -> Node:
    return Node(op, y, inputs, (y,), attrs, params)


def build(*nodes: Node, outputs: tuple[str, ...] = ("y",), batch: int | str = "n", **constants: np.ndarray) -> Graph:
    """A graph on the input "x" (n, 4, 8, 8); "w" is a weight (4, 4, 1, 1)."""
    constants = {"w": RNG.standard_normal((4, 4, 1, 1)), **constants}
    tensors = {name: Tensor.constant(name, np.asarray(value, np.float32)) for name, value in constants.items()}
    tensors["x"] = Tensor("x", (batch, 4, 8, 8))
    for one in nodes:
        tensors.update({name: Tensor(name, ()) for name in one.outputs})
    return infer_shapes(Graph(nodes, tensors, ("x",), outputs)).prune().validate()


def images(graph: Graph, count: int = 16) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, *graph.tensors["x"].shape[1:])).astype(np.float32)


def quantized(graph: Graph, scheme: str = "8bit", decibels: float = 25.0, **options) -> Graph:
    """The quantized graph, after a check that it computes nearly what the float graph does, oracle and engine alike."""
    x = images(graph)
    model = fewbins.quantize(graph, x, scheme=scheme, **options)
    want, got = oracle.run(graph, {"x": x}), oracle.run(model.graph, {"x": x})
    engine = fewbins.Session(model).run(x)
    engine = engine if isinstance(engine, Mapping) else {graph.outputs[0]: engine}
    for name in graph.outputs:
        noise = float(np.square(got[name] - want[name]).sum() / np.square(want[name]).sum())
        assert 10 * np.log10(noise + 1e-30) < -decibels, (name, noise)
        np.testing.assert_allclose(engine[name], got[name], rtol=1e-5, atol=1e-6)
    return model.graph


def ops(graph: Graph) -> list[str]:
    return [one.op for one in graph.nodes]


def affine(graph: Graph, name: str):
    found = graph.tensors[name].affine
    assert found is not None, f"{name} is float"
    return found


SIGMOID = UnaryAttrs("sigmoid")


def test_a_function_between_integer_layers_is_a_table_on_8bit_levels():
    graph = quantized(build(conv("x", "a"), node("Unary", ("a",), "b", SIGMOID), conv("b", "y")), "255x33")
    assert ops(graph) == ["Quantize", "Conv", "Table", "Conv"]
    assert affine(graph, "a").levels.bins == 256 and affine(graph, "b").levels.bins == 255


def test_a_function_before_an_output_stays_float():
    graph = quantized(build(conv("x", "a"), node("Unary", ("a",), "y", SIGMOID)))
    assert ops(graph) == ["Quantize", "Conv", "Unary"]
    assert graph.node("a").attrs.requantize.kind == "dequantize"


def test_squeeze_and_excite_is_integer_throughout():
    nodes = [
        conv("x", "a", clamp=(0.0, None)),
        node("Reduce", ("a",), "mean", ReduceAttrs("mean", (2, 3))),
        conv("mean", "s", clamp=(0.0, None)),
        conv("s", "t"),
        node("Unary", ("t",), "gate", UnaryAttrs("hard_sigmoid", alpha=0.2, beta=0.5)),
        node("Binary", ("a", "gate"), "b", BinaryAttrs("mul")),
        conv("b", "y"),
    ]
    graph = quantized(build(*nodes))
    assert ops(graph) == ["Quantize", "Conv", "Reduce", "Conv", "Conv", "Table", "Binary", "Conv"]


def test_pooled_sliced_and_concatenated_tensors_share_one_scale():
    nodes = [
        conv("x", "a", clamp=(0.0, None)),
        conv("x", "b"),
        node("MaxPool", ("a",), "p", PoolAttrs((2, 2), (2, 2))),
        node("Slice", ("b",), "s", SliceAttrs((0, 0), (4, 4), (2, 3), (1, 1))),
        node("Concat", ("p", "s"), "c", ConcatAttrs(1)),
        conv("c", "y", "v"),
    ]
    graph = quantized(build(*nodes, v=RNG.standard_normal((4, 8, 1, 1))), decibels=20.0)
    assert len({affine(graph, name) for name in "abpsc"}) == 1
    clamp = graph.node("a").attrs.requantize
    assert clamp.lo == affine(graph, "a").zero_point > affine(graph, "a").levels.lo


def test_a_group_takes_the_most_bins_that_a_layer_asks_for_and_others_read_them_if_they_can():
    nodes = [conv("x", "a"), conv("a", "b"), conv("a", "c"), node("Binary", ("b", "c"), "y", BinaryAttrs("add"))]
    graph = quantized(build(*nodes), "8bit,b=255x33,c=23x23", decibels=15.0)
    assert affine(graph, "a").levels.bins == 255  # 127 * 11 is below 4095: c reads them
    assert "Requantize" not in ops(graph)


def test_a_layer_that_cannot_read_its_input_gets_a_requantize_node():
    nodes = [conv("x", "a"), conv("a", "b"), conv("a", "c"), node("Binary", ("b", "c"), "y", BinaryAttrs("add"))]
    graph = quantized(build(*nodes), "8bit,c=63x127", decibels=15.0)
    assert affine(graph, "a").levels.bins == 256
    adapter = next(one for one in graph.nodes if one.op == "Requantize")
    assert adapter.inputs == ("a",) and graph.node("c").inputs[0] == adapter.output
    assert affine(graph, adapter.output).levels.bins == 63


def test_a_layer_that_cannot_read_the_quantized_input_reads_the_input_itself():
    nodes = [conv("x", "b"), conv("x", "c"), node("Binary", ("b", "c"), "y", BinaryAttrs("add"))]
    graph = quantized(build(*nodes), "8bit,c=63x127", decibels=15.0)
    assert ops(graph).count("Quantize") == 2 and "Requantize" not in ops(graph)


def test_float_layers_read_and_write_float():
    graph = quantized(build(conv("x", "a"), conv("a", "b"), conv("b", "y")), "8bit,b=float")
    assert graph.node("a").attrs.requantize.kind == "dequantize"
    assert graph.node("b").attrs.requantize is None and ops(graph) == ["Quantize", "Conv", "Conv", "Quantize", "Conv"]


def test_elementwise_nodes_in_front_of_the_first_layer_stay_float():
    nodes = [node("Binary", ("x", "k"), "n", BinaryAttrs("mul")), conv("n", "y")]
    graph = quantized(build(*nodes, k=np.float32([0.5, 1, 2, 3]).reshape(4, 1, 1)))
    assert ops(graph) == ["Binary", "Quantize", "Conv"]


def test_moves_in_front_of_the_first_layer_move_bytes():
    graph = quantized(build(node("Pad", ("x",), "p", PadAttrs((0, 0, 1, 1, 0, 0, 1, 1), "reflect")), conv("p", "y")))
    assert ops(graph) == ["Quantize", "Pad", "Conv"]


def test_moves_behind_the_last_layer_move_floats():
    graph = quantized(build(conv("x", "a"), node("Reshape", ("a",), "y", ReshapeAttrs((0, -1)))))
    assert ops(graph) == ["Quantize", "Conv", "Reshape"]
    assert graph.tensors["a"].dtype == "float32"


def test_a_residual_that_ends_in_an_output_is_added_in_float():
    nodes = [conv("x", "a", clamp=(0.0, None)), conv("a", "b"), node("Binary", ("b", "a"), "y", BinaryAttrs("add"))]
    graph = quantized(build(*nodes))
    last = graph.nodes[-1]
    assert last.attrs.requantize.kind == "dequantize" and graph.tensors[last.inputs[1]].dtype == "float32"


def test_an_output_in_the_middle_exists_in_both_forms():
    graph = quantized(build(conv("x", "a"), conv("a", "y"), outputs=("a", "y")))
    assert "Dequantize" in ops(graph) and graph.tensors["a"].dtype == "float32"
    assert graph.node("y").inputs == ("a/levels",)


def test_softmax_is_float_between_conversions():
    graph = quantized(build(conv("x", "a"), node("Softmax", ("a",), "b", SoftmaxAttrs(1)), conv("b", "y")))
    assert ops(graph) == ["Quantize", "Conv", "Softmax", "Quantize", "Conv"]


def test_a_normalization_between_layers_is_float_and_what_is_around_it_integer():
    """As in ConvNeXt: the layer in front writes float32, and the next reads what a Quantize makes of the result."""
    nodes = [
        conv("x", "a"),
        node("Normalize", ("a",), "b", NormalizeAttrs((1,))),
        conv("b", "c"),
        node("Unary", ("c",), "d", UnaryAttrs("gelu")),
        conv("d", "e"),
        node("Binary", ("e", "a"), "y", BinaryAttrs("add")),
    ]
    graph = quantized(build(*nodes))
    assert ops(graph) == ["Quantize", "Conv", "Normalize", "Quantize", "Conv", "Table", "Conv"]
    assert graph.node("a").attrs.requantize.kind == "dequantize"


def test_the_mean_of_squares_is_not_taken_of_squares_in_few_levels():
    """Squares rounded to levels lose what is small, and the mean of many small ones with it."""
    nodes = [
        conv("x", "a", clamp=(0.0, None)),
        node("Binary", ("a", "a"), "q", BinaryAttrs("mul")),
        node("Reduce", ("q",), "m", ReduceAttrs("mean", (1, 2, 3))),
        node("Binary", ("a", "m"), "b", BinaryAttrs("div")),
        conv("b", "y"),
    ]
    graph = quantized(build(*nodes))
    assert graph.tensors["q"].dtype == graph.tensors["m"].dtype == "float32"


def test_a_constant_factor_per_channel_is_a_requantization():
    nodes = [
        conv("x", "a", clamp=(0.0, None)),
        node("Binary", ("a", "k"), "b", BinaryAttrs("mul")),
        conv("b", "y"),
    ]
    graph = quantized(build(*nodes, k=np.float32([0.5, -1, 2, 3]).reshape(4, 1, 1)))
    requantize = next(one for one in graph.nodes if one.op == "Requantize")
    assert graph.constant(requantize, "multiplier").shape == (4,)


@pytest.mark.parametrize("function", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("first", [False, True])
def test_constants_that_vary_over_the_picture_become_levels(function, first):
    if first and function == "div":
        return  # a constant over a tensor is float arithmetic
    operands = ("k", "a") if first else ("a", "k")
    nodes = [conv("x", "a", clamp=(0.0, None)), node("Binary", operands, "b", BinaryAttrs(function)), conv("b", "y")]
    graph = quantized(build(*nodes, k=RNG.uniform(0.5, 2, (1, 1, 8, 8))))
    binary = next(one for one in graph.nodes if one.op == "Binary")
    assert any(graph.tensors[name].is_constant and graph.tensors[name].dtype == "levels" for name in binary.inputs)


@pytest.mark.parametrize("scheme", ["8bit", "8bit:fixed", "8bit:shift"])
@pytest.mark.parametrize("kind", ["leaky", "prelu", "clip", "resize", "pool", "max"])
def test_piecewise_linear_nodes_that_stand_alone_work_on_levels(scheme, kind):
    between = {
        "leaky": node("Unary", ("p",), "b", UnaryAttrs("leaky_relu", alpha=0.1)),
        "prelu": node("PRelu", ("p",), "b", PReluAttrs(), slope="s"),
        "clip": node("Unary", ("p",), "b", UnaryAttrs("clip", lo=-0.5, hi=1.0)),
        "resize": node("Resize", ("p",), "b", ResizeAttrs("linear", scales=(2.0, 2.0))),
        "pool": node("AveragePool", ("p",), "b", PoolAttrs((3, 3), (2, 2), (1, 1, 1, 1))),
        "max": node("Binary", ("p", "k"), "b", BinaryAttrs("max")),
    }[kind]
    nodes = [conv("x", "a"), node("MaxPool", ("a",), "p", PoolAttrs((2, 2))), between, conv("b", "y")]
    graph = quantized(build(*nodes, s=np.float32([0.1, 0.2, 0.3, 0.4]), k=np.float32([0.25])), scheme)
    assert not any(one.op in ("Unary", "PRelu", "Dequantize") for one in graph.nodes)
    assert ops(graph).count("Quantize") == 1


def test_constants_join_the_range_of_what_they_are_concatenated_with():
    nodes = [conv("x", "a"), node("Concat", ("a", "k"), "c", ConcatAttrs(2)), conv("c", "y")]
    graph = build(*nodes, k=np.full((1, 4, 1, 8), 100.0), batch=1)
    model = fewbins.quantize(graph, images(graph))
    top = affine(model.graph, "c")
    assert float(top.scale) * (top.levels.hi - top.zero_point) > 90
    constant = model.graph.tensors[model.graph.node("c").inputs[1]]
    assert constant.dtype == "levels" and constant.affine == top


def test_a_slice_of_quiet_channels_becomes_a_layer_with_its_own_scale():
    weight = RNG.standard_normal((4, 4, 1, 1))
    weight[1:] *= 0.01
    nodes = [
        conv("x", "a", "loud", clamp=(0.0, None)),
        node("Slice", ("a",), "s", SliceAttrs((1,), (4,), (1,), (1,))),
        conv("s", "y", "v"),
        node("AveragePool", ("a",), "z", PoolAttrs((8, 8))),
    ]
    graph = build(*nodes, loud=weight, v=RNG.standard_normal((4, 3, 1, 1)), outputs=("y", "z"))
    result = quantized(graph)
    assert "Slice" not in ops(result) and result.node("s").op == "Conv"
    assert float(affine(result, "s").scale) < 0.1 * float(affine(result, "a").scale)


def test_first_and_last_are_found_past_residuals():
    nodes = [
        conv("x", "a"),
        conv("a", "b"),
        node("Binary", ("b", "a"), "c", BinaryAttrs("add")),
        conv("c", "y"),
    ]
    graph = quantized(build(*nodes), "23x23,first=8bit,last=8bit", decibels=5.0)
    bins = {one.name: affine(graph, one.params["weight"]).levels.bins for one in graph.nodes if one.op == "Conv"}
    assert bins == {"a": 255, "b": 23, "y": 255}


def test_u4_reads_levels_from_zero_to_fifteen_only():
    graph = quantized(build(conv("x", "a"), conv("a", "b"), conv("b", "y")), "8bit,b=u4", decibels=5.0)
    weight = graph.tensors[graph.node("b").params["weight"]]
    assert weight.dtype == "uint8" and affine(graph, "a").levels.lo == 0 and affine(graph, "a").levels.hi == 15


def test_lut4_stores_indices_into_one_table_per_layer():
    graph = quantized(build(conv("x", "a"), conv("a", "y")), "lut4", decibels=10.0)
    layer = graph.node("a")
    assert graph.constant(layer, "weight").max() <= 15
    table = graph.constant(layer, "weight_table")
    assert table.dtype == np.int8 and table.shape == (16,) and (np.diff(table) > 0).all()


def test_weight_only_schemes_need_no_images():
    graph = build(conv("x", "a"), conv("a", "y"))
    model = fewbins.quantize(graph, scheme="w255")
    x = images(graph)
    want = oracle.run(graph, {"x": x})["y"]
    np.testing.assert_allclose(fewbins.Session(model).run(x), want, atol=0.02 * np.abs(want).max())
    assert model.graph.tensors[model.graph.node("a").params["weight"]].dtype == "int8"


def test_a_fixed_batch_takes_images_in_that_many():
    fixed = build(conv("x", "y"), batch=4)
    x = images(fixed)
    model = fewbins.quantize(fixed, x)
    assert fewbins.Session(model).run(x[:4]).shape == (4, 4, 8, 8)
    with pytest.raises(fewbins.CalibrationError, match="batches of exactly 4"):
        fewbins.quantize(fixed, x[:6])
