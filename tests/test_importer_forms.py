# SPDX-License-Identifier: Apache-2.0
"""What old exporters write: attributes of older forms of operators, and attributes that mean nothing any more."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import assert_close, expected, normal, parse

from fewbins import oracle
from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx

STATISTICS = {"g": normal(3), "b": normal(3), "m": normal(3), "v": np.abs(normal(3)) + 1}
BN = "y = BatchNormalization(x, g, b, m, v)"


def with_attributes(body: str, opset: int, attributes: dict[str, object], **constants: np.ndarray) -> onnx.ModelProto:
    model = parse(f"(float[1,3,4,4] x) => (float[] y) {{ {body} }}", opset, constants)
    for name, value in attributes.items():
        model.graph.node[0].attribute.append(onnx.helper.make_attribute(name, value))
    return model


@pytest.mark.parametrize(
    ("body", "opset", "attributes", "modern", "constants"),
    [
        ("y = Relu(x)", 9, {"consumed_inputs": [0]}, "y = Relu(x)", {}),
        ("y = Relu(x)", 13, {"consumed_inputs": [0, 0]}, "y = Relu(x)", {}),
        ("y = Dropout(x)", 9, {"ratio": 0.3}, "", {}),
        ("y = Dropout(x)", 9, {"ratio": 0.3, "is_test": 1}, "", {}),
        ("y = Dropout(x)", 13, {"ratio": 0.3}, "", {}),
        (BN, 9, {"spatial": 1, "is_test": 1, "consumed_inputs": [0, 0, 0, 1, 1]}, BN, STATISTICS),
        (BN, 15, {"spatial": 1, "momentum": 0.9}, BN, STATISTICS),
        (
            "y = Clip(x)",
            11,
            {"min": -0.5, "max": 0.25},
            "y = Clip(x, lo, hi)",
            {"lo": np.float32(-0.5), "hi": np.float32(0.25)},
        ),
        ("y = Unsqueeze(x)", 13, {"axes": [1]}, "y = Unsqueeze(x, k)", {"k": np.int64([1])}),
        ("y = Squeeze(x)", 13, {"axes": [0]}, "y = Squeeze(x, k)", {"k": np.int64([0])}),
        (
            "y = ReduceMean(x)",
            18,
            {"axes": [2, 3], "keepdims": 0},
            "y = ReduceMean<keepdims = 0>(x, k)",
            {"k": np.int64([2, 3])},
        ),
        (
            "y = ReduceSum(x)",
            13,
            {"axes": [1], "keepdims": 1},
            "y = ReduceSum<keepdims = 1>(x, k)",
            {"k": np.int64([1])},
        ),
        (
            "y = Slice(x)",
            13,
            {"starts": [1], "ends": [3], "axes": [2]},
            "y = Slice(x, s, e, k)",
            {"s": np.int64([1]), "e": np.int64([3]), "k": np.int64([2])},
        ),
        (
            "y = Pad(x)",
            13,
            {"pads": [0, 0, 1, 1, 0, 0, 2, 0], "value": 0.5},
            "y = Pad(x, p, c)",
            {"p": np.int64([0, 0, 1, 1, 0, 0, 2, 0]), "c": np.float32(0.5)},
        ),
        (
            "y = Upsample(x)",
            9,
            {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "nearest"},
            'y = Upsample<mode = "nearest">(x, s)',
            {"s": np.float32([1, 1, 2, 2])},
        ),
    ],
)
def test_a_node_is_read_in_the_form_that_its_attributes_give_away(body, opset, attributes, modern, constants) -> None:
    """The same network in the form of the opset says what is right, by ONNX Runtime."""
    x = normal(1, 3, 4, 4)
    old = load_onnx(with_attributes(body, opset, attributes, **{k: v for k, v in constants.items() if k in body}))
    got = oracle.run(old, [x], trace=False)
    want = {"y": x} if "Dropout" in body else expected(with_attributes(modern, opset, {}, **constants), {"x": x})
    assert_close(got, want, 1e-6, body)


@pytest.mark.parametrize(
    ("body", "opset", "attributes", "reason"),
    [
        (BN, 9, {"is_test": 0}, "attribute 'is_test' = 0 asks for training; export the network for inference"),
        (BN, 9, {"spatial": 0}, "attribute 'spatial' = 0 asks for statistics for each position"),
        ("y = Relu(x)", 13, {"is_test": 1}, "attribute 'is_test' is unknown in opset 13"),
        ("y = Clip(x, lo)", 11, {"max": 1.0}, "attribute 'max' is unknown in opset 11"),
        ("y = Relu(x)", 13, {"colour": 1}, "attribute 'colour' is unknown in opset 13"),
    ],
)
def test_attributes_that_ask_for_something_else_are_refused(body, opset, attributes, reason) -> None:
    constants = STATISTICS if body == BN else {"lo": np.float32(0)} if "lo" in body else {}
    with pytest.raises(UnsupportedError) as caught:
        load_onnx(with_attributes(body, opset, attributes, **constants))
    assert reason in str(caught.value)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "VALID", "SAME_UPPER"])
def test_pads_beside_an_auto_pad_count_only_where_it_is_notset(auto_pad: str) -> None:
    x, w = normal(1, 3, 4, 4), normal(2, 3, 3, 3)
    model = with_attributes(f'y = Conv<auto_pad = "{auto_pad}", pads = [1, 1, 1, 1]>(x, w)', 11, {}, w=w)
    own = "pads = [1, 1, 1, 1]" if auto_pad == "NOTSET" else f'auto_pad = "{auto_pad}"'
    plain = with_attributes(f"y = Conv<{own}>(x, w)", 11, {}, w=w)
    assert_close(oracle.run(load_onnx(model), [x], trace=False), expected(plain, {"x": x}), 1e-5, auto_pad)
