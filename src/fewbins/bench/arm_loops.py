# SPDX-License-Identifier: Apache-2.0
"""Inner loops of ARM kernels as assembly for a simulator: the rivals', and the published ones.

Each loop is written here from its published register layout and instruction counts (Trusov et al. 2024 and 2020;
google/gemmlowp's `kernel_neon.h`, Apache-2.0), with its counter and branch. Nothing here is run: no address is ever
valid, only the order of instructions and registers counts.

>>> [loop.name for loop in LOOPS][:2]
['f32_12x8', 'gemmlowp_12x8']
>>> LOOPS[1].count("umlal", "umlal2"), LOOPS[1].count("ld1"), LOOPS[1].count("uxtl")
(48, 5, 5)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loop:
    """The body of one inner loop.

    Attributes:
        name: short and unique.
        engine: whose kernel it is.
        scheme: "f32", "8bit", "u4" or "4.6bit".
        form: the instructions that multiply and add.
        shape: rows x columns x depth of one turn.
        macs: products of one turn.
        body: assembly of one turn.
        flush: assembly after a block of turns, where sums of 16 bits have to be widened; empty where there is none.
        source: where the loop comes from.
    """

    name: str
    engine: str
    scheme: str
    form: str
    shape: str
    macs: int
    body: str
    source: str
    flush: str = ""

    def count(self, *mnemonics: str) -> int:
        """How many instructions of one turn have one of these names."""
        return sum(line.split()[0] in mnemonics for line in self.body.splitlines())


def _turn(lines: list[str]) -> str:
    return "\n".join([*lines, "subs w3, w3, #1", "b.ne .Lturn"])


def _f32_12x8() -> str:
    """24 FMLA by element and 5 loads per depth: rows in v0-v2, columns in v3 and v4, sums in v8-v31."""
    lines = []
    for g in range(3):
        lines += [f"fmla v{8 + 8 * g + j}.4s, v{g}.4s, v{3 + j // 4}.s[{j % 4}]" for j in range(8)]
        lines.append(f"ldr q{g}, [x0], #16")
    return _turn([*lines, "ldr q3, [x1], #16", "ldr q4, [x1], #16"])


def _gemmlowp_12x8() -> str:
    """48 UMLAL by element, 5 loads and 5 UXTL per two depths; the bytes of the next turn arrive during this one."""
    lines = ["uxtl v0.8h, v5.8b", "ld1 {v5.8b}, [x1], #8", "uxtl v1.8h, v6.8b", "ld1 {v6.8b}, [x1], #8"]
    lines += [f"uxtl v{r}.8h, v{r}.8b" for r in (2, 3, 4)]
    for g in range(3):
        for high in (0, 1):
            half, name = ("8h", "umlal2") if high else ("4h", "umlal")
            for j in range(8):
                lane = 4 * high + j % 4
                lines.append(f"{name} v{8 + 8 * g + j}.4s, v{2 + g}.{half}, v{j // 4}.h[{lane}]")
        lines.append(f"ld1 {{v{2 + g}.8b}}, [x0], #8")
    return _turn(lines)


def _sadalp_4x4() -> str:
    """4 x 4 sums, 16 depths per turn: SMULL and SMLAL2 into 16 bits, SADALP of each pair of lanes into 32.

    Rows in v0-v3, columns in v4-v7, 16-bit sums in v8-v15, 32-bit ones in v16-v31. Two products fit 16 bits where one
    operand never is -128. The rows of a column take turns, so that a core that issues in order seldom waits.
    """
    lines = [f"ldr q{4 + j}, [x1], #16" for j in range(4)] + [f"ldr q{i}, [x0], #16" for i in range(4)]
    for j in range(4):
        sums = [8 + 4 * (j % 2) + i for i in range(4)]
        lines += [f"smull v{sums[i]}.8h, v{i}.8b, v{4 + j}.8b" for i in range(4)]
        lines += [f"smlal2 v{sums[i]}.8h, v{i}.16b, v{4 + j}.16b" for i in range(4)]
        lines += [f"sadalp v{16 + 4 * i + j}.4s, v{sums[i]}.8h" for i in range(4)]
    return _turn(lines)


def _bytes_24x8(mlal: str) -> str:
    """The published 24x8 tile: 48 multiply-adds of 8 lanes, 16 DUP, 4 loads per two depths.

    Sums of 16 bits in v0-v23 (rows 8g to 8g + 7 of column j in v(8g + j)), rows in v24-v26, columns in v27, broadcasts
    in v28-v31. Columns go in pairs, so that a core that issues in order seldom waits for the sum before.
    """
    low, high = f"{mlal}", f"{mlal}2"

    def dup(register: int, lane: int) -> str:
        return f"dup v{register}.{'8b' if lane % 2 == 0 else '16b'}, v27.b[{lane}]"

    def add(g: int, j: int, half: int) -> str:
        register = 28 + 2 * half + j % 2
        suffix, name = ("16b", high) if half else ("8b", low)
        return f"{name} v{8 * g + j}.8h, v{24 + g}.{suffix}, v{register}.{suffix}"

    lines = ["ldr q26, [x0, #32]", "ldr q27, [x1], #16", "ldr q24, [x0], #48", "ldr q25, [x0, #-32]"]
    for j in range(0, 8, 2):
        lines += [dup(28, 2 * j), dup(29, 2 * j + 2), dup(30, 2 * j + 1), dup(31, 2 * j + 3)]
        lines += [add(g, j + k, half) for half in (0, 1) for k in (0, 1) for g in range(3)]
    return _turn(lines)


def _flush_24x8() -> str:
    """Adds 24 accumulators of 16 bits to 32-bit sums in memory and clears them.

    48 SADDW, 48 loads and 48 stores as 24 pairs each.
    """
    lines = []
    for first in range(0, 24, 4):
        group = range(4)
        lines += [f"ldp q{24 + 2 * k}, q{25 + 2 * k}, [x2, #{32 * k}]" for k in group]
        for k in group:
            lines += [
                f"saddw v{24 + 2 * k}.4s, v{24 + 2 * k}.4s, v{first + k}.4h",
                f"saddw2 v{25 + 2 * k}.4s, v{25 + 2 * k}.4s, v{first + k}.8h",
            ]
        lines += [f"movi v{first + k}.16b, #0" for k in group]
        lines += [f"stp q{24 + 2 * k}, q{25 + 2 * k}, [x2, #{32 * k}]" for k in group]
        lines.append("add x2, x2, #128")
    return "\n".join(lines)


def _sdot_8x12() -> str:
    """24 SDOT by element and 5 loads per four depths: rows in v0 and v1, columns in v2-v4."""
    lines = []
    for g in range(3):
        lines += [f"sdot v{8 + 8 * g + i}.4s, v{2 + g}.16b, v{i // 4}.4b[{i % 4}]" for i in range(8)]
        lines.append(f"ldr q{2 + g}, [x1], #16")
    return _turn([*lines, "ldr q0, [x0], #16", "ldr q1, [x0], #16"])


def _usmmla_8x12() -> str:
    """24 USMMLA (2x2 sums of 8 products) and 10 loads per eight depths: four pairs of rows, six pairs of columns."""
    lines = []
    for j in range(6):
        lines += [f"usmmla v{8 + 4 * j + i}.4s, v{i}.16b, v{4 + j % 4}.16b" for i in range(4)]
        lines.append(f"ldr q{4 + j % 4}, [x1], #16")
    return _turn([*lines, *[f"ldr q{i}, [x0], #16" for i in range(4)]])


_PAPER = "4.6-bit paper (2024), as published"
LOOPS = (
    Loop("f32_12x8", "published", "f32", "FMLA", "12x8x1", 96, _f32_12x8(), "the usual 12x8 float tile"),
    Loop(
        "gemmlowp_12x8",
        "gemmlowp",
        "8bit",
        "UXTL, UMLAL",
        "12x8x2",
        192,
        _gemmlowp_12x8(),
        "gemmlowp's default ARM64 kernel",
    ),
    Loop(
        "gemmlowp_4x4",
        "gemmlowp",
        "8bit",
        "SMULL, SMLAL2, SADALP",
        "4x4x16",
        256,
        _sadalp_4x4(),
        "gemmlowp's ARM64 kernel for operands without -128",
    ),
    Loop("sdot_8x12", "published", "8bit", "SDOT", "8x12x4", 384, _sdot_8x12(), "the usual 8x12 tile"),
    Loop("usmmla_8x12", "published", "8bit", "USMMLA", "8x12x8", 768, _usmmla_8x12(), "the usual 8x12 tile"),
    Loop("u4_24x8", "published", "u4", "UMLAL", "24x8x2", 384, _bytes_24x8("umlal"), "4-bit paper (2020), 24x8 port"),
    Loop("bins_24x8", "published", "4.6bit", "SMLAL", "24x8x2", 384, _bytes_24x8("smlal"), _PAPER, _flush_24x8()),
)
