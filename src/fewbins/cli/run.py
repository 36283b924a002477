# SPDX-License-Identifier: Apache-2.0
"""`fewbins run`: a model on an array or on image files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import typer

from fewbins.cli.common import FROM_HELP, TO_HELP, print_json, print_table
from fewbins.cli.evaluate import open_any
from fewbins.data import image_files, read_image
from fewbins.errors import ArgumentError, DataError, FileAccessError, ShapeError
from fewbins.model_file import write_atomically


def command(
    model: Path = typer.Argument(..., help="A .fewbins or .onnx file."),
    images: Optional[list[Path]] = typer.Argument(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None, help="Image files or folders; the model must carry preprocessing."
    ),
    input: Optional[list[str]] = typer.Option(  # noqa: UP045
        None, "--input", help="x.npy, or NAME=x.npy for each of several inputs; float32."
    ),
    output: Optional[Path] = typer.Option(None, "--output", "-o", help=".npy (or .npz) to write."),  # noqa: UP045
    from_: Optional[list[str]] = typer.Option(None, "--from", help=FROM_HELP),  # noqa: UP045
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    threads: Optional[int] = typer.Option(None, "--threads", help="Threads per run."),  # noqa: UP045
    top: int = typer.Option(5, "--top", help="How many classes to show for an image."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Run a model on an array (--input x.npy -o y.npy) or on image files, with labels where the model has them."""
    if bool(images) == bool(input):
        raise ArgumentError("give either image files or --input x.npy")
    if input and output is None:
        raise ArgumentError("--input needs --output y.npy to write to")
    session, prepare, labels = open_any(str(model), threads, from_, to)
    if images:
        rows = _classify(session, prepare, labels, _expand(images), top)
        if json:
            print_json("fewbins.run/1", {"model": str(model), "images": rows})
        else:
            _print(rows)
        return
    assert output is not None
    result = session.run(_feed(session, input or []))
    _save(output, result)
    arrays = result if isinstance(result, dict) else {session.outputs[0].name: result}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    if json:
        print_json("fewbins.run/1", {"model": str(model), "output": str(output), "shapes": shapes})
    else:
        print(f"{output}: {', '.join(f'{n} {tuple(s)}' for n, s in shapes.items())}")


def load_array(path: str) -> Any:
    """A float32 array from a .npy file."""
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


def _save(path: Path, result: Any) -> None:
    buffer = io.BytesIO()
    if isinstance(result, dict):
        if path.suffix != ".npz":
            raise ArgumentError(f"the model has several outputs ({', '.join(result)}); name a .npz file")
        np.savez(buffer, **result)
    else:
        np.save(buffer, result, allow_pickle=False)
    write_atomically(path, buffer.getvalue())


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


def _classify(session: Any, prepare: Any, labels: list[str] | None, files: list[str], top: int) -> list[dict[str, Any]]:
    rows = []
    for path in files:
        scores = session.run(read_image(path, prepare)[None])
        if isinstance(scores, dict) or scores.ndim != 2:
            raise ShapeError("the model is not a classifier (N, classes); use --input x.npy -o y.npy")
        order = np.argsort(-scores[0], kind="stable")[:top]
        classes = [
            {"class": int(k), "label": labels[k] if labels and k < len(labels) else None, "score": float(scores[0, k])}
            for k in order
        ]
        rows.append({"path": path, "classes": classes})
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    table = [
        (row["path"] if place == 0 else "", best["label"] or best["class"], f"{best['score']:.4g}")
        for row in rows
        for place, best in enumerate(row["classes"])
    ]
    print_table("", ("image", "class", "score"), table, right=("score",))
