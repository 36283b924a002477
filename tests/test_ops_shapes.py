# SPDX-License-Identifier: Apache-2.0
"""Shape rules with whole numbers and symbols, and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbins.errors import GraphError, ShapeError
from fewbins.graph import Graph, Node, Shape, Tensor
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    ConvTransposeAttrs,
    DepthToSpaceAttrs,
    ExpandAttrs,
    GemmAttrs,
    PadAttrs,
    PoolAttrs,
    RangeAttrs,
    ReduceAttrs,
    ReshapeAttrs,
    ResizeAttrs,
    SliceAttrs,
    SpaceToDepthAttrs,
    TransposeAttrs,
    UnaryAttrs,
    infer_node,
    infer_shapes,
)
from fewbins.ops.evaluate import evaluate


def shape_of(op: str, attrs: Any, *inputs: Shape, **params: Shape) -> Shape:
    return infer_node(Node(op, "n1", tuple("x" * len(inputs)), ("y",), attrs), inputs, params)[0]


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "params", "expected"),
    [
        ("Conv", ConvAttrs((3, 3), pads=(1, 1, 1, 1)), [("n", 4, "h", "w")], {"weight": (8, 4, 3, 3)},
         ("n", 8, "h", "w")),
        ("Conv", ConvAttrs((3, 3), (2, 2)), [("n", 4, 9, "w")], {"weight": (8, 4, 3, 3)}, ("n", 8, 4, "?")),
        ("Conv", ConvAttrs((3, 3), (2, 2), auto_pad="same_upper"), [(1, 4, 9, 8)], {"weight": (8, 4, 3, 3)},
         (1, 8, 5, 4)),
        ("Conv", ConvAttrs((1, 1), groups=2), [(1, 4, 9, 8), ("n", 6, 9, 8)], {"weight": (6, 2, 1, 1)}, (1, 6, 9, 8)),
        ("ConvTranspose", ConvTransposeAttrs((3, 3), (2, 2), (1, 1, 1, 1), output_padding=(1, 1)), [("n", 4, 5, "w")],
         {"weight": (4, 8, 3, 3)}, ("n", 8, 10, "?")),
        ("Gemm", GemmAttrs(), [("n", 3, 16)], {"weight": (10, 16), "bias": (10,)}, ("n", 3, 10)),
        ("MaxPool", PoolAttrs((3, 3), (2, 2), ceil_mode=True), [("n", 4, 6, 7)], {}, ("n", 4, 3, 3)),
        ("Binary", BinaryAttrs("add"), [("n", 8, "h", 4), (8, 1, 1)], {}, ("n", 8, "h", 4)),
        ("Binary", BinaryAttrs("add"), [("n", 8, "?"), ("n", 8, "?")], {}, ("n", 8, "?")),
        ("Binary", BinaryAttrs("add"), [("n", "h"), ("n", 5)], {}, ("n", 5)),
        ("Concat", ConcatAttrs(1), [("n", 8, "h", "?"), ("n", 4, "?", 7)], {}, ("n", 12, "h", 7)),
        ("Concat", ConcatAttrs(0), [("n", 8), (4, 8)], {}, ("?", 8)),
        ("Slice", SliceAttrs((0, -2), (2**62, 2**62), (0, 1), (1, 1)), [("n", 8)], {}, ("n", 2)),
        ("Slice", SliceAttrs((-1,), (-(2**62),), (0,), (-1,)), [("n", 8)], {}, ("n", 8)),
        ("Slice", SliceAttrs((1,), (2**62,), (0,), (1,)), [("n", 8)], {}, ("?", 8)),
        ("Pad", PadAttrs((0, 1, 0, -2)), [("n", 8)], {}, ("n", 7)),
        ("Pad", PadAttrs((1, 0, 0, 0)), [("n", 8)], {}, ("?", 8)),
        ("Transpose", TransposeAttrs((0, 2, 1)), [("n", 8, "h")], {}, ("n", "h", 8)),
        ("Reshape", ReshapeAttrs((0, 4, -1)), [("n", 8, "h")], {}, ("n", 4, "?")),
        ("Reshape", ReshapeAttrs((0, 0, -1)), [("n", 8, 3, "h")], {}, ("n", 8, "?")),
        ("Reshape", ReshapeAttrs((1, -1)), [("n", 1, 1)], {}, (1, "n")),
        ("Range", RangeAttrs((1,), (0,), (2,), (1,)), [("n", 3, "h")], {}, ("h",)),
        ("Range", RangeAttrs((2,), (0,), (1,), (3,)), [("n", 3, "h")], {}, (2,)),
        ("Expand", ExpandAttrs((5, 1, 1), (-1, 1, 1), (0, 0, 1), (1, 2, 1)), [(1, 1), ("n", "h")], {}, (5, "?", "h")),
        ("Reshape", ReshapeAttrs((0, 2, 4, 1), (-1, -1, -1, 2), (1,) * 4), [("n", 8, "h")], {}, ("n", 2, 4, "h")),
        ("Reshape", ReshapeAttrs((0, 2, -1), (-1, 2, -1), (1,) * 3), [("n", 8, "h")], {}, ("n", "?", 4)),
        ("Reshape", ReshapeAttrs((0, 1, -1), (-1, 2, -1), (1, 3, 1)), [("n", 8, "h")], {}, ("n", "?", 24)),
        ("Reshape", ReshapeAttrs((1, 1, -1), (2, 2, -1), (1,) * 3), [(2, 8, "h")], {}, ("h", "h", "?")),
        ("Reshape", ReshapeAttrs((1, 1, -1), (1, 1, -1), (1, 2, 1)), [(2, 8, 4)], {}, (8, 4, 2)),
        ("Reduce", ReduceAttrs("mean", (2, 3), keepdims=False), [("n", 8, "h", "w")], {}, ("n", 8)),
        ("Reduce", ReduceAttrs("mean", (2, 3)), [("n", 8, "h", "w")], {}, ("n", 8, 1, 1)),
        ("DepthToSpace", DepthToSpaceAttrs(2), [("n", 8, 3, "w")], {}, ("n", 2, 6, "?")),
        ("SpaceToDepth", SpaceToDepthAttrs(2), [("n", 8, 4, "w")], {}, ("n", 32, 2, "?")),
        ("Resize", ResizeAttrs("nearest", scales=(2.0, 1.0)), [("n", 8, 4, "w")], {}, ("n", 8, 8, "w")),
        ("Resize", ResizeAttrs("nearest", sizes=(5, 6)), [("n", 8, "h", "w")], {}, ("n", 8, 5, 6)),
        ("Unary", UnaryAttrs("exp"), [("n", "?")], {}, ("n", "?")),
    ],
)  # fmt: skip
def test_shapes_follow_the_operators_rule(op: str, attrs: Any, inputs: Any, params: Any, expected: Shape) -> None:
    assert shape_of(op, attrs, *inputs, **params) == expected


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "params", "message"),
    [
        ("Conv", ConvAttrs((3, 3)), [(1, 4, 2, 8)], {"weight": (8, 4, 3, 3)}, "height 2 is too small"),
        ("Conv", ConvAttrs((3, 3)), [(1, 3, 8, 8)], {"weight": (8, 4, 3, 3)}, "3 channels, not the 4"),
        ("Conv", ConvAttrs((3, 3)), [(1, 4, 8, 8)], {"weight": (8, 4, 5, 5)}, "kernel \\(3, 3\\)"),
        ("Conv", ConvAttrs((3, 3), groups=3), [(1, 3, 8, 8)], {"weight": (8, 1, 3, 3)}, "out_channels \\(=8\\)"),
        ("Conv", ConvAttrs((1, 1)), [(1, 4, 8)], {"weight": (8, 4, 1, 1)}, "rank 4"),
        ("Conv", ConvAttrs((1, 1)), [(1, 4, 8, 8)], {"weight": (8, 4, 1, 1), "bias": (4,)}, "bias"),
        ("Conv", ConvAttrs((1, 1)), [(1, 4, 8, 8), (1, 8, 8, 7)], {"weight": (8, 4, 1, 1)}, "residual"),
        ("Conv", ConvAttrs((1, 1)), [(1, 4, 8, 8)], {"weight": (8, 4, 1, 1), "wait": (4,)}, "unknown params"),
        ("Conv", ConvAttrs((1, 1)), [(1, 4, 8, 8)], {}, "weight"),
        ("Conv", ConvAttrs((1, 1)), [(1, 4, 8, 8)], {"weight": (8, 4, 1, 1), "multiplier": (4,)}, "multiplier"),
        ("Gemm", GemmAttrs(), [(1, 4)], {"weight": (8, 4), "exponent": (1, 8)}, "exponent"),
        ("Binary", BinaryAttrs("add"), [(4,), (4,)], {"shift": (4,)}, "shift"),
        ("ConvTranspose", ConvTransposeAttrs((1, 1), pads=(1, 1, 1, 1)), [(1, 4, 2, 2)], {"weight": (4, 8, 1, 1)},
         "leave"),
        ("Gemm", GemmAttrs(), [("n", 16)], {"weight": (10, 15)}, "needs 15"),
        ("Binary", BinaryAttrs("add"), [(2, 3), (2, 4)], {}, "3 against 4"),
        ("Binary", BinaryAttrs("add"), [(2, 3)], {}, "1 inputs, not 2"),
        ("Concat", ConcatAttrs(1), [(1, 8, 4), (1, 4, 5)], {}, "sizes 4 and 5"),
        ("Concat", ConcatAttrs(3), [(1, 8, 4)], {}, "axis 3"),
        ("Slice", SliceAttrs((5,), (3,), (0,), (1,)), [(8,)], {}, "nothing is left"),
        ("Pad", PadAttrs((0, -9)), [(8,)], {}, "nothing"),
        ("Pad", PadAttrs((8, 0), "reflect"), [(8,)], {}, "smaller than the sizes"),
        ("Pad", PadAttrs((8, 0)), [(8, 8)], {}, "each axis"),
        ("Transpose", TransposeAttrs((1, 0)), [(8, 8, 8)], {}, "rank 2"),
        ("Reshape", ReshapeAttrs((3, -1)), [(8,)], {}, "no multiple"),
        ("Reshape", ReshapeAttrs((3, 3)), [(8,)], {}, "are not 9"),
        ("Reshape", ReshapeAttrs((0, 0)), [(8,)], {}, "copies axis 1"),
        ("Reshape", ReshapeAttrs((1, -1), (3, -1), (1, 1)), [(8,)], {}, "copies axis 3"),
        ("Range", RangeAttrs((2**20,), (0,), (0,), (1,)), [(32,)], {}, "counts to 33554432"),
        ("Range", RangeAttrs((1,), (0,), (0,), (5,)), [(32,)], {}, "no multiple of 5"),
        ("Range", RangeAttrs((1,), (0,), (4,), (1,)), [(32,)], {}, "axis 4 of input 0"),
        ("Expand", ExpandAttrs((1,), (2,), (0,), (1,)), [(1,), (32,)], {}, "of input 2"),
        ("Expand", ExpandAttrs((1,), (1,), (0,), (1,)), [(3,), (32,)], {}, "broadcast"),
        ("Expand", ExpandAttrs((1,), (1,), (0,), (1,)), [(2, 1), (32,)], {}, "broadcast"),
        ("Reshape", ReshapeAttrs((1, -1), (0, -1), (3, 1)), [(8,)], {}, "no multiple of 3"),
        ("Reshape", ReshapeAttrs((0, 2, 3), (-1, 2, -1), (1,) * 3), [("n", 8, "h")], {}, "8 elements are not 6"),
        ("DepthToSpace", DepthToSpaceAttrs(2), [(1, 6, 2, 2)], {}, "divisible"),
        ("SpaceToDepth", SpaceToDepthAttrs(2), [(1, 6, 3, 2)], {}, "divisible"),
        ("Resize", ResizeAttrs("nearest", scales=(0.1, 1.0)), [(1, 1, 3, 3)], {}, "leave nothing"),
        ("Unary", BinaryAttrs("add"), [(1,)], {}, "attributes of type"),
        ("LSTM", None, [(1,)], {}, "unknown operator"),
    ],
)  # fmt: skip
def test_shape_errors_name_the_node_and_the_values(op: str, attrs: Any, inputs: Any, params: Any, message: str) -> None:
    with pytest.raises((ShapeError, GraphError), match=message) as caught:
        shape_of(op, attrs, *inputs, **params)
    assert str(caught.value).startswith(f"node 'n1' ({op}): ")


def test_infer_shapes_walks_the_graph_and_keeps_the_rest() -> None:
    weight = np.zeros((8, 3, 3, 3), np.float32)
    tensors = {
        "x": Tensor("x", ("batch", 3, 32, 32)),
        "w": Tensor.constant("w", weight),
        "c": Tensor("c", ()),
    }
    nodes = (
        Node("Conv", "conv", ("x",), ("c",), ConvAttrs((3, 3), (2, 2), (1, 1, 1, 1)), {"weight": "w"}),
        Node("Unary", "act", ("c",), ("y",), UnaryAttrs("relu")),
    )
    graph = infer_shapes(Graph(nodes, tensors, ("x",), ("y",), "net"))
    assert graph.tensors["c"].shape == graph.tensors["y"].shape == ("batch", 8, 16, 16)
    assert graph.tensors["w"].data is weight and graph.name == "net"


sizes = st.integers(1, 9)


@given(st.data())
def test_the_oracles_output_has_the_inferred_shape(data: st.DataObject) -> None:
    """Windows, slices, pads and resizes of every kind: inference and arithmetic agree, or both refuse."""
    draw = data.draw
    x = np.zeros((draw(st.integers(1, 2)), 2, draw(sizes), draw(sizes)), np.float32)
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    small = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, dilations = draw(pair), draw(small)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = tuple(draw(st.integers(0, spans[i % 2] - 1)) for i in range(4))
    crop = st.integers(-3, 3)
    ends = (draw(st.integers(-12, 12)), draw(st.integers(-12, 12)), draw(st.sampled_from([-3, -2, -1, 1, 2, 3])))
    around = (0, 0, draw(crop), draw(crop), 0, 0, draw(crop), draw(crop))
    scales = (draw(st.floats(0.3, 3)), draw(st.floats(0.3, 3)))
    pool = PoolAttrs(kernel, draw(small), pads, dilations, draw(st.booleans()))
    window = (kernel, draw(small), pads, dilations)
    cases: list[tuple[str, Any, dict[str, np.ndarray]]] = [
        ("MaxPool", pool, {}),
        ("AveragePool", pool, {}),
        ("Conv", ConvAttrs(*window), {"weight": np.zeros((3, 2, *kernel), np.float32)}),
        ("ConvTranspose", ConvTransposeAttrs(*window), {"weight": np.zeros((2, 3, *kernel), np.float32)}),
        ("Pad", PadAttrs(around, draw(st.sampled_from(["constant", "edge", "reflect"]))), {}),
        ("Slice", SliceAttrs((ends[0],), (ends[1],), (2,), (ends[2],)), {}),
        ("Resize", ResizeAttrs(draw(st.sampled_from(["nearest", "linear"])), scales=scales), {}),
    ]
    op, attrs, params = draw(st.sampled_from(cases))
    shapes = {role: value.shape for role, value in params.items()}
    try:
        expected = shape_of(op, attrs, x.shape, **shapes)
    except ShapeError:
        return
    assert evaluate(op, attrs, [x], params=params).shape == expected
