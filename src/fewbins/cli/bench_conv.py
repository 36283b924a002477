# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench conv` and `fewbins bench blocks`: forms of a convolution, and what the length of blocks is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import typer

from fewbins.cli.common import positive, print_json, print_table, progress
from fewbins.errors import ArgumentError, FileAccessError

ISA_HELP = "Comma-separated: ssse3, avx2, avxvnni, avx512bw, vnni, amx; avx2 by default."


def _words(option: str, text: str) -> list[str]:
    words = [word for word in text.split(",") if word]
    if not words:
        raise ArgumentError(f"{option} is empty")
    return words


def conv(
    isa: Optional[str] = typer.Option(None, "--isa", help=ISA_HELP),  # noqa: UP045
    layers: Optional[str] = typer.Option(  # noqa: UP045
        None, "--layers", help="Comma-separated 3x3 layers HxWxC, or HxWxCdw for depthwise."
    ),
    schemes: Optional[str] = typer.Option(  # noqa: UP045
        None, "--schemes", help="Comma-separated: float, 8bit, NxM."
    ),
    weights: str = typer.Option("natural", "--weights", help="natural (Gaussian) or worst (all at one end)."),
    core: Optional[int] = typer.Option(None, "--core", help="Core to pin to."),  # noqa: UP045
    rounds: int = typer.Option(7, "--rounds", help="Turns of each."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Time 3x3 layers in every form, requantization included, with weights warm and cold."""
    from fewbins.bench import conv as bench
    from fewbins.bench.turns import isa_names, last_core

    positive("--rounds", rounds)
    options: dict[str, Any] = {}
    if layers is not None:
        options["layers"] = [bench.Layer.of(word) for word in _words("--layers", layers)]
    if schemes is not None:
        options["schemes"] = _words("--schemes", schemes)
    with progress("bench") as tick:
        rows = bench.run(isa_names(isa), weights=weights, core=core, rounds=rounds, tick=tick, **options)
    if json:
        body = {"core": last_core() if core is None else core, "rounds": rounds, "weights": weights, "rows": rows}
        print_json("fewbins.bench.conv/1", body)
        return
    for isa_name, shape in dict.fromkeys((row["isa"], row["shape"]) for row in rows):
        mine = [row for row in rows if (row["isa"], row["shape"]) == (isa_name, shape)]
        warm = [row for row in mine if row["temperature"] == "warm"]
        cold = {(row["scheme"], row["form"], row["kernel"]): row for row in mine if row["temperature"] == "cold"}
        print_table(
            f"{isa_name}: {shape}, GMAC/s of the direct form; * what the engine takes",
            (
                "scheme", "form", "kernel", "warm ms", "GMAC/s", "x direct", "x 8bit", "x float",
                "cold ms", "GMAC/s cold", "x direct cold",
            ),
            [_cells(row, cold[row["scheme"], row["form"], row["kernel"]]) for row in warm],
            right=(
                "warm ms", "GMAC/s", "x direct", "x 8bit", "x float", "cold ms", "GMAC/s cold", "x direct cold",
            ),
        )  # fmt: skip


def _cells(warm: dict[str, Any], cold: dict[str, Any]) -> list[str]:
    return [
        warm["scheme"], warm["form"], warm["kernel"],
        f"{warm['median_ms']:.3f}{_star(warm)}", f"{warm['gmacs']:.0f}", _times(warm["over_direct"]),
        _times(warm["over_8bit"]), _times(warm["over_float"]),
        f"{cold['median_ms']:.3f}{_star(cold)}", f"{cold['gmacs']:.0f}", _times(cold["over_direct"]),
    ]  # fmt: skip


def _star(row: dict[str, Any]) -> str:
    return " *" if row["selected"] else "  "


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def blocks(
    isa: Optional[str] = typer.Option(None, "--isa", help=ISA_HELP),  # noqa: UP045
    shape: str = typer.Option("196x256x2304", "--shape", help="The product, MxNxK."),
    svg: Optional[Path] = typer.Option(None, "--svg", help="Also draw it into this file."),  # noqa: UP045
    core: Optional[int] = typer.Option(None, "--core", help="Core to pin to."),  # noqa: UP045
    rounds: int = typer.Option(5, "--rounds", help="Turns of each."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Time products against the number of products that a 16-bit sum takes before it is widened."""
    from fewbins.bench import blocks as bench
    from fewbins.bench.dial import draw
    from fewbins.bench.gemm import parse_shapes
    from fewbins.bench.turns import isa_names, last_core

    positive("--rounds", rounds)
    shapes = parse_shapes(shape)
    if len(shapes) != 1:
        raise ArgumentError(f"--shape is '{shape}'; it must be one MxNxK")
    if svg is not None and not svg.absolute().parent.is_dir():
        raise FileAccessError(f"the folder of '{svg}' does not exist")
    with progress("bench") as tick:
        rows = bench.run(isa_names(isa), shape=shapes[0], core=core, rounds=rounds, tick=tick)
    if svg is not None:
        svg.write_text(draw(rows, bench.LANDMARKS), encoding="utf-8")
    if json:
        print_json("fewbins.bench.blocks/1", {"core": last_core() if core is None else core, "rows": rows})
        return
    for name in dict.fromkeys(row["isa"] for row in rows):
        print_table(
            f"{name}: {shape}",
            ("products per block", "scheme", "kernel", "GMAC/s", "of peak", "median ms", "least ms"),
            [
                (
                    row["products_per_block"] or "-", row["scheme"], row["kernel"], f"{row['gmacs']:.1f}",
                    _times(row["peak_fraction"]),
                    f"{row['median_ms']:.4f}", f"{row['min_ms']:.4f}",
                )
                for row in rows
                if row["isa"] == name
            ],
            right=("products per block", "GMAC/s", "of peak", "median ms", "least ms"),
        )  # fmt: skip
