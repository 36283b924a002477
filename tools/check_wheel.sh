#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tools/check_wheel.sh VENV_BIN
# Builds the sdist and, from it, the wheel of this Python into dist/. Then pip installs each into an environment of its own,
# where tools/check_installed.py does the main job.
set -euo pipefail
bin=$(realpath "$1")
work=$PWD/build/wheel
rm -rf dist "$work"
mkdir -p "$work/tmp"
export TMPDIR=$work/tmp # pip and build compile in there, where a compiler cache may know the paths

"$bin/python" -m build --outdir dist . > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
ls -l dist
# Real digits for the environments below, which have no scikit-learn.
"$bin/python" - "$work" << 'PROGRAM'
import sys
import numpy as np
sys.path.insert(0, "examples")
from digits_data import digits
x_train, _, x_test, y_test = digits()
np.savez(f"{sys.argv[1]}/images.npz", x=x_train[:256])
np.savez(f"{sys.argv[1]}/test.npz", x=x_test, y=y_test)
PROGRAM

# check NAME DISTRIBUTION
check() {
  echo "== $2, installed on its own"
  "$bin/python" -m venv "$work/$1"
  "$work/$1/bin/python" -m pip install --quiet "$2[onnx,images]"
  "$work/$1/bin/python" tools/check_installed.py --images "$work/images.npz" --test "$work/test.npz"
}
check from-wheel "$(echo dist/*.whl)"
check from-sdist "$(echo dist/*.tar.gz)"
