# SPDX-License-Identifier: Apache-2.0
"""The C++ program `fewbins-run`: the engine without Python gives the integers that the module gives."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from small_models import digits_bytes, images

import fewbins
from fewbins._run import program


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    path = program()
    assert path is not None, "fewbins-run is not beside the extension: make build"
    return subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "m.fewbins").write_bytes(digits_bytes())
    np.save(folder / "x.npy", images(7))
    return folder


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("isa", ["scalar", "ssse3", "avx2", "avx512vnni"])
def test_every_tensor_equals_the_modules(place, tmp_path, isa, threads):
    try:
        session = fewbins.Session(digits_bytes(), threads, isa=isa)
    except fewbins.FewbinsError:
        pytest.skip(f"this CPU has no {isa}")
    done = run(
        place / "m.fewbins", "--input", place / "x.npy", "--output", tmp_path / "y.npy", "--threads", threads,
        "--isa", isa, "--dump", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    x = np.load(place / "x.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), session.run(x))
    traced = session.trace(x)
    dumped = {path.stem for path in tmp_path.glob("*.npy")} - {"y"}
    assert len(dumped) == len(traced)
    for name, want in traced.items():
        matches = [p for p in tmp_path.glob("*.npy") if p.stem.endswith(name.replace("/", "_"))]
        assert any(np.array_equal(np.load(p), want) for p in matches), name


def test_the_self_test_passes():
    assert run("--self-test").returncode == 0


def test_profile_and_info_name_the_layers(place):
    assert "Conv" in run(place / "m.fewbins", "--info").stdout
    assert "Conv" in run(place / "m.fewbins", "--input", place / "x.npy", "--profile").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.fewbins"],
        ["{place}/x.npy"],
        ["{place}/m.fewbins", "--input", "nowhere.npy"],
        ["{place}/m.fewbins", "--input", "{place}/m.fewbins"],
        ["{place}/m.fewbins", "--threads", "none"],
        ["{place}/m.fewbins", "--isa", "mmx"],
        ["{place}/m.fewbins", "--nonsense"],
        ["{place}/m.fewbins", "--input", "{place}/x.npy", "--output", "no/where/y.npy"],
        [],
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(place, arguments):
    done = run(*[a.replace("{place}", str(place)) for a in arguments])
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1


def test_it_measures_costs_where_there_is_no_python(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWBINS_CACHE_DIR", str(tmp_path))
    done = run("--calibrate-cost")
    assert done.returncode == 0, done.stderr
    (table,) = tmp_path.iterdir()
    assert str(table) in done.stdout and "COST(dot32_1x8k4__scalar, " in table.read_text()
