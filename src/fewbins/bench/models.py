# SPDX-License-Identifier: Apache-2.0
"""Whole networks: fewbins and its rivals in one run, each in a process of its own under the same cap on the CPU.

With one thread all are pinned to one core and take turns, the others stopped, round after round, so that a slow minute
of the machine hits all of them alike. Only ratios inside one run mean anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fewbins.bench.engines import CAPS
from fewbins.bench.places import network, tool
from fewbins.bench.process import Worker
from fewbins.errors import ArgumentError, DataError

# caps of `isacap` -> caps of FEWBINS_ISA, for machines without that tool
OWN_CAP = {"avx2": "avx2", "avxvnni": "avxvnni", "avx512": "avx512bw", "vnni": "avx512vnni", "none": ""}


def default_engines(say: Callable[[str], None]) -> list[str]:
    """What `fewbins bench models` times when nobody says: ours, beside ONNX Runtime where it is installed."""
    ours = ["fb_float", "fb_8bit", "fb_255x33"]
    if importlib.util.find_spec("onnxruntime") is None:
        say("without ONNX Runtime beside fewbins, since it is not installed: pip install 'fewbins[bench]'")
        return ours
    return ["ort_f32", "ort_int8", *ours]


def run(
    nets: Sequence[str],
    caps: Sequence[str],
    engines: Sequence[str],
    *,
    threads: int = 1,
    core: int | None = None,
    rounds: int = 7,
    seconds: float = 0.15,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> list[dict[str, Any]]:
    """Time engines on networks.

    Args:
        nets: names of speed_models.py, or .onnx files.
        caps: what of the CPU to show: avx2, avxvnni, avx512, vnni, none.
        engines: see `fewbins.bench.engines`.
        threads: per engine; a row says how many it really had.
        core: where to pin with one thread; by default the last that this process may use.
        rounds: turns per engine.
        seconds: length of a turn (at least three calls).
        inputs: tensors to start from, for all engines; None for the networks' own.
        outputs: tensors to end at, likewise.
        progress: called with turns done, turns in all, and a text.

    Returns:
        Rows with net, cap, engine, threads, median_ms, min_ms, calls, gmacs where the network says its MACs; or
        `failed`.

    Raises:
        ArgumentError, DataError: an unknown cap, engine or network.
    """
    for cap in caps:
        if cap not in CAPS:
            raise ArgumentError(f"isa '{cap}' is unknown; one of {', '.join(CAPS)}")
    with tempfile.TemporaryDirectory() as folder:
        paths = {net: network(net) for net in nets}
        if inputs or outputs:
            paths = {
                net: _part(path, Path(folder) / f"{number}.onnx", inputs, outputs)
                for number, (net, path) in enumerate(paths.items())
            }
        return _timed(paths, caps, engines, threads, core, rounds, seconds, progress)


def _part(path: Path, target: Path, inputs: Sequence[str] | None, outputs: Sequence[str] | None) -> Path:
    """A part of a network as a file, so that every engine times the same."""
    import onnx

    from fewbins.importers.onnx_file import read_onnx
    from fewbins.importers.part import choose_part, part_as_model

    file = read_onnx(path)
    onnx.save(part_as_model(file, choose_part(file, inputs, outputs, {})), os.fspath(target))
    return target


def _timed(
    paths: Mapping[str, Path],
    caps: Sequence[str],
    engines: Sequence[str],
    threads: int,
    core: int | None,
    rounds: int,
    seconds: float,
    progress: Callable[[int, int, str], None],
) -> list[dict[str, Any]]:
    pinned = str(max(os.sched_getaffinity(0)) if core is None else core) if threads == 1 else "-"
    total, done = len(paths) * len(caps) * len(engines) * (rounds + 1), 0
    rows: list[dict[str, Any]] = []
    for cap in caps:
        for net, path in paths.items():
            with contextlib.ExitStack() as stack:
                workers = {e: stack.enter_context(_worker(e, cap, threads)) for e in engines}
                times: dict[str, list[float]] = {}
                running: dict[str, int] = {}
                for engine, worker in workers.items():
                    progress(done, total, f"{net} {cap} {engine}: loading")
                    answer = worker.ask(f"load {shlex.quote(os.fspath(path))} {pinned}")
                    done += 1
                    if "failed" in answer:
                        rows.append({"net": net, "cap": cap, "engine": engine, "failed": answer["failed"]})
                        done += rounds
                    else:
                        times[engine] = []
                        running[engine] = answer["threads"]
                for _ in range(rounds):
                    for engine, seen in times.items():
                        progress(done, total, f"{net} {cap} {engine}")
                        answer = workers[engine].ask(f"go {seconds:g}")
                        if isinstance(answer, dict):
                            raise DataError(f"{engine} ended while it ran {net} under {cap}: {answer['failed']}")
                        seen += answer
                        done += 1
            macs = _macs(path)
            for engine, seen in times.items():
                median = statistics.median(seen)
                row = {"net": net, "cap": cap, "engine": engine, "threads": running[engine]}
                row |= {"median_ms": median, "min_ms": min(seen)}
                rows.append({**row, "calls": len(seen), "gmacs": macs / median / 1e6 if macs else None})
    return rows


def _macs(path: os.PathLike[str]) -> int:
    import onnx

    properties = {p.key: p.value for p in onnx.load(os.fspath(path), load_external_data=False).metadata_props}
    return int(properties.get("macs", 0))


def _worker(engine: str, cap: str, threads: int) -> Worker:
    environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if engine.startswith("fb_") and cap in OWN_CAP and tool("isacap") is None:
        environment["FEWBINS_ISA"] = OWN_CAP[cap]
        cap_of_process = "none"
    else:
        cap_of_process = cap
    return Worker("fewbins.bench.worker", [engine, cap, str(threads)], cap=cap_of_process, environment=environment)
