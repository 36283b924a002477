# SPDX-License-Identifier: Apache-2.0
"""Attributes: what they refuse, and their way to JSON and back."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from fewbins import ops
from fewbins.errors import GraphError
from fewbins.ops import (
    ATTRS,
    REGISTRY,
    BinaryAttrs,
    ConvAttrs,
    ConvTransposeAttrs,
    NormalizeAttrs,
    PadAttrs,
    PoolAttrs,
    ReduceAttrs,
    Requantize,
    ReshapeAttrs,
    ResizeAttrs,
    SliceAttrs,
    TransposeAttrs,
    UnaryAttrs,
    attrs_from_json,
    attrs_to_json,
)

EXAMPLES = {
    "AveragePool": PoolAttrs((3, 2), requantize=Requantize("fixed", -8, 7)),
    "BatchNormalization": ops.BatchNormAttrs(1e-3),
    "Binary": BinaryAttrs("sub", (None, 6.0), Requantize("shift", -8, 7, True)),
    "Concat": ops.ConcatAttrs(1),
    "Conv": ConvAttrs((3, 3), (2, 1), (0, 1, 2, 3), (1, 2), 4, "same_lower", (0.0, None), Requantize("float", 0, 7)),
    "ConvTranspose": ConvTransposeAttrs((2, 2), (2, 2), output_padding=(1, 0)),
    "DepthToSpace": ops.DepthToSpaceAttrs(2, "CRD"),
    "ArgReduce": ops.ArgReduceAttrs("max", 1, keepdims=False),
    "Cast": ops.CastAttrs("int64"),
    "Compare": ops.CompareAttrs("less"),
    "Gather": ops.GatherAttrs(2),
    "Logic": ops.LogicAttrs("xor"),
    "TopK": ops.TopKAttrs(1, 5, largest=False),
    "Where": ops.WhereAttrs(),
    "Dequantize": ops.DequantizeAttrs(),
    "Gemm": ops.GemmAttrs((0.0, 6.0), Requantize("dequantize")),
    "MatMul": ops.MatMulAttrs(),
    "MaxPool": PoolAttrs((2, 2), ceil_mode=True),
    "Normalize": ops.NormalizeAttrs((1, 2), 3, 1e-3),
    "PRelu": ops.PReluAttrs(),
    "Pad": PadAttrs((0, 1, 2, -1), "edge"),
    "Quantize": ops.QuantizeAttrs(),
    "Reduce": ReduceAttrs("mean", (2, 3)),
    "Requantize": ops.RequantizeAttrs(Requantize("float", -128, 127)),
    "Expand": ops.ExpandAttrs((2, 1), (-1, 1), (0, 3), (1, 2)),
    "Range": ops.RangeAttrs((1,), (0,), (2,), (1,), 0.5, -2.0),
    "Reshape": ReshapeAttrs((0, -1)),
    "Resize": ResizeAttrs("linear", scales=(2.0, 1.5), coordinates="align_corners"),
    "Slice": SliceAttrs((0,), (2**62,), (1,), (2,)),
    "Softmax": ops.SoftmaxAttrs(1),
    "SpaceToDepth": ops.SpaceToDepthAttrs(2),
    "Table": ops.TableAttrs(),
    "Transpose": TransposeAttrs((0, 2, 1)),
    "Unary": UnaryAttrs("clip", lo=-1.0),
}


def test_every_operator_has_attributes_a_shape_rule_and_an_oracle() -> None:
    assert set(REGISTRY) == set(ATTRS) == set(EXAMPLES)


@pytest.mark.parametrize("op", sorted(EXAMPLES))
def test_attributes_survive_json(op: str) -> None:
    data = json.loads(json.dumps(attrs_to_json(EXAMPLES[op])))
    assert attrs_from_json(op, data) == EXAMPLES[op]
    assert set(data) == {field.name for field in fields(EXAMPLES[op])}


def test_defaults_are_written() -> None:
    assert attrs_to_json(ConvAttrs((1, 1)))["dilations"] == [1, 1]


def test_whole_numbers_are_taken_for_floats() -> None:
    data = attrs_to_json(UnaryAttrs("leaky_relu")) | {"alpha": 1}
    alpha = attrs_from_json("Unary", data).alpha
    assert alpha == 1.0 and isinstance(alpha, float)


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": [3]},
        {"kernel": [3, 3, 3]},
        {"kernel": [3, 3.0]},
        {"kernel": [3, True]},
        {"kernel": [3, 2**63]},
        {"kernel": "33"},
        {"kernel": None},
        {"groups": 1.0},
        {"groups": None},
        {"groups": "1"},
        {"auto_pad": 1},
        {"clamp": [0.0]},
        {"clamp": ["0", None]},
        {"clamp": [float("nan"), None]},
        {"clamp": [10**400, None]},
        {"clamp": {}},
        {"requantize": []},
        {"requantize": {"kind": "float"}},
        {"requantize": {"kind": "float", "lo": 0, "hi": 1, "negate_residual": 0}},
        {"surprise": 1},
    ],
)
def test_hostile_json_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(GraphError, match="Conv"):
        attrs_from_json("Conv", attrs_to_json(ConvAttrs((3, 3))) | change)


def test_a_missing_field_is_named() -> None:
    data = attrs_to_json(ConvAttrs((3, 3)))
    del data["strides"]
    with pytest.raises(GraphError, match="missing fields \\['strides'\\]"):
        attrs_from_json("Conv", data)


@pytest.mark.parametrize("data", [None, [], 3, "Conv"])
def test_attributes_that_are_no_object_are_refused(data: object) -> None:
    with pytest.raises(GraphError, match="must be an object"):
        attrs_from_json("Conv", data)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(GraphError, match="'LSTM' is unknown"):
        attrs_from_json("LSTM", {})


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_that_json_cannot_hold_are_not_written(value: float) -> None:
    with pytest.raises(GraphError, match="finite"):
        attrs_to_json(PadAttrs((0, 0), value=value))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvAttrs((0, 3)), "kernel"),
        (lambda: ConvAttrs((3, 3), pads=(0, 0, -1, 0)), "pads"),
        (lambda: ConvAttrs((3, 3), strides=(0, 1)), "strides"),
        (lambda: ConvAttrs((3, 3), groups=0), "groups"),
        (lambda: ConvAttrs((3, 3), auto_pad="valid"), "auto_pad 'valid'"),
        (lambda: ConvAttrs((3, 3), clamp=(6.0, 0.0)), "ascending"),
        (lambda: ConvTransposeAttrs((2, 2), (2, 2), output_padding=(2, 0)), "output_padding"),
        (lambda: PoolAttrs((2, 2), pads=(2, 0, 0, 0)), "smaller than the window"),
        (lambda: Requantize("round"), "kind 'round'"),
        (lambda: Requantize("float", 5, 4), "5..4"),
        (lambda: Requantize("float", -8, 7, negate_residual=True), "negate"),
        (lambda: BinaryAttrs("div", requantize=Requantize("float", -8, 7)), "div"),
        (lambda: ReduceAttrs("mean", ()), "axes"),
        (lambda: ReduceAttrs("mean", (3, 2)), "ascending"),
        (lambda: ReduceAttrs("max", (2,), requantize=Requantize("float", -8, 7)), "max"),
        (lambda: SliceAttrs((0,), (1,), (0,), (0,)), "steps"),
        (lambda: SliceAttrs((0,), (1, 2), (0,), (1,)), "length"),
        (lambda: TransposeAttrs((0, 0)), "perm"),
        (lambda: ReshapeAttrs((-1, -1)), "at most one -1"),
        (lambda: ops.RangeAttrs((1, 1), (0, 0), (2, 3), (1, 1)), "must be one size"),
        (lambda: ops.ExpandAttrs((1, 1), (0,), (2, 3), (1, 1)), "as many inputs, axes and divisors"),
        (lambda: ops.ExpandAttrs((), (), (), ()), "1 to 8"),
        (lambda: ops.ExpandAttrs((0,), (0,), (2,), (1,)), "factors and divisors >= 1"),
        (lambda: ops.ExpandAttrs((1,), (-2,), (2,), (1,)), "inputs >= -1"),
        (lambda: ops.ExpandAttrs((1,), (0,), (-1,), (1,)), "axes >= 0"),
        (lambda: ops.ExpandAttrs((1,), (0,), (0,), (0,)), "divisors >= 1"),
        (lambda: ReshapeAttrs((1, 2), (0,), (1,)), "as many as"),
        (lambda: ReshapeAttrs((1, 2), (0, 1), ()), "as many as"),
        (lambda: ReshapeAttrs((1,), (-2,), (1,)), "must be >= -1"),
        (lambda: ReshapeAttrs((1,), (0,), (0,)), "divisors"),
        (lambda: ReshapeAttrs((0,), (0,), (1,)), "where axes"),
        (lambda: ResizeAttrs("nearest", (1, 1), places="float16"), "places 'float16'"),
        (lambda: ResizeAttrs("cubic", sizes=(1, 1)), "cubic"),
        (lambda: ResizeAttrs("linear"), "exactly one"),
        (lambda: ResizeAttrs("linear", sizes=(1, 1), coordinates="tf_crop_and_resize"), "tf_crop_and_resize"),
        (lambda: ResizeAttrs("linear", scales=(0.0, 1.0)), "positive"),
        (lambda: ResizeAttrs("nearest", sizes=(1, 1), requantize=Requantize("float", 0, 1)), "nearest"),
        (lambda: UnaryAttrs("cube"), "cube"),
        (lambda: NormalizeAttrs(()), "axes"),
        (lambda: NormalizeAttrs((2, 1)), "ascending"),
        (lambda: NormalizeAttrs((2,), groups=2), "groups"),
        (lambda: NormalizeAttrs((1,), epsilon=-1.0), "epsilon"),
        (lambda: PadAttrs((1, 2), "wrap"), "wrap"),
        (lambda: PadAttrs((1, 2, 3)), "begin and an end"),
    ],
)
def test_attributes_that_make_no_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        make()  # type: ignore[operator]
