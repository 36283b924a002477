# SPDX-License-Identifier: Apache-2.0
"""The tool behind `make test-networks` finds what is wrong. Its networks need torch and are checked by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import check_networks
import numpy as np
import onnx
import pytest
from onnx_models import normal, parse


def write(folder: Path, body: str, **constants: np.ndarray) -> None:
    text = f"(float[batch,3,8,8] x) => (float[] y) {{ {body} }}"
    onnx.save(parse(text, 17, constants), folder / "script-free.onnx")


def test_every_network_of_the_tool_can_be_exported() -> None:
    tree = ast.parse(check_networks.EXPORT.read_text())
    tables = [node.value for node in tree.body if isinstance(node, ast.AnnAssign) and node.target.id == "NETWORKS"]
    assert [ast.literal_eval(key) for key in tables[0].keys] == [*check_networks.NETWORKS, *check_networks.TRANSFORMERS]
    assert len(check_networks.NETWORKS) == 21


def test_a_network_that_is_right_passes(tmp_path: Path) -> None:
    write(tmp_path, "a = Conv(x, w) b = Relu(a) y = Conv(b, v)", w=normal(16, 3, 3, 3), v=normal(4, 16, 1, 1))
    result = check_networks.check("resnet18", "script-free", tmp_path, {})
    assert result.failures == []
    assert result.float_error < 1e-5 and result.correlation["8bit"] > 0.999 and result.nodes == 3


def test_a_network_whose_output_says_nothing_fails(tmp_path: Path) -> None:
    write(tmp_path, "y = Conv(x, w)", w=1e-9 * normal(4, 3, 3, 3))
    result = check_networks.check("resnet18", "script-free", tmp_path, {})
    assert any("says nothing" in failure for failure in result.failures)


def test_refusal_is_a_failure_except_for_transformers(tmp_path: Path) -> None:
    write(tmp_path, "y = LRN<size = 3>(x)")
    assert "LRN" in check_networks.check("resnet18", "script-free", tmp_path, {}).failures[0]
    transformer = check_networks.check("swin_t", "script-free", tmp_path, {})
    assert transformer.failures == [] and "LRN" in transformer.refused


def test_a_failed_export_is_a_failure(tmp_path: Path) -> None:
    result = check_networks.check("resnet18", "script-free", tmp_path, {"script-free.onnx": "RuntimeError: no"})
    assert result.failures == ["export: RuntimeError: no"]


def test_what_is_not_finite_or_constant_has_no_correlation() -> None:
    want = np.float32([1, 2, 4])
    assert check_networks._correlation(np.float32([np.inf, 2, 4]), want) == 0
    assert check_networks._correlation(np.float32([3, 3, 3]), want) == 0
    assert check_networks._correlation(-want, want) == pytest.approx(-1)


@pytest.mark.parametrize("arguments", [["resnet19"], ["--forms", "jit-free"]])
def test_unknown_names_are_refused_with_those_that_there_are(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["check_networks.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        check_networks.main()
    assert caught.value.code == 2
    assert "there are" in capsys.readouterr().err
