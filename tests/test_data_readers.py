# SPDX-License-Identifier: Apache-2.0
"""NPZ files, image folders and preprocessing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

import fewbins
from fewbins.data import Preprocessing, open_dataset, read_image
from fewbins.errors import DataError, FewbinsWarning, FileAccessError

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


def test_subfolders_of_which_some_are_labels_and_some_are_not_are_refused(folder):
    with pytest.raises(DataError, match="subfolder 'dog' is no label of the model, and 'cat' is"):
        open_dataset(folder, ["x"], GRAY, ["cat", "fox"])
    assert open_dataset(folder, ["x"], GRAY, ["owl", "fox"]).labels.tolist() == [0, 0, 1, 1]


def test_bytes_are_to_be_preprocessed_and_not_only_converted(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 1), np.uint8))
    with pytest.raises(DataError, match="preprocess pixels as for training"):
        open_dataset(tmp_path / "d.npz", ["x"], None)


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


RAMP = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)


def test_integers_and_lists_make_the_preprocessing_that_floats_and_tuples_make():
    given = Preprocessing(size=[2, 2], channels="GRAY", mean=[0], std=np.array([255]))
    assert given == Preprocessing(size=(2, 2), channels="GRAY")
    assert hash(given) == hash(Preprocessing(size=(2, 2), channels="GRAY"))


@pytest.mark.parametrize("channels", ["GRAY", "RGB", "BGR"])
@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_16_bit_greys_span_0_to_255_and_keep_their_fractions(tmp_path, channels, ending):
    Image.fromarray(RAMP).save(tmp_path / f"ramp.{ending}")
    x = read_image(str(tmp_path / f"ramp.{ending}"), Preprocessing(channels=channels))
    assert x.shape == (1 if channels == "GRAY" else 3, 64, 64)
    np.testing.assert_allclose(x, np.broadcast_to(RAMP / 65535, x.shape), atol=1e-6)


def test_16_bit_greys_are_resized_without_being_cut(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    for resize in ("stretch", "shorter"):
        x = read_image(str(tmp_path / "ramp.png"), Preprocessing(size=(16, 16), resize=resize, channels="GRAY"))
        assert x.shape == (1, 16, 16) and abs(float(x.mean()) - 0.5) < 0.01


def test_16_bit_colour_is_read_at_8_bits(tmp_path):
    """Pillow cannot write such a file, so here is the smallest one by hand."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for colour, channels in ((2, 3), (6, 4)):
        row = b"\0" + struct.pack(f">{channels}H", *[65535, 32768, 256, 65535][:channels])
        head = struct.pack(">IIBBBBB", 1, 1, 16, colour, 0, 0, 0)
        png = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
        (tmp_path / "colour.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
        x = read_image(str(tmp_path / "colour.png"), Preprocessing(std=(1.0, 1.0, 1.0), scale=1))
        assert x[:, 0, 0].tolist() == [255.0, 128.0, 1.0]


def test_tiffs_whose_zero_is_white_are_turned_round(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "ramp.tiff", tiffinfo={262: 0})
    x = read_image(str(tmp_path / "ramp.tiff"), Preprocessing(channels="GRAY"))
    np.testing.assert_allclose(x[0], 1 - RAMP / 65535, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_unknown_range_are_refused(tmp_path, dtype):
    Image.fromarray(RAMP.astype(dtype)).save(tmp_path / "p.tiff")
    with pytest.raises(DataError, match=r"p\.tiff.*range is unknown.*NPZ"):
        read_image(str(tmp_path / "p.tiff"), Preprocessing())


def test_palettes_alpha_and_cmyk_become_what_pillow_converts_them_to(tmp_path):
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8), "RGBA")
    for mode, name in (("RGBA", "a.png"), ("P", "p.png"), ("LA", "la.png"), ("CMYK", "c.tiff"), ("1", "b.png")):
        picture = colours.convert("RGB").convert(mode) if mode in ("CMYK", "P") else colours.convert(mode)
        picture.save(tmp_path / name)
        x = read_image(str(tmp_path / name), Preprocessing())
        want = np.asarray(Image.open(tmp_path / name).convert("RGB"), np.float32) / np.float32(255)
        np.testing.assert_array_equal(x, want.transpose(2, 0, 1))


def test_a_picture_is_used_as_it_is_stored_whatever_exif_says(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "p.jpg", exif=exif)
    assert read_image(str(tmp_path / "p.jpg"), Preprocessing()).shape == (3, 4, 8)


