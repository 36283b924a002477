# SPDX-License-Identifier: Apache-2.0
"""The dial of `fewbins bench blocks` as an SVG: one panel per instruction set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from fewbins.bench.bins import BenchScheme

WIDTH, HEIGHT = 760, 360  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 58, 52
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito: told apart by colour-blind readers too
TEXT = 'font-family="sans-serif" font-size="12" fill="#222"'


def draw(rows: Sequence[dict[str, Any]], landmarks: Sequence[str]) -> str:
    """The picture.

    Args:
        rows: as `fewbins.bench.blocks.run` makes them.
        landmarks: schemes to mark at the block that fits them whatever the weights are.

    Returns:
        An SVG document.
    """
    isas = list(dict.fromkeys(row["isa"] for row in rows))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT * len(isas)}" '
        f'width="{WIDTH}" height="{HEIGHT * len(isas)}">',
        "<title>Multiply-adds per second against products per block of 16-bit sums</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT * len(isas)}" fill="white"/>',
    ]
    for index, isa in enumerate(isas):
        parts.append(f'<g transform="translate(0 {index * HEIGHT})">')
        parts += _panel(isa, [row for row in rows if row["isa"] == isa], landmarks)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _panel(isa: str, rows: Sequence[dict[str, Any]], landmarks: Sequence[str]) -> list[str]:
    counts = sorted({row["products_per_block"] for row in rows if row["products_per_block"]}) or [2, 4]
    low, high = math.log2(counts[0]), math.log2(max(counts[-1], 2 * counts[0]))
    top = _round_up(max(row["gmacs"] for row in rows))

    def x(count: float) -> float:
        return LEFT + (math.log2(count) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(gmacs: float) -> float:
        return HEIGHT - BOTTOM - gmacs / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<text x="{LEFT}" y="20" {TEXT} font-weight="bold">{escape(isa)}: {escape(rows[0]["shape"])}, one core</text>'
    ]
    if landmarks:
        for at_line, text in enumerate(("longest block that", "always fits the scheme")):
            parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{TOP - 22 + 14 * at_line}" {TEXT}>{text}</text>')
    for step in range(6):
        value = top * step / 5
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value), "#ddd"))
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" {TEXT} text-anchor="end">{value:g}</text>')
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = x(2**power)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" {TEXT} text-anchor="middle">{2**power}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" {TEXT} text-anchor="middle">'
        "products per 16-bit block (logarithmic)</text>"
    )
    parts.append(
        f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" {TEXT} text-anchor="middle">'
        "10⁹ multiply-adds per second</text>"
    )
    for index, name in enumerate(landmarks):
        count = 2 * BenchScheme.of(name).worst_block
        if counts[0] <= count <= counts[-1]:
            at = x(count)
            parts.append(_line(at, TOP - 4 - 12 * (index % 2), at, HEIGHT - BOTTOM, "#999", "2 3"))
            parts.append(
                f'<text x="{at:.1f}" y="{TOP - 8 - 12 * (index % 2)}" {TEXT} text-anchor="middle">{escape(name)}</text>'
            )
    labels: list[tuple[float, str, str]] = []
    kernels = list(dict.fromkeys(row["kernel"] for row in rows if row["products_per_block"]))
    colors = iter(COLORS)
    for kernel in kernels:
        line = sorted((r["products_per_block"], r["gmacs"]) for r in rows if r["kernel"] == kernel)
        is_peak = any(row["engine"] == "peak" for row in rows if row["kernel"] == kernel)
        color = "#555" if is_peak else next(colors, COLORS[0])
        points = " ".join(f"{x(count):.1f},{y(gmacs):.1f}" for count, gmacs in line)
        dashes = ' stroke-dasharray="6 4"' if is_peak else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>')
        labels.append((y(line[-1][1]), "peak of the instructions" if is_peak else kernel, color))
    for row in rows:
        if not row["products_per_block"]:
            parts.append(_line(LEFT, y(row["gmacs"]), WIDTH - RIGHT, y(row["gmacs"]), "#555", "1 3"))
            labels.append((y(row["gmacs"]), f"{row['scheme']}: {row['kernel']}", "#555"))
    parts += _labels(labels)
    return parts


def _labels(labels: Sequence[tuple[float, str, str]]) -> list[str]:
    """Names to the right of the lines, moved apart."""
    parts, last = [], -math.inf
    for at, text, color in sorted(labels):
        last = max(at, last + 14)
        parts.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{last + 4:.1f}" font-family="sans-serif" font-size="11" '
            f'fill="{color}">{escape(text)}</text>'
        )
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, color: str, dashes: str = "") -> str:
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{pattern}/>'


def _round_up(value: float) -> float:
    """The next round number for the end of an axis with five steps.

    >>> _round_up(231.0), _round_up(47.0)
    (250.0, 50.0)
    """
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 10) if unit * step >= value)
