# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench arm-model`: the loops have the published instruction counts, and the simulator is read correctly."""

from __future__ import annotations

import json
import shutil

import pytest

from fewbins.bench import arm_model
from fewbins.bench.arm_loops import LOOPS
from fewbins.cli import bench_arm
from fewbins.errors import FileAccessError, UnsupportedError

BY_NAME = {loop.name: loop for loop in LOOPS}
REPORT = """Iterations:        300
Instructions:      21000
Total Cycles:      14410
Total uOps:        21000

Dispatch Width:    3
uOps Per Cycle:    1.46
IPC:               1.46
Block RThroughput: 48.0
"""
needs_simulator = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("llvm-mca", "llvm-mca-14", "llvm-mca-16", "llvm-mca-19")),
    reason="needs llvm-mca, in the Debian package llvm",
)


def simulator(folder, *, stdout="", stderr="", code=0):
    """A program that prints what a simulator printed."""
    (folder / "out").write_text(stdout)
    (folder / "err").write_text(stderr)
    path = folder / "llvm-mca"
    path.write_text(f"#!/bin/sh\ncat >/dev/null\ncat {folder}/out\ncat {folder}/err >&2\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "name, arithmetic, loads, moves",
    [
        ("f32_12x8", 24, 5, 0),
        ("gemmlowp_12x8", 48, 5, 5),
        ("gemmlowp_4x4", 48, 8, 0),
        ("u4_24x8", 48, 4, 16),
        ("bins_24x8", 48, 4, 16),
        ("sdot_8x12", 24, 5, 0),
        ("usmmla_8x12", 24, 10, 0),
    ],
)
def test_a_loop_has_the_published_counts_of_instructions(name, arithmetic, loads, moves):
    loop = BY_NAME[name]
    mnemonics = ["fmla", "smull", "smlal", "smlal2", "umlal", "umlal2", "sadalp", "sdot", "usmmla"]
    assert loop.count(*mnemonics) == arithmetic
    assert loop.count("ldr", "ld1") == loads
    assert loop.count("dup", "uxtl") == moves
    assert len(loop.body.splitlines()) == arithmetic + loads + moves + 2  # a counter and a branch


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_turn_writes_every_sum_equally_often(name):
    loop = BY_NAME[name]
    last = {"gemmlowp_4x4": ("sadalp",)}.get(name, ("fmla", "smlal", "smlal2", "umlal", "umlal2", "sdot", "usmmla"))
    written = [line.split()[1] for line in loop.body.splitlines() if line.split()[0] in last]
    counts = {register: written.count(register) for register in written}
    assert len(counts) == (16 if name == "gemmlowp_4x4" else 24)
    assert len(set(counts.values())) == 1


def test_a_flush_widens_each_sum_once_and_clears_it():
    lines = BY_NAME["bins_24x8"].flush.splitlines()
    count = {word: sum(line.split()[0] == word for line in lines) for word in ("saddw", "saddw2", "ldp", "stp", "movi")}
    assert count == {"saddw": 24, "saddw2": 24, "ldp": 24, "stp": 24, "movi": 24}


def test_cycles_are_those_of_the_report_divided_by_its_products(tmp_path):
    cycles = arm_model.cycles_of(simulator(tmp_path, stdout=REPORT), "cortex-a57", BY_NAME["u4_24x8"], None)
    assert cycles == 14410 / (300 * 384)


def test_a_core_without_the_instruction_is_not_modelled(tmp_path):
    error = "<stdin>:2:1: error: instruction requires: dotprod\nsdot v8.4s, v2.16b, v0.4b[0]\n^\n"
    path = simulator(tmp_path, stdout=REPORT, stderr=error, code=1)
    assert arm_model.cycles_of(path, "cortex-a57", BY_NAME["sdot_8x12"], None) is None


def test_any_other_complaint_of_the_simulator_is_an_error(tmp_path):
    path = simulator(tmp_path, stderr="<stdin>:2:1: error: unrecognized instruction mnemonic\n", code=1)
    with pytest.raises(UnsupportedError, match=r"'f32_12x8' on cortex-a57: .*unrecognized instruction"):
        arm_model.cycles_of(path, "cortex-a57", BY_NAME["f32_12x8"], None)
    with pytest.raises(UnsupportedError, match="Total Cycles"):
        arm_model.total_cycles("nothing of use")


def test_without_a_simulator_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileAccessError, match="llvm-mca is not installed; it is in the Debian package 'llvm'"):
        arm_model.run()


def test_the_hottest_inner_loop_of_a_kernel_is_found_in_what_a_compiler_prints():
    text = """
_ZN7fewbins19dot32_8x8k4__neonERKNS_8GemmTaskE:
\tcbz\tx0, .L9
.L2:
\tmov\tw1, 0
.L3:
\tsmlal\tv0.4s, v1.4h, v2.h[0]
\tsubs\tx3, x3, #1
\tbne\t.L3
// an inline statement
1:
\tsmull v3.8h, v1.8b, v2.8b
\tsmlal2 v3.8h, v1.16b, v2.16b  // a comment
\tsadalp v4.4s, v3.8h
\tcbnz\tx4, 1b
\tb\t.L2
.L9:
\tret
"""
    (loop,) = arm_model.kernel_loops(text, "8bit", "dot32/neon.cpp")
    assert (loop.name, loop.engine, loop.shape, loop.macs) == ("dot32_8x8k4__neon", "fewbins", "8x8k4", 16)
    assert loop.form == "SMULL, SMLAL, SADALP"
    assert loop.body.splitlines()[-1].split() == ["cbnz", "x4,", ".Lturn"]


@needs_simulator
def test_on_a_cortex_a57_sums_of_16_bits_take_at_most_1_over_1_9_of_the_time_of_gemmlowps_kernel():
    path = arm_model.find_simulator()
    paper = arm_model.cycles_of(path, "cortex-a57", BY_NAME["bins_24x8"], 258)
    rival = arm_model.cycles_of(path, "cortex-a57", BY_NAME["gemmlowp_12x8"], None)
    assert rival / paper >= 1.9
    assert arm_model.cycles_of(path, "cortex-a57", BY_NAME["bins_24x8"], 16) > 1.1 * paper


@needs_simulator
def test_the_command_prints_every_loop_on_every_core(monkeypatch, capsys):
    monkeypatch.setattr(arm_model, "engine_loops", list)  # to compile those takes a while
    bench_arm.arm_model(json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "fewbins.bench.arm_model/1"
    seen = {(row["core"], row["name"], row["block"]) for row in report["rows"]}
    for core in arm_model.CORES:
        for loop in LOOPS:
            for block in arm_model.BLOCKS if loop.flush else (None,):
                assert (core, loop.name, block) in seen
    for row in report["rows"]:
        assert row["modelled"] and row["gmacs"] is None and row["peak_fraction"] is None
        assert (row["cycles_per_mac"] is None) == (row["ratio"] is None)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("aarch64-linux-gnu-g++"), reason="needs g++-aarch64-linux-gnu")
def test_the_loops_of_the_engine_are_found_in_its_kernels():
    loops = {loop.name: loop for loop in arm_model.engine_loops()}
    assert loops["dot16_24x8k2__neon"].macs == 384
    assert loops["u4_24x8k4__neon"].count("umlal", "umlal2") == 96
    assert {"f32", "8bit", "4.6bit", "u4", "lut4"} <= {loop.scheme for loop in loops.values()}
