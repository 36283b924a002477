# SPDX-License-Identifier: Apache-2.0
"""What docs/schemes.md tells people to write is in the grammar, and does what the page says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from small_models import DIGITS, images

import fewbins
from fewbins.levels import U4_DEPTH

PAGE = (Path(__file__).resolve().parents[1] / "docs/schemes.md").read_text()
(PAPERS,) = re.findall(r"## From a paper to a scheme\n(.*?)\n## ", PAGE, re.DOTALL)
ROWS = [row.split("|")[2] for row in PAPERS.splitlines() if row.startswith("| ") and "arithmetic" not in row[:20]]
SCHEMES = [scheme for cell in ROWS for scheme in re.findall(r"`([^`]+)`", cell) if scheme != "NxM:tensor"]


def test_a_scheme_stands_beside_each_paper():
    assert len(SCHEMES) > 15 and {"23x23", "u4", "8bit", "lut4:po2", "8bit:tensor:fixed"} <= set(SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_a_paper_is_in_the_grammar(scheme):
    assert str(fewbins.Scheme.parse(scheme))


def test_the_pairs_of_the_paper_are_those_whose_products_fit_a_byte():
    pairs = [tuple(map(int, scheme.split("x"))) for scheme in SCHEMES if re.fullmatch(r"\d+x\d+", scheme)]
    halves = {((n - 1) // 2, (m - 1) // 2) for n, m in pairs if n % 2 and n >= m}
    wanted = {(x, 127 // x) for x in range(1, 128) if 127 // (127 // x) == x and x >= 127 // x}
    assert halves == wanted


def test_one_line_gives_u4_to_the_layers_that_can_do_it(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert str(U4_DEPTH) in code
    shutil.copy(DIGITS, tmp_path / "net.onnx")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code.replace("<= 291", "<= 100"), names)  # so that some layers of a small network are too deep
    model = fewbins.quantize(names["graph"], images(), scheme=str(names["scheme"]))
    assert {row["scheme"] for row in model.rows} == {"u4", "8bit"}
