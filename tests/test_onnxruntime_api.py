# SPDX-License-Identifier: Apache-2.0
"""The drop-in for ONNX Runtime: one script runs under both, and what differs is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import DIGITS, digits, digits_bytes, images

import fewbins as ort

SCRIPT = Path(__file__).with_name("onnxruntime_script.py")
IMPORT = "import onnxruntime as ort\n"


def output(script: Path, model: Path) -> dict:
    done = subprocess.run([sys.executable, script, model], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_script_for_onnx_runtime_works_with_another_import_and_path(tmp_path):
    text = SCRIPT.read_text()
    assert text.count(IMPORT) == 1
    (tmp_path / "script.py").write_text(text.replace(IMPORT, "import fewbins as ort\n"))
    digits("float").save(tmp_path / "digits.fewbins")
    theirs, ours = output(SCRIPT, DIGITS), output(tmp_path / "script.py", tmp_path / "digits.fewbins")
    assert ours["said"] == theirs["said"]
    np.testing.assert_allclose(ours["want"], theirs["want"], rtol=1e-5, atol=1e-5)


def test_providers_that_are_not_here_are_warned_of():
    with pytest.warns(ort.FewbinsWarning, match="CUDAExecutionProvider are not here"):
        session = ort.InferenceSession(digits_bytes(), providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert session.get_providers() == ort.get_available_providers()
    with pytest.raises(ort.ArgumentError, match="give a list of names"):
        ort.InferenceSession(digits_bytes(), providers="CPUExecutionProvider")


def test_threads_come_from_the_options():
    for count in (1, 2):
        session = ort.InferenceSession(digits_bytes(), ort.SessionOptions(intra_op_num_threads=count))
        assert f"{count} thread" in repr(session)
    for wrong in (3, {"intra_op_num_threads": 1}, ort.SessionOptions(intra_op_num_threads=1.5)):
        with pytest.raises(ort.ArgumentError, match="SessionOptions"):
            ort.InferenceSession(digits_bytes(), wrong)


def test_the_models_metadata_has_its_scheme_and_labels():
    model = ort.QuantizedModel(digits().graph, "8bit", labels=list("abcdefghij"))
    meta = ort.InferenceSession(model.to_bytes()).get_modelmeta()
    assert (meta.producer_name, meta.graph_name) == ("fewbins", "digits")
    assert meta.custom_metadata_map == {"scheme": "8bit", "labels": "a\nb\nc\nd\ne\nf\ng\nh\ni\nj"}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.run("logits", {}), r"give a list: \['logits'\]"),
        (lambda s: s.run(["nothing"], {"image": images(1)}), "'nothing' is not an output"),
        (lambda s: s.run(None, images(1)), "dict of arrays"),
        (lambda s: s.run(None, None), "dict of arrays"),
        (lambda s: ort.OrtValue.ortvalue_from_numpy(images(1), "cuda", 0), "device 'cuda'"),
        (lambda s: s.io_binding().bind_output("logits", "cuda"), "device 'cuda'"),
    ],
)
def test_wrong_calls_are_errors_of_ours(call, says):
    with pytest.raises(ort.FewbinsError, match=says):
        call(ort.InferenceSession(digits_bytes()))


def test_memory_of_another_shape_is_not_bound():
    session = ort.InferenceSession(digits_bytes())
    binding = session.io_binding()
    binding.bind_cpu_input("image", images(2))
    binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(np.zeros((1, 10), np.float32)))
    with pytest.raises(ort.ArgumentError, match=r"float32 \(2, 10\); it was bound to float32 \(1, 10\)"):
        session.run_with_iobinding(binding)
