# SPDX-License-Identifier: Apache-2.0
"""Networks whose batch is declared free and held fixed inside: quantized one image at a time, and never wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from onnx_models import normal, parse

import fewbins
from fewbins.errors import FewbinsWarning


def network(reshape: list[int], body: str = "y = Softmax<axis = 2>(c)") -> fewbins.graph.Graph:
    text = f"(float[N,3,8,8] x) => (float[] y) {{ a = Conv(x, w) [hold] b = Reshape(a, s) c = Relu(b) {body} }}"
    return fewbins.load_onnx(parse(text, 13, {"w": normal(12, 3, 1, 1), "s": np.int64(reshape)}))


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("correct", [True, False])
def test_a_batch_held_by_a_reshape_is_calibrated_one_by_one_and_named(as_list: bool, correct: bool) -> None:
    graph, x = network([1, 3, 4, 8, 8]), normal(8, 3, 8, 8)
    with pytest.warns(FewbinsWarning, match="one image at a time: a batch of 2 is refused .*'hold'"):
        model = fewbins.quantize(graph, list(x) if as_list else x, bias_correction=correct)
    assert model.provenance["calibration"]["images"] == 8
    assert "'hold'" in model.provenance["calibration"]["one_at_a_time"]
    assert "calibrated one image at a time: a batch of 2" in model.report()
    want = fewbins.Session(fewbins.quantize(graph, scheme="float")).run(x[:1])
    got = fewbins.Session(model).run(x[:1])
    assert np.abs(got - want).max() < 0.05


def test_a_reshape_that_mixes_a_batch_without_an_error_is_found_by_its_values() -> None:
    graph = network([1, -1], "m = ReduceMax<axes = [1], keepdims = 1>(c) y = Sub(c, m)")
    with pytest.warns(FewbinsWarning, match="a batch gives other values in 'y' .*; node 'hold'"):
        model = fewbins.quantize(graph, list(normal(8, 3, 8, 8)))
    assert "one_at_a_time" in model.provenance["calibration"]


def test_a_network_that_takes_batches_is_not_warned_about() -> None:
    for reshape in ([0, 3, 4, 8, 8], [-1, 3, 4, 8, 8]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = fewbins.quantize(network(reshape), list(normal(8, 3, 8, 8)))
        assert "one_at_a_time" not in model.provenance["calibration"]
