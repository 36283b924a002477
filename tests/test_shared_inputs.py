# SPDX-License-Identifier: Apache-2.0
"""Inputs whose first axis is not the batch: a mask, a table of anchors, a number; the same for all images."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import expected, normal, parse

import fewbins
from fewbins.verify import verify

IMAGES, MASK = normal(12, 3, 8, 8), (normal(8, 8, seed=1) > 0).astype(np.float32)
TABLE, GAIN = normal(4, 5, seed=2), np.array(1.5, np.float32)
SHARED = {"mask": MASK, "table": TABLE, "gain": GAIN}


def model(first: str = "N") -> onnx.ModelProto:
    """Images that are masked, convolved, scaled by a number, and compared with a table of any length."""
    made = parse(
        f"(float[8,8] mask, float[{first},3,8,8] x, float[rows,5] table, float[] gain) => (float[] y, bool[] t) {{"
        " m = Mul(x, mask) a = Conv<pads = [1,1,1,1]>(m, w) r = Relu(a) g = Mul(r, gain)"
        " p = GlobalAveragePool(g) f = Flatten(p) y = MatMul(f, v) s = ReduceSum(table) t = Less(y, s) }",
        13,
        {"w": normal(6, 3, 3, 3, seed=3), "v": normal(6, 4, seed=4)},
    )
    made.graph.input[3].type.tensor_type.shape.SetInParent()
    return made


def forms() -> list[object]:
    """The same calibration data as one mapping and as a list of single images."""
    return [{"x": IMAGES, **SHARED}, [{"x": IMAGES[i : i + 1], **SHARED} for i in range(len(IMAGES))]]


@pytest.mark.parametrize("scheme", ["float", "8bit"])
@pytest.mark.parametrize("form", [0, 1])
def test_what_is_the_same_for_all_images_is_not_cut_with_them(scheme: str, form: int) -> None:
    quantized = fewbins.quantize(fewbins.load_onnx(model()), forms()[form], scheme=scheme)
    feed = {"x": IMAGES, **SHARED}
    found, want = fewbins.Session(quantized).run(feed), expected(model(), feed)
    assert found["y"].shape == want["y"].shape and found["t"].dtype == np.bool_
    assert np.abs(found["y"] - want["y"]).max() < 0.05 * np.abs(want["y"]).max()


def test_both_forms_of_the_data_give_the_same_file() -> None:
    graph = fewbins.load_onnx(model())
    whole, single = (fewbins.quantize(graph, data, scheme="8bit") for data in forms())
    assert whole.to_bytes() == single.to_bytes()


def test_a_fixed_batch_takes_them_too() -> None:
    quantized = fewbins.quantize(fewbins.load_onnx(model("4")), {"x": IMAGES, **SHARED}, scheme="8bit")
    feed = {"x": IMAGES[:4], **SHARED}
    found, want = fewbins.Session(quantized).run(feed), expected(model("4"), feed)
    assert np.abs(found["y"] - want["y"]).max() < 0.05 * np.abs(want["y"]).max()


def test_masks_that_change_from_item_to_item_stay_with_their_images() -> None:
    data = [{"x": IMAGES[i : i + 1], **SHARED, "mask": MASK * np.float32(i % 2)} for i in range(len(IMAGES))]
    quantized = fewbins.quantize(fewbins.load_onnx(model()), data, scheme="8bit")
    feed = {"x": IMAGES, **SHARED}
    found, want = fewbins.Session(quantized).run(feed), expected(model(), feed)
    assert np.abs(found["y"] - want["y"]).max() < 0.05 * np.abs(want["y"]).max()


def test_evaluate_and_verify_take_them() -> None:
    quantized = fewbins.quantize(fewbins.load_onnx(model()), {"x": IMAGES, **SHARED}, scheme="8bit")
    labels = fewbins.Session(quantized).run({"x": IMAGES, **SHARED})["y"].argmax(1)
    assert fewbins.evaluate(quantized, ({"x": IMAGES, **SHARED}, labels), batch=5)["top1_percent"] == 100
    assert all(check.wrong == 0 for check in verify(quantized, threads=(1,), batches=(3,)))


def test_a_wrong_shape_of_them_is_told() -> None:
    with pytest.raises(fewbins.CalibrationError, match=r"'mask' have shape \(12, 8\); the model takes \(8, 8\)"):
        fewbins.quantize(fewbins.load_onnx(model()), {"x": IMAGES, **SHARED, "mask": IMAGES[:, 0, 0]}, scheme="8bit")
