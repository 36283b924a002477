#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tools/check_arm.sh VENV_BIN JOBS WERROR
# Builds the engine for 64-bit ARM and ARMv7 and runs its C++ tests and its self-test under qemu: 64-bit without and with
# dot products, 32-bit with NEON. Then models run there, and must give the bits of this machine, whose own engine
# `make build` has put into src/fewbins. FEWBINS_ARM=require: a missing cross compiler is an error, not a skip.
set -euo pipefail
bin=$(realpath "$1") jobs=$2 werror=$3

missing=
for program in aarch64-linux-gnu-g++ arm-linux-gnueabihf-g++ qemu-aarch64-static qemu-arm-static; do
  command -v "$program" > /dev/null || missing="$missing $program"
done
if [ -n "$missing" ]; then
  echo "NOT TESTED: ARM, for want of$missing; on Debian: apt-get install g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user-static"
  [ "${FEWBINS_ARM:-}" != require ] || exit 1
  exit 0
fi

# build_for NAME: build/NAME with the toolchain file of that name
build_for() {
  "$bin/cmake" -S . -B "build/$1" -G Ninja --toolchain "$PWD/cmake/$1.cmake" -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
    -DPython_EXECUTABLE="$bin/python" -DFEWBINS_BUILD_PYTHON=OFF -DFEWBINS_BUILD_TESTS=ON -DFEWBINS_WERROR="$werror" \
    > "build/$1.log" || { cat "build/$1.log"; exit 1; }
  "$bin/cmake" --build "build/$1" -j "$jobs" --target fewbins_tests fewbins_run
}

programs=()

# check BUILD QEMU CPU
check() {
  local run="$2 -cpu $3 build/$1/engine"
  programs+=("$run/fewbins-run")
  echo "== $1, $2 -cpu $3"
  $run/fewbins_tests --report_level=short
  $run/fewbins-run --self-test
}

mkdir -p build
build_for aarch64
build_for armv7
check aarch64 qemu-aarch64-static cortex-a72
check aarch64 qemu-aarch64-static max
check armv7 qemu-arm-static cortex-a15
"$bin/python" tools/check_arm_models.py src/fewbins/bin/fewbins-run "${programs[@]}"
