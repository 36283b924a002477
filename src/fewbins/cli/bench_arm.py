# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench arm-model`: what LLVM's models of ARM cores say of inner loops."""

from __future__ import annotations

from typing import Any

import typer

from fewbins.cli.common import print_json, print_table, progress


def arm_model(json: bool = typer.Option(False, "--json", help="Machine-readable output.")) -> None:
    """Cycles per multiply-add of ARM inner loops, modelled by llvm-mca, on no ARM machine at all."""
    from fewbins.bench.arm_model import CORES, run

    with progress("arm-model") as tick:
        rows = run(tick)
    if json:
        print_json("fewbins.bench.arm_model/1", {"rows": rows})
        return
    for core in CORES:
        print_table(
            f"{core}, modelled by llvm-mca (not measured): cycles per product, data in the first-level cache",
            ("engine", "scheme", "form", "shape", "block", "cycles/MAC", "x gemmlowp 12x8", "loop"),
            [_cells(row) for row in rows if row["core"] == core],
            right=("block", "cycles/MAC", "x gemmlowp 12x8"),
        )


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    figures = ("not modelled", "") if row["ratio"] is None else (f"{row['cycles_per_mac']:.4f}", f"{row['ratio']:.2f}")
    return row["engine"], row["scheme"], row["form"], row["shape"], row["block"], *figures, row["source"]
