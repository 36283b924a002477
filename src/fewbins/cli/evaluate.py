# SPDX-License-Identifier: Apache-2.0
"""`fewbins evaluate`: accuracy on labelled data, and agreement with another model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import typer

from fewbins.cli.common import FROM_HELP, TO_HELP, is_model_file, positive, print_json, print_table, progress
from fewbins.data import Preprocessing, open_dataset
from fewbins.errors import ShapeError


@dataclass
class _Score:
    samples: int = 0
    top1: int = 0
    top5: int = 0
    agree: int = 0
    signal: float = 0.0
    noise: float = 0.0


def command(
    model: Path = typer.Argument(..., help="A .fewbins or .onnx file."),
    data: Path = typer.Option(..., "--data", help="NPZ with 'x' and 'y', or a folder of images by class."),
    against: Optional[Path] = typer.Option(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None, "--against", help="Another .fewbins or .onnx file to compare outputs with."
    ),
    from_: Optional[list[str]] = typer.Option(None, "--from", help=FROM_HELP),  # noqa: UP045
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    batch: int = typer.Option(32, "--batch", help="Images per run."),
    threads: Optional[int] = typer.Option(None, "--threads", help="Threads per run."),  # noqa: UP045
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Measure accuracy on labelled data; with --against also agreement and the outputs' signal-to-noise ratio."""
    positive("--batch", batch)
    session, prepare, labels = open_any(str(model), threads, from_, to)
    other = None if against is None else open_any(str(against), threads, from_, to)[0]
    names = [info.name for info in session.inputs]
    if other is not None and [i.name for i in other.inputs] != names:
        raise ShapeError(f"'{against}' has other inputs than '{model}'; they cannot be compared")
    dataset = open_dataset(data, names, prepare, labels)
    mine, theirs = _Score(), _Score()
    with progress("evaluate") as tick:
        done = 0
        for feed in dataset.batches(batch):
            if len(names) == 1:
                feed = {names[0]: next(iter(feed.values()))}
            count = len(feed[names[0]])
            y = None if dataset.labels is None else dataset.labels[done : done + count]
            got = _first(session.run(feed))
            _score(mine, got, y)
            if other is not None:
                want = _first(other.run(feed))
                _score(theirs, want, y)
                _compare(mine, got, want)
            done += count
            tick(done, len(dataset), "")
    body = {
        "model": str(model),
        "data": str(data),
        "against": None if against is None else str(against),
        "samples": mine.samples,
        **_rates(mine, dataset.labels is not None, other is not None),
        "against_rates": None if other is None else _rates(theirs, dataset.labels is not None, False),
    }
    if json:
        print_json("fewbins.evaluate/1", body)
    else:
        _print(body)


def open_any(
    path: str, threads: int | None, inputs: list[str] | None = None, outputs: list[str] | None = None
) -> tuple[Any, Preprocessing | None, list[str] | None]:
    """A session on a model file, or on an ONNX file through our own float engine; preprocessing and labels.

    `inputs` and `outputs` cut a part out of an ONNX file; a model file has been cut when it was made.
    """
    from fewbins.session import Session

    if is_model_file(path):
        from fewbins.model import QuantizedModel

        loaded = QuantizedModel.load(path)
        labels = None if loaded.labels is None else list(loaded.labels)
        return Session(path, threads), loaded.preprocessing, labels
    from fewbins.importers.onnx import load_onnx
    from fewbins.quantize import quantize

    return Session(quantize(load_onnx(path, inputs=inputs, outputs=outputs), scheme="float"), threads), None, None


def _first(result: Any) -> Any:
    return next(iter(result.values())) if isinstance(result, dict) else result


def _score(score: _Score, outputs: Any, y: Any) -> None:
    score.samples += len(outputs)
    if y is None:
        return
    if outputs.ndim != 2:
        raise ShapeError(f"outputs of shape {outputs.shape} are not (N, classes); give data without 'y'")
    order = np.argsort(-outputs, axis=1, kind="stable")[:, :5]
    score.top1 += int((order[:, 0] == y).sum())
    score.top5 += int((order == y[:, None]).any(1).sum())


def _compare(score: _Score, got: Any, want: Any) -> None:
    if got.shape != want.shape:
        raise ShapeError(f"the models give different shapes, {got.shape} and {want.shape}")
    if got.ndim == 2:
        score.agree += int((got.argmax(1) == want.argmax(1)).sum())
    score.signal += float((want.astype(np.float64) ** 2).sum())
    score.noise += float(((got.astype(np.float64) - want) ** 2).sum())


def _rates(score: _Score, labelled: bool, compared: bool) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    if labelled:
        rates["correct"] = score.top1
        rates["top1_percent"] = 100 * score.top1 / score.samples
        rates["top5_percent"] = 100 * score.top5 / score.samples
    if compared:
        rates["agreement_percent"] = 100 * score.agree / score.samples
        finite = score.noise > 0 and score.signal > 0
        rates["sqnr_db"] = 10 * math.log10(score.signal / score.noise) if finite else None
    return rates


def _print(body: dict[str, Any]) -> None:
    rows = []
    other = body["against_rates"] or {}
    for key, label in (("top1_percent", "top-1 %"), ("top5_percent", "top-5 %"), ("agreement_percent", "agreement %")):
        if key in body:
            theirs = other.get(key)
            change = "" if theirs is None else f"{body[key] - theirs:+.2f}"
            rows.append((label, f"{body[key]:.2f}", "" if theirs is None else f"{theirs:.2f}", change))
    if "sqnr_db" in body:
        sqnr = "equal outputs" if body["sqnr_db"] is None else f"{body['sqnr_db']:.1f}"
        rows.append(("SQNR of outputs, dB", sqnr, "", ""))
    columns = ("", body["model"], body["against"] or "", "change")
    print_table(f"{body['samples']} samples of {body['data']}", columns, rows, right=columns[1:])
