# SPDX-License-Identifier: Apache-2.0
"""Histograms, observers, and calibration images in every form that people have them."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from small_models import DIGITS, images

import fewbins
from fewbins.calibrate.histogram import Histogram
from fewbins.calibrate.observers import OBSERVERS, choose_affine, choose_range
from fewbins.levels import Levels
from fewbins.numerics import dequantize, quantize

GRAPH = fewbins.load_onnx(DIGITS)


def histogram(*parts: np.ndarray) -> Histogram:
    found = Histogram()
    for part in parts:
        found.add(np.asarray(part, np.float32))
    return found


def same(a: Histogram, b: Histogram) -> bool:
    pairs = zip(a.bins(), b.bins(), strict=True)
    return (a.count, a.zeros, a.min, a.max) == (b.count, b.zeros, b.min, b.max) and all(
        np.array_equal(x, y) for x, y in pairs
    )


def test_a_histogram_does_not_depend_on_batches_or_order(rng):
    values = (rng.standard_normal(5000) * 10.0 ** rng.integers(-3, 4, 5000)).astype(np.float32)
    want = histogram(values)
    assert same(histogram(*np.split(values, 50)), want)
    assert same(histogram(*np.split(values[::-1], 5)), want)
    merged = histogram(values[:100])
    merged.merge(histogram(values[100:]))
    assert same(merged, want)


def test_a_histogram_keeps_its_size_and_its_resolution(rng):
    wide = histogram(rng.uniform(0, 1e-3, 1000), [1e6])
    assert wide.max == 1e6 and len(wide.bins()[0]) <= 8192
    assert wide.width <= 1e6 / 2048


def test_minmax_covers_everything_and_percentile_does_not(rng):
    data = histogram(rng.uniform(0, 1, 100_000), [50.0])
    assert choose_range(data, Levels.of(256), "minmax") == (0.0, 50.0)
    low, high = choose_range(data, Levels.of(256), "percentile")
    assert low == 0.0 and 0.99 < high < 1.1


@pytest.mark.parametrize("bins", [15, 23, 64, 256])
@pytest.mark.parametrize("shape", ["laplace", "relu", "uniform"])
def test_mse_has_the_least_error_of_the_observers(rng, bins, shape):
    values = {
        "laplace": rng.laplace(0, 1, 200_000),
        "relu": np.maximum(rng.standard_normal(200_000), 0),
        "uniform": rng.uniform(-1, 3, 200_000),
    }[shape].astype(np.float32)
    data, errors = histogram(values), {}
    for observer in OBSERVERS:
        affine = choose_affine(data, Levels.of(bins), observer=observer)
        errors[observer] = float(((dequantize(quantize(values, affine), affine) - values) ** 2).mean())
    assert errors["mse"] <= min(errors.values()) * 1.02, errors


def test_an_unknown_observer_names_the_known_ones():
    with pytest.raises(fewbins.ArgumentError, match="mse, minmax, percentile"):
        fewbins.quantize(GRAPH, images(4), observer="best")


def forms(x, tmp_path):
    np.savez(tmp_path / "x.npz", x=x)
    return {
        "list of images": list(x),
        "list of batches": [x[:5], x[5:]],
        "iterator": iter(x),
        "generator of batches": (x[i : i + 7] for i in range(0, len(x), 7)),
        "callable": lambda: iter(x),
        "mapping": {GRAPH.inputs[0]: x},
        "NPZ path": tmp_path / "x.npz",
    }


def test_every_form_of_images_gives_the_same_model(tmp_path):
    x = images(20)
    want = fewbins.quantize(GRAPH, x, scheme="23x23").to_bytes()
    for name, form in forms(x, tmp_path).items():
        assert fewbins.quantize(GRAPH, form, scheme="23x23").to_bytes() == want, name


def test_a_folder_of_pictures_is_read_through_the_preprocessing(tmp_path):
    pixels = (images(6)[:, 0] * 255).astype(np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    prepare = fewbins.Preprocessing(size=(8, 8), channels="GRAY", mean=(0.0,), std=(255.0,))
    x = np.stack([prepare.array(p[:, :, None]) for p in pixels])
    want = fewbins.quantize(GRAPH, x, preprocessing=prepare)
    got = fewbins.quantize(GRAPH, tmp_path, preprocessing=prepare)
    assert got.to_bytes() == want.to_bytes()


def with_value(value: float) -> np.ndarray:
    x = images(4)
    x[2, 0, 1, 1] = value
    return x


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "calibration images"),
        (images(0), "empty"),
        ([], "empty"),
        (iter(()), "empty"),
        (images(4).astype(np.float64), "float64"),
        ((images(4) * 255).astype(np.uint8), "uint8"),
        (images(4)[:, :, :, :7], "shape"),
        (images(4)[0, 0], "shape"),
        (with_value(np.nan), "image 2 holds NaN"),
        (with_value(np.inf), "image 2 holds infinity"),
        ({"other": images(4)}, "other"),
        (["picture.png"], "str"),
        (7, "int"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_images_that_cannot_be_used_say_why(given, says):
    with pytest.raises(fewbins.CalibrationError, match=says) as caught:
        fewbins.quantize(GRAPH, given)
    assert "\n" not in str(caught.value)


def peak_bytes(count: int) -> int:
    """The most memory that calibration on `count` images holds, images included while they are alive."""
    stream = (images(1)[0] for _ in range(count))
    tracemalloc.start()
    try:
        fewbins.quantize(GRAPH, stream, bias_correction=False)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_thousand_images_take_the_memory_of_few():
    few, many = peak_bytes(600), peak_bytes(10_000)
    assert many < few + (2 << 20), (few, many)


def test_calibration_is_deterministic_beyond_the_reservoir():
    def stream():
        return itertools.islice(itertools.cycle(images(64)), 700)

    first = fewbins.quantize(GRAPH, stream, scheme="255x33", seed=3)
    assert fewbins.quantize(GRAPH, stream, scheme="255x33", seed=3).to_bytes() == first.to_bytes()
    assert first.provenance["calibration"]["images"] == 700
