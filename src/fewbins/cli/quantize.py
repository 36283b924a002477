# SPDX-License-Identifier: Apache-2.0
"""`fewbins quantize`: an ONNX file and calibration images in, a model file out."""

from __future__ import annotations

import hashlib
import json as json_module
import os
import time
from pathlib import Path
from typing import Any, Optional

import typer

from fewbins.cli.common import FROM_HELP, PIXELS_HELP, TO_HELP, is_model_file, print_json, progress, say, size_text
from fewbins.data import Dataset, Preprocessing, open_dataset
from fewbins.errors import ArgumentError, DataError, FileAccessError
from fewbins.scheme import Scheme


def command(
    model: Path = typer.Argument(..., help="A .onnx file."),
    output: Path = typer.Option(..., "--output", "-o", help="The .fewbins file to write."),
    calibrate: Optional[Path] = typer.Option(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None,
        "--calibrate",
        help="NPZ with 'x' (preprocessed), or a folder of images, with --preprocessing; not for --scheme float.",
    ),
    scheme: str = typer.Option("8bit", "--scheme", help="Bins per layer, such as 255x33,first=8bit,last=8bit."),
    observer: str = typer.Option("mse", "--observer", help="How ranges are chosen: mse, minmax or percentile."),
    bias_correction: bool = typer.Option(True, "--bias-correction/--no-bias-correction", help="Match channel means."),
    limit: Optional[int] = typer.Option(None, "--limit", help="Use only the first N images."),  # noqa: UP045
    preprocessing: Optional[Path] = typer.Option(  # noqa: UP045
        None,
        "--preprocessing",
        help="JSON file: size, resize, channels, mean, std; mean and std are for pixels 0..255, or with "
        "scale: 255 for 0..1 as torchvision gives them; stored in the model.",
    ),
    pixels: Optional[str] = typer.Option(None, "--pixels", help=PIXELS_HELP),  # noqa: UP045
    labels: Optional[Path] = typer.Option(  # noqa: UP045
        None, "--labels", help="Text file with one class name a line, as many as outputs; stored in the model."
    ),
    from_: Optional[list[str]] = typer.Option(None, "--from", help=FROM_HELP),  # noqa: UP045
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    seed: int = typer.Option(0, "--seed", help="Seed of the choices that are random."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Quantize an ONNX file, calibrated on images, and write a model file."""
    parsed = Scheme.parse(scheme)
    if is_model_file(str(model)):
        raise ArgumentError(f"'{model}' is a model file already; give the .onnx file that it was made from")
    folder = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(folder):
        raise FileAccessError(f"cannot write '{output}': the folder '{folder}' does not exist")
    prepare = None if preprocessing is None else _preprocessing(preprocessing)
    names = None if labels is None else _lines(labels)
    from fewbins.importers.onnx import load_onnx
    from fewbins.quantize import quantize

    start = time.perf_counter()
    graph = load_onnx(str(model), inputs=from_, outputs=to)
    images: Any = None
    if calibrate is not None:
        others = {name for name in graph.inputs if graph.tensors[name].dtype != "float32"}
        images = _images(open_dataset(calibrate, graph.inputs, prepare, pixels=pixels, others=others), limit)
    with progress("quantize") as tick:
        result = quantize(
            graph,
            images,
            scheme=parsed,
            observer=observer,
            bias_correction=bias_correction,
            preprocessing=prepare,
            labels=names,
            seed=seed,
            provenance={"source": os.path.basename(model), "source_sha256": _sha256(model)},
            progress=tick,
        )
    result.save(output)
    seconds = time.perf_counter() - start
    body: dict[str, Any] = {
        "model": str(model),
        "output": str(output),
        "scheme": str(parsed),
        "size_bytes": os.path.getsize(output),
        "onnx_size_bytes": os.path.getsize(model),
        "seconds": round(seconds, 3),
        "layers": result.rows,
    }
    if json:
        print_json("fewbins.quantize/1", body)
        return
    print(result.report())
    smaller = body["onnx_size_bytes"] / body["size_bytes"]
    print(f"{output}: {size_text(body['size_bytes'])}, {smaller:.1f}x smaller than {model}")
    say(f"{seconds:.1f} s")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _images(data: Dataset, limit: int | None) -> Any:
    """A callable that gives a fresh iterator of batches, which is what `quantize` likes best."""
    if limit is not None and limit < 1:
        raise ArgumentError(f"--limit is {limit}; it must be at least 1")

    def batches() -> Any:
        left = len(data) if limit is None else limit
        for batch in data.batches(32):
            take = min(left, len(next(iter(batch.values()))))
            if take < 1:
                return
            left -= take
            cut = {name: array[:take] for name, array in batch.items()}
            yield cut if len(cut) > 1 else next(iter(cut.values()))

    return batches


def _preprocessing(path: Path) -> Preprocessing:
    try:
        row = json_module.loads(_text(path))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise DataError(f"{path}: expected a JSON object with size, channels, mean, std (for pixels 0..255), scale")
    return Preprocessing.from_json(row)


def _lines(path: Path) -> list[str]:
    """The lines of a file of labels; blank ones at its end are none."""
    return _text(path).rstrip().splitlines()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileAccessError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text file") from error
