# SPDX-License-Identifier: Apache-2.0
"""What pip installs is what the repository has: the files of the sdist and of the wheel, without compiling them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [path.relative_to(ROOT / "src") for path in (ROOT / "src/fewbins").rglob("*") if path.is_file()]
# without what `make build` puts there
PACKAGE = {str(path) for path in FILES if path.suffix not in (".so", ".pyi", ".pyc") and path.parts[1] != "bin"}


def build(source: Path, folder: Path, *arguments: str) -> Path:
    """What `python -m build` makes, with the tools of this environment."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *arguments, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, folder, "--sdist")) as archive:
        archive.extractall(folder)
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


def test_the_sdist_has_all_that_builds_and_tests_it(sdist):
    folders = ["src", "engine", "cmake", "docs", "examples", "tests", "tools"]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    wanted = {name for name in listed.stdout.split() if (ROOT / name).is_file()}
    there = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    assert wanted - there == set()
    assert {name for name in there if name.split("/")[0] in folders} - wanted == set()
    assert {"README.md", "LICENSE", "CMakeLists.txt", "pyproject.toml", "Makefile"} <= there


def test_the_sdist_names_its_commit(sdist):
    head = subprocess.run(["git", "rev-parse", "--short=9", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    wanted = head.stdout.strip() if head.returncode == 0 else "unknown"
    assert (sdist / "COMMIT").read_text().strip() == wanted


@pytest.mark.parametrize("origin", ["checkout", "sdist"])
def test_the_wheel_has_every_file_of_the_package(origin, sdist, tmp_path):
    wheel = build(
        ROOT if origin == "checkout" else sdist,
        tmp_path, "--wheel", "-Cwheel.cmake=false", "-Cwheel.py-api=py3",
    )  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("fewbins/")}
    assert names == PACKAGE
