#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Expected: a BatchNormalization node with one output, of opset 7 to 13, is in inference mode, as its specification says
# ("test mode: Y"): y = (x - mean) / sqrt(var + epsilon) * scale + B with the stored mean and var. The reference
# evaluator of the onnx package is the natural judge when two runtimes differ.
# Seen: at opset 9 the reference evaluator mixes the mean and variance of the batch at hand into the stored ones, and at
# opset 7 it raises a TypeError; from opset 14 on it agrees with ONNX Runtime, which uses the stored values throughout.
# Why it matters: exports of older networks are of these opsets. Whoever checks an importer or an optimizer against the
# reference evaluator sees a wrong network where there is none, and one that "passes" there would be wrong everywhere.
set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "| onnxruntime", ort.__version__, "| numpy", np.__version__)
random = np.random.default_rng(0)
x = random.normal(size=(2, 3, 4, 4)).astype(np.float32)
stored = {"s": [1, 2, 3], "b": [0, 1, 2], "m": [0.5, -0.5, 1], "v": [4, 1, 0.25]}
stored = {name: np.float32(values) for name, values in stored.items()}
scale, bias, mean, var = (values.reshape(1, 3, 1, 1) for values in stored.values())
formula = (x - mean) / np.sqrt(var + np.float32(1e-5)) * scale + bias
reference, runtime = {}, {}
for opset in (7, 9, 14, 15):
    text = "g (float[2,3,4,4] x) => (float[2,3,4,4] y) { y = BatchNormalization(x, s, b, m, v) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> {text}')
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in stored.items())
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    runtime[opset] = float(np.abs(session.run(None, {"x": x})[0] - formula).max())
    try:
        reference[opset] = float(np.abs(ReferenceEvaluator(model).run(None, {"x": x})[0] - formula).max())
    except TypeError as error:
        reference[opset] = f"TypeError: {str(error)[:60]}..."
    print(f"opset {opset}: far from the formula: ONNX Runtime {runtime[opset]:.1e}, reference {reference[opset]}")
seen = isinstance(reference[7], str) and reference[9] > 0.1 and reference[14] < 1e-4 and max(runtime.values()) < 1e-4
sys.exit(0 if seen else "the behaviour has changed")
PY