def test_the_shorter_side_is_scaled_and_cut_as_torchvision_does(tmp_path):
    """Resize(7) of 10x23 gives 7x16 (16.1 rounded down); CenterCrop(7) starts at 4 (4.5 to even)."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 23, 3), np.uint8))
    want = picture.resize((16, 7), Image.Resampling.BILINEAR).crop((4, 0, 11, 7))
    x = Preprocessing(size=(7, 7), resize="shorter", resize_to=7).image(picture)
    np.testing.assert_array_equal(x, (np.asarray(want, np.float32) / np.float32(255)).transpose(2, 0, 1))
    two_thirds = Preprocessing(size=(2, 2), resize="shorter", resize_to=2)
    wide = Image.fromarray(np.random.default_rng(1).integers(0, 256, (3, 4, 3), np.uint8))
    scaled = wide.resize((2, 2), Image.Resampling.BILINEAR)  # 2.67 is 2, not 3
    np.testing.assert_array_equal(
        two_thirds.image(wide), (np.asarray(scaled, np.float32) / np.float32(255)).transpose(2, 0, 1)
    )


def test_uint16_pixels_are_brought_to_0_to_255_and_other_types_refused():
    prepare = Preprocessing(channels="GRAY")
    np.testing.assert_allclose(prepare.array(RAMP[:, :, None])[0], RAMP / 65535, atol=1e-6)
    with pytest.raises(DataError, match=r"float64.*uint8"):
        prepare.array(np.zeros((2, 2, 1)))


TORCHVISION = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def test_scale_255_makes_torchvisions_constants_right():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    want = (pixels / 255 - TORCHVISION["mean"]) / TORCHVISION["std"]
    prepare = Preprocessing.from_json({**TORCHVISION, "scale": 255})
    np.testing.assert_allclose(prepare.array(pixels), want.transpose(2, 0, 1), atol=1e-5)
    stored = prepare.to_json()
    assert "scale" not in stored and stored["std"] == [0.229 * 255, 0.224 * 255, 0.225 * 255]
    assert Preprocessing.from_json(stored) == prepare


@pytest.mark.parametrize(
    "fields",
    [TORCHVISION, {"std": [1, 1, 1]}, {"mean": [127.5] * 3, "std": [0.5] * 3}, {"channels": "GRAY", "std": [0.5]}],
)
def test_constants_for_pixels_0_to_1_are_warned_of(fields):
    with pytest.warns(FewbinsWarning, match=r"every std is at most 1.*0\.\.255; add scale 255"):
        Preprocessing.from_json(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {**TORCHVISION, "scale": 255},
        {**TORCHVISION, "scale": 1},
        {"mean": [104, 117, 123], "std": [1, 1, 1]},
        {"mean": [0, 0, 0], "std": [58.4, 1, 57.4]},
        {},
    ],
)
def test_constants_that_can_be_right_are_not_warned_of(fields):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Preprocessing.from_json(fields)


def test_a_model_with_odd_units_is_warned_of_when_made_and_not_when_loaded():
    from small_models import digits

    with pytest.warns(FewbinsWarning, match="at most 1") as caught:
        odd = Preprocessing(channels="GRAY", mean=(0.5,), std=(0.5,))
    assert caught[0].filename == __file__
    data = fewbins.QuantizedModel(digits().graph, "8bit", preprocessing=odd).to_bytes()
    assert fewbins.QuantizedModel.from_bytes(data).preprocessing == odd


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 0}, "positive"),
        ({"scale": "255"}, "positive"),
        ({"mean": "0.5"}, r"3 finite numbers for RGB, on the scale of pixels 0\.\.255"),
        ({"mean": [None] * 3}, "finite numbers"),
        ({"size": 224}, "height and a width"),
        ({"size": [2.5, 2]}, "height and a width"),
        ({"resize_to": 2.5}, "integer"),
        ({"channels": ["RGB"]}, "channels"),
    ],
)
def test_fields_of_a_wrong_type_are_refused_by_name(fields, message):
    with pytest.raises(DataError, match=message):
        Preprocessing.from_json(fields)


def test_an_input_called_y_is_read_from_the_key_y_and_labels_from_labels(tmp_path):
    a, y = np.ones((4, 3), np.float32), np.arange(4)
    np.savez(tmp_path / "xy.npz", x=a, y=2 * a, labels=y)
    data = open_dataset(tmp_path / "xy.npz", ["x", "y"], None)
    np.testing.assert_array_equal(data.arrays["y"], 2 * a)
    np.testing.assert_array_equal(data.labels, y)
    np.savez(tmp_path / "y.npz", y=a)
    assert open_dataset(tmp_path / "y.npz", ["y"], None).labels is None
    np.savez(tmp_path / "xy1.npz", x=a, y=y)
    np.testing.assert_array_equal(open_dataset(tmp_path / "xy1.npz", ["y"], None).labels, y)
    np.savez(tmp_path / "bad.npz", x=a, y=a, labels=a)
    with pytest.raises(DataError, match="'labels' has shape"):
        open_dataset(tmp_path / "bad.npz", ["x", "y"], None)
