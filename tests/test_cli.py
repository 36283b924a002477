# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: a process, its exit code, its two streams."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import parse
from PIL import Image
from small_models import DIGITS, images

import fewbins
from fewbins import Preprocessing, Session, load_onnx, quantize


def cli(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from fewbins.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def fails(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """The one line on stderr of a run that must end with `code`."""
    assert done.returncode == code, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("fewbins: "), done.stderr
    assert done.stdout == ""
    return lines[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with calibration data, labelled data, preprocessing, images and a quantized model."""
    folder = tmp_path_factory.mktemp("cli")
    x = images(64)
    np.savez(folder / "calibration.npz", x=x)
    np.savez(folder / "test.npz", x=x, y=np.arange(64, dtype=np.int64) % 10)
    np.save(folder / "x.npy", x[:3])
    prepare = Preprocessing(size=(8, 8), channels="GRAY", mean=(0.0,), std=(255.0,))
    (folder / "prepare.json").write_text(json.dumps(prepare.to_json()))
    (folder / "labels.txt").write_text("\n".join(f"digit {k}" for k in range(10)))
    (folder / "pictures" / "3").mkdir(parents=True)
    Image.fromarray((x[0, 0] * 255).astype(np.uint8)).save(folder / "pictures" / "3" / "a.png")
    done = cli(
        "quantize", DIGITS, "--calibrate", folder / "calibration.npz", "--scheme", "255x33,first=8bit,last=8bit",
        "--preprocessing", folder / "prepare.json", "--labels", folder / "labels.txt",
        "-o", folder / "m.fewbins", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert body["schema"] == "fewbins.quantize/1" and body["size_bytes"] == (folder / "m.fewbins").stat().st_size
    assert body["machine"]["cpu"]
    return folder


def test_quantize_prints_a_report_for_people(place, tmp_path):
    done = cli("quantize", DIGITS, "--calibrate", place / "calibration.npz", "-o", tmp_path / "m.fewbins")
    assert done.returncode == 0 and "smaller than" in done.stdout


def test_quantize_calibrates_on_a_folder_of_images(place, tmp_path):
    done = cli(
        "quantize", DIGITS, "--calibrate", place / "pictures", "--preprocessing", place / "prepare.json",
        "-o", tmp_path / "m.fewbins",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["m.fewbins", DIGITS])
def test_inspect_shows_layers(place, name):
    body = json.loads(cli("inspect", place / name, "--json").stdout)
    assert body["schema"] == "fewbins.inspect/1" and "Conv" in {row["op"] for row in body["layers"]}
    table = cli("inspect", place / name)
    assert table.returncode == 0 and "Conv" in table.stdout


def test_evaluate_counts_and_compares(place):
    done = cli("evaluate", place / "m.fewbins", "--data", place / "test.npz", "--against", DIGITS, "--json")
    body = json.loads(done.stdout)
    assert body["samples"] == 64 and 0 <= body["top1_percent"] <= 100
    assert body["agreement_percent"] > 50 and body["sqnr_db"] > 10
    assert "top-1" in cli("evaluate", place / "m.fewbins", "--data", place / "test.npz").stdout


def test_evaluate_reads_a_folder_with_the_models_preprocessing(place):
    body = json.loads(cli("evaluate", place / "m.fewbins", "--data", place / "pictures", "--json").stdout)
    assert body["samples"] == 1


def test_run_on_an_array_writes_the_sessions_output(place, tmp_path):
    done = cli("run", place / "m.fewbins", "--input", place / "x.npy", "-o", tmp_path / "y.npy")
    assert done.returncode == 0, done.stderr
    want = fewbins.Session(str(place / "m.fewbins")).run(np.load(place / "x.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), want)


def test_run_writes_csv_where_that_is_named(place, tmp_path):
    done = cli("run", place / "m.fewbins", "--input", place / "x.npy", "-o", tmp_path / "y.csv")
    assert done.returncode == 0, done.stderr
    head, *rows = (tmp_path / "y.csv").read_text().splitlines()
    assert head.split(",")[:2] == ["digit 0", "digit 1"]
    got = np.array([row.split(",") for row in rows], np.float32)
    np.testing.assert_array_equal(got, fewbins.Session(place / "m.fewbins").run(np.load(place / "x.npy")))


def test_run_on_pictures_writes_their_outputs(place, tmp_path):
    want = json.loads(cli("run", place / "m.fewbins", place / "pictures", "--json").stdout)["images"]
    for ending in ("npy", "npz", "csv"):
        done = cli("run", place / "m.fewbins", place / "pictures", "-o", tmp_path / f"y.{ending}", "--json")
        body = json.loads(done.stdout)
        assert body["images"] == want and list(body["shapes"].values()) == [[1, 10]]
    scores = np.load(tmp_path / "y.npy")[0]
    assert int(scores.argmax()) == want[0]["classes"][0]["class"]
    image, *row = (tmp_path / "y.csv").read_text().splitlines()[1].split(",")
    assert image.endswith("a.png") and np.array_equal(np.float32(row), scores)


def test_run_on_a_picture_prints_labels(place):
    body = json.loads(cli("run", place / "m.fewbins", place / "pictures" / "3" / "a.png", "--json").stdout)
    assert body["images"][0]["classes"][0]["label"].startswith("digit ")
    assert "digit " in cli("run", place / "m.fewbins", place / "pictures").stdout


def test_every_verb_that_takes_an_onnx_file_takes_a_part_of_it(place, tmp_path):
    graph = load_onnx(DIGITS)
    start, end = graph.node("conv2").inputs[0], graph.node("fc").inputs[0]
    body = json.loads(cli("inspect", DIGITS, "--from", start, "--to", end, "--json").stdout)
    assert [row["name"] for row in body["inputs"]] == [start] and [row["name"] for row in body["outputs"]] == [end]
    data, part = place / "test.npz", tmp_path / "part.fewbins"
    done = cli("quantize", DIGITS, "--to", end, "--calibrate", place / "calibration.npz", "-o", part)
    assert done.returncode == 0, done.stderr
    done = cli("run", DIGITS, "--to", end, "--input", place / "x.npy", "-o", tmp_path / "y.npy")
    assert done.returncode == 0, done.stderr
    want = Session(quantize(load_onnx(DIGITS, outputs=[end]), scheme="float")).run(np.load(place / "x.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), want)
    with np.load(data) as arrays:
        np.savez(tmp_path / "x.npz", x=arrays["x"])
    done = cli("evaluate", part, "--data", tmp_path / "x.npz", "--against", DIGITS, "--to", end, "--json")
    body = json.loads(done.stdout)
    assert body["sqnr_db"] > 15
    done = cli("inspect", DIGITS, "--to", "nothing")
    assert done.returncode == 2 and "has no tensor 'nothing'; the nearest names are" in done.stderr


def test_inputs_that_nothing_reads_are_shown_and_passed_over(tmp_path):
    model = parse("(float[N,4] x, int64[N] ids) => (float[] y) { y = Relu(x) }", 17)
    onnx.save(model, tmp_path / "net.onnx")
    body = json.loads(cli("inspect", tmp_path / "net.onnx", "--json").stdout)
    assert body["unread_inputs"] == [{"name": "ids", "type": "tensor(int64)", "shape": ["N"]}]
    assert "inputs that nothing reads: ids" in cli("inspect", tmp_path / "net.onnx").stdout
    np.save(tmp_path / "x.npy", np.ones((2, 4), np.float32))
    np.save(tmp_path / "ids.npy", np.int64([1, 2]))
    for extra in ((), ("--input", f"ids={tmp_path / 'ids.npy'}")):
        done = cli("run", tmp_path / "net.onnx", "--input", tmp_path / "x.npy", *extra, "-o", tmp_path / "y.npy")
        assert done.returncode == 0, done.stderr
        assert np.load(tmp_path / "y.npy").shape == (2, 4)


def test_verify_passes_on_every_isa_of_this_machine(place):
    body = json.loads(cli("verify", place / "m.fewbins", "--json").stdout)
    assert body["passed"] and len(body["runs"]) >= 4
    assert all(run["nodes_exact"] == run["nodes"] for run in body["runs"])


def test_inspect_says_where_other_bins_would_be_faster(monkeypatch, tmp_path):
    # A table of a CPU on which 16-bit sums take half the time and Winograd's transforms for ever.
    monkeypatch.setenv("FEWBINS_ISA", "scalar")
    table = ["COST(dot32_1x8k4__scalar, 0, 8000, 0, 0)", "COST(dot16_1x8k4__scalar, 0, 4000, 0, 0)"]
    forms = ("f2x2_i8", "f2x2_i16", "f4x4_i16", "f2_i8", "f4_i8")
    table += [f"COST(winograd_{form}__scalar, 1e9, 1e9, 0, 0)" for form in forms]
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("FEWBINS_CACHE_DIR", str(folder))
    Path(json.loads(cli("doctor", "--json").stdout)["costs"]["file"]).write_text("\n".join(table))
    quantize(load_onnx(DIGITS), images(16), scheme="8bit").save(tmp_path / "m.fewbins")
    rows = json.loads(cli("inspect", tmp_path / "m.fewbins", "--json").stdout)["faster_schemes"]
    assert rows and all(0 < row["time"] <= 0.9 and row["scheme"] == "255x33" for row in rows)
    assert f"{rows[0]['name']} would take" in cli("inspect", tmp_path / "m.fewbins").stdout


def test_doctor_tests_the_kernels(place):
    body = json.loads(cli("doctor", "--self-test", "--json").stdout)
    assert body["self_test"]["passed"] and {"name", "family", "isa", "runs_here"} <= set(body["kernels"][0])


def test_doctor_measures_costs_that_later_processes_use(monkeypatch, tmp_path):
    monkeypatch.setenv("FEWBINS_CACHE_DIR", str(tmp_path))
    assert json.loads(cli("doctor", "--json").stdout)["costs"]["source"] == "defaults"
    measured = json.loads(cli("doctor", "--calibrate-cost", "--json").stdout)["costs"]
    assert all(row["step_ps"] + row["row_ps"] > 0 for row in measured["rows"] if not row["name"].startswith("weights_"))
    later = json.loads(cli("doctor", "--json").stdout)["costs"]
    assert later["source"] == measured["file"] and {r["name"] for r in measured["rows"]} <= {
        r["name"] for r in later["rows"]
    }


def test_bench_models_measures_what_it_prints(place):
    done = cli("bench", "models", "--nets", DIGITS, "--isa", "none", "--engines", "fb_8bit", "--rounds", "1", "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert row["engine"] == "fb_8bit" and 0 < row["min_ms"] <= row["median_ms"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inspect", "nowhere.onnx"], "does not exist"),
        (["inspect", "."], "folder"),
        (["inspect", "noise.onnx"], "ONNX"),
        (["inspect", "noise.fewbins"], "noise.fewbins"),
        (["quantize", DIGITS, "-o", "m.fewbins"], "calibrat"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "nowhere.npz"], "nowhere.npz"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "{place}/calibration.npz", "--scheme", "9bit"], "8bit"),
        (["quantize", DIGITS, "-o", "no/where/m.fewbins", "--calibrate", "{place}/calibration.npz"], "does not exist"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "{place}/calibration.npz", "--observer", "x"], "mse"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "nan.npz"], "NaN"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "empty.npz"], "empty"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "wide.npz"], "shape"),
        (["quantize", DIGITS, "-o", "m.fewbins", "--calibrate", "double.npz"], "float64"),
        (["evaluate", "{place}/m.fewbins", "--data", "wide.npz"], "shape"),
        (["run", "{place}/m.fewbins"], "--input"),
        (["run", "{place}/m.fewbins", "--input", "wide.npy", "-o", "y.npy"], "shape"),
        (["run", "{place}/m.fewbins", "--input", "noise.onnx", "-o", "y.npy"], "npy"),
        (["run", "{place}/m.fewbins", "noise.onnx"], "image"),
        (["run", "{place}/m.fewbins", "--input", "{place}/x.npy", "-o", "y.txt"], "one of .npy, .npz, .csv"),
        (["evaluate", "{place}/m.fewbins", "--data", "{place}/calibration.npz"], "--against"),
        (["evaluate", "{place}/m.fewbins", "--data", "far.npz"], "label 10 of image 1 is no output's number"),
        (
            ["quantize", DIGITS, "-o", "m.fewbins", "--scheme", "float", "--labels", "nine.txt"],
            "9 labels for 10 outputs",
        ),
        (["verify", "{place}/m.fewbins", "--threads", "none"], "--threads"),
        (["verify", "{place}/m.fewbins", "--isa", "mmx"], "avx2"),
        (["bench", "models", "--isa", "mmx"], "avx2"),
        (["nonsense"], "nonsense"),
        (["inspect", DIGITS, "--nonsense"], "nonsense"),
        (["inspect"], "MODEL"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(place, tmp_path, arguments, says):
    (tmp_path / "noise.onnx").write_bytes(np.random.default_rng(0).bytes(500))
    (tmp_path / "noise.fewbins").write_bytes(np.random.default_rng(0).bytes(500))
    x = images(4)
    np.savez(tmp_path / "nan.npz", x=np.where(x > 0.99 * x.max(), np.float32(np.nan), x))
    np.savez(tmp_path / "empty.npz", x=x[:0])
    np.savez(tmp_path / "far.npz", x=x, y=np.array([9, 10, 3, 4]))
    (tmp_path / "nine.txt").write_text("\n".join("abcdefghi") + "\n\n")
    np.savez(tmp_path / "double.npz", x=x.astype(np.float64))
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, 1, 8, 9), np.float32))
    np.save(tmp_path / "wide.npy", np.zeros((4, 1, 8, 9), np.float32))
    before = set(os.listdir(tmp_path))
    done = cli(*[str(a).replace("{place}", str(place)) for a in arguments], cwd=tmp_path)
    assert says.lower() in fails(done).lower()
    assert set(os.listdir(tmp_path)) == before


def test_a_full_disk_leaves_no_half_written_file(place, tmp_path):
    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    done = cli(
        "quantize", DIGITS, "--calibrate", place / "calibration.npz", "-o", tmp_path / "m.fewbins",
        preexec_fn=small_files,
    )  # fmt: skip
    assert "cannot write" in fails(done)
    assert os.listdir(tmp_path) == []


def test_a_model_with_one_flipped_bit_is_refused_by_every_verb(place, tmp_path):
    data = bytearray((place / "m.fewbins").read_bytes())
    data[len(data) // 3] ^= 4
    bad = tmp_path / "bad.fewbins"
    bad.write_bytes(data)
    for verb in (
        ["inspect", bad],
        ["evaluate", bad, "--data", place / "test.npz"],
        ["run", bad, "--input", place / "x.npy", "-o", tmp_path / "y.npy"],
        ["verify", bad],
    ):
        assert "bad.fewbins" in fails(cli(*verb))


def test_ctrl_c_ends_a_long_command_cleanly(place, tmp_path):
    command = [sys.executable, "-c", "from fewbins.cli import main; main()", "bench", "models", "--nets", str(DIGITS)]
    command += ["--engines", "fb_8bit", "--rounds", "100000"]
    # A shell that runs the tests in the background makes its children ignore interrupts: start from the default.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    limit = time.monotonic() + 60
    while not children.read_text() and time.monotonic() < limit:  # the engine's own process: the command is at work
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == "" and err.strip() == "fewbins: interrupted"


def test_results_go_to_stdout_and_nothing_else_does(place):
    done = cli("verify", place / "m.fewbins", "--threads", "1", "--batch", "1", "--json")
    json.loads(done.stdout)
    assert "batch 1" in done.stderr


def test_version_is_the_packages(place):
    import fewbins

    pattern = rf"fewbins {re.escape(fewbins.__version__)} \(commit ([0-9a-f]{{9}}|unknown)\)\n"
    assert re.fullmatch(pattern, cli("--version").stdout)


def test_warnings_are_one_line_on_stderr(place, tmp_path):
    constants = {"size": [8, 8], "channels": "GRAY", "mean": [0.5], "std": [0.5]}
    (tmp_path / "units.json").write_text(json.dumps(constants))
    arguments = ["quantize", DIGITS, "--calibrate", place / "pictures", "--preprocessing", tmp_path / "units.json"]
    done = cli(*arguments, "-o", tmp_path / "m.fewbins")
    assert done.returncode == 0
    assert next(line for line in done.stderr.splitlines() if "add scale 255" in line).startswith("fewbins: warning: ")
    (tmp_path / "units.json").write_text(json.dumps({**constants, "scale": 255}))
    assert "warning" not in cli(*arguments, "-o", tmp_path / "m.fewbins").stderr


def test_inspect_names_the_types_of_inputs_and_outputs_that_are_not_float32(tmp_path):
    path = tmp_path / "heads.onnx"
    onnx.save(parse("(float[N,4] x) => (float[] y, bool[] big) { y = Relu(x) big = Greater(x, y) }", 17), path)
    assert "outputs: y (N, 4), big bool (N, 4)" in cli("inspect", path).stdout
    body = json.loads(cli("inspect", path, "--json").stdout)
    assert [row["dtype"] for row in body["outputs"]] == ["float32", "bool"]
