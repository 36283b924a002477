# SPDX-License-Identifier: Apache-2.0
"""PyTorch's as_strided with a free batch: a Gather that takes every element in its place is a Reshape."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import check, normal, operators, parse

from fewbins.errors import UnsupportedError
from fewbins.importers import load_onnx

NUMBERS = {
    "all": np.int64([-1]),
    "none": np.int64(0),
    "one": np.int64(1),
    "first": np.int64([0]),
    "places": np.int64([1, 2]),
    "step": np.int64(12),
    "inner": np.arange(12).reshape(1, 4, 3),
    "turned": np.arange(12).reshape(1, 3, 4).transpose(0, 2, 1),
}
BODY = """
    shape = Shape<start = 0, end = 1>(x) n = Squeeze(shape, first) flat = Reshape(t, all)
    r = Range(none, n, one) m = Mul(r, step) u = Unsqueeze(m, places) i = Add(u, inner) y = Gather(flat, i)"""


def model(body: str):
    return parse(f"(float[batch,6,2] x) => (float[] y) {{ t = Relu(x) {body} }}", 17, NUMBERS)


def test_a_view_of_all_elements_is_a_reshape() -> None:
    graph = check(model(BODY), {"x": normal(5, 6, 2)})
    assert operators(graph) == ["relu", "Reshape"]
    assert graph.tensors["y"].shape == ("batch", 4, 3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("inner", "turned"),  # other strides
        ("Mul(r, step)", "Mul(r, one)"),  # overlapping rows
        ("Range(none, n, one)", "Range(one, n, one)"),  # from the second row on
        ("Squeeze(shape, first) ", "Squeeze(shape, first) m2 = Add(n, one) "),
    ],
)
def test_other_views_are_not_taken_for_a_reshape(old: str, new: str) -> None:
    body = BODY.replace(old, new)
    if "m2" in new:
        body = body.replace("Range(none, n, one)", "Range(none, m2, one)")
    assert old in BODY
    with pytest.raises(UnsupportedError):
        load_onnx(model(body))


def test_a_batch_of_another_tensor_is_refused() -> None:
    text = f"(float[batch,6,2] t, float[other,3] x) => (float[] y) {{ {BODY} }}"
    with pytest.raises(UnsupportedError, match="by their place"):
        load_onnx(parse(text, 17, NUMBERS))
