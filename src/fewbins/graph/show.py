# SPDX-License-Identifier: Apache-2.0
"""Text and tables for people: what `repr` and notebooks show of graphs, models and sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MAX_ROWS = 60
MAX_NAME = 60


def shape_text(shape: Iterable[int | str]) -> str:
    """Sizes in brackets.

    >>> shape_text(["batch", 3, 224, 224])
    '(batch, 3, 224, 224)'
    """
    return f"({', '.join(map(str, shape))})"


def short_name(name: str) -> str:
    """A name from a file on one line of bounded length, control characters shown as escapes.

    >>> short_name("a" * 100)[-8:], short_name("conv 1")
    ('aaaaa...', 'conv 1')
    """
    cut = name if len(name) <= MAX_NAME else name[: MAX_NAME - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def tensor_text(name: str, shape: Iterable[int | str], dtype: str = "float32") -> str:
    """An input or output: its name, its type where that is not float32, its sizes.

    >>> tensor_text("x", ("N", 3)), tensor_text("mask", ("N", 2), "bool")
    ('x (N, 3)', 'mask bool (N, 2)')
    """
    kind = "" if dtype == "float32" else f"{dtype} "
    return f"{short_name(name)} {kind}{shape_text(shape)}"


def signature(inputs: Iterable[str], outputs: Iterable[str]) -> str:
    """Inputs and outputs, each as `tensor_text` has it.

    >>> signature(["x (N, 3)"], ["a (N, 2)", "b (N, 4)"])
    'x (N, 3) -> a (N, 2), b (N, 4)'
    """
    return f"{', '.join(inputs)} -> {', '.join(outputs)}"


def html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for a notebook; everything in it is text and is escaped. Long tables end in a count of what is left out.

    >>> html_table("t", ["name"], [["<b>"]])
    '<table><caption>t</caption><thead><tr><th>name</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = [
        "<tr>" + "".join(f"<td>{escape(short_name('' if c is None else str(c)))}</td>" for c in row) + "</tr>"
        for row in rows[:MAX_ROWS]
    ]
    if len(rows) > MAX_ROWS:
        body.append(f'<tr><td colspan="{len(columns)}">and {len(rows) - MAX_ROWS} more</td></tr>')
    return (
        f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )
