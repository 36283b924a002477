#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tools/check_package.sh BUILD_FOLDER VENV_BIN
# Installs the engine as C programs see it, builds examples/03_c_program against it with CMake and with pkg-config,
# runs both, and checks that the shared library exports the C ABI and nothing else.
set -euo pipefail
build=$1 bin=$2
work=build/package
rm -rf "$work"
mkdir -p "$work"
prefix=$PWD/$work/prefix

"$bin/cmake" --install "$build" --component engine --prefix "$prefix" > "$work/install.log"
library=$(find "$prefix" -name libfewbins.so)
[ -n "$library" ] || { echo "no libfewbins.so under $prefix"; exit 1; }

declared=$(grep -o 'fewbins_[a-z_]*(' "$prefix/include/fewbins.h" | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$library" | awk '{print $3}' | sort -u)
while read -r name; do
  case $name in fewbins_*) ;; *) echo "$library exports $name, which is not of the C ABI"; exit 1 ;; esac
  grep -qx "$name" <<< "$declared" || { echo "$library exports $name, which fewbins.h does not declare"; exit 1; }
done <<< "$exported"

"$bin/python" - "$work/digits.fewbins" << 'PROGRAM'
import sys
import fewbins
sys.path.insert(0, "examples")
from digits_data import digits
fewbins.quantize(fewbins.load_onnx("examples/digits.onnx"), digits()[0][:64], scheme="255x33").save(sys.argv[1])
PROGRAM

"$bin/cmake" -S examples/03_c_program -B "$work/cmake" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
  -DCMAKE_PREFIX_PATH="$prefix" > "$work/cmake.log"
"$bin/cmake" --build "$work/cmake" >> "$work/cmake.log"
"$work/cmake/c_program" "$work/digits.fewbins"

if command -v pkg-config > /dev/null; then
  export PKG_CONFIG_PATH="${library%/*}/pkgconfig"
  # shellcheck disable=SC2046
  "${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror examples/03_c_program/main.c $(pkg-config --cflags --libs fewbins) \
    -o "$work/c_program"
  LD_LIBRARY_PATH="${library%/*}" "$work/c_program" "$work/digits.fewbins"
else
  echo "NOT TESTED: pkg-config is not installed"
fi
printf 'no model' > "$work/bad.fewbins"
if "$work/cmake/c_program" "$work/bad.fewbins"; then
  echo "c_program took a file that is no model"
  exit 1
fi
