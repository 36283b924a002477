# SPDX-License-Identifier: Apache-2.0
"""`fewbins doctor`: the CPU, the kernels, the engine's self-test, and the table of what kernels cost here."""

from __future__ import annotations

from typing import Any

import typer

from fewbins.cli.common import CheckFailed, print_json, print_table, progress


def command(
    self_test: bool = typer.Option(False, "--self-test", help="Also test every kernel that runs here."),
    calibrate_cost: bool = typer.Option(
        False, "--calibrate-cost", help="Measure what every kernel costs on this CPU; later runs choose kernels by it."
    ),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Show the CPU, the kernels that run on it, what they cost, and with --self-test whether they compute right."""
    from fewbins import _engine

    info = _engine.cpu_info()
    kernels = _engine.kernel_rows()
    failures = list(_engine.self_test()) if self_test else None
    costs = _calibrate() if calibrate_cost else _engine.cost_table()
    body = {
        "cpu": info,
        "kernels": [dict(row) for row in kernels],
        "costs": costs,
        "self_test": None if failures is None else {"passed": not failures, "failures": failures},
    }
    if json:
        print_json("fewbins.doctor/1", body)
    else:
        _print(body, calibrate_cost)
    if failures:
        raise CheckFailed(f"the self-test failed: {failures[0]}")


def _calibrate() -> dict[str, Any]:
    from fewbins import _engine

    with progress("calibrate") as tick:
        rows = _engine.calibrate_costs(lambda done, total: tick(done, total, ""))
    file = _engine.cost_table()["file"]
    return {"source": file, "file": file, "rows": list(rows)}


def _print(body: dict[str, Any], calibrated: bool) -> None:
    for key, value in body["cpu"].items():
        print(f"{key}: {value}")
    rows = [(r["name"], r["family"], r["isa"], "yes" if r["runs_here"] else "no") for r in body["kernels"]]
    print_table("kernels", ("name", "family", "isa", "runs here"), rows)
    costs = body["costs"]
    if calibrated:
        keys = ("step_ps", "row_ps", "block_ps", "call_ps")
        cells = [(row["name"], *(f"{row[key]:.4g}" for key in keys)) for row in costs["rows"]]
        right = ("step, ps", "row, ps", "block, ps", "call, ps")
        print_table(f"costs, kept in {costs['file']}", ("name", *right), cells, right=right)
    else:
        print(f"costs of kernels: {costs['source']} (fewbins doctor --calibrate-cost measures them)")
    if body["self_test"] is not None:
        failures = body["self_test"]["failures"]
        print("self-test: " + ("passed" if not failures else f"FAILED: {'; '.join(failures)}"))
