# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench gemm`, `conv` and `blocks`: tiny measurements, what they say, and names that do not exist."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from fewbins import _engine
from fewbins.bench import blocks, conv, dial, gemm
from fewbins.bench.bins import BenchScheme
from fewbins.bench.ratios import ratios
from fewbins.bench.rivals import RIVALS
from fewbins.bench.turns import isa_names
from fewbins.errors import ArgumentError, SchemeError, UnsupportedError

KEYS = ["engine", "isa", "scheme", "form", "shape", "gmacs", "peak_fraction"]
BEST = str(_engine.cpu_info()["best_isa"])
QUICK = {"rounds": 2, "seconds": 0.0005}


def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from fewbins.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def isas() -> list[str]:
    return [isa for isa in ("ssse3", "avx2", "avx512bw", "avx512vnni", "neon") if _has(isa)] or [BEST]


def _has(isa: str) -> bool:
    try:
        return isa_names(isa) == [isa]
    except ArgumentError:
        return False


def test_every_scheme_has_a_row_with_the_promised_keys():
    result = gemm.run(isas(), shapes=[(12, 16, 64), (1, 32, 64)], rivals=[], **QUICK)
    for row in result.rows:
        assert list(row)[: len(KEYS)] == KEYS and row["engine"] == "fewbins"
        assert row["gmacs"] > 0 and 0 < row["min_ms"] <= row["median_ms"] and row["kernel"]
    for isa in isas():
        mine = [row for row in result.rows if row["isa"] == isa]
        assert {"float", "8bit", "255x33", "23x23"} <= {row["scheme"] for row in mine}
        assert {"float32", "int32", "requantized"} == {row["form"] for row in mine if row["shape"] == "12x16x64"}
        assert all(row["memory_fraction"] > 0 for row in mine if row["shape"] == "1x32x64")
    assert {row["level"] for row in result.memory} == {"L2", "L3", "DRAM"}
    names = {row["ratio"] for row in result.ratios}
    assert {"255x33 / 8bit", "255x33 / float"} <= names and all(row["value"] > 0 for row in result.ratios)


def test_the_grid_gives_mean_times_and_an_acceleration_matrix():
    result = gemm.run([BEST], shapes=[(72, 24, 128), (120, 24, 128)], schemes=["float", "8bit", "23x23"], **QUICK)
    assert [(row["products"], row["mean_ms"] > 0) for row in result.grid] == [(2, True)] * 3
    ratio = {(row["scheme"], row["over"]): row["ratio"] for row in result.acceleration}
    assert len(ratio) == 9 and ratio["8bit", "8bit"] == 1.0
    assert ratio["8bit", "float"] * ratio["float", "8bit"] >= 1.0  # means of ratios and of their inverses
    assert not result.ratios and all(row["grid"] for row in result.rows)


def test_the_grid_is_that_of_the_paper():
    assert len(gemm.GRID) == len(set(gemm.GRID)) == 64 and max(gemm.GRID) == (360, 96, 512)


@pytest.mark.parametrize("name", ["numpy", "onnxruntime"])
def test_rivals_take_turns_in_processes_of_their_own(name):
    isa = isa_names(None)[0]
    result = gemm.run([isa], shapes=[(16, 16, 64)], schemes=["8bit"], rivals=[name], **QUICK)
    rows = [row for row in result.rows if row["engine"] == name]
    if rows:
        assert rows[0]["gmacs"] > 0 and rows[0]["form"] == RIVALS[name].form
    else:
        (why,) = [row["why"] for row in result.missing if row["engine"] == name]
        assert why == "not installed" or "isacap" in why


def test_an_interpreter_without_a_library_is_said_to_lack_it(monkeypatch):
    monkeypatch.setenv("FEWBINS_BENCH_PYTHON", "/nowhere/python")
    monkeypatch.setitem(RIVALS, "torch_onednn", type(RIVALS["numpy"])(("no_such_library",), "8bit", "int32"))
    result = gemm.run([BEST], shapes=[(4, 8, 16)], schemes=["8bit"], rivals=["torch_onednn"], **QUICK)
    assert [(row["engine"], row["why"]) for row in result.missing] == [("torch_onednn", "not installed")]


