# SPDX-License-Identifier: Apache-2.0
"""`fewbins doctor`: the CPU, the kernels, the engine's self-test, and the table of what kernels cost here."""

from __future__ import annotations

from typing import Any

import typer

from fewbins.cli.common import CheckFailed, print_json, print_line, progress


def command(
    self_test: bool = typer.Option(False, "--self-test", help="Also test every kernel that runs here."),
    calibrate_cost: bool = typer.Option(
        False, "--calibrate-cost", help="Measure what every kernel costs on this CPU; later runs choose kernels by it."
    ),
    kernels: bool = typer.Option(
        False, "--kernels", help="List every kernel, and what it costs where that was measured."
    ),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Show the CPU, the kernels that run on it, what they cost, and with --self-test whether they compute right."""
    from fewbins import _engine

    info = _engine.cpu_info()
    rows = _engine.kernel_rows()
    failures = list(_engine.self_test()) if self_test else None
    costs = _calibrate() if calibrate_cost else _engine.cost_table()
    body = {
        "cpu": info,
        "kernels": [dict(row) for row in rows],
        "costs": costs,
        "self_test": None if failures is None else {"passed": not failures, "failures": failures},
    }
    if json:
        print_json("fewbins.doctor/1", body)
    else:
        _print(body, calibrate_cost, kernels)
    if failures:
        raise CheckFailed(f"the self-test failed: {failures[0]}")


def _calibrate() -> dict[str, Any]:
    from fewbins import _engine

    with progress("calibrate") as tick:
        rows = _engine.calibrate_costs(lambda done, total: tick(done, total, ""))
    file = _engine.cost_table()["file"]
    return {"source": file, "file": file, "rows": list(rows)}


def _print(body: dict[str, Any], calibrated: bool, listed: bool) -> None:
    for key, value in body["cpu"].items():
        print_line(f"{key}: {value}")
    here = [row for row in body["kernels"] if row["runs_here"]]
    print_line(
        f"kernels: {len(here)} of {len(body['kernels'])} run here" + ("" if listed else " (--kernels lists them)")
    )
    costs = body["costs"]
    if calibrated:
        print_line(f"costs of kernels: {len(costs['rows'])} measured, kept in {costs['file']}")
    else:
        print_line(f"costs of kernels: {costs['source']} (--calibrate-cost measures them)")
    if listed:
        _list(body["kernels"], costs["rows"])
    if body["self_test"] is not None:
        failures = body["self_test"]["failures"]
        print_line("self-test: " + ("passed" if not failures else f"FAILED: {'; '.join(failures)}"))


def _list(kernels: list[dict[str, Any]], costs: list[dict[str, Any]]) -> None:
    keys = ("step_ps", "row_ps", "block_ps", "call_ps")
    of = {row["name"]: "".join(f"{row[key]:>9.4g}" for key in keys) for row in costs}
    heads = "".join(f"{key.removesuffix('_ps'):>9}" for key in keys)
    print(f"{'':32} {'':11}{heads}, ps")
    for row in kernels:
        print(f"{row['name']:32} {row['isa'] if row['runs_here'] else 'not here':11}{of.get(row['name'], '')}".rstrip())
