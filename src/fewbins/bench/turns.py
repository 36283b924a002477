# SPDX-License-Identifier: Apache-2.0
"""What all measurements share: taking turns on one core, and what is made of the times."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fewbins import _engine
from fewbins.errors import ArgumentError, UnsupportedError

ISAS = ("ssse3", "avx2", "avxvnni", "avx512bw", "avx512vnni", "amx", "neon", "neon_dot", "neon_i8mm")
ALIASES = {"avx512": "avx512bw", "vnni": "avx512vnni"}

Tick = Callable[[int, int | None, str], None]


@dataclass(frozen=True)
class Times:
    """Milliseconds of one call.

    >>> Times.of([3.0, 1.0, 2.0])
    Times(median_ms=2.0, min_ms=1.0, mean_ms=2.0, calls=3)
    """

    median_ms: float
    min_ms: float
    mean_ms: float
    calls: int

    @classmethod
    def of(cls, seen: Sequence[float]) -> Times:
        """The statistics of some times."""
        return cls(statistics.median(seen), min(seen), statistics.fmean(seen), len(seen))


def take_turns(
    subjects: Sequence[Callable[[float], Sequence[float]]], rounds: int, seconds: float, tick: Callable[[], None]
) -> list[Times]:
    """Call each subject once a round for `seconds`, so that a slow minute of the machine hits all of them alike."""
    seen: list[list[float]] = [[] for _ in subjects]
    for _ in range(rounds):
        for subject, times in zip(subjects, seen, strict=True):
            times += subject(seconds)
        tick()
    return [Times.of(times) for times in seen]


def last_core() -> int:
    """The core that measurements are pinned to unless the user names one."""
    return max(os.sched_getaffinity(0))


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run this thread, and processes that it starts, on one core.

    Raises:
        ArgumentError: this process may not use that core.
    """
    before = os.sched_getaffinity(0)
    if core not in before:
        raise ArgumentError(f"--core is {core}; this process may use {', '.join(map(str, sorted(before)))}")
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def isa_names(text: str | None) -> list[str]:
    """The instruction sets of an option, by the names of the engine.

    Without text: AVX2, which few-bin arithmetic is about, or the best set of a machine that has no AVX2.

    Raises:
        ArgumentError: an unknown name, or a set that this machine does not have.
    """
    if text is None:
        return ["avx2" if _runs("avx2") else str(_engine.cpu_info()["best_isa"])]
    names = []
    for word in filter(None, text.split(",")):
        name = ALIASES.get(word, word)
        if name not in ISAS:
            raise ArgumentError(f"isa '{word}' is unknown; one of {', '.join([*ISAS, *ALIASES])}")
        if not _runs(name):
            raise ArgumentError(
                f"isa '{word}' does not run on this machine, whose best is {_engine.cpu_info()['best_isa']}"
            )
        names.append(name)
    if not names:
        raise ArgumentError("--isa is empty")
    return names


def _runs(isa: str) -> bool:
    try:
        _engine.bench_kernels(isa)
    except UnsupportedError:
        return False
    return True


def geometric_mean(values: Iterable[float]) -> float | None:
    """The geometric mean, or None of nothing.

    >>> geometric_mean([1.0, 4.0])
    2.0
    """
    logs = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logs)) if logs else None


def memory_rates(core: int) -> list[dict[str, Any]]:
    """What one core reads, GB/s, the best of a tenth of a second, from each level of memory."""
    rows = []
    with pinned(core):
        for level, size in (("L2", 512 << 10), ("L3", 8 << 20), ("DRAM", 256 << 20)):
            subject = _engine.bench_read(size)
            rows.append({"level": level, "bytes": size, "gbs": subject.bytes / min(subject.run(0.1)) / 1e6})
    return rows
