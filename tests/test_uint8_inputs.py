# SPDX-License-Identifier: Apache-2.0
"""Networks that take uint8 and make float32 of it themselves: every way in takes uint8 arrays as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import expected, normal, parse

import fewbins
from fewbins import oracle
from fewbins.errors import CalibrationError, ShapeError

X = np.random.default_rng(8).integers(0, 256, (8, 3, 6, 5), np.uint8)


def network(nhwc: bool = False) -> onnx.ModelProto:
    cast = "f = Cast<to = 1>(x) c = Transpose<perm = [0, 3, 1, 2]>(f)" if nhwc else "c = Cast<to = 1>(x)"
    text = (
        f"(uint8[{'N,6,5,3' if nhwc else 'N,3,6,5'}] x) => (float[] y) {{ {cast} s = Sub(c, m) v = Div(s, d) "
        "k = Conv<pads = [1, 1, 1, 1]>(v, w) p = GlobalAveragePool(k) y = Flatten(p) }"
    )
    mean, std = np.float32([120, 110, 100]).reshape(3, 1, 1), np.float32([60, 50, 55]).reshape(3, 1, 1)
    return parse(text, 17, {"m": mean, "d": std, "w": normal(4, 3, 3, 3)})


@pytest.mark.parametrize("nhwc", [False, True])
def test_session_calibration_and_evaluate_take_uint8(nhwc: bool) -> None:
    x = np.ascontiguousarray(X.transpose(0, 2, 3, 1)) if nhwc else X
    want = expected(network(nhwc), {"x": x})["y"]
    graph = fewbins.load_onnx(network(nhwc))
    assert graph.tensors["x"].dtype == "uint8"
    floats = fewbins.Session(fewbins.quantize(graph, scheme="float")).run(x)
    np.testing.assert_allclose(floats, want, rtol=0, atol=1e-5 * np.abs(want).max())
    for images in (x, list(x), {"x": x}):
        model = fewbins.quantize(graph, images)
        session = fewbins.Session(model)
        got = session.run(x)
        assert session.inputs[0].type == "tensor(uint8)"
        assert 10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()) > 25
        np.testing.assert_array_equal(oracle.run(model.graph, [x], trace=False)["y"], got)
    assert [node.op for node in model.graph.nodes][:2] == ["Cast", "Quantize"]
    assert "offset" in model.graph.nodes[1].params
    assert fewbins.evaluate(model, (x, want.argmax(1)))["samples"] == 8


def test_other_types_are_refused_with_what_to_write() -> None:
    graph = fewbins.load_onnx(network())
    with pytest.raises(CalibrationError, match=r"are float32; .* \.astype\(numpy\.uint8\)"):
        fewbins.quantize(graph, X.astype(np.float32))
    session = fewbins.Session(fewbins.quantize(graph, X))
    with pytest.raises(ShapeError, match="uint8"):
        session.run(X.astype(np.float32))


def test_the_command_line_and_the_c_program_take_uint8(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    want = expected(network(), {"x": X})["y"]
    np.savez(tmp_path / "data.npz", x=X, y=want.argmax(1))
    np.save(tmp_path / "x.npy", X)

    def run(*command: object) -> str:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python = (sys.executable, "-c", "from fewbins.cli import main; main()")
    path = tmp_path / "net.fewbins"
    run(*python, "quantize", tmp_path / "net.onnx", "--calibrate", tmp_path / "data.npz", "-o", path)
    assert '"samples": 8' in run(
        *python, "evaluate", path, "--data", tmp_path / "data.npz", "--against", tmp_path / "net.onnx", "--json"
    )
    run(*python, "run", path, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    runner = Path(fewbins.__file__).parent / "bin" / "fewbins-run"
    run(runner, path, "--input", tmp_path / "x.npy", "--output", tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.load(tmp_path / "z.npy"))
