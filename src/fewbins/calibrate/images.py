# SPDX-License-Identifier: Apache-2.0
"""Calibration images in every form that people have them: one stream of checked samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from fewbins.calibrate.batch import batch_size, can_join, has_batch, joined
from fewbins.data import Preprocessing, open_dataset, read_items
from fewbins.data.preprocess import from_pixels
from fewbins.errors import CalibrationError, DataError, ShapeError
from fewbins.graph import Graph, Tensor
from fewbins.graph.types import STORAGE

Array = np.ndarray[Any, np.dtype[Any]]
Sample = tuple[Array, ...]
"""One array for each graph input: one image, or as many as a network with a fixed batch takes at once; whole arrays of
inputs that are the same for all images."""

Item = Array | Mapping[str, Array]
Images = Item | Iterable[Any] | Callable[[], Any] | str | os.PathLike[str]

_FOLDER_CHUNK = 16


def read_samples(
    images: Images, graph: Graph, preprocessing: Preprocessing | None = None, pixels: str | None = None
) -> Iterator[Sample]:
    """Walk once over calibration images.

    Args:
        images: what `read_items` takes, or the path of an NPZ file or of a folder of images. Labels are not read. All
            arrays are float32 and preprocessed; only folders and pictures of uint8 go through `preprocessing`.
        graph: its inputs say which shapes fit. A free batch gives samples of one image; a fixed batch B, of B. An
            input whose first axis is not the batch (see `has_batch`) takes one array for all images of an item.
        preprocessing: for a folder, and for pictures of uint8.
        pixels: the layout of pictures of uint8, "NHWC" or "NCHW".

    Yields:
        Samples: arrays with the batch axis, in the order of the graph's inputs.

    Raises:
        CalibrationError: an array has a wrong dtype or shape, holds NaN or infinity (the message names input and
            image), a name is missing, or there are no images at all.
    """
    tensors = [graph.tensors[name] for name in graph.inputs]
    batched = has_batch(graph)
    size = batch_size(tensors)
    unit = size if isinstance(size, int) else 1
    index = 0
    rest: Sample | None = None
    rest_count = 0
    unread = {info.name for info in graph.unread}
    for item in _items(images, tensors, preprocessing, pixels):
        given = _from_pixels(item, tensors, preprocessing, pixels)
        arrays, count = _checked(given, tensors, batched, unread, index)
        index += count
        if rest is not None and can_join(graph, _firsts(rest, batched), _firsts(arrays, batched)):
            arrays, count = tuple(joined(graph, [rest, arrays])), count + rest_count
            rest = None
        for start in range(0, count, unit):
            sample = tuple(
                array[start : start + unit] if own else array for array, own in zip(arrays, batched, strict=True)
            )
            if count - start < unit:
                rest, rest_count = sample, count - start
            else:
                yield sample
    if index == 0:
        raise CalibrationError("the calibration set is empty; give 100 to 500 images like those the model will see")
    if rest is not None:
        raise CalibrationError(
            f"input '{tensors[0].name}' takes batches of exactly {unit}, and {index} calibration images do not divide "
            f"by it; give a multiple of {unit}"
        )


def _items(
    images: Images, tensors: Sequence[Tensor], preprocessing: Preprocessing | None, pixels: str | None
) -> Iterator[Item]:
    if isinstance(images, str | os.PathLike):
        names = [tensor.name for tensor in tensors]
        others = {tensor.name for tensor in tensors if tensor.dtype != "float32"}
        data = open_dataset(images, names, preprocessing, pixels=pixels, others=others)
        for batch in data.batches(_FOLDER_CHUNK):
            yield {names[0]: batch["x"]} if set(batch) == {"x"} else batch
        return
    try:
        for x, _ in read_items(images, tensors):
            yield x
    except DataError as error:
        raise CalibrationError(f"calibration images: {error}") from error


def _from_pixels(
    item: Item, tensors: Sequence[Tensor], preprocessing: Preprocessing | None, pixels: str | None
) -> Item:
    """An item whose pictures of uint8 are float32 inputs."""
    floats = {tensor.name for tensor in tensors if tensor.dtype == "float32"}

    def converted(array: Any, name: str) -> Any:
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or name not in floats:
            return array
        try:
            return from_pixels(array, name, preprocessing, pixels)
        except (DataError, ShapeError) as error:
            raise CalibrationError(f"calibration images: {error}") from error

    if isinstance(item, Mapping):
        return {name: converted(array, name) for name, array in item.items()}
    return converted(item, tensors[0].name) if len(tensors) == 1 else item


def _firsts(arrays: Sequence[Array], batched: Sequence[bool]) -> list[Array]:
    """One image of each input, and all of what is the same for all images."""
    return [array[:1] if own else array for array, own in zip(arrays, batched, strict=True)]


def _checked(
    item: Item, tensors: Sequence[Tensor], batched: Sequence[bool], unread: Set[str], index: int
) -> tuple[Sample, int]:
    """The arrays of an item, and how many images they are."""
    if isinstance(item, Mapping):
        names = [tensor.name for tensor in tensors]
        wrong = [name for name in item if name not in names and name not in unread] or [
            name for name in names if name not in item
        ]
        if wrong:
            raise CalibrationError(
                f"calibration images: '{wrong[0]}' is {'missing' if wrong[0] in names else 'not an input'}; "
                f"the model's inputs are {', '.join(names)}"
            )
        arrays = [item[name] for name in names]
    elif len(tensors) == 1:
        arrays = [item]
    else:
        names = [tensor.name for tensor in tensors]
        raise CalibrationError(f"the model has {len(names)} inputs; give mappings with the keys {', '.join(names)}")
    checked = tuple(
        _array(array, tensor, own, index) for array, tensor, own in zip(arrays, tensors, batched, strict=True)
    )
    counts = {len(array) for array, own in zip(checked, batched, strict=True) if own}
    if len(counts) > 1:
        raise CalibrationError(f"calibration images: the inputs hold {sorted(counts)} images; they must be as many")
    return checked, next(iter(counts), 1)


def _array(item: Any, tensor: Tensor, own: bool, index: int) -> Array:
    """An input's array, with the batch axis where it has its own for each image."""
    where = f"calibration images for input '{tensor.name}'"
    if not isinstance(item, np.ndarray):
        raise CalibrationError(f"{where}: an item is of type {type(item).__name__}; it must be a {tensor.dtype} array")
    array: Array = item
    if array.dtype != STORAGE[tensor.dtype]:
        hint = "preprocess them and convert with" if tensor.dtype == "float32" else "convert them with"
        raise CalibrationError(f"{where} are {array.dtype}; {hint} .astype(numpy.{STORAGE[tensor.dtype]})")
    if own and array.ndim == len(tensor.shape) - 1:
        array = array[None]
    skipped = 1 if own else 0  # the batch
    fits = array.ndim == len(tensor.shape) and all(
        isinstance(wanted, str) or wanted == size
        for wanted, size in zip(tensor.shape[skipped:], array.shape[skipped:], strict=True)
    )
    if not fits:
        wanted_text = ", ".join(str(size) for size in tensor.shape)
        raise CalibrationError(f"{where} have shape {array.shape}; the model takes ({wanted_text})")
    if not np.isfinite(array).all():
        if not own:
            raise CalibrationError(f"{where} hold {'NaN' if np.isnan(array).any() else 'infinity'}")
        bad = next(i for i in range(len(array)) if not np.isfinite(array[i]).all())
        kind = "NaN" if np.isnan(array[bad]).any() else "infinity"
        raise CalibrationError(f"{where}: image {index + bad} holds {kind}; check how the images are preprocessed")
    return array
