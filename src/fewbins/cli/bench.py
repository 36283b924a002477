# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench`: the claims about speed, as commands."""

from __future__ import annotations

from typing import Any, Optional

import typer

from fewbins.cli.bench_arm import arm_model
from fewbins.cli.bench_conv import blocks, conv
from fewbins.cli.bench_gemm import gemm
from fewbins.cli.common import (
    FROM_HELP,
    TO_HELP,
    CheckFailed,
    positive,
    print_json,
    print_table,
    progress,
    say,
    show_help_without_verb,
)
from fewbins.errors import ArgumentError

app = typer.Typer(help="Measure speed: fewbins beside its rivals, in one run.")


app.command("arm-model", short_help="Cycles of ARM loops, modelled.")(arm_model)
app.command("gemm", short_help="Products beside other libraries.")(gemm)
app.command("conv", short_help="3x3 layers in every form.")(conv)
app.command("blocks", short_help="What the length of blocks is worth.")(blocks)


@app.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """Measure speed: fewbins beside its rivals, in one run."""
    show_help_without_verb(context)


@app.command("models", short_help="Whole networks beside ONNX Runtime.")
def models(
    nets: str = typer.Option("resnet18", "--nets", help="Comma-separated networks of speed_models.py, or .onnx files."),
    isa: str = typer.Option("none", "--isa", help="Comma-separated caps: avx2, avxvnni, avx512, vnni, none."),
    engines: Optional[str] = typer.Option(  # noqa: UP045
        None,
        "--engines",
        help="Comma-separated; fb_SCHEME is fewbins. Default: fb_float,fb_8bit,fb_255x33, and before them "
        "ort_f32,ort_int8 where ONNX Runtime is installed.",
    ),
    from_: Optional[list[str]] = typer.Option(None, "--from", help=FROM_HELP),  # noqa: UP045
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    threads: int = typer.Option(1, "--threads", help="Threads per engine."),
    core: Optional[int] = typer.Option(None, "--core", help="Core to pin to with one thread."),  # noqa: UP045
    rounds: int = typer.Option(7, "--rounds", help="Turns per engine."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Time whole networks, batch 1: medians over interleaved turns on one core."""
    from fewbins.bench.models import default_engines, run

    positive("--threads", threads)
    positive("--rounds", rounds)
    with progress("bench") as tick:
        rows = run(
            _words("--nets", nets),
            _words("--isa", isa),
            default_engines(say) if engines is None else _words("--engines", engines),
            threads=threads,
            core=core,
            rounds=rounds,
            inputs=from_,
            outputs=to,
            progress=tick,
        )
    if json:
        print_json("fewbins.bench.models/1", {"threads_per_engine": threads, "rows": rows})
    else:
        print_table(
            f"batch 1, {threads} thread{'s' * (threads > 1)}; only ratios inside one run mean anything",
            ("net", "cap", "engine", "median ms", "least ms", "GMAC/s", "note"),
            [_cells(row) for row in rows],
            right=("median ms", "least ms", "GMAC/s"),
        )
    failed = [row for row in rows if "failed" in row]
    if failed:
        raise CheckFailed(f"{failed[0]['engine']} could not run {failed[0]['net']}: {failed[0]['failed']}")


def _words(option: str, text: str) -> list[str]:
    words = [w for w in text.split(",") if w]
    if not words:
        raise ArgumentError(f"{option} is empty")
    return words


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    if "failed" in row:
        return row["net"], row["cap"], row["engine"], "", "", "", row["failed"]
    gmacs = "" if row["gmacs"] is None else f"{row['gmacs']:.1f}"
    return row["net"], row["cap"], row["engine"], f"{row['median_ms']:.3f}", f"{row['min_ms']:.3f}", gmacs, ""
