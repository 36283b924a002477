# SPDX-License-Identifier: Apache-2.0
"""Measure a model on labelled data, and against another model: `evaluate`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewbins.calibrate.batch import batch_size, own_arrays
from fewbins.checks import check_callable, check_integer, shown
from fewbins.data import Preprocessing, open_dataset, read_items
from fewbins.data.preprocess import check_layout, from_pixels
from fewbins.errors import ArgumentError, DataError, ShapeError, warn
from fewbins.graph import Graph
from fewbins.model import QuantizedModel
from fewbins.network import is_network
from fewbins.onnxruntime_api import InferenceSession, loaded_model
from fewbins.quantize import quantize
from fewbins.scores import Comparison, Metric, Scores, first_output, named_metrics
from fewbins.session import Session

Array = np.ndarray[Any, np.dtype[Any]]
Progress = Callable[[int, int | None, str], None]


def evaluate(
    model: Any,
    data: Any,
    *,
    metric: str | Metric | Mapping[str, Metric] = "accuracy",
    against: Any = None,
    batch: int = 32,
    threads: int | None = None,
    preprocessing: Preprocessing | None = None,
    pixels: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a model on data, by its labels, against another model, or both.

    Args:
        model: a Session, a QuantizedModel, the path of a .fewbins file, or a float network (a Graph, or the path of an
            .onnx file), which runs in float32.
        data: a pair (x, y), an iterator or loader of such pairs, the path of an NPZ file with `x` and `y`, or the path
            of a folder of pictures by class; docs/data.md has all forms.
        metric: "accuracy" (of outputs (N, classes) by integer labels; of the first output where there are several), a
            function `metric(outputs, labels)`, or several by name. A function gets all outputs at once: an array
            (N, ...), or a dict by name where the model has several outputs.
        against: another model with the same inputs, to compare outputs with.
        batch: images per run; a batch that is fixed in the model wins.
        threads: per run; as in `Session`, and a Session keeps its own.
        preprocessing: for a folder, and for pictures of uint8; by default the model's own.
        pixels: where data are pictures of uint8: how they lie, "NHWC" or "NCHW".
        progress: called as `(done, total, stage)`; total is None where nobody knows it.

    Returns:
        `samples`; with "accuracy" `correct`, `top1_percent` and `top5_percent`; with functions a value under each name
        (a function's own name where it has none). With `against` also `agreement_percent` (how often both have their
        largest output in the same place; None for outputs that are not (N, classes)), `outputs_equal`, `sqnr_db`
        (signal to noise of the first output in dB; None where the outputs are equal, all zero or not finite) and
        `against_rates`, what the other model gets.

    Raises:
        DataError: no labels and nothing to compare with; labels that are not integers, or are no output's number.
        ShapeError: data that do not fit the model, or two models that do not fit each other.

    Example:
        fewbins.evaluate("net.fewbins", (x, y))["top1_percent"]
        fewbins.evaluate(model, loader, metric=lambda out, y: f1_score(y, out.argmax(1), average="macro"))
    """
    check_integer("batch", batch, 1)
    check_callable("progress", progress, "(done, total, stage)")
    if preprocessing is not None and not isinstance(preprocessing, Preprocessing):
        raise ArgumentError(f"preprocessing is {shown(preprocessing)}; give a fewbins.Preprocessing")
    if pixels is not None:
        check_layout(pixels)
    metrics = named_metrics(metric)
    mine = open_model(model, threads)
    theirs = None if against is None else open_model(against, threads)
    names = [info.name for info in mine.session.inputs]
    if theirs is not None and [info.name for info in theirs.session.inputs] != names:
        raise ShapeError(
            f"the models have different inputs, {', '.join(names)} and "
            f"{', '.join(info.name for info in theirs.session.inputs)}; they cannot be compared"
        )
    prepare = preprocessing if preprocessing is not None else mine.preprocessing
    total, batches = _batches(data, mine, prepare, batch, pixels)
    scores, others = Scores(metrics), Scores(metrics)
    compared = Comparison()
    labelled: bool | None = None
    for feed, labels, count in batches:
        got = _cut(mine.session.run(feed), count)
        if labelled is None:
            labelled = labels is not None
            if not labelled and theirs is None:
                raise DataError(
                    "the data has no labels, so there is nothing to measure; give pairs (x, y), an NPZ file with 'y', "
                    "a folder whose subfolders are classes, or another model to compare with"
                )
        if (labels is not None) != labelled:
            raise DataError("some items have labels and others have none")
        scores.add(got, labels)
        if theirs is not None:
            want = _cut(theirs.session.run(feed), count)
            others.add(want, labels)
            compared.add(first_output(got), first_output(want))
        if progress is not None:
            progress(scores.samples, total, "evaluate")
    if scores.samples == 0:
        raise DataError("the data is empty")
    rates = {"samples": scores.samples, **scores.rates()}
    return rates if theirs is None else {**rates, **compared.rates(), "against_rates": others.rates()}


@dataclass(frozen=True)
class Opened:
    """A model that is ready to run.

    Attributes:
        session: runs it.
        preprocessing: how a picture becomes its input, or None.
        labels: class names, or None.
    """

    session: Session
    preprocessing: Preprocessing | None = None
    labels: list[str] | None = None


def open_model(model: Any, threads: int | None = None) -> Opened:
    """A session on a model in any form, and what travels with it; float networks run on our own float engine."""
    if isinstance(model, Opened):
        return model
    if isinstance(model, InferenceSession):
        model = model.session
    if isinstance(model, Session):
        return _opened(model, loaded_model(model))
    if isinstance(model, QuantizedModel):
        return _opened(Session(model, threads), model)
    if isinstance(model, Graph) or is_network(model):
        return Opened(Session(quantize(model, scheme="float"), threads))
    session = Session(model, threads)
    return _opened(session, loaded_model(session))


