# SPDX-License-Identifier: Apache-2.0
"""Cycles per multiply-add of ARM inner loops, as LLVM's models of three cores predict them: modelled, not measured.

`llvm-mca` simulates a core's issue ports, latencies and register dependences over a loop whose data is in the first
level cache. It knows nothing of caches, of prefetching, or of a core that it has no model of. A figure of it orders
kernels; it is no time of a program.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fewbins.bench.arm_loops import LOOPS, Loop
from fewbins.errors import FileAccessError, UnsupportedError

CORES = ("cortex-a57", "cortex-a55", "cortex-a53")
BLOCKS = (16, 32, 64, 128, 258)
_TURNS = 300  # of a loop; the first few fill the pipeline, which is below one per cent
_BLOCK_TURNS = 1500  # turns simulated for a loop that is cut into blocks


def run(progress: Callable[[int, int | None, str], None] = lambda done, total, text: None) -> list[dict[str, Any]]:
    """The table of `fewbins bench arm-model`.

    Args:
        progress: called with (done, total, text).

    Returns:
        A row for each core, loop and length of block: engine, isa, scheme, form, shape, gmacs (always None),
        peak_fraction (always None), cycles_per_mac (None where the core lacks the instruction), core, block (products
        per 16-bit sum, None where sums are wider or the whole depth), ratio (how many times faster per product than
        gemmlowp's 12x8 kernel on that core), source, modelled.

    Raises:
        FileAccessError: llvm-mca is not installed.

    Source: Trusov et al. 2024 (the 4.6-bit paper) measured a ratio of 1.7 on a Cortex-A73.
    """
    simulator = find_simulator()
    work = [(core, loop, block) for core in CORES for loop, block in _cases([*LOOPS, *engine_loops()])]
    rows: list[dict[str, Any]] = []
    base: dict[str, float] = {}
    for done, (core, loop, block) in enumerate(work):
        progress(done, len(work), f"{core} {loop.name}")
        cycles = cycles_of(simulator, core, loop, block)
        if cycles is not None and loop.name == "gemmlowp_12x8":
            base[core] = cycles
        rows.append(
            {
                "engine": loop.engine,
                "isa": "neon",
                "scheme": "bins" if block is not None and block < BLOCKS[-1] else loop.scheme,
                "form": loop.form,
                "shape": loop.shape,
                "gmacs": None,
                "peak_fraction": None,
                "cycles_per_mac": cycles,
                "core": core,
                "block": block,
                "name": loop.name,
                "source": loop.source,
                "modelled": True,
            }
        )
    for row in rows:
        row["ratio"] = base[row["core"]] / row["cycles_per_mac"] if row["cycles_per_mac"] is not None else None
    return rows


def _cases(loops: list[Loop]) -> Iterator[tuple[Loop, int | None]]:
    for loop in loops:
        for block in BLOCKS if loop.flush else (None,):
            yield loop, block


def find_simulator() -> str:
    """Where llvm-mca is; Debian also installs it under the name of its version.

    Raises:
        FileAccessError: nowhere.
    """
    for name in ("llvm-mca", *(f"llvm-mca-{version}" for version in range(25, 13, -1))):
        path = shutil.which(name)
        if path is not None:
            return path
    raise FileAccessError("llvm-mca is not installed; it is in the Debian package 'llvm' (apt-get install llvm)")


def cycles_of(simulator: str, core: str, loop: Loop, block: int | None) -> float | None:
    """Cycles per product; None where the core lacks an instruction of the loop.

    Args:
        simulator: path of llvm-mca.
        core: its -mcpu.
        loop: what to simulate; every turn takes two depths where `block` is given.
        block: depths after which 16-bit sums are widened, or None.

    Raises:
        UnsupportedError: the simulator refuses the loop for another reason.
    """
    turns, text = 1, loop.body
    if block is not None:
        turns = block // 2
        text = f"{(loop.body + chr(10)) * turns}{loop.flush}"
    iterations = _TURNS if block is None else max(4, _BLOCK_TURNS // turns)
    done = subprocess.run(
        [
            simulator,
            "-mtriple=aarch64",
            f"-mcpu={core}",
            f"-iterations={iterations}",
            "-instruction-info=0",
            "-resource-pressure=0",
        ],
        input=f".Lturn:\n{text}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search(r"error: instruction requires", done.stderr):
        return None
    if "error:" in done.stderr or done.returncode != 0:
        reason = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}"
        raise UnsupportedError(f"llvm-mca cannot simulate loop '{loop.name}' on {core}: {reason}")
    return total_cycles(done.stdout) / (iterations * turns * loop.macs)


def total_cycles(report: str) -> int:
    r"""The cycle count in what llvm-mca printed.

    >>> total_cycles("Iterations:        10\nInstructions:      40\nTotal Cycles:      47\n")
    47
    """
    match = re.search(r"^Total Cycles:\s+(\d+)$", report, re.MULTILINE)
    if match is None:
        raise UnsupportedError("llvm-mca printed no 'Total Cycles'; a version from 14 to 20 is known to work")
    return int(match[1])


# ---- the engine's own kernels, as the cross compiler makes them ------------------------------------------------------

_COMPILER = "aarch64-linux-gnu-g++"
_ENGINE = Path(__file__).resolve().parents[3] / "engine"
_SCHEMES = {"f32": "f32", "dot32": "8bit", "dot16": "4.6bit", "u4": "u4", "lut4": "lut4"}
_LANES = (  # products of one instruction, from its name and the arrangement of what it writes
    (re.compile(r"(?:us|su|s|u)mmla\b"), {"4s": 32}),
    (re.compile(r"(?:us|su|s|u)dot\b"), {"4s": 16}),
    (re.compile(r"[us]ml[as]l2?\b|[us]mull2?\b"), {"8h": 8, "4s": 4, "2d": 2}),
    (re.compile(r"fmla\b"), {"4s": 4}),
)
_JUMP = re.compile(r"(?:b[l.]?[a-z]{0,2}\s|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#?\d+,)\s*([.\w$]+)$")


def engine_loops() -> list[Loop]:
    """The hottest inner loop of each NEON tile kernel of this checkout; empty without sources or cross compiler."""
    compiler = shutil.which(_COMPILER)
    if compiler is None or not (_ENGINE / "kernels").is_dir():
        return []
    loops = []
    for family, scheme in _SCHEMES.items():
        for path in sorted((_ENGINE / "kernels" / family).glob("neon*.cpp")):
            done = subprocess.run(
                [compiler, "-std=c++20", f"-I{_ENGINE}", *_flags(path.stem), "-S", "-o", "-", str(path)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                loops += kernel_loops(done.stdout, scheme, os.path.relpath(path, _ENGINE.parent))
    return loops


def _flags(isa: str) -> list[str]:
    text = (_ENGINE / "kernels" / "sources.cmake").read_text()
    sets: dict[str, str] = {}
    for name, words in re.findall(r"set\(kernel_flags_(\w+) ([^)]*)\)", text):
        words = re.sub(r"\$<\$<CXX_COMPILER_ID:(\w+)>:([^>]*)>", lambda m: m[2] if m[1] == "GNU" else "", words)
        sets.setdefault(name, words)  # NEON has two: 64 bits come first
    words = f"{sets['common']} {sets.get(isa, '')}"
    while "${" in words:
        words = re.sub(r"\$\{kernel_flags_(\w+)\}", lambda match: sets[match[1]], words)
    return words.split()


def kernel_loops(assembly: str, scheme: str, source: str) -> list[Loop]:
    """Of every kernel function in a compiler's output, the innermost loop with the most products.

    >>> text = '''
    ... _ZN7fewbins16dot16_8x8__neonERKNS_8GemmTaskE:
    ... .L3:
    ...   ldr q1, [x0], #16
    ...   smlal v0.8h, v1.8b, v2.8b
    ...   subs x2, x2, #1
    ...   bne .L3
    ... '''
    >>> [(loop.name, loop.macs, loop.form, loop.source) for loop in kernel_loops(text, "4.6bit", "dot16/neon.cpp")]
    [('dot16_8x8__neon', 8, 'SMLAL', 'dot16/neon.cpp, inner loop')]
    """
    functions: dict[str, _Function] = {}
    for raw in assembly.splitlines():
        line = raw.split("//")[0].strip()
        label = re.match(r"([.\w$]+):\s*(.*)", line)
        if label is not None:
            if re.match(r"[A-Za-z_]", label[1]):
                functions[label[1]] = _Function()
            line = label[2]
        function = next(reversed(functions.values()), None)
        if function is None:
            continue
        if label is not None:
            function.labels[label[1]] = len(function.lines)
        if line and not line.startswith((".", "#")):
            function.add(line)
    loops = []
    kernels = {s: m[1] for s in functions if (m := re.match(r"_ZN7fewbins\d+(\w+__neon\w*?)ERK", s)) is not None}
    for symbol, kernel in kernels.items():
        # Calls may go through a table of pointers; a file with one kernel has no other's loops.
        own = functions if len(kernels) == 1 else _reached(functions, symbol)
        best = max((functions[name].hottest for name in own), key=_macs, default=[])
        if _macs(best) == 0:
            continue
        forms = dict.fromkeys(line.split()[0].upper().removesuffix("2") for line in best if _shows(line))
        shape = re.search(r"\d+x\d+(?:k\d+)?", kernel)
        body = "\n".join([*best[:-1], re.sub(r"[.\w$]+$", ".Lturn", best[-1])])
        loops.append(
            Loop(
                kernel,
                "fewbins",
                scheme,
                ", ".join(forms),
                shape[0] if shape else "",
                _macs(best),
                body,
                f"{source}, inner loop",
            )
        )
    return loops


class _Function:
    """Instructions of one function, and the innermost loop with the most products."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.labels: dict[str, int] = {}
        self.calls: set[str] = set()
        self.hottest: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)
        jump = _JUMP.match(line)
        if jump is None:
            return
        target = jump[1][:-1] if re.fullmatch(r"\d+b", jump[1]) else jump[1]
        if target not in self.labels:
            self.calls.add(target)
            return
        body = self.lines[self.labels[target] :]
        inner = not any(_JUMP.match(each) for each in body[:-1])
        if inner and _macs(body) > _macs(self.hottest):
            self.hottest = body


def _reached(functions: dict[str, _Function], symbol: str) -> set[str]:
    """The function and those that it calls or that its calls call."""
    reached: set[str] = set()
    waiting = [symbol]
    while waiting:
        name = waiting.pop()
        if name in functions and name not in reached:
            reached.add(name)
            waiting += functions[name].calls
    return reached


def _shows(line: str) -> bool:
    """Whether an instruction belongs to a loop's form: it multiplies, or it widens or looks up what is multiplied."""
    return _products(line) > 0 or re.match(r"[us](?:adalp|xtl)2?\b|tbl\b", line) is not None


def _macs(body: list[str]) -> int:
    return sum(_products(line) for line in body)


def _products(instruction: str) -> int:
    for pattern, lanes in _LANES:
        match = pattern.match(instruction)
        if match is not None:
            arrangement = re.search(r"v\d+\.(\d+[a-z])", instruction)
            return lanes.get(arrangement[1], 0) if arrangement else 0
    return 0
