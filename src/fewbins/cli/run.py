# SPDX-License-Identifier: Apache-2.0
"""`fewbins run`: a model on an array or on image files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import typer

from fewbins.cli.common import FROM_HELP, PIXELS_HELP, TO_HELP, positive, print_json, print_table
from fewbins.cli.evaluate import open_any
from fewbins.data import image_files, read_image
from fewbins.errors import ArgumentError, DataError, FileAccessError, ShapeError
from fewbins.model_file import write_atomically

if TYPE_CHECKING:
    from fewbins.evaluate import Opened


def command(
    model: Path = typer.Argument(..., help="A .fewbins or .onnx file."),
    images: Optional[list[Path]] = typer.Argument(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None, help="Image files or folders; the model must carry preprocessing."
    ),
    input: Optional[list[str]] = typer.Option(  # noqa: UP045
        None,
        "--input",
        help="x.npy, or NAME=x.npy for each of several inputs; preprocessed, of the input's type.",
    ),
    output: Optional[Path] = typer.Option(  # noqa: UP045
        None, "--output", "-o", help=".npy, .npz (several outputs) or .csv (a row per image) to write."
    ),
    from_: Optional[list[str]] = typer.Option(None, "--from", help=FROM_HELP),  # noqa: UP045
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    pixels: Optional[str] = typer.Option(None, "--pixels", help=PIXELS_HELP),  # noqa: UP045
    threads: Optional[int] = typer.Option(None, "--threads", help="Threads per run."),  # noqa: UP045
    top: int = typer.Option(5, "--top", help="How many classes to show for an image."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Run a model on an array (--input x.npy -o y.npy) or on image files, with labels where the model has them."""
    positive("--top", top)
    if bool(images) == bool(input):
        raise ArgumentError("give either image files or --input x.npy")
    if input and output is None:
        raise ArgumentError("--input needs --output y.npy to write to")
    if output is not None and output.suffix.lower() not in WRITERS:
        raise ArgumentError(f"--output '{output}' must end in one of {', '.join(WRITERS)}, which says what is written")
    opened = open_any(str(model), threads, from_, to)
    if images:
        body = _pictures(opened, _expand(images), output, top)
    else:
        result = opened.session.run(_feed(opened.session, input or []), pixels)
        arrays = result if isinstance(result, dict) else {opened.session.outputs[0].name: result}
        assert output is not None
        _save(output, arrays, opened.labels)
        body = {"output": str(output), "shapes": {name: list(array.shape) for name, array in arrays.items()}}
    if json:
        print_json("fewbins.run/1", {"model": str(model), **body})
        return
    if body.get("images"):
        _print(body["images"])
    if output is not None:
        print(f"{output}: {', '.join(f'{n} {tuple(s)}' for n, s in body['shapes'].items())}")


def load_array(path: str) -> Any:
    """An array from a .npy file."""
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FileAccessError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: not a .npy array ({error})") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: an NPZ file; give one .npy per input as NAME=file.npy")
    return array


def feed_from(names: list[str], given: list[str], unread: Sequence[str] = ()) -> dict[str, Any]:
    """`x.npy` or `NAME=x.npy` arguments to arrays by input name; inputs that nothing reads may be among them."""
    feed = {}
    for item in given:
        name, separator, path = item.partition("=")
        if not separator or name not in (*names, *unread):
            if len(names) > 1:
                raise ArgumentError(f"--input {item}: the model has inputs {', '.join(names)}; write NAME=file.npy")
            name, path = names[0], item
        feed[name] = load_array(path)
    return feed


def _feed(session: Any, given: list[str]) -> dict[str, Any]:
    return feed_from([info.name for info in session.inputs], given, [info.name for info in session.unread])


def _save(path: Path, arrays: dict[str, Any], labels: list[str] | None, files: list[str] | None = None) -> None:
    WRITERS[path.suffix.lower()](path, arrays, labels, files)


