# SPDX-License-Identifier: Apache-2.0
"""The inner loops of the tile kernels for ARM, as GCC and Clang compile them: nothing spilled, little added."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[1] / "engine"
NEON64 = ["-march=armv8-a"]
DOT = ["-march=armv8.2-a+dotprod"]
I8MM = ["-march=armv8.2-a+dotprod+i8mm"]
NEON32 = ["-march=armv7-a+fp", "-mfloat-abi=hard", "-mfpu=neon-vfpv4"]

# Kernel file, flags, the arithmetic of a step, how many such instructions it has, and the loads and the rest that a
# step needs. A compiler may add 5: two pointers, a counter, a comparison, a branch.
LOOPS = [
    ("f32/neon", NEON64, "fmla", 64, 16),
    ("dot32/neon", NEON64, "smull|smlal2|sadalp", 48, 12),
    ("dot32/neon_dot", DOT, "sdot", 64, 24),
    ("dot32/neon_i8mm", I8MM, "usmmla", 32, 24),
    ("dot16/neon", NEON64, "smlal", 32, 12),
    ("dot16/neon_24x8", NEON64, "smlal", 48, 20),
    ("dot32_i16/neon", NEON64, "smlal", 128, 16),
    ("u4/neon", NEON64, "umlal", 96, 37),
    ("lut4/neon", NEON64, "smull|addp|sadalp", 64, 43),
    ("lut4/neon_dot", DOT, "sdot", 8, 37),
    ("depthwise_dot32/neon", NEON64, "smlal", 16, 19),
    ("depthwise_dot16/neon", NEON64, "smlal", 8, 13),
    ("f32/neon", NEON32, "vmla", 32, 12),
    ("dot32/neon", NEON32, "vmull|vmlal|vpadal", 24, 8),
    ("dot16/neon", NEON32, "vmlal", 16, 8),
    ("dot32_i16/neon", NEON32, "vmlal", 32, 6),
    ("u4/neon", NEON32, "vmlal", 48, 23),
    ("depthwise_dot16/neon", NEON32, "vmlal", 8, 13),
]
# With 16 registers and no addressing by two registers, more pointers move.
MOST_ADDED = {"aarch64": 5, "arm": 17}
COMPILERS = {
    "aarch64": ["aarch64-linux-gnu-g++", "clang++ --target=aarch64-linux-gnu"],
    "arm": ["arm-linux-gnueabihf-g++"],
}
CASES = [
    pytest.param(*loop, machine, compiler, id=f"{loop[0]}-{machine}-{compiler.split()[0]}")
    for loop in LOOPS
    for machine in (["arm"] if loop[1] is NEON32 else ["aarch64"])
    for compiler in COMPILERS[machine]
    if shutil.which(compiler.split()[0]) and shutil.which(COMPILERS[machine][0])
]


def inner_loops(assembly: str) -> list[list[str]]:
    """The bodies of the innermost loops of an assembly file."""
    loops: list[list[str]] = []
    labels: dict[str, int] = {}
    lines: list[str] = []
    for line in assembly.splitlines():
        if label := re.match(r"([.\w]+):", line):
            labels[label[1]] = len(lines)
        elif re.match(r"\s*[a-z]", line):
            text = re.split(r"\s*(?://|@ )", line.strip())[0]
            lines.append(text)
            jump = re.match(r"(?:b|cb|tbn?z)[.\w]*\s.*?(\.\w+|\d+b)$", text)
            target = labels.get(jump[1].removesuffix("b") if jump[1][0] != "." else jump[1]) if jump else None
            if target is None:
                continue
            body = lines[target:]
            if not any(re.match(r"(?:b|cb|tbn?z)[.\w]*\s.*(\.\w+|\db)$", other) for other in body[:-1]):
                loops.append(body)
    return loops


@pytest.mark.skipif(not CASES, reason="needs g++-aarch64-linux-gnu and g++-arm-linux-gnueabihf")
@pytest.mark.parametrize(("name", "flags", "arithmetic", "count", "others", "machine", "compiler"), CASES)
def test_a_step_is_its_arithmetic_and_little_else(
    name: str, flags: list[str], arithmetic: str, count: int, others: int, machine: str, compiler: str, tmp_path: Path
) -> None:
    own = [] if compiler.startswith("clang") else ["-fno-schedule-insns"]  # as sources.cmake has it
    command = [*compiler.split(), "-std=c++20", "-O3", "-ffp-contract=off", *own, *flags, f"-I{ENGINE}"]
    subprocess.run([*command, "-S", f"{ENGINE}/kernels/{name}.cpp", "-o", tmp_path / "kernel.s"], check=True)
    loops = inner_loops((tmp_path / "kernel.s").read_text())
    steps = [body for body in loops if sum(bool(re.match(arithmetic, line)) for line in body) == count]
    assert steps, f"{name} by {compiler} has no loop with {count} of {arithmetic}"
    for body in steps:
        spills = [line for line in body if re.search(r"\[sp", line) and re.match(r"[a-z]+\d?\s+[{vqd]", line)]
        assert not spills, f"{name} by {compiler} spills: {spills}"
        assert len(body) <= count + others + MOST_ADDED[machine], f"{name} by {compiler}: {len(body)} instructions"
