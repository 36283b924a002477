# SPDX-License-Identifier: Apache-2.0
"""Pictures of uint8 where the model carries preprocessing: the layout is named, and every way in gives the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx_models import normal, parse

import fewbins
from fewbins.errors import ArgumentError, CalibrationError, DataError, ShapeError

PREPARE = fewbins.Preprocessing(size=(6, 5), mean=(120, 110, 100), std=(60, 50, 55))
PIXELS = np.random.default_rng(4).integers(0, 256, (8, 6, 5, 3), np.uint8)
FLOATS = np.stack([PREPARE.array(picture) for picture in PIXELS])


def graph() -> fewbins.graph.Graph:
    return fewbins.load_onnx(
        parse(
            "(float[N,3,6,5] x) => (float[] y) { c = Conv<pads = [1, 1, 1, 1]>(x, w) p = GlobalAveragePool(c) "
            "y = Flatten(p) }",
            17,
            {"w": normal(4, 3, 3, 3)},
        )
    )


@pytest.fixture(scope="module")
def model() -> fewbins.QuantizedModel:
    return fewbins.quantize(graph(), FLOATS, preprocessing=PREPARE)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_pictures_give_what_their_floats_give(model: fewbins.QuantizedModel, layout: str) -> None:
    pictures = PIXELS if layout == "NHWC" else np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    session = fewbins.Session(model)
    want = session.run(FLOATS)
    np.testing.assert_array_equal(session.run(pictures, pixels=layout), want)
    np.testing.assert_array_equal(session.run({"x": pictures}, pixels=layout), want)
    for images in (pictures, list(pictures), {"x": pictures}):
        again = fewbins.quantize(graph(), images, preprocessing=PREPARE, pixels=layout)
        assert again.to_bytes() == model.to_bytes()
    y = want.argmax(1)
    rates = fewbins.evaluate(model, (pictures, y), pixels=layout)
    assert rates["top1_percent"] == 100


def test_a_square_picture_of_three_rows_is_read_as_its_layout_says() -> None:
    """Nothing but the name tells the layout here."""
    prepare = fewbins.Preprocessing(mean=(0, 100, 200), std=(1, 2, 3), scale=1)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 3, 3), np.uint8)
    nhwc, nchw = prepare.batch(pixels, "NHWC"), prepare.batch(pixels, "NCHW")
    np.testing.assert_array_equal(nhwc, np.stack([prepare.array(p) for p in pixels]))
    np.testing.assert_array_equal(nchw, np.stack([prepare.array(p.transpose(1, 2, 0)) for p in pixels]))
    assert (nhwc != nchw).any()


def test_without_a_layout_or_preprocessing_the_error_says_what_to_give(model: fewbins.QuantizedModel) -> None:
    with pytest.raises(ShapeError, match="is uint8; say how the pictures lie: pixels='NHWC' or pixels='NCHW'"):
        fewbins.Session(model).run(PIXELS)
    bare = fewbins.Session(fewbins.quantize(graph(), FLOATS))
    for layout in (None, "NHWC"):
        with pytest.raises(ShapeError, match="no preprocessing says what the pixels mean"):
            bare.run(PIXELS, pixels=layout)
    with pytest.raises(CalibrationError, match="calibration images: input 'x' is uint8; say how"):
        fewbins.quantize(graph(), PIXELS, preprocessing=PREPARE)
    with pytest.raises(CalibrationError, match="no preprocessing says"):
        fewbins.quantize(graph(), PIXELS, pixels="NHWC")


@pytest.mark.parametrize(
    ("pixels", "layout", "message"),
    [
        (PIXELS, "NCHW", r"are not NCHW with 3 channels .* and 6 x 5"),
        (PIXELS[:, :5], "NHWC", "of another size must be resized first"),
        (PIXELS[..., :1], "NHWC", "are not NHWC with 3 channels"),
        (PIXELS[0, 0], "NHWC", "are not NHWC"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(model, pixels, layout, message) -> None:
    with pytest.raises(DataError, match=message):
        fewbins.Session(model).run(pixels, pixels=layout)


def test_the_command_line_takes_pictures_in_arrays(model: fewbins.QuantizedModel, tmp_path: Path) -> None:
    path = tmp_path / "net.fewbins"
    model.save(path)
    y = fewbins.Session(model).run(FLOATS)
    np.savez(tmp_path / "data.npz", x=PIXELS, y=y.argmax(1))
    np.save(tmp_path / "x.npy", PIXELS)

    def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from fewbins.cli import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    done = cli("evaluate", path, "--data", tmp_path / "data.npz", "--pixels", "NHWC", "--json")
    assert done.returncode == 0 and '"top1_percent": 100' in done.stdout, done.stderr
    done = cli("run", path, "--input", tmp_path / "x.npy", "--pixels", "NHWC", "-o", tmp_path / "y.npy")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), y)
    done = cli("evaluate", path, "--data", tmp_path / "data.npz")
    assert done.returncode == 2 and "say how they lie: pixels 'NHWC' or 'NCHW' (--pixels)" in done.stderr


def scaling_graph() -> fewbins.graph.Graph:
    """The network itself does what preprocessing does elsewhere; its first layer pads."""
    mean, std = np.float32([120, 110, 100]).reshape(3, 1, 1), np.float32([60, 50, 55]).reshape(3, 1, 1)
    text = "(float[N,3,6,5] x) => (float[] y) { s = Sub(x, m) v = Div(s, d) y = Conv<pads = [1, 1, 1, 1]>(v, w) }"
    return fewbins.load_onnx(parse(text, 17, {"m": mean, "d": std, "w": normal(4, 3, 3, 3)}))


@pytest.mark.parametrize("scaling", [False, True])
def test_the_c_interface_gives_the_same_for_pixels(scaling: bool, tmp_path: Path) -> None:
    raw = fewbins.Preprocessing(size=(6, 5), mean=(0, 0, 0), std=(1, 1, 1), scale=1)
    network, prepare = (scaling_graph(), raw) if scaling else (graph(), PREPARE)
    model = fewbins.quantize(network, PIXELS, preprocessing=prepare, pixels="NHWC")
    assert ("offset" in model.graph.nodes[0].params) == scaling
    runner = Path(fewbins.__file__).parent / "bin" / "fewbins-run"
    model.save(tmp_path / "net.fewbins")
    np.save(tmp_path / "x.npy", PIXELS)
    command = [runner, tmp_path / "net.fewbins", "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), fewbins.Session(model).run(PIXELS, pixels="NHWC"))
    checks = fewbins.verify(tmp_path / "net.fewbins", {"x": prepare.batch(PIXELS, "NHWC")})
    assert checks and not any(check.wrong for check in checks)


def test_a_layout_that_is_none_is_refused_at_every_door(model: fewbins.QuantizedModel) -> None:
    message = "name the layout of the pictures, NHWC or NCHW"
    for pixels in (1, "", ["NHWC"], "nhwc", "NCWH"):
        with pytest.raises(ArgumentError, match=message):
            fewbins.Session(model).run(FLOATS, pixels=pixels)  # type: ignore[call-overload]
        with pytest.raises(ArgumentError, match=message):
            fewbins.quantize(graph(), FLOATS, pixels=pixels)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match=message):
            fewbins.evaluate(model, (FLOATS, [0] * 8), pixels=pixels)  # type: ignore[arg-type]
