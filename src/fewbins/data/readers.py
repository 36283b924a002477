# SPDX-License-Identifier: Apache-2.0
"""Data sets: an NPZ file with `x` (and `y`), or a folder of images whose subfolders name the classes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewbins.data.preprocess import Preprocessing, from_pixels
from fewbins.errors import DataError, FileAccessError

Array = np.ndarray[Any, np.dtype[Any]]
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs, and labels where there are any.

    Attributes:
        arrays: input name -> float32 (N, ...); empty for a folder of images.
        files: paths of the images of a folder.
        labels: int64 (N,), or None.
        classes: for a folder, the subfolders' names in the order of the labels.
        preprocessing: what turns a file into an input.
        pixels: the layout of arrays of uint8, which `preprocessing` turns into inputs too.
        others: inputs whose arrays are given on as they are.
    """

    arrays: dict[str, Array]
    files: Sequence[str]
    labels: Array | None
    classes: Sequence[str]
    preprocessing: Preprocessing | None
    pixels: str | None = None
    others: Set[str] = frozenset()

    def __len__(self) -> int:
        return len(self.files) if self.files else len(next(iter(self.arrays.values())))

    def batches(self, size: int) -> Iterator[dict[str, Array]]:
        """Input name (or "x") -> float32 (<= size, ...), in order."""
        for start in range(0, len(self), size):
            if self.files:
                images = [read_image(f, self.preprocessing) for f in self.files[start : start + size]]
                shapes = {image.shape for image in images}
                if len(shapes) > 1:
                    raise DataError(f"the pictures have different sizes {sorted(shapes)}; set the preprocessing's size")
                yield {"x": np.stack(images)}
            else:
                parts = {name: array[start : start + size] for name, array in self.arrays.items()}
                yield {
                    name: from_pixels(part, name, self.preprocessing, self.pixels)
                    if part.dtype == np.uint8 and name not in self.others
                    else part
                    for name, part in parts.items()
                }


