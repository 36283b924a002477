# SPDX-License-Identifier: Apache-2.0
"""The extension module: what crosses the border between Python and C++, and who owns it."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from small_models import digits_bytes, images

import fewbins
from fewbins import _engine

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def engine() -> _engine.Session:
    return _engine.Session(digits_bytes(), 2)


def test_results_outlive_the_session_and_are_the_callers_own():
    session = _engine.Session(digits_bytes(), 1)
    x = images(3)
    (first,) = session.run([x])
    kept = first.copy()
    (second,) = session.run([x])
    second[:] = 0
    traced = session.trace([x])
    del session
    gc.collect()
    np.testing.assert_array_equal(first, kept)
    assert first.flags.c_contiguous and first.flags.writeable and first.dtype == np.float32
    assert all(array.flags.writeable for array in traced.values())


def test_inputs_are_not_written_and_may_be_read_only(engine):
    x = images(3)
    copy = x.copy()
    x.flags.writeable = False
    engine.run([x])
    engine.trace([x])
    np.testing.assert_array_equal(x, copy)


def test_arrays_of_another_type_are_not_converted_silently(engine):
    for wrong in (images(2)[:, :, ::2], [[1.0]], None):
        with pytest.raises(TypeError):
            engine.run([wrong])
    with pytest.raises(fewbins.ArgumentError, match="not float32"):
        engine.run([images(2).astype(np.float64)])
    with pytest.raises(fewbins.ShapeError, match="was given as int32; the model takes float32"):
        engine.run([images(2).astype(np.int32)])


def test_other_python_threads_run_during_a_run(engine):
    x = images(4000)
    began, ticks = threading.Event(), []

    def work() -> None:
        began.set()
        for _ in range(5):
            engine.run([x])
        ticks.append("done")

    worker = threading.Thread(target=work)
    worker.start()
    began.wait()
    turns = 0
    while not ticks:
        turns += 1
        time.sleep(0.0005)
    worker.join()
    assert turns > 1


def test_a_trace_is_the_run_with_everything_kept(engine):
    x = images(2)
    traced = engine.trace([x])
    np.testing.assert_array_equal(traced[engine.outputs[0]["name"]], engine.run([x])[0])
    np.testing.assert_array_equal(traced[engine.inputs[0]["name"]], x)
    assert {array.dtype for array in traced.values()} == {np.dtype(np.uint8), np.dtype(np.float32)}
    name = next(iter(traced))
    assert list(engine.trace([x], [name])) == [name]
    assert engine.trace([x], []) == {}
    with pytest.raises(fewbins.ArgumentError, match="no activation tensor 'nowhere'"):
        engine.trace([x], ["nowhere"])


def test_a_trace_of_an_empty_batch_is_empty(engine):
    traced = engine.trace([images(0)])
    assert traced.keys() == engine.trace([images(1)]).keys()
    assert {array.shape[0] for array in traced.values()} == {0}


def test_a_profile_times_every_step_of_the_plan(engine):
    plan, profile = engine.plan([[2, 1, 8, 8]]), engine.profile([images(2)], 3)
    assert [row["name"] for row in plan] == [row["name"] for row in profile]
    assert all(row["median_ms"] is None for row in plan)
    assert all(row["median_ms"] >= row["min_ms"] >= 0 for row in profile)
    convs = [row for row in plan if row["op"] == "Conv"]
    assert convs and all(row["macs"] > 0 and row["kernel"] and row["bins"].count("x") == 1 for row in convs)
    with pytest.raises(fewbins.ArgumentError, match="repeats is 0"):
        engine.profile([images(2)], 0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: _engine.Session("nowhere.fewbins"), fewbins.FewbinsError, "nowhere.fewbins"),
        (lambda: _engine.Session("nowhere.fewbins"), OSError, "No such file"),
        (lambda: _engine.Session(str(ROOT)), OSError, "directory"),
        (lambda: _engine.Session(b"nonsense"), ValueError, "not a model file|claims"),
        (lambda: _engine.Session(digits_bytes(), -1), ValueError, "threads is -1"),
        (lambda: _engine.Session(digits_bytes(), 1, isa="mmx"), ValueError, "isa 'mmx' is unknown"),
        (lambda: _engine.Session(digits_bytes(), 1, kernel="none"), ValueError, "kernel 'none' is unknown"),
        (lambda: _engine.rans_decode(b"", 5), fewbins.FewbinsError, "cut short"),
        (lambda: _engine.rans_decode(_engine.rans_encode(b"abc"), 2), fewbins.FewbinsError, "holds 3 bytes"),
        (lambda: _engine.rans_decode(b"", -1), fewbins.FewbinsError, "over the limit"),
    ],
)
def test_errors_are_ours_and_the_fitting_builtin(call, error, text):
    with pytest.raises(error, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_session_works_after_fork():
    code = (
        "import os, sys, signal\n"
        "import numpy as np\n"
        "from fewbins import _engine\n"
        "session = _engine.Session(sys.argv[1], 2)\n"
        "x = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 1, 8, 8)\n"
        "want = session.run([x])[0]\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(30)\n"
        "    os._exit(0 if np.array_equal(session.run([x])[0], want) else 3)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert np.array_equal(session.run([x])[0], want)\n"
    )
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fewbins-fork-{os.getpid()}.fewbins"
    path.write_bytes(digits_bytes())
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, path], capture_output=True, text=True, timeout=120
        )
    finally:
        path.unlink()
    assert done.returncode == 0, done.stderr


def test_results_do_not_depend_on_threads_or_instruction_set():
    x = images(5)
    want = _engine.Session(digits_bytes(), 1, isa="scalar").run([x])[0]
    for threads in (1, 2, 3):
        for isa in ("scalar", "avx2", "vnni"):
            np.testing.assert_array_equal(_engine.Session(digits_bytes(), threads, isa=isa).run([x])[0], want)


def test_the_coder_gives_back_bytes_and_the_checksum_is_castagnolis():
    rng = np.random.default_rng(0)
    for data in (b"", b"a", bytes(1000), rng.integers(0, 12, 5000, np.uint8).tobytes(), rng.bytes(3000)):
        assert _engine.rans_decode(_engine.rans_encode(data), len(data)) == data
    assert _engine.crc32c(b"123456789") == 0xE3069283


def test_cpu_and_kernels_are_described():
    info = _engine.cpu_info()
    assert info["threads"] >= 1 and info["isa"] in {row["isa"] for row in _engine.kernel_rows()}
    assert info["version"] == fewbins.__version__
    assert any(row["runs_here"] and row["isa"] == "scalar" for row in _engine.kernel_rows())


def test_the_self_test_finds_nothing():
    assert _engine.self_test() == []


def test_the_environment_caps_threads_and_instruction_set():
    code = "from fewbins import _engine; i = _engine.cpu_info(); print(i['threads'], i['isa'])"
    environment = {**os.environ, "FEWBINS_NUM_THREADS": "3", "FEWBINS_ISA": "scalar"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["3", "scalar"], done.stderr
    environment["FEWBINS_NUM_THREADS"] = "many"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "FEWBINS_NUM_THREADS is 'many'" in done.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_c_header_is_plain_c(tmp_path, standard):
    source = tmp_path / "use.c"
    source.write_text(
        "#include <fewbins.h>\nint main(void) { fewbins_options o = FEWBINS_OPTIONS_INIT; return o.threads; }\n"
    )
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror", "-fsyntax-only"]
    done = subprocess.run(
        ["cc", *flags, "-I", ROOT / "engine" / "include", source], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
