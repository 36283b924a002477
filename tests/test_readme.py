# SPDX-License-Identifier: Apache-2.0
"""Every command and every line of Python in the README runs as it stands there, on the digits network."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import readme
from small_models import DIGITS, digits_bytes, images

COMMANDS = [command.removeprefix("fewbins ").strip() for command in readme.commands()]


def test_the_readme_shows_every_verb():
    words = {command.split()[0] for command in COMMANDS}
    assert words == {"inspect", "quantize", "evaluate", "run", "verify", "bench", "doctor"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(command, tmp_path):
    shutil.copy(DIGITS, tmp_path / "model.onnx")
    (tmp_path / "model.fewbins").write_bytes(digits_bytes())
    x = images()
    np.savez(tmp_path / "images.npz", x=x)
    np.savez(tmp_path / "test.npz", x=x, y=np.zeros(len(x), np.int64))
    np.save(tmp_path / "x.npy", x[:2])
    arguments = [sys.executable, "-c", "from fewbins.cli import main; main()", *shlex.split(command)]
    own = {**os.environ, "FEWBINS_CACHE_DIR": str(tmp_path)}  # a measured cost table stays out of the other tests
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=own)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    shutil.copy(DIGITS, tmp_path / "resnet18.onnx")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"images": images(), "batch": images(2)}
    exec(readme.python_code(), names)
    assert np.shape(names["logits"]) == (2, 10)