def open_dataset(
    path: str | os.PathLike[str],
    inputs: Sequence[str],
    preprocessing: Preprocessing | None,
    labels: Sequence[str] | None = None,
    *,
    pixels: str | None = None,
    others: Set[str] = frozenset(),
) -> Dataset:
    """Open an NPZ file or a folder of images.

    Args:
        path: NPZ with `x` float32 (N, C, H, W), already preprocessed, or one key per graph input, and `y` int64
            labels (called `labels` where a network of several inputs has one called `y`); or a folder of images,
            whose subfolders are classes.
        inputs: the graph's input names.
        preprocessing: what a folder needs; None is an error there.
        labels: the model's class names: a folder named like one of them gets its number, otherwise subfolders are
            numbered in the order of their names.
        pixels: the layout of `x` where it holds pictures of uint8 for `preprocessing`, "NHWC" or "NCHW".
        others: inputs of another type than float32; their arrays are given on as they are.

    Raises:
        FileAccessError: the path is missing or cannot be read.
        DataError: the contents do not fit.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        return _folder(name, preprocessing, labels)
    try:
        # Opened here: NumPy leaves a file open that it cannot read.
        with open(name, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(
                    f"{name}: a single array; expected an NPZ file with 'x' (and 'y') or a folder of images"
                )
            labels_key = _labels_key(archive.files, inputs)
            data = {key: archive[key] for key in archive.files if key in ("x", labels_key, *inputs)}
    except OSError as error:
        raise FileAccessError(f"cannot read '{name}': {(error.strerror or str(error)).lower()}") from error
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise DataError(f"{name}: not a readable NPZ file ({error})") from error
    y = data.pop(labels_key, None)
    if len(inputs) == 1 and "x" in data:
        data = {inputs[0]: data["x"]}
    missing = [i for i in inputs if i not in data]
    if missing:
        raise DataError(
            f"{name}: no array for input '{missing[0]}'; give 'x' or one key per input ({', '.join(inputs)})"
        )
    arrays = {i: data[i] for i in inputs}
    count = len(arrays[inputs[0]])
    for key, array in arrays.items():
        as_pixels = array.dtype == np.uint8 and pixels is not None
        if array.dtype != np.float32 and not as_pixels and key not in others:
            raise DataError(f"{name}: '{key}' is {array.dtype}; {make_float32(array.dtype)}")
        if array.ndim == 0 or len(array) != count:
            raise DataError(f"{name}: '{key}' has shape {array.shape}; every input needs the same number of samples")
    if count == 0:
        raise DataError(f"{name}: the set is empty")
    if y is not None and (y.ndim != 1 or len(y) != count or y.dtype.kind not in "iu"):
        raise DataError(f"{name}: '{labels_key}' has shape {y.shape} and dtype {y.dtype}; expected {count} integers")
    numbers = None if y is None else y.astype(np.int64)
    return Dataset(arrays, (), numbers, (), preprocessing, pixels, others)


def _labels_key(keys: Sequence[str], inputs: Sequence[str]) -> str:
    """Under which key an NPZ file has its labels: `y`, but `labels` where `y` is an input of the network.

    >>> _labels_key(["x", "y"], ["image"]), _labels_key(["x", "y"], ["y"]), _labels_key(["x", "y"], ["x", "y"])
    ('y', 'y', 'labels')
    """
    x_is_the_input = len(inputs) == 1 and "x" in keys
    return "labels" if "y" in inputs and not x_is_the_input else "y"


def make_float32(dtype: np.dtype[Any]) -> str:
    """What to do about an array of another type: bytes are pixels nearly always, and need more than a conversion."""
    if dtype == np.uint8:
        return (
            "preprocess pixels as for training, such as ((x - mean) / std).astype(numpy.float32), or let preprocessing "
            "do it and say how they lie: pixels 'NHWC' or 'NCHW' (--pixels)"
        )
    return "convert it with .astype(numpy.float32)"


def image_files(folder: str) -> list[str]:
    """Paths of the images in a folder and its subfolders, sorted."""
    found = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        found += [os.path.join(root, n) for n in sorted(names) if n.lower().endswith(SUFFIXES)]
    return found


def read_image(path: str, preprocessing: Preprocessing | None) -> Array:
    """An image file to float32 (C, H, W)."""
    if preprocessing is None:
        raise DataError(
            f"'{path}' needs preprocessing (size, channels, mean and std for pixels 0..255), and the model carries none"
        )
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise DataError("reading image files needs Pillow: pip install 'fewbins[images]'") from error
    try:
        with Image.open(path) as image:
            return preprocessing.image(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise DataError(f"'{path}' is not a readable image ({error})") from error
    except OSError as error:
        raise FileAccessError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error


def _folder(name: str, preprocessing: Preprocessing | None, labels: Sequence[str] | None) -> Dataset:
    files = image_files(name)
    if not files:
        raise DataError(f"{name}: no images ({', '.join(SUFFIXES)}) in this folder")
    if preprocessing is None:
        raise DataError(
            f"{name}: a folder of images needs preprocessing (size, channels, mean and std for pixels 0..255), which "
            "is given to quantize and travels with the model, and here is none; or use an NPZ file"
        )
    classes = sorted(e.name for e in os.scandir(name) if e.is_dir())
    if not classes:
        return Dataset({}, files, None, (), preprocessing)
    numbers = _class_numbers(name, classes, labels)
    files = [f for f in files if os.path.relpath(f, name).split(os.sep)[0] in numbers]
    y = np.array([numbers[os.path.relpath(f, name).split(os.sep)[0]] for f in files], np.int64)
    return Dataset({}, files, y, classes, preprocessing)


def _class_numbers(folder: str, classes: Sequence[str], labels: Sequence[str] | None) -> dict[str, int]:
    """The number of each subfolder: its label's, where all are named like labels, or its place."""
    known = [c for c in classes if labels is not None and c in labels]
    if labels is not None and len(known) == len(classes):
        return {c: list(labels).index(c) for c in classes}
    if known:
        other = next(c for c in classes if c not in known)
        raise DataError(
            f"{folder}: subfolder '{other}' is no label of the model, and '{known[0]}' is; name all subfolders as the "
            "labels are, or none"
        )
    return {c: i for i, c in enumerate(classes)}
