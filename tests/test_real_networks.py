# SPDX-License-Identifier: Apache-2.0
"""L4: real networks on real images. What the README promises of accuracy, exactness and agreement, held here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fewbins

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
measure_accuracy = pytest.importorskip("measure_accuracy")

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("data_dir")]

# Points of accuracy that a network may lose, and plates that it must still read.
DROPS = [
    (net, s, d)
    for net in ("resnet20", "resnet32", "resnet56")
    for s, d in (("8bit", 0.3), ("255x33", 0.6), ("23x23", 1.6))
]
DROPS += [("efficientnet_lite0", "8bit", 1.5)]


@pytest.fixture(scope="module", autouse=True)
def forget_images():
    """The sets are large: keep them for this module only."""
    yield
    for cached in (measure_accuracy.test_set, measure_accuracy.float_outputs, measure_accuracy.graph_of):
        cached.cache_clear()


@pytest.mark.parametrize(("net", "right"), [("resnet20", 4569), ("resnet32", 4611), ("resnet56", 4648)])
def test_our_float_logits_equal_onnx_runtimes(net, right, data_dir):
    import onnxruntime

    x, y = measure_accuracy.test_set(net)
    ours = measure_accuracy.float_outputs(net)
    session = onnxruntime.InferenceSession(str(data_dir / f"{net}.onnx"), providers=["CPUExecutionProvider"])
    theirs = np.concatenate([session.run(None, {"input": x[i : i + 100]})[0] for i in range(0, len(x), 100)])
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    assert measure_accuracy.top1(ours, y) == right


@pytest.mark.parametrize(("net", "scheme", "drop"), DROPS)
def test_accuracy_is_kept(net, scheme, drop):
    row = measure_accuracy.measure(net, scheme)
    assert row.drop_points <= drop, row


def test_plates_are_still_read_at_8bit():
    row = measure_accuracy.measure("lprnet", "8bit")
    assert row.float_right == 894
    assert row.right >= 885, row


@pytest.mark.parametrize("net", ["lprnet", "efficientnet_lite0"])
def test_dead_and_subnormal_channels_quantize(net):
    """These networks have output channels whose weights are all zero or subnormal but whose bias is not."""
    model = quantized(net, "8bit")
    raised = sum(int(row.get("raised_channels") or 0) for row in model.rows)
    assert raised > 0
    for tensor in model.graph.tensors.values():
        if tensor.is_constant and tensor.affine is not None:
            scale = np.asarray(tensor.affine.scale)
            assert np.isfinite(scale).all() and (scale >= np.finfo(np.float32).tiny).all()


MODELS: dict[tuple[str, str], fewbins.QuantizedModel] = {}


def quantized(net: str, scheme: str) -> fewbins.QuantizedModel:
    """A network quantized on a few images: enough for exactness, which does not depend on good ranges."""
    if (net, scheme) not in MODELS:
        images = measure_accuracy.NETWORKS[net].calibration()[0][:32]
        text = measure_accuracy.scheme_for(net, scheme)
        MODELS[net, scheme] = fewbins.quantize(measure_accuracy.graph_of(net), images, scheme=text)
    return MODELS[net, scheme]


EXACT = [(net, s) for net in ("resnet20", "resnet32", "resnet56") for s in ("8bit", "255x33", "23x23")]
EXACT += [("efficientnet_lite0", "8bit"), ("lprnet", "8bit"), ("resnet20", "lut4"), ("resnet20", "w15")]


@pytest.mark.parametrize(("net", "scheme"), EXACT)
def test_engine_equals_oracle_on_every_isa_thread_count_and_batch(net, scheme, tmp_path):
    path = tmp_path / "m.fewbins"
    quantized(net, scheme).save(path)
    images = measure_accuracy.NETWORKS[net].calibration()[0][:7]
    name = measure_accuracy.graph_of(net).inputs[0]
    checks = fewbins.verify(path, {name: images}, threads=(1, 2), batches=(1, 7))
    assert {check.threads for check in checks} == {1, 2} and {check.batch for check in checks} == {1, 7}
    wrong = [check for check in checks if check.wrong]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize(("net", "scheme"), EXACT)
def test_fewbins_run_gives_the_modules_output(net, scheme, tmp_path):
    from fewbins._run import program

    path, images = tmp_path / "m.fewbins", measure_accuracy.NETWORKS[net].calibration()[0][:7]
    quantized(net, scheme).save(path)
    for batch, threads in ((1, 1), (7, 2)):
        np.save(tmp_path / "x.npy", images[:batch])
        command = [program(), path, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--threads", threads]
        subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=120)
        want = fewbins.Session(str(path), 1, isa="scalar").run(images[:batch])
        got = np.load(tmp_path / "y.npy")
        if scheme == "w15":  # float sums, whose order is free
            assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max()
        else:
            np.testing.assert_array_equal(got, want)
