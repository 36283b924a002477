# SPDX-License-Identifier: Apache-2.0
"""Files of every version of the format load, and give what they gave when they were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_hostile_files import reseal, set_key

import fewbins
from fewbins import model_file, oracle
from fewbins.errors import GraphError
from fewbins.model_file import contents
from fewbins.ops.base import ATTRS, attributes, attrs_from_json, since

FILES = sorted((Path(__file__).parent / "models").glob("v*/*.fewbins"))


def assert_same(got: np.ndarray, want: np.ndarray, path: Path) -> None:
    # Weights-only schemes run float convolutions, whose order of summation is free (docs/numerics.md, section 5).
    tolerance = 1e-5 * float(np.abs(want).max()) if path.stem.endswith("w15") else 0.0
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


def test_there_are_files_of_every_old_version():
    versions = {path.parent.name for path in FILES}
    assert versions >= {f"v1.{minor}" for minor in range(contents.VERSION[1])}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_old_file_gives_its_old_results(path):
    stored = dict(np.load(path.with_suffix(".npz")))
    x = stored.pop("x")
    session = fewbins.Session(path)
    outputs = session.run(x)
    by_engine = outputs if isinstance(outputs, dict) else {session.outputs[0].name: outputs}
    by_oracle = oracle.run(model_file.read(path).graph, [x], trace=False)
    assert set(by_engine) == set(by_oracle) == set(stored)
    for name, want in stored.items():
        assert_same(by_engine[name], want, path)
        assert_same(by_oracle[name], want, path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_old_file_keeps_its_results_when_it_is_written_again(path):
    again = fewbins.QuantizedModel.from_bytes(fewbins.QuantizedModel.load(path).to_bytes())
    x = dict(np.load(path.with_suffix(".npz")))["x"]
    old, new = fewbins.Session(path).run(x), fewbins.Session(again).run(x)
    np.testing.assert_equal(new, old)


def test_a_newer_file_is_refused_by_its_version():
    newer = reseal(set_key(["version"], [1, contents.VERSION[1] + 1]))
    message = rf"format version 1\.{contents.VERSION[1] + 1} is not one that this release reads .*; update fewbins"
    with pytest.raises(fewbins.ModelFileError, match=message):
        model_file.from_bytes(newer)
    with pytest.raises(fewbins.ModelFileError, match=message):
        fewbins.Session(newer)


def test_an_attribute_may_be_missing_only_in_files_older_than_it():
    @attributes("Example")
    @dataclass(frozen=True)
    class ExampleAttrs:
        axis: int
        rule: str = since(2, before="old", default="new")

    try:
        assert attrs_from_json("Example", {"axis": 1}, minor=1) == ExampleAttrs(1, "old")
        assert attrs_from_json("Example", {"axis": 1, "rule": "new"}, minor=1) == ExampleAttrs(1)
        for minor in (2, None):
            with pytest.raises(GraphError, match="missing fields \\['rule'\\]"):
                attrs_from_json("Example", {"axis": 1}, minor=minor)
        with pytest.raises(GraphError, match="missing fields \\['axis'\\]"):
            attrs_from_json("Example", {}, minor=1)
    finally:
        del ATTRS["Example"]