def test_peaks_are_positive_and_ordered_as_the_instructions_are():
    for mix in _engine.bench_mixes():
        if not mix["runs_here"]:
            with pytest.raises(UnsupportedError):
                _engine.bench_peak(mix["mix"], mix["isa"], 8 if mix["mix"] == "dot16" else 0)
            continue
        rate = _rate(mix["mix"], mix["isa"], 8 if mix["mix"] == "dot16" else 0)
        assert 0.5 < rate < 1e6, mix
    for isa in {mix["isa"] for mix in _engine.bench_mixes() if mix["runs_here"] and mix["mix"] == "dot16"}:
        # Two instructions for twice as many products as the exact mix, and widening costs.
        assert _rate("add16", isa) > 1.5 * _rate("madd16", isa)
        assert _rate("dot16", isa, 64) > 1.3 * _rate("dot16", isa, 1)


def _rate(mix: str, isa: str, block: int = 0) -> float:
    subject = _engine.bench_peak(mix, isa, block)
    return subject.macs / min(subject.run(0.01)) / 1e6


def test_a_peak_takes_a_block_exactly_where_it_has_one():
    if any(mix["isa"] == "ssse3" and mix["runs_here"] for mix in _engine.bench_mixes()):
        with pytest.raises(ArgumentError, match="block"):
            _engine.bench_peak("dot16", "ssse3")
        with pytest.raises(ArgumentError, match="block"):
            _engine.bench_peak("fma", "ssse3", 4)


def test_forms_of_a_layer_are_compared_with_the_direct_one():
    rows = conv.run([BEST], layers=[conv.Layer.of("8x8x32"), conv.Layer.of("6x6x16dw")], **QUICK)
    for row in rows:
        assert list(row)[: len(KEYS)] == KEYS and row["gmacs"] > 0 and row["temperature"] in ("warm", "cold")
    for shape, scheme, temperature in {(row["shape"], row["scheme"], row["temperature"]) for row in rows}:
        same = [r for r in rows if (r["shape"], r["scheme"], r["temperature"]) == (shape, scheme, temperature)]
        assert sum(row["selected"] for row in same) == 1
        assert max(r["over_direct"] for r in same if not r["form"].startswith("winograd")) == 1.0
        assert len({(row["form"], row["kernel"]) for row in same}) == len(same)
    forms = {row["form"] for row in rows if row["scheme"] == "23x23" and row["shape"] == "8x8x32"}
    assert any(form.startswith("winograd") for form in forms) and len(forms) > 1
    assert all(row["form"].startswith("depthwise") for row in rows if row["shape"] == "6x6x16dw")


def test_blocks_are_as_long_as_the_bins_demand(tmp_path):
    rows = blocks.run([BEST], shape=(12, 16, 64), products=(4, 16, 32), **QUICK)
    ours = [row for row in rows if row["engine"] == "fewbins"]
    assert {row["scheme"] for row in ours} >= {"8bit", "float", "255x129", "255x33"}
    assert {row["products_per_block"] for row in ours} == {None, 4, 16, 32}
    for count in blocks.PRODUCTS:
        scheme = blocks.scheme_of(count)
        assert 2 * scheme.worst_block == count
    picture = ElementTree.fromstring(dial.draw(rows, blocks.LANDMARKS))
    text = " ".join(element.text or "" for element in picture.iter())
    assert picture.tag.endswith("svg") and "255x33" in text and "products per 16-bit block" in text


def test_a_kernel_is_forced_by_its_name_and_refuses_what_it_cannot_do():
    for row in _engine.bench_kernels(BEST):
        if row["family"] == "dot16":
            subject = _engine.bench_gemm((8, 16, 32), "dot16", (-127, 127, 16), BEST, kernel=row["name"])
            assert subject.kernel == row["name"] and subject.macs == 8 * 16 * 32
            with pytest.raises(UnsupportedError, match="overflow"):
                _engine.bench_gemm(
                    (8, 16, 512), "dot16", (-127, 127, 16), BEST, kernel=row["name"], weights="worst", block=128
                )


