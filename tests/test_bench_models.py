# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench models`: what it times, and beside what."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fewbins.bench import engines, models


def one_layer(outputs: int) -> bytes:
    """A convolution, a mean and a product: (1, 2, 6, 6) to (1, outputs)."""
    rng = np.random.default_rng(outputs)
    constants = {
        "w": rng.standard_normal((4, 2, 3, 3)),
        "v": rng.standard_normal((4, outputs)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("GlobalAveragePool", ["c"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "v"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_without_onnx_runtime_our_own_engines_are_timed_and_its_absence_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said: list[str] = []
    assert models.default_engines(said.append) == ["fb_float", "fb_8bit", "fb_255x33"]
    assert len(said) == 1 and "pip install 'fewbins[bench]'" in said[0]


def test_a_rival_runs_the_network_it_was_given_whatever_its_name_and_age(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWBINS_CACHE_DIR", str(tmp_path / "cache"))
    made = {}
    for folder, outputs in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "net.onnx"
        path.write_bytes(one_layer(outputs))
        os.utime(path, (1, 1))  # older than anything that the cache holds
        made[folder] = engines.make("ort_int8", path, "none", 1)
    assert made["a"]().shape == (1, 3) and made["b"]().shape == (1, 5)
    assert len(list((tmp_path / "cache").glob("net-*.onnx"))) == 2


def test_a_derived_file_is_another_for_another_recipe_or_other_external_data(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWBINS_CACHE_DIR", str(tmp_path))
    path = tmp_path / "net.onnx"
    onnx.save(onnx.load_from_string(one_layer(3)), path, save_as_external_data=True, location="w", size_threshold=0)
    first = engines.derived_path(path, {"version": "1"})
    assert first == engines.derived_path(path, {"version": "1"})
    assert first != engines.derived_path(path, {"version": "2"})
    (tmp_path / "w").write_bytes(bytes(reversed((tmp_path / "w").read_bytes())))
    assert first != engines.derived_path(path, {"version": "1"})


def test_a_row_says_how_many_threads_an_engine_had(tmp_path):
    path = tmp_path / "a  folder's net.onnx"  # read by the shell's rules, a path is one word
    path.write_bytes(one_layer(3))
    rows = models.run([str(path)], ["none"], ["ort_f32", "fb_float"], threads=2, rounds=1, seconds=0.001)
    assert {row["engine"]: row["threads"] for row in rows} == {"ort_f32": 2, "fb_float": 2}
