# SPDX-License-Identifier: Apache-2.0
"""`fewbins evaluate`: accuracy on labelled data, and agreement with another model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from fewbins.cli.common import (
    FROM_HELP,
    PIXELS_HELP,
    TO_HELP,
    is_model_file,
    positive,
    print_json,
    print_table,
    progress,
)
from fewbins.errors import DataError

if TYPE_CHECKING:
    from fewbins.evaluate import Opened


def command(
    model: Path = typer.Argument(..., help="A .fewbins or .onnx file."),
    data: Path = typer.Option(
        ...,
        "--data",
        help="NPZ with 'x' (preprocessed) and 'y' (numbers of outputs), or a folder of images by class.",
    ),
    against: Optional[Path] = typer.Option(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None, "--against", help="Another .fewbins or .onnx file to compare outputs with."
    ),
    from_: Optional[list[str]] = typer.Option(None, "--from", help=FROM_HELP),  # noqa: UP045
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    pixels: Optional[str] = typer.Option(None, "--pixels", help=PIXELS_HELP),  # noqa: UP045
    batch: int = typer.Option(32, "--batch", help="Images per run; a batch that is fixed in the model wins."),
    threads: Optional[int] = typer.Option(None, "--threads", help="Threads per run."),  # noqa: UP045
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Measure accuracy on labelled data; with --against also agreement and the outputs' signal-to-noise ratio.

    Data without labels needs --against.
    """
    from fewbins.evaluate import evaluate

    positive("--batch", batch)
    opened = open_any(str(model), threads, from_, to)
    other = None if against is None else open_any(str(against), threads, from_, to)
    try:
        with progress("evaluate") as tick:
            rates = evaluate(opened, data, against=other, batch=batch, pixels=pixels, progress=tick)
    except DataError as error:
        if "another model to compare with" in str(error):
            raise DataError(f"{data}: {error}: --against net.onnx") from error
        raise
    body = {
        "model": str(model),
        "data": str(data),
        "against": None if against is None else str(against),
        "against_rates": None,
        **rates,
    }
    if json:
        print_json("fewbins.evaluate/1", body)
    else:
        _print(body)


def open_any(
    path: str, threads: int | None, inputs: list[str] | None = None, outputs: list[str] | None = None
) -> Opened:
    """A session on a model file, or on an ONNX file through our own float engine; preprocessing and labels.

    `inputs` and `outputs` cut a part out of an ONNX file; a model file has been cut when it was made.
    """
    from fewbins.evaluate import open_model

    if is_model_file(path):
        return open_model(path, threads)
    from fewbins.importers.onnx import load_onnx

    return open_model(load_onnx(path, inputs=inputs, outputs=outputs), threads)


def _print(body: dict[str, Any]) -> None:
    rows = []
    other = body["against_rates"] or {}
    for key, label in (("top1_percent", "top-1 %"), ("top5_percent", "top-5 %"), ("agreement_percent", "agreement %")):
        if body.get(key) is not None:
            theirs = other.get(key)
            change = "" if theirs is None else f"{body[key] - theirs:+.2f}"
            rows.append((label, f"{body[key]:.2f}", "" if theirs is None else f"{theirs:.2f}", change))
    if "sqnr_db" in body:
        without = "equal outputs" if body["outputs_equal"] else "not defined"
        sqnr = without if body["sqnr_db"] is None else f"{body['sqnr_db']:.1f}"
        rows.append(("SQNR of outputs, dB", sqnr, "", ""))
    columns = ("", body["model"], body["against"] or "", "change")
    print_table(f"{body['samples']} samples of {body['data']}", columns, rows, right=columns[1:])
