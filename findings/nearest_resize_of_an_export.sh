#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Expected: torch.nn.functional.interpolate(mode="nearest") only copies pixels, so its ONNX export, run by ONNX Runtime,
# gives the very same picture: there is nothing to round.
# Seen: for a few percent of all pairs of sizes, some outputs are the neighbouring pixel. Both compute floor(place) in
# float32, but ONNX Runtime divides by float32(out / in), and PyTorch multiplies by float32(in / out); where the exact
# place is a whole number, one of the two may come out a little below it.
# Why it matters: a comparison of an export with its original fails by whole pixels, not by rounding, and no tolerance
# helps. A decoder with skip connections is then off by one pixel in places, for some picture sizes only.
set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.2.6
"$work/venv/bin/python" -W ignore - <<'PY'
import io
import sys

import numpy as np
import onnxruntime as ort
import torch

print("torch", torch.__version__, "| onnxruntime", ort.__version__)


class Upsample(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return torch.nn.functional.interpolate(x, size=(1, self.size), mode="nearest")


different, pairs, example = 0, 0, None
for size in range(8, 40, 3):
    for target in range(size, 3 * size, 2):
        x = torch.arange(size, dtype=torch.float32).reshape(1, 1, 1, size)
        module, file = Upsample(target), io.BytesIO()
        torch.onnx.export(module, (x,), file, dynamo=False)
        session = ort.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
        theirs = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0].ravel()
        ours = module(x).numpy().ravel()
        pairs += 1
        if (theirs != ours).any():
            different += 1
            place = int(np.flatnonzero(theirs != ours)[0])
            example = example or (size, target, place, int(ours[place]), int(theirs[place]))
print(f"{different} of {pairs} pairs of sizes give another picture")
if example:
    size, target, place, ours, theirs = example
    print(f"such as {size} -> {target}: output {place} is input {ours} in PyTorch and input {theirs} in ONNX Runtime")
sys.exit(0 if different else "the behaviour has changed")
PY
