# SPDX-License-Identifier: Apache-2.0
"""How the command line looks: help, narrow terminals, streams that someone closed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from small_models import DIGITS, digits_bytes

PROGRAM = [sys.executable, "-m", "fewbins"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("looks") / "m.fewbins"
    path.write_bytes(digits_bytes())
    return str(path)


def on_terminal(columns: int, *arguments: str) -> list[str]:
    """The lines that a terminal of that width gets."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen([*PROGRAM, *arguments], stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        text = b""
        try:
            while data := os.read(master, 65536):
                text += data
        except OSError:  # what Linux says at the end of a terminal
            pass
    os.close(master)
    assert process.returncode == 0, text
    return text.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("arguments", [[], ["-h"], ["bench"], ["bench", "-h"], ["quantize", "-h"]])
def test_help_fits_the_terminal_and_no_verb_is_cut_short(arguments, columns):
    lines = on_terminal(columns, *arguments)
    assert lines[0].startswith("Usage: fewbins ")
    assert max(map(len, lines)) <= columns
    verbs = lines[lines.index("Commands:") :] if "Commands:" in lines else []
    assert verbs or arguments == ["quantize", "-h"]
    assert not [line for line in verbs if line.endswith("...")]


def test_a_layer_is_read_in_lines_where_the_table_has_no_room(model):
    narrow, wide = on_terminal(60, "inspect", model), on_terminal(160, "inspect", model)
    assert max(map(len, narrow)) <= 60
    assert any(line.startswith("conv2: Conv, ") for line in narrow)
    assert "255 bins out, 33 of weights, rule float" in " ".join(narrow)
    assert not [line for line in narrow if "│" in line] and [line for line in wide if "│ conv2" in line]


def test_doctor_fits_one_screen_and_lists_kernels_when_asked():
    short, long = on_terminal(80, "doctor", "--self-test"), on_terminal(80, "doctor", "--kernels")
    assert len(short) <= 24 and any("--kernels lists them" in line for line in short)
    assert [line for line in long if "dot32_1x8k4__scalar" in line]


@pytest.mark.parametrize("verb", [["inspect"], ["inspect", "--json"]])
def test_a_reader_that_went_away_is_no_error(model, verb):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*PROGRAM, *verb, model], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_closed_stdout_is_no_error(model):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "inspect", model], stderr=subprocess.PIPE, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("kind", ["onnx", "fewbins"])
def test_a_size_is_that_of_the_file_to_the_byte(model, kind):
    path = str(DIGITS) if kind == "onnx" else model
    done = subprocess.run([*PROGRAM, "inspect", path], capture_output=True, text=True, timeout=60)
    assert f" ({os.path.getsize(path):,} bytes)," in done.stdout.splitlines()[0]
