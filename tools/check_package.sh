#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tools/check_package.sh VENV_BIN JOBS
# The C library as docs/c-api.md has it: from the unpacked sdist, with CMake, a C++ compiler and Boost's headers, and with
# no Python in reach. Installs it, builds examples/03_c_program against it by CMake and by pkg-config, shared and static,
# runs them, and checks that the shared library exports the C ABI and nothing else.
set -euo pipefail
bin=$(realpath "$1") jobs=$2
work=$PWD/build/package
rm -rf "$work"
mkdir -p "$work/tools" "$work/sdist"
prefix=$work/prefix

"$bin/python" -m build --sdist --no-isolation --outdir "$work/sdist" . > "$work/sdist.log" 2>&1 || { cat "$work/sdist.log"; exit 1; }
tar xzf "$work"/sdist/*.tar.gz -C "$work/sdist"
source=$(echo "$work"/sdist/*/)

# A PATH with what a C++ developer has, and no Python.
for tool in cc c++ gcc g++ ld as ar nm ranlib sh uname ccache "${CXX:-c++}"; do
  if path=$(command -v "$tool"); then ln -sf "$path" "$work/tools/${tool##*/}"; fi
done
ln -sf "$bin/cmake" "$bin/ninja" "$work/tools/"
boost=$("$bin/python" -c 'import boost_headers; print(boost_headers.get_include())')

# configure NAME [ARGUMENT ...]
configure() {
  local name=$1
  shift
  PATH=$work/tools cmake -S "$source" -B "$work/$name" -G Ninja "$@" > "$work/$name.log" 2>&1
}

# Without Boost's headers the configuration says how to get them. Where they are installed it finds them.
if configure bare; then
  grep -q "Boost headers: " "$work/bare.log"
else
  for word in "were not found" libboost-dev boost-devel "pip install --target build/boost boost-headers"; do
    grep -q -- "$word" "$work/bare.log" || { cat "$work/bare.log"; exit 1; }
  done
fi
mkdir -p "$work/old/boost" && touch "$work/old/boost/json.hpp" && echo '#define BOOST_VERSION 107400' > "$work/old/boost/version.hpp"
! configure old -DFEWBINS_BOOST_INCLUDE_DIR="$work/old"
grep -q "is 107400; 108300" "$work/old.log"

configure engine -DFEWBINS_BOOST_INCLUDE_DIR="$boost" || { cat "$work/engine.log"; exit 1; }
PATH=$work/tools cmake --build "$work/engine" -j "$jobs" > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
PATH=$work/tools cmake --install "$work/engine" --component engine --prefix "$prefix" > "$work/install.log"
"$prefix/bin/fewbins-run" --self-test
"$prefix/bin/fewbins-run" --version | grep "(commit $(cat COMMIT))"

library=$(find "$prefix" -name libfewbins.so)
[ -n "$library" ] || { echo "no libfewbins.so under $prefix"; exit 1; }
folder=${library%/*}
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
printf 'no model' > "$work/bad.fewbins"

# try PROGRAM: it runs the model, and refuses what is none
try() {
  "$@" "$work/digits.fewbins"
  if "$@" "$work/bad.fewbins"; then
    echo "$* took a file that is no model"
    exit 1
  fi
}

for kind in shared static; do
  "$bin/cmake" -S examples/03_c_program -B "$work/cmake-$kind" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
    -DCMAKE_PREFIX_PATH="$prefix" -DSTATIC="$([ $kind = static ] && echo ON || echo OFF)" > "$work/cmake.log"
  "$bin/cmake" --build "$work/cmake-$kind" >> "$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
  try "$work/cmake-$kind/c_program"
done
if command -v pkg-config > /dev/null; then
  export PKG_CONFIG_PATH="$folder/pkgconfig"
  flags="-std=c11 -Wall -Wextra -Wpedantic -Werror examples/03_c_program/main.c"
  # shellcheck disable=SC2046,SC2086
  "${CC:-cc}" $flags $(pkg-config --cflags --libs fewbins) -o "$work/c_program"
  try env LD_LIBRARY_PATH="$folder" "$work/c_program"
  # shellcheck disable=SC2046,SC2086
  "${CC:-cc}" $flags $(pkg-config --cflags fewbins) "$folder/libfewbins.a" -lstdc++ -lm -pthread -o "$work/c_static"
  try "$work/c_static"
else
  echo "NOT TESTED: pkg-config is not installed"
fi
