# SPDX-License-Identifier: Apache-2.0
"""What the compiler made of the kernels: no fused multiply-add, no code that leaks to other CPUs.

Reads the objects of the build folder FEWBINS_BUILD (default build/release; `make test` sets it).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("FEWBINS_BUILD") or ROOT / "build" / "release")
OBJECTS = BUILD / "engine" / "CMakeFiles" / "fewbins_objects.dir"

# Only sums of float convolutions and products may fuse; all else rounds once per written operation (docs/numerics.md).
MAY_FUSE = {"f32", "depthwise_f32"}
FUSED = re.compile(r"\sv?fn?m(?:add|sub|la|ls)")  # vfmadd231ps, vfnmsub213ss, fmla ...


@pytest.fixture(scope="module")
def objects() -> list[Path]:
    found = sorted(OBJECTS.rglob("*.o"))
    if not found and "FEWBINS_BUILD" not in os.environ:
        pytest.skip(f"no objects in {OBJECTS}; run `make build`, or set FEWBINS_BUILD to the build folder")
    assert found, f"no objects in {OBJECTS}"
    return found


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_for_one_isa(path: Path) -> bool:
    """Tell whether a file is compiled with instructions that not every CPU has."""
    relative = path.relative_to(OBJECTS)
    return relative.parts[0] == "kernels" and len(relative.parts) > 2 and not relative.name.startswith("scalar")


def test_only_float_sums_use_fused_multiply_add(objects: list[Path]) -> None:
    fused = []
    for path in objects:
        family = path.relative_to(OBJECTS).parts[1]
        if family not in MAY_FUSE and FUSED.search(output("objdump", "-d", path)):
            fused.append(str(path.relative_to(OBJECTS)))
    assert not fused


def test_the_search_for_fused_instructions_finds_them(tmp_path: Path) -> None:
    source = tmp_path / "fused.cpp"
    source.write_text("float f(float a, float b, float c) { return __builtin_fmaf(a, b, c); }\n")
    machine = os.uname().machine
    if machine != "x86_64":
        pytest.skip(f"the flags of this check are for x86-64, not {machine}")
    subprocess.run([os.environ.get("CXX", "c++"), "-O2", "-mfma", "-c", source, "-o", tmp_path / "fused.o"], check=True)
    assert FUSED.search(output("objdump", "-d", tmp_path / "fused.o"))


def test_no_function_is_shared_between_files_of_different_instruction_sets(objects: list[Path]) -> None:
    """The linker keeps one of several weak copies: an AVX-512 copy of an inline function would crash older CPUs."""
    homes: dict[str, list[Path]] = defaultdict(list)
    for path in objects:
        for line in output("nm", "--defined-only", path).splitlines():
            _, kind, symbol = line.split(maxsplit=2)
            if kind in "WVu" and not symbol.startswith("_ZT"):  # type information holds no code
                homes[symbol].append(path)
    leaks = {
        symbol: [str(path.relative_to(OBJECTS)) for path in paths]
        for symbol, paths in homes.items()
        if len(paths) > 1 and any(is_for_one_isa(path) for path in paths)
    }
    assert not leaks
