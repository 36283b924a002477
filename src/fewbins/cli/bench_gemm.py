# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench gemm`: matrix products beside those of other libraries."""

from __future__ import annotations

from typing import Any, Optional

import typer

from fewbins.cli.common import positive, print_json, print_table, progress


def gemm(
    isa: Optional[str] = typer.Option(  # noqa: UP045
        None, "--isa", help="Comma-separated: ssse3, avx2, avxvnni, avx512bw, vnni, amx; avx2 by default."
    ),
    shapes: str = typer.Option(
        "grid,network", "--shapes", help="Comma-separated MxNxK; grid: the 4.6-bit paper's; network: of known networks."
    ),
    schemes: Optional[str] = typer.Option(  # noqa: UP045
        None, "--schemes", help="Comma-separated: float, 8bit, u4, lut4, NxM."
    ),
    rivals: Optional[str] = typer.Option(  # noqa: UP045
        None, "--rivals", help="Comma-separated: numpy, torch_onednn, torch_fbgemm, onnxruntime; or none."
    ),
    weights: str = typer.Option("natural", "--weights", help="natural (Gaussian) or worst (all at one end)."),
    core: Optional[int] = typer.Option(None, "--core", help="Core to pin to."),  # noqa: UP045
    rounds: int = typer.Option(7, "--rounds", help="Turns of each."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Time matrix products on one core: mean times and accelerations over a grid, GMAC/s and fractions of the peak."""
    from fewbins.bench import gemm as bench
    from fewbins.bench.turns import isa_names, last_core

    positive("--rounds", rounds)
    options: dict[str, Any] = {}
    if schemes is not None:
        options["schemes"] = [word for word in schemes.split(",") if word]
    if rivals is not None:
        options["rivals"] = [word for word in rivals.split(",") if word and word != "none"]
    parsed = bench.parse_shapes(shapes)
    with progress("bench") as tick:
        result = bench.run(
            isa_names(isa), shapes=parsed, weights=weights, core=core, rounds=rounds, tick=tick, **options
        )
    if json:
        body = {"core": last_core() if core is None else core, "rounds": rounds, "weights": weights, **vars(result)}
        print_json("fewbins.bench.gemm/1", body)
        return
    for one in dict.fromkeys(row["isa"] for row in result.rows):
        _grid(one, [row for row in result.rows if row["isa"] == one and row["grid"]], result.acceleration)
        _products(one, [row for row in result.rows if row["isa"] == one and not row["grid"]])
        lines = [row for row in result.ratios if row["isa"] == one]
        if lines:
            forms = list(dict.fromkeys(row["form"] for row in lines))
            value = {(row["ratio"], row["shapes"], row["form"]): f"{row['value']:.2f}" for row in lines}
            print_table(
                f"{one}: ratios of medians, geometric means over the shapes with M > 1, by what ours gives",
                ("ratio", "over", *forms),
                [
                    (ratio, shapes, *[value.get((ratio, shapes, form), "") for form in forms])
                    for ratio, shapes in dict.fromkeys((row["ratio"], row["shapes"]) for row in lines)
                ],
                right=forms,
            )
    print_table(
        "memory, one core reading",
        ("level", "GB/s"),
        [(row["level"], f"{row['gbs']:.0f}") for row in result.memory],
        right=("GB/s",),
    )
    for row in result.missing:
        print(f"not measured: {row['engine']} {row['scheme']} under {row['isa']}: {row['why']}")


def _grid(isa: str, rows: list[dict[str, Any]], acceleration: list[dict[str, Any]]) -> None:
    if not rows:
        return
    names = list(dict.fromkeys(row["scheme"] for row in rows))
    total = {name: [row["median_ms"] for row in rows if row["scheme"] == name] for name in names}
    print_table(
        f"{isa}: mean time over {len({row['shape'] for row in rows})} products H x D times D x W",
        ("scheme", "mean µs", "kernel"),
        [
            (name, f"{sum(ms) / len(ms) * 1e3:.1f}", next(row["kernel"] for row in rows if row["scheme"] == name))
            for name, ms in total.items()
        ],
        right=("mean µs",),
    )
    faster = {(row["scheme"], row["over"]): row["ratio"] for row in acceleration if row["isa"] == isa}
    print_table(
        f"{isa}: how many times faster a row is than a column, mean over the products",
        ("", *names),
        [(a, *[f"{faster[a, b]:.2f}" for b in names]) for a in names],
        right=names,
    )


def _products(isa: str, rows: list[dict[str, Any]]) -> None:
    for shape in dict.fromkeys(row["shape"] for row in rows):
        lines = [row for row in rows if row["shape"] == shape]
        few = any("weights_gbs" in row for row in lines)
        print_table(
            f"{isa}: {shape}",
            (
                "engine", "scheme", "form", "kernel", "median ms", "least ms", "GMAC/s", "of peak",
                *(("GB/s", "of memory") if few else ()),
            ),
            [_cells(row, few) for row in lines],
            right=("median ms", "least ms", "GMAC/s", "of peak", "GB/s", "of memory"),
        )  # fmt: skip


def _cells(row: dict[str, Any], few: bool) -> list[str]:
    fraction = row["peak_fraction"]
    block = f" block {row['block_quads']}" if row["block_quads"] else ""
    cells = [
        row["engine"], row["scheme"], row["form"], (row["kernel"] or "") + block,
        f"{row['median_ms']:.4f}", f"{row['min_ms']:.4f}", f"{row['gmacs']:.1f}",
        "" if fraction is None else f"{fraction:.2f}",
    ]  # fmt: skip
    if few:
        known = "weights_gbs" in row
        cells += [f"{row['weights_gbs']:.1f}", f"{row['memory_fraction']:.2f}"] if known else ["", ""]
    return cells
