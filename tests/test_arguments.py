# SPDX-License-Identifier: Apache-2.0
"""Every public argument against values of every wrong type: what is refused is a FewbinsError of one line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import DIGITS, digits, images

import fewbins

WRONG = [
    None, 3, -1, 2.5, 10**30, True, float("nan"), "nowhere", "\0", b"", b"x", [], [None], [[1, 2], [3]], ("a", "b"), {},
    {"a": 1}, set(), object(), np.zeros(3), np.zeros((2, 2), object), np.float32(3), Path("/nowhere"), Path(),
]  # fmt: skip
X, Y = images(2), [1, 2]
ONE = {"threads": [1], "batches": [1], "isas": ["scalar"]}


class Place:
    """What the calls below work on, made once."""

    def __init__(self, folder: Path) -> None:
        self.graph, self.model = fewbins.load_onnx(DIGITS), digits()
        self.session = fewbins.Session(self.model)
        self.path, self.pictures = folder / "m.fewbins", folder / "pictures"
        self.model.save(self.path)
        self.ort = fewbins.InferenceSession(self.path)
        (self.pictures / "a").mkdir(parents=True)
        Image.new("L", (8, 8)).save(self.pictures / "a" / "p.png")

    def made(self, **parts):
        model = fewbins.QuantizedModel(**{"graph": self.model.graph, "scheme": "8bit", **parts})
        return model.to_bytes(), model.report()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("arguments"))


CALLS = {
    "load_onnx": lambda p, v: fewbins.load_onnx(v),
    "load_onnx inputs": lambda p, v: fewbins.load_onnx(DIGITS, inputs=v),
    "load_onnx outputs": lambda p, v: fewbins.load_onnx(DIGITS, outputs=v),
    "load_onnx input_shapes": lambda p, v: fewbins.load_onnx(DIGITS, input_shapes=v),
    "load_onnx shape": lambda p, v: fewbins.load_onnx(DIGITS, input_shapes={"image": v}),
    "quantize": lambda p, v: fewbins.quantize(v, X),
    "quantize images": lambda p, v: fewbins.quantize(p.graph, v),
    "quantize item": lambda p, v: fewbins.quantize(p.graph, [v]),
    "quantize pair": lambda p, v: fewbins.quantize(p.graph, (v, v)),
    "quantize mapping": lambda p, v: fewbins.quantize(p.graph, {"image": v}),
    "quantize scheme": lambda p, v: fewbins.quantize(p.graph, X, scheme=v),
    "quantize observer": lambda p, v: fewbins.quantize(p.graph, X, observer=v),
    "quantize bias_correction": lambda p, v: fewbins.quantize(p.graph, X, bias_correction=v),
    "quantize preprocessing": lambda p, v: fewbins.quantize(p.graph, X, preprocessing=v),
    "quantize pixels": lambda p, v: fewbins.quantize(p.graph, X, pixels=v),
    "quantize labels": lambda p, v: fewbins.quantize(p.graph, X, labels=v),
    "quantize seed": lambda p, v: fewbins.quantize(p.graph, X, seed=v),
    "quantize provenance": lambda p, v: fewbins.quantize(p.graph, X, provenance=v),
    "quantize progress": lambda p, v: fewbins.quantize(p.graph, X, progress=v),
    "quantize make_runner": lambda p, v: fewbins.quantize(p.graph, X, make_runner=v),
    "model load": lambda p, v: fewbins.QuantizedModel.load(v),
    "model from_bytes": lambda p, v: fewbins.QuantizedModel.from_bytes(v),
    "model graph": lambda p, v: p.made(graph=v),
    "model scheme": lambda p, v: p.made(scheme=v),
    "model preprocessing": lambda p, v: p.made(preprocessing=v),
    "model labels": lambda p, v: p.made(labels=v),
    "model provenance": lambda p, v: p.made(provenance=v),
    "session": lambda p, v: fewbins.Session(v),
    "session threads": lambda p, v: fewbins.Session(p.model, v),
    "session isa": lambda p, v: fewbins.Session(p.model, isa=v),
    "session kernel": lambda p, v: fewbins.Session(p.model, kernel=v),
    "session check_finite": lambda p, v: fewbins.Session(p.model, check_finite=v),
    "session run": lambda p, v: p.session.run(v),
    "session run list": lambda p, v: p.session.run([v]),
    "session run mapping": lambda p, v: p.session.run({"image": v}),
    "session run pixels": lambda p, v: p.session.run(X, v),
    "session trace": lambda p, v: p.session.trace(X, v),
    "session plan": lambda p, v: p.session.plan(v),
    "session plan shape": lambda p, v: p.session.plan([v]),
    "session profile": lambda p, v: p.session.profile(X, v),
    "inference session": lambda p, v: fewbins.InferenceSession(v),
    "inference session options": lambda p, v: fewbins.InferenceSession(p.path, v),
    "inference session providers": lambda p, v: fewbins.InferenceSession(p.path, providers=v),
    "inference session names": lambda p, v: p.ort.run(v, {"image": X}),
    "inference session feed": lambda p, v: p.ort.run(None, v),
    "evaluate": lambda p, v: fewbins.evaluate(v, (X, Y)),
    "evaluate data": lambda p, v: fewbins.evaluate(p.session, v),
    "evaluate labels": lambda p, v: fewbins.evaluate(p.session, (X, v)),
    "evaluate item": lambda p, v: fewbins.evaluate(p.session, [(v, Y)]),
    "evaluate metric": lambda p, v: fewbins.evaluate(p.session, (X, Y), metric=v),
    "evaluate against": lambda p, v: fewbins.evaluate(p.session, (X, Y), against=v),
    "evaluate batch": lambda p, v: fewbins.evaluate(p.session, (X, Y), batch=v),
    "evaluate preprocessing": lambda p, v: fewbins.evaluate(p.session, p.pictures, preprocessing=v),
    "evaluate pixels": lambda p, v: fewbins.evaluate(p.session, (X, Y), pixels=v),
    "evaluate progress": lambda p, v: fewbins.evaluate(p.session, (X, Y), progress=v),
    "verify": lambda p, v: fewbins.verify(v, **ONE),
    "verify feed": lambda p, v: fewbins.verify(p.path, v, **ONE),
    "verify array": lambda p, v: fewbins.verify(p.path, {"image": v}, **ONE),
    "verify isas": lambda p, v: fewbins.verify(p.path, **{**ONE, "isas": v if v is not None else 0}),
    "verify threads": lambda p, v: fewbins.verify(p.path, **{**ONE, "threads": v}),
    "verify batches": lambda p, v: fewbins.verify(p.path, **{**ONE, "batches": v}),
    "verify seed": lambda p, v: fewbins.verify(p.path, **ONE, seed=v),
    "verify progress": lambda p, v: fewbins.verify(p.path, **ONE, progress=v),
    "preprocessing size": lambda p, v: fewbins.Preprocessing(size=v),
    "preprocessing resize": lambda p, v: fewbins.Preprocessing(resize=v),
    "preprocessing resize_to": lambda p, v: fewbins.Preprocessing(resize_to=v),
    "preprocessing channels": lambda p, v: fewbins.Preprocessing(channels=v),
    "preprocessing mean": lambda p, v: fewbins.Preprocessing(mean=v),
    "preprocessing std": lambda p, v: fewbins.Preprocessing(std=v),
    "preprocessing scale": lambda p, v: fewbins.Preprocessing(scale=v),
    "preprocessing from_json": lambda p, v: fewbins.Preprocessing.from_json(v),
    "preprocessing array": lambda p, v: fewbins.Preprocessing().array(v),
    "preprocessing batch": lambda p, v: fewbins.Preprocessing().batch(v, "NHWC"),
    "preprocessing layout": lambda p, v: fewbins.Preprocessing().batch(np.zeros((1, 2, 2, 3), np.uint8), v),
    "preprocessing image": lambda p, v: fewbins.Preprocessing().image(v),
    "scheme": lambda p, v: fewbins.Scheme.parse(v),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_value_of_a_wrong_type_is_taken_or_an_error_of_ours(place, name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused = 0
    for value in WRONG:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fewbins.FewbinsWarning)
            try:
                CALLS[name](place, value)
            except fewbins.FewbinsError as error:
                assert "\n" not in str(error) and 0 < len(str(error)) < 2500, value
                refused += 1
    assert refused >= 8


@pytest.mark.parametrize("value", [None, 3, b"xx", "\0", "", "nowhere/m.fewbins", [], object()], ids=repr)
def test_a_path_to_save_at_that_is_none_is_an_error_of_ours(place, value):
    with pytest.raises(fewbins.FewbinsError):
        place.model.save(value)
