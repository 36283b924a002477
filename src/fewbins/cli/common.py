# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: exit codes, JSON with a machine block, tables, progress on stderr, opening models and data."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import typer

from fewbins.errors import ArgumentError, FileAccessError

# What the options that cut a part out of an .onnx file say.
FROM_HELP = "Tensor of the .onnx file to start from; once for each. What is before it is left out."
TO_HELP = "Tensor of the .onnx file to end at; once for each. What is behind it is left out."

PIXELS_HELP = "How arrays of uint8 pictures lie, NHWC or NCHW; preprocessing makes inputs of them."

CHECK_FAILED, USAGE, INTERRUPTED = 1, 2, 130


class CheckFailed(Exception):
    """A check that the user asked for did not hold; exit code 1."""


def say(message: str) -> None:
    """A line on stderr."""
    with contextlib.suppress(OSError, ValueError):
        print(message, file=sys.stderr, flush=True)


def print_json(schema: str, body: Mapping[str, Any]) -> None:
    """One JSON object on stdout; `schema` is versioned, "fewbins.inspect/1"."""
    print(json.dumps({"schema": schema, "machine": machine(), **body}, indent=1, allow_nan=False, default=_plain))


def machine() -> dict[str, Any]:
    """Where a result was made: CPU, instruction set, threads, version, commit."""
    import fewbins
    from fewbins import _engine

    info = _engine.cpu_info()
    return {
        "cpu": info["name"],
        "isa": info["isa"],
        "threads": info["threads"],
        "fewbins": fewbins.__version__,
        "commit": info["commit"],
    }


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """A table on stdout; `right` names the columns of numbers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*["" if cell is None else str(cell) for cell in row])
    # A pipe or a file has no width: tables are not squeezed there.
    console = Console(soft_wrap=False, markup=False, highlight=False, width=None if sys.stdout.isatty() else 200)
    # rich ends the program with code 1 where the reader of stdout has gone; here that is no failure (see app.py).
    with console.capture() as text:
        console.print(table)
    print(text.get(), end="")


def columns_of_stdout() -> int | None:
    """How wide the terminal is; None where stdout is a pipe or a file, which takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_line(text: str) -> None:
    """A line on stdout, broken between words where the terminal is narrower, and indented from there on."""
    columns = columns_of_stdout()
    print(text if columns is None else textwrap.fill(text, max(columns, 20), subsequent_indent="    "))


def show_help_without_verb(context: typer.Context) -> None:
    """Print the help of a program or group that was called without one of its verbs."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _no_tick(done: int, total: int | None, text: str = "") -> None:
    pass


@contextlib.contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """Yields `tick(done, total, text)`: a bar on stderr, only on a terminal and only after two seconds."""
    if not sys.stderr.isatty():
        yield _no_tick
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(label, total=None)
    start, shown = time.monotonic(), False

    def tick(done: int, total: int | None, text: str = "") -> None:
        nonlocal shown
        if not shown and time.monotonic() - start > 2:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total, description=f"{label} {text}".strip())

    try:
        yield tick
    finally:
        if shown:
            bar.stop()


def is_model_file(path: str) -> bool:
    """Whether a path names a model file of ours (rather than an ONNX file), by its ending."""
    if not os.path.exists(path):
        raise FileAccessError(f"'{path}' does not exist")
    if os.path.isdir(path):
        raise FileAccessError(f"'{path}' is a folder; give a .fewbins or .onnx file")
    if path.endswith(".fewbins"):
        return True
    if path.endswith(".onnx"):
        return False
    with open(path, "rb") as file:
        return b'"fewbins"' in file.read(4096)


def positive(name: str, value: int) -> int:
    """The value, or ArgumentError where it is below 1."""
    if value < 1:
        raise ArgumentError(f"{name} is {value}; it must be at least 1")
    return value


def size_text(count: float) -> str:
    """Bytes for people: rounded, and to the byte, as `ls -l` shows them.

    >>> size_text(1234567)
    '1.23 MB (1,234,567 bytes)'
    >>> size_text(999)
    '999 bytes'
    """
    exact = f"{int(count):,} bytes"
    if count < 1000:
        return exact
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5 or unit == "GB":
            break
    return f"{count:.3g} {unit} ({exact})"