def _opened(session: Session, model: QuantizedModel) -> Opened:
    return Opened(session, model.preprocessing, None if model.labels is None else list(model.labels))


Batch = tuple[dict[str, Array], Array | None, int]
"""Arrays by input name, labels, and how many of the images count: a fixed batch is filled up at the end."""


def _batches(
    data: Any, opened: Opened, preprocessing: Preprocessing | None, size: int, pixels: str | None
) -> tuple[int | None, Iterator[Batch]]:
    """How many images there are, where that is known, and batches of them."""
    inputs = opened.session.inputs
    names = [info.name for info in inputs]
    unit = batch_size(inputs)
    fixed = unit if isinstance(unit, int) else None
    shared = {info.name for info, own in zip(inputs, own_arrays(inputs), strict=True) if not own}
    others = {info.name for info in inputs if info.type != "tensor(float)"}
    if not isinstance(data, str | os.PathLike):
        return None, _rebatched(
            _as_inputs(_normal_items(data, opened.session), others, preprocessing, pixels), size, fixed, shared
        )
    dataset = open_dataset(data, names, preprocessing, opened.labels, pixels=pixels, others=others)
    _check_classes(dataset.classes, opened)

    def items() -> Iterator[tuple[dict[str, Array], Array | None]]:
        start = 0
        for feed in dataset.batches(size):
            arrays = {names[0]: feed["x"]} if dataset.files else feed
            stop = start + len(arrays[names[0]])
            yield arrays, None if dataset.labels is None else dataset.labels[start:stop]
            start = stop

    return len(dataset), _rebatched(items(), size, fixed, shared)


def _as_inputs(
    items: Iterator[tuple[dict[str, Any], Array | None]],
    others: Set[str],
    preprocessing: Preprocessing | None,
    pixels: str | None,
) -> Iterator[tuple[dict[str, Array], Array | None]]:
    """The items, with pictures of uint8 made inputs where their layout is named."""
    for arrays, labels in items:
        yield (
            {
                name: from_pixels(array, name, preprocessing, pixels)
                if pixels is not None and name not in others and getattr(array, "dtype", None) == np.uint8
                else array
                for name, array in arrays.items()
            },
            labels,
        )


def _check_classes(classes: Sequence[str], opened: Opened) -> None:
    """Warn of subfolders that are numbered by their order although there are more classes than that."""
    shape = opened.session.outputs[0].shape
    outputs = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None
    named = opened.labels is not None and all(name in opened.labels for name in classes)
    if classes and outputs is not None and len(classes) != outputs and not named:
        warn(
            f"the folder has {len(classes)} classes and the model {outputs} outputs; subfolders are numbered in the "
            f"order of their names, '{classes[0]}' is 0: name them as the model's labels if that is wrong"
        )


def _normal_items(data: Any, session: Session) -> Iterator[tuple[dict[str, Array], Array | None]]:
    """Items of data in memory, with the batch axis and labels (N, ...)."""
    inputs = session.inputs
    names = [info.name for info in inputs]
    for x, y in read_items(data, inputs):
        if len(names) > 1 and not isinstance(x, Mapping):
            raise DataError(f"the model has {len(names)} inputs; give mappings with the keys {', '.join(names)}")
        arrays: dict[str, Any] = dict(x) if isinstance(x, Mapping) else {names[0]: x}
        own = [info for info, own in zip(inputs, own_arrays(inputs), strict=True) if own]
        if own and all(_rank(arrays.get(info.name)) == len(info.shape) - 1 for info in own):
            single = {info.name for info in own}
            arrays = {name: array[None] if name in single else array for name, array in arrays.items()}
            y = None if y is None else y[None]
        first = arrays.get(own[0].name if own else names[0])
        count = first.shape[0] if first is not None and _rank(first) else 1
        if y is not None and (y.ndim == 0 or len(y) != count):
            raise DataError(f"an item has {count} images and labels of shape {y.shape}; give one label for each image")
        yield arrays, y


def _rank(array: Any) -> int | None:
    return array.ndim if isinstance(array, np.ndarray) else None


def _rebatched(
    items: Iterator[tuple[dict[str, Array], Array | None]], size: int, fixed: int | None, shared: Set[str]
) -> Iterator[Batch]:
    """Cut items to runs of at most `size` images, or of exactly `fixed`, the last filled up by repeating its end.

    Inputs that are `shared`, the same for all images, stay whole.
    """
    for arrays, labels in items:
        first: Any = next((array for name, array in arrays.items() if name not in shared), None)
        if not _rank(first):
            yield arrays, labels, 1  # the session says what is wrong with it
            continue
        step = fixed or size
        for start in range(0, len(first), step):
            part = {
                name: array[start : start + step] if name not in shared and _rank(array) else array
                for name, array in arrays.items()
            }
            count = min(step, len(first) - start)
            if fixed and count < fixed:
                part = {
                    name: array
                    if name in shared
                    else np.concatenate([array, np.repeat(array[-1:], fixed - count, axis=0)])
                    for name, array in part.items()
                }
            yield part, None if labels is None else labels[start : start + step], count


def _cut(result: Any, count: int) -> Any:
    """The outputs of the images that count."""
    if isinstance(result, dict):
        return {name: array[:count] if array.ndim else array for name, array in result.items()}
    return result[:count] if result.ndim else result
