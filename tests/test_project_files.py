# SPDX-License-Identifier: Apache-2.0
"""What the project says about itself in several files says the same in each."""

from __future__ import annotations

import re
from importlib.metadata import requires, version
from pathlib import Path

import pytest

import fewbins

ROOT = Path(__file__).resolve().parents[1]


def test_one_version_everywhere() -> None:
    stated = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert stated and cited
    assert stated[1] == cited[1] == fewbins.__version__ == version("fewbins")
    assert f"## {stated[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("engine/**/*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
            if "://" not in link and not (document.parent / link).exists():
                broken.append(f"{document.relative_to(ROOT)}: {link}")
    assert not broken


def test_every_source_file_names_its_license() -> None:
    folders = ["src", "engine", "tests", "tools", "examples", "benchmarks"]
    kinds = ["py", "cpp", "h", "inc"]
    files = [path for folder in folders for kind in kinds for path in (ROOT / folder).rglob(f"*.{kind}")]
    texts = {path: path.read_text()[:200] for path in files}
    silent = [str(path) for path, text in texts.items() if text and "SPDX-License-Identifier: Apache-2.0" not in text]
    assert not silent


@pytest.mark.parametrize("extra", ["onnx", "images", "bench"])
def test_an_extra_brings_only_what_the_package_imports(extra):
    modules = {"pillow": "PIL"}  # distributions whose module has another name
    source = "\n".join(path.read_text() for path in (ROOT / "src/fewbins").rglob("*.py"))
    wanted = [line for line in requires("fewbins") or [] if re.search(rf"extra == ['\"]{extra}['\"]", line)]
    names = [re.match(r"[\w-]+", line)[0] for line in wanted]
    unused = [n for n in names if not re.search(rf"^\s*(import|from) {modules.get(n, n)}\b", source, re.MULTILINE)]
    assert names and not unused


def test_the_package_has_no_extras_but_those_that_are_tested():
    extras = re.findall(r"extra == ['\"](\w+)['\"]", "\n".join(requires("fewbins") or []))
    assert set(extras) == {"onnx", "images", "bench", "dev"}