def _save_npy(path: Path, arrays: dict[str, Any], labels: list[str] | None, files: list[str] | None) -> None:
    if len(arrays) > 1:
        raise ArgumentError(f"the model has several outputs ({', '.join(arrays)}); name a .npz file")
    buffer = io.BytesIO()
    np.save(buffer, next(iter(arrays.values())), allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def _save_npz(path: Path, arrays: dict[str, Any], labels: list[str] | None, files: list[str] | None) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def _save_csv(path: Path, arrays: dict[str, Any], labels: list[str] | None, files: list[str] | None) -> None:
    """A row per image: its path, if it has one, and all scores under the classes' names; digits give float32 back."""
    scores = next(iter(arrays.values()))
    if len(arrays) > 1 or scores.ndim != 2:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ArgumentError(f"a .csv file holds one output (N, classes), and here are {shapes}; name a .npz file")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = labels is not None and len(labels) == scores.shape[1]
    classes = labels if named and labels else [str(k) for k in range(scores.shape[1])]
    writer.writerow([*(["image"] if files else []), *classes])
    for place, row in enumerate(scores):
        writer.writerow(
            [
                *([files[place]] if files else []),
                *(f"{value:.9g}" if row.dtype == np.float32 else str(value) for value in row),
            ]
        )
    write_atomically(path, text.getvalue().encode())


WRITERS = {".npy": _save_npy, ".npz": _save_npz, ".csv": _save_csv}


def _expand(paths: list[Path]) -> list[str]:
    files = []
    for path in paths:
        if path.is_dir():
            found = image_files(str(path))
            if not found:
                raise DataError(f"{path}: no images in this folder")
            files += found
        else:
            files.append(str(path))
    return files


def _pictures(opened: Opened, files: list[str], output: Path | None, top: int) -> dict[str, Any]:
    """Run on picture files: the best classes of each, and all outputs into `output`."""
    names = [info.name for info in opened.session.outputs]
    rows: list[dict[str, Any]] = []
    kept: dict[str, list[Any]] = {name: [] for name in names}
    for path in files:
        result = opened.session.run(read_image(path, opened.preprocessing)[None])
        arrays = result if isinstance(result, dict) else {names[0]: result}
        scores = arrays[names[0]]
        if len(arrays) == 1 and scores.dtype.kind in "iu" and scores.size == len(scores):
            rows.append({"path": path, "classes": [_class(int(scores.reshape(-1)[0]), opened.labels, None)]})
        elif len(arrays) == 1 and scores.ndim == 2 and scores.dtype == np.float32:
            rows.append({"path": path, "classes": _best(scores[0], opened.labels, top)})
        elif output is None:
            raise ShapeError("the model is not a classifier (N, classes); add -o y.npz to write what it gives")
        if output is not None:
            for name, array in arrays.items():
                kept[name].append(array)
    body: dict[str, Any] = {"images": rows}
    if output is not None:
        joined = {name: _joined(name, arrays) for name, arrays in kept.items()}
        _save(output, joined, opened.labels, files)
        body |= {"output": str(output), "shapes": {name: list(array.shape) for name, array in joined.items()}}
    return body


def _joined(name: str, arrays: list[Any]) -> Any:
    shapes = sorted({array.shape[1:] for array in arrays})
    if len(shapes) > 1:
        raise ShapeError(
            f"output '{name}' has different sizes for different pictures, such as {shapes[0]} and {shapes[1]}; "
            "set the preprocessing's size, or run them one by one"
        )
    return np.concatenate(arrays)


def _best(scores: Any, labels: list[str] | None, top: int) -> list[dict[str, Any]]:
    order = np.argsort(-scores, kind="stable")[:top]
    return [_class(int(k), labels, float(scores[k])) for k in order]


def _class(number: int, labels: list[str] | None, score: float | None) -> dict[str, Any]:
    """A class; a model that ends in class numbers tells no score."""
    known = labels is not None and 0 <= number < len(labels)
    return {"class": number, "label": labels[number] if labels and known else None, "score": score}


def _print(rows: list[dict[str, Any]]) -> None:
    table = [
        (
            row["path"] if place == 0 else "",
            best["label"] or best["class"],
            "" if best["score"] is None else f"{best['score']:.4g}",
        )
        for row in rows
        for place, best in enumerate(row["classes"])
    ]
    print_table("", ("image", "class", "score"), table, right=("score",))
