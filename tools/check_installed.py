#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job with an installed fewbins, in an empty folder: run it with the Python that has the package.

    PYTHON tools/check_installed.py [--images images.npz --test test.npz]

Checks that the package is whole and not the checkout's, then runs what the README shows on the digits network, and
ResNet-20 on CIFAR-10 where FEWBINS_DATA is there. Needs no package but those that `pip install fewbins[onnx,images]`
brings. With digits to calibrate on and labelled ones, accuracy is checked too; without, the network runs on noise.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="NPZ with digits to calibrate on")
    parser.add_argument("--test", type=Path, help="NPZ with labelled digits")
    given = parser.parse_args()
    if (given.images is None) != (given.test is None):
        parser.error("--images and --test go together")
    data = Path(os.environ.get("FEWBINS_DATA") or ROOT.parent / "shared" / "data").resolve()
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="fewbins-installed-") as folder:
        os.environ["FEWBINS_CACHE_DIR"] = folder
        check_package()
        if given.images:
            shutil.copy(given.images, Path(folder, "images.npz"))
            shutil.copy(given.test, Path(folder, "test.npz"))
        os.chdir(folder)
        check_readme(labelled=given.images is not None)
        if data.is_dir():
            check_resnet20(data)
        else:
            print(f"NOT TESTED: ResNet-20, since {data} does not exist (FEWBINS_DATA)")
    print("the main job passed")


def check_package() -> None:
    """All files of src/fewbins are installed, the compiled ones too, and it is them that Python imports."""
    import fewbins

    package = Path(fewbins.__file__).parent
    if package.is_relative_to(ROOT / "src"):
        sys.exit(f"{sys.executable} imports the checkout's {package}, not an installed package")
    checkout = {p.relative_to(ROOT / "src/fewbins") for p in (ROOT / "src/fewbins").rglob("*") if p.is_file()}
    sources = {p for p in checkout if p.suffix not in (".so", ".pyi", ".pyc") and p.parts[0] != "bin"}
    wanted = {*sources, Path("_engine.pyi"), Path("bin/fewbins-run")}
    there = {p.relative_to(package) for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    modules = {p for p in there if p.name.startswith("_engine.") and p.suffix == ".so"}
    if there - modules != wanted or len(modules) != 1:
        missing, more = sorted(map(str, wanted - there)), sorted(map(str, there - wanted - modules))
        sys.exit(f"{package}: missing {missing}, too many {more}, extension modules {sorted(map(str, modules))}")
    print(f"{package}: {len(there)} files, as in src/fewbins")


def check_readme(labelled: bool) -> None:
    """The README's commands and its Python, on the digits network."""
    from readme import commands, python_code

    shutil.copy(ROOT / "examples/digits.onnx", "model.onnx")
    if not labelled:
        x = np.random.default_rng(1).uniform(0, 1, (64, 1, 8, 8)).astype(np.float32)
        np.savez("images.npz", x=x)
        np.savez("test.npz", x=x, y=np.zeros(len(x), np.int64))
    test = np.load("test.npz")
    np.save("x.npy", test["x"][:16])
    for command in commands():
        run(command)
    if labelled:
        rates = json.loads(run("fewbins evaluate model.fewbins --data test.npz --json"))
        demand("digits, top-1 %", rates["top1_percent"], 95)

    # One file, three ways in: the command line, Python, and the C++ program.
    run("fewbins-run model.fewbins --input x.npy --output program.npy")
    shutil.copy("model.onnx", "resnet18.onnx")
    names: dict[str, Any] = {"images": np.load("images.npz")["x"], "batch": test["x"][:16]}
    exec(python_code(), names)
    import fewbins

    of_python = fewbins.Session("model.fewbins").run(test["x"][:16])
    for other in ("y.npy", "program.npy"):
        if not np.array_equal(of_python, np.load(other)):
            sys.exit(f"{other} is not what Session.run gives for the same file and input")
    if names["logits"].shape != (16, 10):
        sys.exit(f"the README's Python gave logits of shape {names['logits'].shape}")


def check_resnet20(data: Path) -> None:
    """Quantize, evaluate, run and verify ResNet-20 with CIFAR-10 pictures."""
    shutil.copy(data / "resnet20.onnx", "resnet20.onnx")
    convert = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'tools/convert_data.py'))}"
    run(f"{convert} cifar10-train --limit 256 -o calibration.npz")
    run(f"{convert} cifar10-test --limit 1000 -o cifar.npz")
    ends = "255x33,first=8bit,last=8bit"
    run(f"fewbins quantize resnet20.onnx --calibrate calibration.npz --scheme {ends} -o resnet20.fewbins")
    rates = json.loads(run("fewbins evaluate resnet20.fewbins --data cifar.npz --against resnet20.onnx --json"))
    demand("ResNet-20, top-1 %", rates["top1_percent"], 90)
    demand("ResNet-20, agreement with float, %", rates["agreement_percent"], 95)
    run("fewbins verify resnet20.fewbins --batch 2")
    np.save("x.npy", np.load("cifar.npz")["x"][:8])
    run("fewbins run resnet20.fewbins --input x.npy -o y.npy")
    run("fewbins-run resnet20.fewbins --input x.npy --output program.npy")
    if not np.array_equal(np.load("y.npy"), np.load("program.npy")):
        sys.exit("fewbins and fewbins-run differ on ResNet-20")


def run(command: str) -> str:
    """What a command prints; the end of this program where it fails. Programs are those of this environment."""
    words = shlex.split(command)
    if words[0] in ("fewbins", "fewbins-run"):
        words[0] = str(SCRIPTS / words[0])
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{command}\nended with code {done.returncode}\n{done.stdout}{done.stderr}")
    print(f"ok  {command}", flush=True)
    return done.stdout


def demand(what: str, figure: float, least: float) -> None:
    """The end of this program where a figure is below what it must be."""
    print(f"    {what}: {figure:.2f}")
    if figure < least:
        sys.exit(f"{what} is {figure:.2f}; at least {least} was expected")


if __name__ == "__main__":
    main()
