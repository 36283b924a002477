# SPDX-License-Identifier: Apache-2.0
"""`fewbins doctor`: the CPU, the kernels, and the engine's self-test."""

from __future__ import annotations

import typer

from fewbins.cli.common import CheckFailed, print_json, print_table


def command(
    self_test: bool = typer.Option(False, "--self-test", help="Also test every kernel that runs here."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Show the CPU, the kernels that run on it, and with --self-test whether they compute right."""
    from fewbins import _engine

    info = _engine.cpu_info()
    kernels = _engine.kernel_rows()
    failures = list(_engine.self_test()) if self_test else None
    body = {
        "cpu": info,
        "kernels": [dict(row) for row in kernels],
        "self_test": None if failures is None else {"passed": not failures, "failures": failures},
    }
    if json:
        print_json("fewbins.doctor/1", body)
    else:
        for key, value in info.items():
            print(f"{key}: {value}")
        rows = [(r["name"], r["family"], r["isa"], "yes" if r["runs_here"] else "no") for r in kernels]
        print_table("kernels", ("name", "family", "isa", "runs here"), rows)
        if failures is not None:
            print("self-test: " + ("passed" if not failures else f"FAILED: {'; '.join(failures)}"))
    if failures:
        raise CheckFailed(f"the self-test failed: {failures[0]}")
