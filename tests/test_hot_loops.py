# SPDX-License-Identifier: Apache-2.0
"""The inner loops of the tile kernels, as GCC and Clang compile them: nothing spilled, nothing added."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[1] / "engine"
COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]

# Kernel file -> the multiplication of its loop, how many of them a row of a step has, and its rows.
LOOPS = {
    "f32/ssse3": ("mulps", 4, 3),
    "dot32/ssse3": ("pmaddwd", 4, 3),
    "dot16/ssse3": ("pmaddubsw", 4, 3),
    "dot32_i16/ssse3": ("pmaddwd", 4, 3),
    "u4/ssse3": ("pmaddubsw", 4, 3),
    "u4/avx2": ("vpmaddubsw", 2, 6),
    "f32/avx2": ("vfmadd231ps", 2, 6),
    "dot32/avx2": ("vpmaddwd", 2, 6),
    "dot16/avx2": ("vpmaddubsw", 2, 6),
    "dot32_i16/avx2": ("vpmaddwd", 2, 6),
    "dot32/avxvnni": ("vpdpbusd", 2, 6),
    "dot32_i16/avxvnni": ("vpdpwssd", 2, 6),
    "f32/avx512bw": ("vfmadd231ps", 2, 8),
    "dot32/avx512bw": ("vpmaddwd", 2, 8),
    "dot16/avx512bw": ("vpmaddubsw", 2, 6),
    "dot32_i16/avx512bw": ("vpmaddwd", 2, 8),
    "dot32/avx512vnni": ("vpdpbusd", 2, 8),
    "dot32_i16/avx512vnni": ("vpdpwssd", 2, 8),
    "dot32/amx": ("tdpbusd", 2, 2),
}
# Beside the arithmetic, a step may load the panel (2, or 4 into the narrow registers of SSSE3), ask for what comes (2),
# move two pointers (2) and branch (1). SSSE3 copies what a multiplication would overwrite.
MOST_OTHERS = 7
MOST_OTHERS_SSSE3 = 7
ARITHMETIC = re.compile(
    r"v?pmadd|v?padd|vpdpbusd|vpdpwssd|tdpbusd|tileload|vfmadd|v?p?broadcast|"
    r"mulps|addps|movddup|pshufb|mov(dqa|aps)\s+%xmm\d+,%xmm"
)

# Products of few rows: kernel file -> the multiplication, and the most instructions of an octet of one row, 8 of them.
FEW_ROWS = {
    "lut4/ssse3": ("pmaddubsw", 100),
    "lut4/avx2": ("vpmaddubsw", 76),
    "lut4/avxvnni": ("vpdpbusd", 46),
    "lut4/avx512bw": ("vpmaddubsw", 72),
    "lut4/avx512vnni": ("vpdpbusd", 42),
    "dot32/few_rows/ssse3": ("pmaddubsw", 70),
    "dot32/few_rows/avx2": ("vpmaddubsw", 52),
    "dot32/few_rows/avxvnni": ("vpdpbusd", 22),
    "dot32/few_rows/avx512bw": ("vpmaddubsw", 52),
    "dot32/few_rows/avx512vnni": ("vpdpbusd", 22),
}
# Lines of a depthwise 3x3 window that are requantized: the vector, and the most instructions that touch one per output.
DEPTHWISE_LINES = {"depthwise_dot16/avx2": ("ymm", 64), "depthwise_dot16/avx512bw": ("zmm", 64)}

pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="kernels of x86-64"),
    pytest.mark.skipif(not COMPILERS, reason="needs g++ or clang++"),
]


def flags(isa: str) -> list[str]:
    """The flags that the build gives to files of an instruction set."""
    text = (ENGINE / "kernels" / "sources.cmake").read_text()
    sets = dict(re.findall(r"set\(kernel_flags_(\w+) ([^)]*)\)", text))
    words = f"{sets['common']} {sets[isa]}"
    while "${" in words:
        words = re.sub(r"\$\{kernel_flags_(\w+)\}", lambda m: sets[m[1]], words)
    return words.split()


def inner_loops(listing: str) -> list[list[str]]:
    """The bodies of the innermost loops: from the target of a backward jump to the jump, no other jump between."""
    listing = listing.replace("{vex} ", "")
    lines = [(int(m[1], 16), m[2].strip()) for m in re.finditer(r"^\s*([0-9a-f]+):\t(.*)$", listing, re.MULTILINE)]
    loops = []
    for i, (address, text) in enumerate(lines):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", text)
        if not jump or int(jump[1], 16) >= address:
            continue
        body = [line for at, line in lines[: i + 1] if at >= int(jump[1], 16)]
        if not any(line.startswith("j") for line in body[:-1]):
            loops.append(body)
    return loops


def disassemble(name: str, compiler: str, folder: Path) -> str:
    """The listing of a kernel file."""
    command = [compiler, "-std=c++20", *flags(Path(name).name), f"-I{ENGINE}", "-c", f"{ENGINE}/kernels/{name}.cpp"]
    subprocess.run([*command, "-o", folder / "kernel.o"], check=True)
    return subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", folder / "kernel.o"], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", LOOPS)
def test_a_step_is_its_arithmetic_and_little_else(name: str, compiler: str, tmp_path: Path) -> None:
    multiply, per_row, most_rows = LOOPS[name]
    listing = disassemble(name, compiler, tmp_path)
    bodies = [body for body in inner_loops(listing) if any(line.startswith(multiply) for line in body)]
    rows = {sum(line.startswith(multiply) for line in body) / per_row for body in bodies}
    assert rows >= set(range(1, most_rows + 1)), f"loops for {rows} rows"
    for body in bodies:
        on_stack = [line for line in body if re.search(r"\(%r[sb]p", line)]
        assert not on_stack, f"{name} by {compiler} spills: {on_stack}"
        others = [line for line in body if not ARITHMETIC.match(line)]
        most = MOST_OTHERS_SSSE3 if name.endswith("ssse3") else MOST_OTHERS
        assert len(others) <= most, f"{name} by {compiler} has {others}"


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", FEW_ROWS)
def test_an_octet_of_few_rows_stays_in_registers(name: str, compiler: str, tmp_path: Path) -> None:
    multiply, most = FEW_ROWS[name]
    loops = inner_loops(disassemble(name, compiler, tmp_path))
    bodies = [body for body in loops if sum(line.startswith(multiply) for line in body) >= 8]
    assert any(len(body) <= most for body in bodies), f"{name} by {compiler}: {[len(body) for body in bodies]}"
    for body in bodies:
        on_stack = [line for line in body if re.search(r"\(%r[sb]p", line)]
        assert not on_stack, f"{name} by {compiler} spills: {on_stack}"


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", DEPTHWISE_LINES)
def test_an_output_of_a_depthwise_line_stays_in_registers(name: str, compiler: str, tmp_path: Path) -> None:
    vector, most = DEPTHWISE_LINES[name]
    bodies = [
        body
        for body in inner_loops(disassemble(name, compiler, tmp_path))
        if sum("maddubs" in line and vector in line for line in body) == 10 and any("mulps" in line for line in body)
    ]
    assert bodies
    shortest = min(bodies, key=len)
    touching = [line for line in shortest if vector in line]
    assert len(touching) <= most, f"{name} by {compiler}: {len(touching)} instructions"
    stored = [line for line in touching if re.search(rf"%{vector}\d+,\S*\(%r[sb]p", line)]
    assert not stored, f"{name} by {compiler} spills: {stored}"