def test_schemes_know_their_levels():
    assert BenchScheme.of("8bit").levels == (-128, 127, 127) and BenchScheme.of("64x29").levels == (-32, 31, 14)
    for name in ("9bit", "1x3", "23x", "x", "23x23x23", ""):
        with pytest.raises(SchemeError):
            BenchScheme.of(name)


def test_ratios_are_geometric_means_over_the_shapes_that_both_have():
    def row(scheme, form, shape, gmacs, engine="fewbins"):
        return {
            "engine": engine, "scheme": scheme, "form": form, "shape": shape, "gmacs": gmacs, "selected": True,
            "peak_fraction": 0.5,
        }  # fmt: skip

    rows = [
        row("8bit", "int32", "9x9x9", 100.0), row("8bit", "int32", "8x8x8", 100.0),
        row("255x33", "int32", "9x9x9", 400.0), row("255x33", "int32", "8x8x8", 100.0),
        row("8bit", "requantized", "9x9x9", 50.0, "torch_onednn"), row("8bit", "int32", "8x8x8", 50.0, "torch_onednn"),
        row("8bit", "int32", "9x9x9", 200.0, "onnxruntime"),
    ]  # fmt: skip
    value = {(r["ratio"], r["form"]): r["value"] for r in ratios("avx2", rows)}
    assert value["255x33 / 8bit", "int32"] == pytest.approx(2.0)
    assert value["8bit / best other int8", "int32"] == pytest.approx(1.0)  # 100/200 and 100/50
    assert value["8bit / torch_onednn", "int32"] == pytest.approx(2.0)
    assert ("8bit / onnxruntime", "int32") not in value  # it has no time for one of the shapes
    assert value["8bit / its peak", "int32"] == pytest.approx(0.5)


def test_commands_print_json_and_tables():
    done = cli("bench", "gemm", "--shapes", "4x8x16", "--schemes", "8bit", "--rivals", "none", "--rounds", 1, "--json")
    body = json.loads(done.stdout)
    assert body["schema"] == "fewbins.bench.gemm/1" and body["machine"]["cpu"] and body["rows"][0]["scheme"] == "8bit"
    done = cli("bench", "gemm", "--shapes", "4x8x16,72x24x128", "--rivals", "none", "--rounds", 1)
    assert done.returncode == 0 and "of peak" in done.stdout and "8bit" in done.stdout, done.stderr
    done = cli("bench", "conv", "--layers", "4x4x8", "--schemes", "8bit,23x23", "--rounds", 1, "--json")
    assert json.loads(done.stdout)["schema"] == "fewbins.bench.conv/1"


def test_blocks_are_drawn_into_a_file(tmp_path):
    path = tmp_path / "dial.svg"
    done = cli("bench", "blocks", "--shape", "6x16x64", "--rounds", 1, "--svg", path, "--json")
    assert json.loads(done.stdout)["schema"] == "fewbins.bench.blocks/1"
    assert ElementTree.parse(path).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gemm", "--isa", "mmx"], "avx2"),
        (["gemm", "--isa", ","], "--isa"),
        (["gemm", "--shapes", "4x4"], "MxNxK"),
        (["gemm", "--shapes", ""], "--shapes"),
        (["gemm", "--schemes", "9bit"], "9bit"),
        (["gemm", "--rivals", "mkl"], "numpy"),
        (["gemm", "--shapes", "4x8x16", "--weights", "odd"], "worst"),
        (["gemm", "--shapes", "4x8x16", "--core", "9999"], "--core"),
        (["gemm", "--rounds", "0"], "--rounds"),
        (["conv", "--isa", "mmx"], "avx2"),
        (["conv", "--layers", "4x4"], "HxWxC"),
        (["conv", "--schemes", "u4"], "u4"),
        (["conv", "--layers", ","], "--layers"),
        (["blocks", "--isa", "mmx"], "avx2"),
        (["blocks", "--shape", "grid"], "--shape"),
        (["blocks", "--svg", "no/where/x.svg"], "does not exist"),
    ],
)
def test_a_wrong_option_is_one_line(arguments, says):
    done = cli("bench", *arguments)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and done.stdout == "", (done.stdout, done.stderr)
    assert len(lines) == 1 and lines[0].startswith("fewbins: ") and says in lines[0]
