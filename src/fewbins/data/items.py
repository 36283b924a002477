# SPDX-License-Identifier: Apache-2.0
"""Data in the forms that people have it: arrays, pairs (x, y), mappings, torch's loaders and data sets, tf.data.

Nothing of torch or TensorFlow is imported: what has a method `numpy` is a tensor, and what can be walked over is data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fewbins.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]
LABEL_KEYS = ("y", "labels", "label")


class Input(Protocol):
    """An input of a network: a `Tensor` of a graph, or a `TensorInfo` of a session."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def shape(self) -> Sequence[int | str]:
        """Its sizes; a string is free."""


def read_items(data: Any, inputs: Sequence[Input]) -> Iterator[tuple[Any, Any]]:
    """Walk once over data that lies in memory or comes from an iterator.

    Args:
        data: an array, with or without the batch axis; a pair (x, y), or a mapping by input name; a list, iterator,
            torch DataLoader or Dataset, or tf.data-like iterable of these; a callable that returns any of them.
            Tensors of other libraries stand for arrays.
        inputs: of the network.

    Yields:
        (x, labels) for every item: x as it was given, an array or a mapping from names to arrays; labels an array or
        None.

    Raises:
        DataError: data of a type that cannot be walked over, or an item of a wrong length.
    """
    if isinstance(data, np.ndarray | Mapping) or _is_tensor(data) or _is_one_item(data, inputs):
        yield _split(data, inputs)
    elif callable(data):
        yield from read_items(data(), inputs)
    elif isinstance(data, str | bytes):
        raise _unknown(data)
    elif isinstance(data, Iterable):
        for item in data:
            yield _split(item, inputs)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        for index in range(len(data)):
            yield _split(data[index], inputs)
    else:
        raise _unknown(data)


def as_array(value: Any) -> Any:
    """A tensor of another library as an array; anything else as it is."""
    if not _is_tensor(value):
        return value
    try:
        for step in ("detach", "cpu"):  # torch: a tensor that has a gradient, or lies on another device
            if callable(getattr(value, step, None)):
                value = getattr(value, step)()
        return np.asarray(value.numpy() if callable(getattr(value, "numpy", None)) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise DataError(f"a {kind} cannot become a NumPy array ({error}); convert it to float32 first") from error


def _unknown(data: object) -> DataError:
    return DataError(
        f"data is of type {type(data).__name__}; give a float32 array, a pair (x, y), a list or iterator of arrays or "
        "pairs, a callable that returns one, or the path of a folder or NPZ file"
    )


def _is_tensor(value: object) -> bool:
    if isinstance(value, np.ndarray | type):
        return False
    return callable(getattr(value, "numpy", None)) or hasattr(value, "__array__")


def _is_one_item(data: Any, inputs: Sequence[Input]) -> bool:
    """Whether a tuple or list is a single item, such as the pair of all images and all labels, rather than items."""
    if not isinstance(data, tuple | list):
        return False
    if len(data) == 2 and _are_labels(data[1], data[0], inputs, is_tuple=isinstance(data, tuple)):
        return True
    arrays = all(isinstance(part, np.ndarray) or _is_tensor(part) for part in data)
    return isinstance(data, tuple) and len(inputs) > 1 and arrays and len(data) in (len(inputs), len(inputs) + 1)


def _are_labels(second: Any, first: Any, inputs: Sequence[Input], *, is_tuple: bool) -> bool:
    """Whether the second of two things is labels of the first, and not another image."""
    if isinstance(first, Mapping | tuple | list):
        if isinstance(second, Mapping | tuple):
            return False
        first = next(iter(first.values() if isinstance(first, Mapping) else first), None)
    if isinstance(second, list):
        return len(second) > 0 and all(isinstance(v, int | np.integer) for v in second)
    first, second = as_array(first), as_array(second)
    if not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
        return isinstance(first, np.ndarray) and isinstance(second, int | np.integer)
    numbers = second.dtype.kind in "iub" and second.dtype != np.uint8  # which are more likely pixels
    if numbers or second.ndim < len(inputs[0].shape) - 1:
        return True
    # What is left are arrays of numbers as targets, or images, which in a list must never be passed over.
    return is_tuple and (second.ndim < first.ndim or not _fits(second, inputs[0].shape))


def _fits(array: Array, shape: Sequence[int | str]) -> bool:
    """Whether an array may be an input, with or without the batch axis."""
    wanted = list(shape)[len(shape) - array.ndim :]
    return array.ndim in (len(shape), len(shape) - 1) and all(
        isinstance(want, str) or want == size for want, size in zip(wanted, array.shape, strict=True)
    )


def _split(item: Any, inputs: Sequence[Input]) -> tuple[Any, Any]:
    """An item as (x, labels)."""
    names = [value.name for value in inputs]
    if isinstance(item, tuple | list):
        given, labels = _parts(item, len(names)), None
        if len(given) == 2:
            labels = _labels(given[1])
        x = given[0]
        if isinstance(x, tuple | list):
            if len(x) != len(names):
                raise DataError(f"an item has {len(x)} arrays; the model's inputs are {', '.join(names)}")
            x = x[0] if len(names) == 1 else dict(zip(names, x, strict=True))
        return _converted(x, names), labels
    if not isinstance(item, Mapping):
        return as_array(item), None
    key = next((key for key in LABEL_KEYS if key in item and key not in names), None)
    x = {name: value for name, value in item.items() if name != key}
    return _converted(x, names), None if key is None else _labels(item[key])


def _parts(item: Sequence[Any], inputs: int) -> Sequence[Any]:
    """(x,) or (x, labels), where x is what belongs to the inputs."""
    nested = len(item) in (1, 2) and (inputs == 1 or isinstance(item[0], Mapping | tuple | list))
    if nested:
        return item
    if inputs > 1 and len(item) in (inputs, inputs + 1):
        return (tuple(item[:inputs]), *item[inputs:])
    raise DataError(
        f"an item is a {type(item).__name__} of {len(item)}; give x alone, (x, y), or for {inputs} "
        f"input{'s' * (inputs > 1)} a mapping by name"
    )


def _converted(x: Any, names: Sequence[str]) -> Any:
    """Tensors as arrays. The key "x" stands for the only input, as it does in an NPZ file."""
    if not isinstance(x, Mapping):
        return as_array(x)
    only = len(names) == 1 and set(x) == {"x"}
    return {names[0] if only else name: as_array(value) for name, value in x.items()}


def _labels(value: Any) -> Any:
    value = as_array(value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"labels of type {type(value).__name__} are no array ({error})") from error
