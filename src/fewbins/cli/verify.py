# SPDX-License-Identifier: Apache-2.0
"""`fewbins verify`: the engine against the oracle, layer by layer, on every kernel this CPU has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import typer

from fewbins.cli.common import CheckFailed, print_json, print_table, say
from fewbins.cli.run import feed_from
from fewbins.errors import ArgumentError


def command(
    model: Path = typer.Argument(..., help="A .fewbins file."),
    input: Optional[list[str]] = typer.Option(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None, "--input", help="x.npy, or NAME=x.npy; random inputs without it."
    ),
    isa: str = typer.Option("", "--isa", help="Comma-separated instruction sets; all that run here by default."),
    threads: str = typer.Option("1,2", "--threads", help="Comma-separated thread counts."),
    batch: str = typer.Option("1,7", "--batch", help="Comma-separated batch sizes."),
    seed: int = typer.Option(0, "--seed", help="Seed of random inputs."),
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Check that the engine gives the oracle's integers, layer by layer; exit code 1 where it does not."""
    from fewbins import model_file
    from fewbins.verify import verify

    counts, batches = _integers("--threads", threads), _integers("--batch", batch)
    feed = None if not input else feed_from(list(model_file.read(model).graph.inputs), input)
    isas = [name.strip() for name in isa.split(",") if name.strip()] or None
    checks = verify(model, feed, isas=isas, threads=counts, batches=batches, seed=seed, progress=say)
    bad = [c for c in checks if c.wrong]
    runs: dict[tuple[str, int, int], list[Any]] = {}
    for check in checks:
        runs.setdefault((check.isa, check.threads, check.batch), []).append(check)
    body = {
        "model": str(model),
        "passed": not bad,
        "runs": [
            {
                "isa": key[0],
                "threads": key[1],
                "batch": key[2],
                "nodes": len(rows),
                "nodes_exact": sum(r.exact for r in rows),
                "nodes_wrong": sum(bool(r.wrong) for r in rows),
                "largest_float_difference": max((r.largest for r in rows if not r.exact), default=0.0),
            }
            for key, rows in runs.items()
        ],
        "wrong": [vars(c) | {"largest": c.largest if c.largest < float("inf") else None} for c in bad],
    }
    if json:
        print_json("fewbins.verify/1", body)
    else:
        _print(body)
    if bad:
        first = bad[0]
        raise CheckFailed(
            f"{len(bad)} of {len(checks)} checks failed, first at node '{first.node}' ({first.op}) "
            f"with {first.isa}, {first.threads} threads, batch {first.batch}"
        )


def _integers(option: str, text: str) -> list[int]:
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) < 1:
        raise ArgumentError(f"{option} '{text}': expected positive integers such as 1,2")
    return values


def _print(body: dict[str, Any]) -> None:
    rows = [
        (
            run["isa"],
            run["threads"],
            run["batch"],
            run["nodes"],
            run["nodes_exact"],
            f"{run['largest_float_difference']:.1e}" if run["nodes"] > run["nodes_exact"] else "",
            run["nodes_wrong"] or "all equal",
        )
        for run in body["runs"]
    ]
    columns = ("isa", "threads", "batch", "nodes", "to the last bit", "largest float difference", "wrong")
    print_table(f"{body['model']}: engine against oracle", columns, rows, right=columns[1:6])
    for check in body["wrong"][:20]:
        print(
            f"{check['node']} ({check['op']}): {check['wrong']} of {check['elements']} values differ "
            f"({check['isa']}, {check['threads']} threads, batch {check['batch']})"
        )
