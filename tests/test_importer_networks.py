# SPDX-License-Identifier: Apache-2.0
"""Real networks: they import, and agree with ONNX Runtime in float32, with a free batch, before and after folding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx_models import assert_close

from fewbins import oracle
from fewbins.importers import load_onnx
from fewbins.passes import fold_batchnorm, fold_constants

NETWORKS = {
    "resnet20.onnx": (3, 32, 32),
    "resnet32.onnx": (3, 32, 32),
    "resnet56.onnx": (3, 32, 32),
    "efficientnet_lite0_224.onnx": (3, 224, 224),
    "mobilenet_v2_1.0_224_f16.onnx": (3, 224, 224),
    "squeezenet1.1_f16.onnx": (3, 227, 224),
    "wild/lprnet_plate_ocr.onnx": (3, 24, 94),
    "wild/unet_fingertip_sed.onnx": (1, 224, 224),
    "wild/ppocr_v2_cls.onnx": (3, 48, 192),
}
pytestmark = pytest.mark.data


def runtime(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: x})[0]
    return result


def images(batch: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((batch, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 2])
def test_network_agrees_with_onnx_runtime(name: str, batch: int, data_dir: Path, rng: np.random.Generator) -> None:
    graph = load_onnx(data_dir / name)
    x = images(batch, NETWORKS[name], rng)
    want = {graph.outputs[0]: runtime(data_dir / name, x)}
    assert_close(oracle.run(graph, [x], trace=False), want, 1e-4, name)


@pytest.mark.parametrize("name", NETWORKS)
def test_folded_network_in_the_engine_agrees_with_onnx_runtime(
    name: str, data_dir: Path, rng: np.random.Generator
) -> None:
    import fewbins

    graph = fold_constants(fold_batchnorm(load_onnx(data_dir / name))).validate()
    assert "BatchNormalization" not in {node.op for node in graph.nodes}
    session = fewbins.Session(fewbins.quantize(load_onnx(data_dir / name), scheme="float").to_bytes())
    for batch in (1, 3):
        x = images(batch, NETWORKS[name], rng)
        want = {graph.outputs[0]: runtime(data_dir / name, x)}
        assert_close({graph.outputs[0]: session.run(x)}, want, 1e-4, name)


def test_free_height_and_width_take_images_of_other_sizes(data_dir: Path, rng: np.random.Generator) -> None:
    name = "wild/ppocr_v2_cls.onnx"
    graph = load_onnx(data_dir / name)
    assert graph.tensors["x"].shape == ("batch", 3, "height", "width")
    x = images(1, (3, 80, 112), rng)
    want = {graph.outputs[0]: runtime(data_dir / name, x)}
    assert_close(oracle.run(graph, [x], trace=False), want, 1e-4, name)


def test_spelled_out_hard_swish_is_recognized_in_a_real_network(data_dir: Path) -> None:
    graph = load_onnx(data_dir / "wild/ppocr_v2_cls.onnx")
    functions = [node.attrs.function for node in graph.nodes if node.op == "Unary"]
    assert functions.count("hard_swish") == 18
    assert "clip" not in functions


def test_option_a_shortcuts_become_slices_and_pads(data_dir: Path) -> None:
    graph = load_onnx(data_dir / "resnet20.onnx")
    pads = [node.attrs.pads for node in graph.nodes if node.op == "Pad"]
    assert pads == [(0, 8, 0, 0, 0, 8, 0, 0), (0, 16, 0, 0, 0, 16, 0, 0)]
