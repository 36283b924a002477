# SPDX-License-Identifier: Apache-2.0
"""What `evaluate` counts: right answers, the caller's own metrics, and how far two models' outputs are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fewbins.checks import shown
from fewbins.data import as_array
from fewbins.errors import ArgumentError, DataError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
Metric = Callable[[Any, Array], Any]


def named_metrics(metric: str | Metric | Mapping[str, Metric]) -> dict[str, Metric] | None:
    """Functions by name; None for accuracy, which needs no list of all outputs."""
    if isinstance(metric, str) and metric == "accuracy":
        return None
    if callable(metric):
        return {getattr(metric, "__name__", type(metric).__name__).strip("<>"): metric}
    if isinstance(metric, Mapping) and metric and all(map(callable, metric.values())):
        return {str(name): function for name, function in metric.items()}
    raise ArgumentError(
        f"metric is {shown(metric)}; give 'accuracy', a function of outputs and labels, or a dict of functions by name"
    )


def first_output(result: Any) -> Array:
    """The output that counts where a model has several."""
    first: Array = next(iter(result.values())) if isinstance(result, dict) else result
    return first


class Scores:
    """What one model got right, or all its outputs where functions want them."""

    def __init__(self, metrics: dict[str, Metric] | None) -> None:
        self.samples = self._top1 = self._top5 = 0
        self._metrics, self._labelled = metrics, False
        self._outputs: list[Any] = []
        self._labels: list[Array] = []

    def add(self, outputs: Any, labels: Array | None) -> None:
        """Take in one run."""
        first = first_output(outputs)
        start = self.samples
        self.samples += len(first)
        if labels is None:
            return
        self._labelled = True
        if self._metrics is not None:
            self._outputs.append(outputs)
            self._labels.append(labels)
            return
        order = _answers(first, labels, start)
        self._top1 += int((order[:, 0] == labels).sum())
        self._top5 += int((order == labels[:, None]).any(1).sum())

    def rates(self) -> dict[str, Any]:
        """What `evaluate` returns of it."""
        if not self._labelled:
            return {}
        if self._metrics is None:
            return {
                "correct": self._top1,
                "top1_percent": 100 * self._top1 / self.samples,
                "top5_percent": 100 * self._top5 / self.samples,
            }
        labels = np.concatenate(self._labels)
        joined = self._outputs[0]
        if isinstance(joined, dict):
            outputs: Any = {name: np.concatenate([part[name] for part in self._outputs]) for name in joined}
        else:
            outputs = np.concatenate(self._outputs)
        return {name: as_array(metric(outputs, labels)) for name, metric in self._metrics.items()}


def _answers(outputs: Array, labels: Array, start: int) -> Array:
    """Up to five class numbers for each image, the likeliest first: those of the best scores, or the model's own."""
    if outputs.dtype.kind in "iu" and outputs.ndim >= 1 and math.prod(outputs.shape[2:]) == 1:
        _check_labels(labels, None, start)
        return outputs.reshape(len(outputs), -1)[:, :5]
    scores = _class_scores(outputs)
    _check_labels(labels, scores.shape[1], start)
    return np.argsort(-scores, axis=1, kind="stable")[:, :5]


def _class_scores(outputs: Array) -> Array:
    """Outputs as (N, classes); a classifier may end in sizes of 1."""
    if outputs.ndim < 2 or math.prod(outputs.shape[2:]) != 1:
        raise ShapeError(
            f"outputs of shape {outputs.shape} are not (N, classes), so accuracy means nothing; "
            "give metric=a function of outputs and labels, or data without labels and another model to compare with"
        )
    scores: Array = outputs.reshape(outputs.shape[:2])
    return scores


def _check_labels(labels: Array, classes: int | None, start: int) -> None:
    """Refuse labels that are no class numbers; a model that ends in class numbers does not say how many there are."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        how = ": labels.argmax(1)" if labels.ndim == 2 and labels.shape[1] == classes else ""
        raise DataError(f"labels are {labels.dtype} of shape {labels.shape}; give one integer for each image{how}")
    wrong = np.flatnonzero((labels < 0) | (labels >= (np.inf if classes is None else classes)))
    if len(wrong):
        raise DataError(
            f"label {labels[wrong[0]]} of image {start + wrong[0]} is no output's number; "
            + ("it must not be negative" if classes is None else f"the model has {classes} outputs, 0 to {classes - 1}")
        )


class Comparison:
    """How far one model's outputs are from another's."""

    def __init__(self) -> None:
        self._samples, self._agree = 0, 0.0
        self._classes = False
        self._signal = self._noise = 0.0

    def add(self, got: Array, want: Array) -> None:
        """Take in one run of both."""
        if got.shape != want.shape:
            raise ShapeError(f"the models give different shapes, {got.shape} and {want.shape}")
        self._samples += len(got)
        whole = got.dtype.kind in "biu"  # class numbers or masks: the same, or not
        self._classes = whole or (got.ndim >= 2 and math.prod(got.shape[2:]) == 1)
        if whole:
            self._agree += float((got == want).reshape(len(got), -1).mean(axis=1).sum())
        elif self._classes:
            self._agree += int((got.argmax(1) == want.argmax(1)).sum())
        self._signal += float((want.astype(np.float64) ** 2).sum())
        self._noise += float(((got.astype(np.float64) - want) ** 2).sum())

    def rates(self) -> dict[str, Any]:
        """What `evaluate` returns of it."""
        known = self._signal > 0 and 0 < self._noise < math.inf
        return {
            "agreement_percent": 100 * self._agree / self._samples if self._classes else None,
            "sqnr_db": 10 * math.log10(self._signal / self._noise) if known else None,
            "outputs_equal": self._noise == 0,
        }
