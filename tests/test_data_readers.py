# SPDX-License-Identifier: Apache-2.0
"""NPZ files, image folders and preprocessing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fewbins.data import Preprocessing, open_dataset, read_image
from fewbins.errors import DataError, FileAccessError

GRAY = Preprocessing(size=(4, 4), channels="GRAY", mean=(0.0,), std=(255.0,))


@pytest.fixture
def folder(tmp_path):
    for name, value in (("cat", 0), ("dog", 255)):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (8, 6), value).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_subfolders_are_classes_in_the_order_of_their_names(folder):
    data = open_dataset(folder, ["x"], GRAY)
    assert (len(data), list(data.classes), data.labels.tolist()) == (4, ["cat", "dog"], [0, 0, 1, 1])
    batches = list(data.batches(3))
    assert [b["x"].shape for b in batches] == [(3, 1, 4, 4), (1, 1, 4, 4)]
    assert batches[1]["x"].max() == 1.0


def test_subfolders_named_as_labels_get_the_labels_numbers(folder):
    assert open_dataset(folder, ["x"], GRAY, ["dog", "fox", "cat"]).labels.tolist() == [2, 2, 0, 0]


def test_a_folder_without_preprocessing_is_refused(folder):
    with pytest.raises(DataError, match="preprocessing"):
        open_dataset(folder, ["x"], None)


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "cat" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        list(open_dataset(folder, ["x"], GRAY).batches(8))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3, np.int64)}, "no array for input"),
        ({"x": np.zeros((3, 1))}, "float64"),
        ({"x": np.zeros((0, 1), np.float32)}, "empty"),
        ({"x": np.zeros((3, 1), np.float32), "y": np.zeros(2, np.int64)}, "expected 3 integers"),
        ({"x": np.zeros((3, 1), np.float32), "y": np.zeros(3, np.float32)}, "expected 3 integers"),
    ],
)
def test_npz_that_does_not_fit_says_why(tmp_path, arrays, message):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "d.npz", ["input"], None)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(FileAccessError, match="no such file"):
        open_dataset(tmp_path / "none.npz", ["x"], None)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(DataError, match=r"bad\.npz"):
        open_dataset(tmp_path / "bad.npz", ["x"], None)
    np.save(tmp_path / "one.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"one\.npy"):
        open_dataset(tmp_path / "one.npy", ["x"], None)


def test_bgr_swaps_channels_before_mean_and_std(tmp_path):
    Image.new("RGB", (2, 2), (10, 20, 30)).save(tmp_path / "p.png")
    bgr = Preprocessing(size=(2, 2), channels="BGR", mean=(30.0, 20.0, 0.0), std=(1.0, 1.0, 2.0))
    assert read_image(str(tmp_path / "p.png"), bgr)[:, 0, 0].tolist() == [0.0, 0.0, 5.0]


def test_shorter_side_is_scaled_and_the_centre_cut(tmp_path):
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 255
    Image.fromarray(picture).save(tmp_path / "p.png")
    prepare = Preprocessing(size=(10, 10), resize="shorter", resize_to=10)
    assert read_image(str(tmp_path / "p.png"), prepare).min() == 1.0


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": "CMYK"},
        {"resize": "warp"},
        {"size": (0, 3)},
        {"std": (1.0, 0.0, 1.0)},
        {"mean": (1.0,)},
        {"wide": 1},
    ],
)
def test_preprocessing_that_makes_no_sense_is_refused(fields):
    with pytest.raises(DataError):
        Preprocessing.from_json(fields)


def test_preprocessing_survives_json():
    assert Preprocessing.from_json(GRAY.to_json()) == GRAY
