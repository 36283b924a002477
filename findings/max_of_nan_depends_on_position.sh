#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Expected: a maximum over values with a NaN among them is NaN, as in NumPy and PyTorch; or, at the least, it does not
# depend on where in the window the NaN stands, since a maximum is symmetric.
# Seen (x86-64): ONNX Runtime's MaxPool over windows of two gives NaN where the NaN is the second value and the number
# where it is the first, if the row is long enough for its vector code; in a row of a single window it gives the number
# in both cases. ReduceMax gives the number, and the elementwise Max gives NaN for the same two values.
# Why it matters: a check for NaN at a network's output (a detector's health test, a comparison of two engines) can miss
# a NaN that an earlier layer made, or find it for one alignment of the image and not for the next. An engine that wants
# to equal ONNX Runtime there has to copy the order of the comparisons, not the mathematics.
set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime as ort

print("onnxruntime", ort.__version__, "| onnx", onnx.__version__, "| numpy", np.__version__)
nan = np.float32("nan")


def run(text, *inputs):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g {text}')
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([i.name for i in session.get_inputs()], inputs)))[0].ravel()


def pool(row):
    size = f"float[1,1,1,{len(row)}]"
    return run(f"({size} x) => (float[] y) {{ y = MaxPool<kernel_shape = [1, 2]>(x) }}", np.float32(row).reshape(1, 1, 1, -1))


long, first, second = pool([1, nan, 3, nan, 2]), pool([nan, 3]), pool([3, nan])
reduced = run("(float[1,2] x) => (float[1] y) { y = ReduceMax<axes = [1], keepdims = 0>(x) }", np.float32([[3, nan]]))
elementwise = run("(float[1] a, float[1] b) => (float[1] y) { y = Max(a, b) }", np.float32([3]), np.float32([nan]))
print("MaxPool of (1, NaN, 3, NaN, 2):", long)
print("MaxPool of (NaN, 3), (3, NaN):", first, second)
print("ReduceMax of (3, NaN):", reduced)
print("Max(3, NaN):          ", elementwise)
print("numpy.max of either:  ", np.max(np.float32([3, nan])))
hidden = first[0] == 3 and second[0] == 3 and list(np.isnan(long)) == [True, False, True, False]
seen = hidden and reduced[0] == 3 and np.isnan(elementwise[0])
sys.exit(0 if seen else "the behaviour has changed")
PY
