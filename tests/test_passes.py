# SPDX-License-Identifier: Apache-2.0
"""Passes on float graphs: each changes the nodes it should, leaves the others, and never the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fewbins import oracle
from fewbins.graph import Graph, Node, Tensor
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    ConvTransposeAttrs,
    GemmAttrs,
    NormalizeAttrs,
    PadAttrs,
    PoolAttrs,
    PReluAttrs,
    ReduceAttrs,
    SliceAttrs,
    SoftmaxAttrs,
    TransposeAttrs,
    UnaryAttrs,
)
from fewbins.ops.infer import infer_shapes
from fewbins.passes.channels_first import TO_FIRST, TO_LAST, keep_channels_first
from fewbins.passes.fold_pad import fold_pad
from fewbins.passes.fold_scale import channel_rows, fold_scale, weight_of_rows
from fewbins.passes.fuse_activation import fuse_activation
from fewbins.passes.fuse_residual import fuse_residual
from fewbins.passes.share_scales import share_scales
from fewbins.passes.slice_weights import can_slice_weights, slice_weights

RNG = np.random.default_rng(0)
END = 2**62


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def build(*nodes: Node, shape=("n", 3, 6, 6), outputs: tuple[str, ...] = ("y",), **constants: np.ndarray) -> Graph:
    """A graph of nodes on the input "x"."""
    tensors = {name: Tensor.constant(name, np.asarray(value, np.float32)) for name, value in constants.items()}
    tensors["x"] = Tensor("x", shape)
    for node in nodes:
        tensors.update({name: Tensor(name, ()) for name in node.outputs})
    return infer_shapes(Graph(nodes, tensors, ("x",), outputs)).validate()


def conv(x: str, y: str, weight: str = "w", bias: str | None = None, **attrs) -> Node:
    params = {"weight": weight} | ({"bias": bias} if bias else {})
    return Node("Conv", f"conv_{y}", (x,), (y,), ConvAttrs(attrs.pop("kernel", (3, 3)), **attrs), params)


def unary(x: str, y: str, function: str, **attrs) -> Node:
    return Node("Unary", f"{function}_{y}", (x,), (y,), UnaryAttrs(function, **attrs))


def binary(a: str, b: str, y: str, function: str) -> Node:
    return Node("Binary", f"{function}_{y}", (a, b), (y,), BinaryAttrs(function))


def run(graph: Graph, x: np.ndarray) -> list[np.ndarray]:
    found = oracle.run(graph, {"x": x})
    return [found[name] for name in graph.outputs]


def unchanged(before: Graph, after: Graph) -> None:
    """The two graphs give the same numbers, up to the rounding of folded weights."""
    shape = [n if isinstance(n, int) else 2 for n in before.tensors["x"].shape]
    x = normal(*shape)
    for want, got in zip(run(before, x), run(after, x), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * max(1.0, np.abs(want).max()))


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize(
    ("function", "attrs", "clamp"),
    [("relu", {}, (0.0, None)), ("clip", {"lo": 0.0, "hi": 0.5}, (0.0, 0.5)), ("clip", {"hi": 0.2}, (None, 0.2))],
)
def test_a_clamp_goes_into_the_convolution_before_it(function, attrs, clamp):
    graph = build(conv("x", "t"), unary("t", "y", function, **attrs), w=normal(4, 3, 3, 3))
    fused = fuse_activation(graph)
    assert ops(fused) == ["Conv"] and fused.nodes[0].attrs.clamp == clamp and fused.nodes[0].name == "conv_t"
    unchanged(graph, fused)


def test_two_clamps_in_a_row_become_one():
    nodes = [conv("x", "a"), unary("a", "b", "clip", lo=-1.0, hi=0.3), unary("b", "y", "clip", lo=0.5, hi=2.0)]
    graph = build(*nodes, w=normal(4, 3, 3, 3))
    fused = fuse_activation(graph)
    assert fused.nodes[0].attrs.clamp == (0.5, 0.5)
    unchanged(graph, fused)


@pytest.mark.parametrize("slope", [normal(4), normal(1), normal(4, 1, 1)])
def test_a_leaky_activation_becomes_the_slope_of_its_layer(slope):
    prelu = Node("PRelu", "act", ("t",), ("y",), PReluAttrs(), {"slope": "s"})
    graph = build(conv("x", "t"), prelu, w=normal(4, 3, 3, 3), s=slope.reshape(-1))
    fused = fuse_activation(graph)
    assert ops(fused) == ["Conv"] and fused.constant(fused.nodes[0], "slope").ndim == 1
    unchanged(graph, fused)
    leaky = build(conv("x", "t"), unary("t", "y", "leaky_relu", alpha=0.1), w=normal(4, 3, 3, 3))
    assert ops(fuse_activation(leaky)) == ["Conv"]
    unchanged(leaky, fuse_activation(leaky))


def test_an_activation_stays_where_something_else_reads_the_layer_or_it_is_an_output():
    nodes = [conv("x", "t"), unary("t", "a", "relu"), binary("a", "t", "y", "add")]
    assert "Unary" in ops(fuse_activation(build(*nodes, w=normal(4, 3, 3, 3))))
    graph = build(conv("x", "t"), unary("t", "y", "relu"), w=normal(4, 3, 3, 3), outputs=("t", "y"))
    assert ops(fuse_activation(graph)) == ["Conv", "Unary"]


def test_a_sigmoid_does_not_fuse():
    graph = build(conv("x", "t"), unary("t", "y", "sigmoid"), w=normal(4, 3, 3, 3))
    assert ops(fuse_activation(graph)) == ["Conv", "Unary"]


def test_a_residual_block_becomes_two_convolutions():
    nodes = [
        conv("x", "a", pads=(1, 1, 1, 1)), unary("a", "b", "relu"),
        conv("b", "c", pads=(1, 1, 1, 1)), binary("c", "x", "d", "add"), unary("d", "y", "relu"),
    ]  # fmt: skip
    graph = build(*nodes, w=normal(3, 3, 3, 3))
    fused = fuse_activation(fuse_residual(fuse_activation(graph)))
    assert ops(fused) == ["Conv", "Conv"]
    last = fused.nodes[-1]
    assert last.inputs == ("b", "x") and last.attrs.clamp == (0.0, None) and last.output == "y"
    unchanged(graph, fused)


def test_of_two_convolutions_that_are_added_the_later_takes_the_sum():
    nodes = [conv("x", "short", "v"), conv("x", "main"), binary("short", "main", "y", "add")]
    graph = build(*nodes, w=normal(4, 3, 3, 3), v=normal(4, 3, 3, 3))
    fused = fuse_residual(graph)
    assert [node.name for node in fused.nodes] == ["conv_short", "conv_main"]
    assert fused.nodes[1].inputs == ("x", "short")
    unchanged(graph, fused)


def test_an_addition_that_broadcasts_is_no_residual():
    nodes = [conv("x", "a"), conv("x", "b", "v", kernel=(6, 6)), binary("a", "b", "y", "add")]
    graph = build(*nodes, w=normal(4, 3, 3, 3), v=normal(4, 3, 6, 6))
    assert ops(fuse_residual(graph)) == ["Conv", "Conv", "Binary"]


def test_a_sum_with_itself_and_a_layer_with_an_activation_are_no_residuals():
    doubled = build(conv("x", "a"), binary("a", "a", "y", "add"), w=normal(4, 3, 3, 3))
    assert ops(fuse_residual(doubled)) == ["Conv", "Binary"]
    nodes = [conv("x", "a", pads=(1, 1, 1, 1)), unary("a", "b", "relu"), binary("b", "x", "y", "add")]
    graph = fuse_activation(build(*nodes, w=normal(3, 3, 3, 3)))
    assert ops(graph) == ops(fuse_residual(graph)) == ["Conv", "Binary"]


def pad(x: str, y: str, pads: tuple[int, ...], value: float = 0.0) -> Node:
    return Node("Pad", f"pad_{y}", (x,), (y,), PadAttrs(pads, value=value))


def test_zeros_around_a_convolution_become_its_pads():
    graph = build(pad("x", "t", (0, 0, 1, 0, 0, 0, 2, 1)), conv("t", "y", pads=(0, 1, 0, 0)), w=normal(4, 3, 3, 3))
    folded = fold_pad(graph)
    assert ops(folded) == ["Conv"] and folded.nodes[0].attrs.pads == (1, 1, 2, 1)
    unchanged(graph, folded)


@pytest.mark.parametrize(
    ("pads", "value"),
    [((0, 0, 1, 1, 0, 0, 1, 1), 0.5), ((0, 1, 0, 0, 0, 0, 0, 0), 0.0), ((0, 0, -1, 0, 0, 0, 0, 0), 0.0)],
    ids=["a value", "channels", "a crop"],
)
def test_other_pads_stay(pads, value):
    graph = build(pad("x", "t", pads, value), conv("t", "y"), w=normal(4, 3 + pads[1], 3, 3))
    assert ops(fold_pad(graph)) == ["Pad", "Conv"]


def test_a_pad_of_minus_infinity_goes_into_a_max_pool_and_zero_does_not():
    pool = Node("MaxPool", "pool", ("t",), ("y",), PoolAttrs((2, 2)))
    graph = build(pad("x", "t", (0, 0, 1, 0, 0, 0, 0, 1), -np.inf), pool)
    assert ops(fold_pad(graph)) == ["MaxPool"]
    unchanged(graph, fold_pad(graph))
    assert ops(fold_pad(build(pad("x", "t", (0, 0, 1, 0, 0, 0, 0, 1)), pool))) == ["Pad", "MaxPool"]


@pytest.mark.parametrize("function", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("constant", [np.float32([1.7]), normal(4, 1, 1), normal(1, 4, 1, 1)])
@pytest.mark.parametrize("first", [False, True])
def test_a_constant_per_channel_folds_into_the_layer_before(function, constant, first):
    operands = ("k", "t") if first else ("t", "k")
    graph = build(
        conv("x", "t", bias="b"), binary(*operands, "y", function), w=normal(4, 3, 3, 3), b=normal(4), k=constant
    )
    folded = fold_scale(graph)
    # A constant over the layer is no linear function of it.
    assert ops(folded) == (["Conv", "Binary"] if first and function == "div" else ["Conv"])
    if not (first and function == "div"):
        unchanged(graph, folded)


def test_a_constant_that_varies_over_the_picture_stays():
    graph = build(conv("x", "t"), binary("t", "k", "y", "mul"), w=normal(4, 3, 3, 3), k=normal(1, 1, 4, 4))
    assert ops(fold_scale(graph)) == ["Conv", "Binary"]


def test_constants_fold_into_grouped_transposed_convolutions_and_linear_layers():
    attrs = ConvTransposeAttrs((2, 2), strides=(2, 2), groups=2)
    up = Node("ConvTranspose", "up", ("x",), ("t",), attrs, {"weight": "w"})
    graph = build(up, binary("t", "k", "y", "mul"), shape=("n", 4, 3, 3), w=normal(4, 3, 2, 2), k=normal(6, 1, 1))
    assert ops(fold_scale(graph)) == ["ConvTranspose"]
    unchanged(graph, fold_scale(graph))
    gemm = Node("Gemm", "fc", ("x",), ("t",), GemmAttrs(), {"weight": "w"})
    linear = build(gemm, binary("t", "k", "y", "add"), shape=("n", 5), w=normal(7, 5), k=normal(7))
    assert ops(fold_scale(linear)) == ["Gemm"]
    unchanged(linear, fold_scale(linear))


def test_rows_of_a_grouped_transposed_convolution_go_there_and_back():
    node = Node("ConvTranspose", "up", ("x",), ("y",), ConvTransposeAttrs((2, 1), groups=2))
    weight = normal(4, 3, 2, 1)
    rows = channel_rows(node, weight)
    assert rows.shape == (6, 4)
    np.testing.assert_array_equal(rows[4], weight[2:, 1].ravel())  # group 1, its channel 1: inputs 2 and 3
    np.testing.assert_array_equal(weight_of_rows(node, rows, weight.shape), weight)


def cut(start: int, end: int, step: int, axis: int = 1) -> Node:
    return Node("Slice", "cut", ("t",), ("y",), SliceAttrs((start,), (end,), (axis,), (step,)))


@pytest.mark.parametrize("part", [(0, END, 4), (1, 3, 1), (-3, END, 1), (-1, -END, -2), (5, 1, -1)])
def test_a_slice_of_channels_becomes_a_convolution_of_its_own(part):
    nodes = [conv("x", "t", bias="b", clamp=(0.0, None)), cut(*part)]
    graph = build(*nodes, w=normal(8, 3, 3, 3), b=normal(8), outputs=("t", "y"))
    assert can_slice_weights(graph, graph.node("cut"))
    sliced = slice_weights(graph, {"cut"})
    assert ops(sliced) == ["Conv", "Conv"] and sliced.node("cut").inputs == ("x",)
    unchanged(graph, sliced)


def test_other_slices_are_left_alone():
    rows = build(conv("x", "t"), cut(0, 2, 1, axis=2), w=normal(4, 3, 3, 3))
    assert not can_slice_weights(rows, rows.node("cut"))
    grouped = build(conv("x", "t", groups=3), cut(0, 2, 1), w=normal(3, 1, 3, 3))
    assert not can_slice_weights(grouped, grouped.node("cut"))
    assert ops(slice_weights(grouped, {"cut"})) == ["Conv", "Slice"]


def test_what_moves_or_picks_values_shares_a_scale_and_what_computes_does_not():
    pool = Node("MaxPool", "pool", ("a",), ("p",), PoolAttrs((2, 2)))
    crop = cut(0, END, 2).with_(inputs=("p",), outputs=("q",))
    graph = build(conv("x", "a", pads=(1, 1, 1, 1)), pool, crop, w=normal(3, 3, 3, 3), outputs=("q",))
    groups = share_scales(graph, graph.nodes)
    assert groups["a"] == groups["p"] == groups["q"] and "x" not in groups


def turned(*nodes: Node, back: bool = True, **options) -> Graph:
    """The nodes from "a" to "b" on the input with its channels last, turned back at the end."""
    end = (Node("Transpose", "back", ("b",), ("y",), TransposeAttrs(TO_FIRST)),) if back else ()
    return build(Node("Transpose", "turn", ("x",), ("a",), TransposeAttrs(TO_LAST)), *nodes, *end, **options)


def same_numbers(before: Graph, after: Graph, tolerance: float = 1e-6) -> list[str]:
    """The operators of `after`, which computes the numbers of `before`."""
    x = normal(2, *before.tensors["x"].shape[1:])
    for name, want in oracle.run(before, {"x": x}, trace=False).items():
        np.testing.assert_allclose(oracle.run(after, {"x": x}, trace=False)[name], want, rtol=0, atol=tolerance)
        assert after.tensors[name].shape == before.tensors[name].shape
    return [node.op for node in after.nodes]


def test_a_block_with_channels_last_works_with_channels_first() -> None:
    graph = turned(
        Node("Normalize", "norm", ("a",), ("n",), NormalizeAttrs((3,)), {"scale": "scale", "bias": "bias"}),
        Node("Gemm", "up", ("n",), ("u",), GemmAttrs(), {"weight": "w1", "bias": "b1"}),
        Node("Unary", "act", ("u",), ("v",), UnaryAttrs("gelu")),
        Node("Gemm", "down", ("v",), ("d",), GemmAttrs((None, 2.0)), {"weight": "w2"}),
        Node("Binary", "gain", ("d", "gain_values"), ("b",), BinaryAttrs("mul")),
        scale=normal(3), bias=normal(3), w1=normal(7, 3), b1=normal(7), w2=normal(3, 7), gain_values=normal(3),
    )  # fmt: skip
    after = keep_channels_first(graph)
    assert same_numbers(graph, after) == ["Normalize", "Conv", "Unary", "Conv", "Binary", "Reshape"]
    assert [node.name for node in after.nodes[:5]] == ["norm", "up", "act", "down", "gain"]


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("Softmax", SoftmaxAttrs(3)),
        ("Softmax", SoftmaxAttrs(1)),
        ("Normalize", NormalizeAttrs((1, 3))),
        ("Reduce", ReduceAttrs("mean", (1, 2))),
        ("Reduce", ReduceAttrs("max", (3,))),
        ("Slice", SliceAttrs((1, 2), (END, END), (2, 3), (1, 1))),
    ],
)
def test_nodes_find_their_axes_with_channels_first(op: str, attrs: object) -> None:
    graph = turned(Node(op, "it", ("a",), ("b",), attrs), shape=("n", 4, 6, 5))
    assert same_numbers(graph, keep_channels_first(graph)) == [op, "Reshape"]


def test_operands_and_constants_of_every_rank_are_turned() -> None:
    graph = turned(
        Node("Binary", "one", ("a", "row"), ("c",), BinaryAttrs("add")),
        Node("Binary", "two", ("c", "plane"), ("d",), BinaryAttrs("mul")),
        Node("Binary", "three", ("number", "d"), ("e",), BinaryAttrs("sub")),
        Node("Concat", "four", ("e", "a"), ("b",), ConcatAttrs(3)),
        row=normal(3), plane=normal(6, 6, 1), number=np.float32(2),
    )  # fmt: skip
    assert same_numbers(graph, keep_channels_first(graph)) == ["Binary", "Binary", "Binary", "Concat", "Reshape"]


def test_a_mean_over_pixels_leaves_no_transpose_behind() -> None:
    graph = turned(Node("Reduce", "mean", ("a",), ("y",), ReduceAttrs("mean", (1, 2), keepdims=False)), back=False)
    assert same_numbers(graph, keep_channels_first(graph)) == ["Reduce"]


@pytest.mark.parametrize(
    "node",
    [
        Node("Reduce", "it", ("a",), ("y",), ReduceAttrs("mean", (1,), keepdims=False)),  # leaves (N, W, C)
        Node("Binary", "it", ("a", "c5"), ("y",), BinaryAttrs("add")),  # adds an axis
        Node("Normalize", "it", ("a",), ("y",), NormalizeAttrs((1,), groups=2)),  # groups of rows
    ],
)
def test_what_needs_channels_last_keeps_them(node: Node) -> None:
    graph = turned(node, back=False, c5=normal(2, 1, 1, 1, 3))
    assert same_numbers(graph, keep_channels_first(graph)) == ["Transpose", node.op]


def test_outputs_with_channels_last_stay_so() -> None:
    graph = turned(Node("Unary", "it", ("a",), ("b",), UnaryAttrs("relu")), outputs=("b", "y"))
    assert sorted(same_numbers(graph, keep_channels_first(graph))) == ["Reshape", "Transpose", "Unary"]
