# SPDX-License-Identifier: Apache-2.0
"""Matrix products: the grid of the 4.6-bit paper's tables 1 to 3, and the products inside well-known networks.

Ours, the peaks of their instruction mixes and the libraries of `fewbins.bench.rivals` take turns on one core.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fewbins import _engine
from fewbins.bench.bins import BenchScheme
from fewbins.bench.caps import mix_of, start, turn_of
from fewbins.bench.process import Worker
from fewbins.bench.ratios import ratios
from fewbins.bench.rivals import RIVALS
from fewbins.bench.turns import Tick, Times, last_core, memory_rates, pinned, take_turns
from fewbins.errors import ArgumentError, UnsupportedError

Shape = tuple[int, int, int]

# M x N x K: the right matrix has N columns. In the paper's words H x D times D x W.
GRID: list[Shape] = [
    (h, w, d) for h, w, d in itertools.product((72, 120, 240, 360), (24, 48, 72, 96), (128, 256, 384, 512))
]
NETWORK: list[Shape] = [
    (3136, 64, 576), (784, 128, 1152), (196, 256, 2304), (49, 512, 4608), (1, 4096, 4096), (1, 4096, 16384),
]  # fmt: skip
EVERY_KERNEL: Shape = (196, 256, 2304)  # where all rows of an instruction set are shown, not only those selected
SCHEMES = ("float", "8bit", "u4", "23x23", "255x33", "255x65", "127x33", "64x29", "lut4")
FEW_ROWS = 4
FEW_ROWS_SCHEMES = ("float", "8bit", "255x33", "lut4")

Turn = Callable[[float], Sequence[float]]


@dataclass
class Entry:
    """One line of the result before it is measured."""

    engine: str
    scheme: str
    form: str
    turn: Turn
    mix: tuple[str, str, int] | None = None  # name, instruction set, block
    kernel: str = ""
    block: int = 0
    weight_bytes: float = 0.0
    selected: bool = True


@dataclass
class Result:
    """What `run` measured."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    grid: list[dict[str, Any]] = field(default_factory=list)
    acceleration: list[dict[str, Any]] = field(default_factory=list)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, Any]] = field(default_factory=list)


def shape_text(shape: Shape) -> str:
    """M, N and K.

    >>> shape_text((196, 256, 2304))
    '196x256x2304'
    """
    return "x".join(map(str, shape))


def parse_shapes(text: str) -> list[Shape]:
    """Shapes of an option.

    Raises:
        ArgumentError: a word that is not MxNxK.

    >>> parse_shapes("grid,1x4096x4096")[63:]
    [(360, 96, 512), (1, 4096, 4096)]
    """
    shapes: list[Shape] = []
    for word in filter(None, text.split(",")):
        sizes = word.split("x")
        if word in ("grid", "network"):
            shapes += GRID if word == "grid" else NETWORK
        elif len(sizes) == 3 and all(s.isdigit() and 0 < int(s) <= 1 << 20 for s in sizes):
            shapes.append((int(sizes[0]), int(sizes[1]), int(sizes[2])))
        else:
            raise ArgumentError(f"shape '{word}' is not MxNxK with sizes of 1 to 1048576, nor grid or network")
    if not shapes:
        raise ArgumentError("--shapes is empty")
    return shapes


def run(
    isas: Sequence[str],
    *,
    shapes: Sequence[Shape] = (*GRID, *NETWORK),
    schemes: Sequence[str] = SCHEMES,
    rivals: Sequence[str] = tuple(RIVALS),
    weights: str = "natural",
    core: int | None = None,
    rounds: int = 7,
    seconds: float = 0.02,
    tick: Tick = lambda done, total, text: None,
) -> Result:
    """Measure products.

    Args:
        isas: instruction sets of this machine, by the engine's names; everything runs as if it had no more.
        shapes: M, N, K. Those of the paper's grid get short turns and no rivals.
        schemes: see `BenchScheme.of`; those that no kernel of a set does are listed as missing.
        rivals: names of `fewbins.bench.rivals.RIVALS`.
        weights: "natural", Gaussian columns each quantized by its largest magnitude, or "worst", all at one end.
        core: where to pin; by default the last that this process may use.
        rounds: turns of each.
        seconds: length of a turn, of the grid's a tenth.
        tick: called with shapes done, all shapes, and a text.

    Returns:
        Rows with engine, isa, scheme, form, shape, gmacs, peak_fraction and more, and what follows from them.

    Raises:
        ArgumentError: an unknown rival, or weights.
        SchemeError: an unknown scheme.
    """
    for rival in rivals:
        if rival not in RIVALS:
            raise ArgumentError(f"rival '{rival}' is unknown; one of {', '.join(RIVALS)}")
    chosen = [BenchScheme.of(name) for name in schemes]
    grid = [shape for shape in shapes if shape in GRID]
    network = [shape for shape in shapes if shape not in GRID]
    pin = last_core() if core is None else core
    result = Result(memory=memory_rates(pin))
    done, total = 0, len(isas) * len(shapes)
    for isa in isas:
        first = len(result.rows)
        workers = contextlib.ExitStack()
        with workers:
            running, absent = start(isa, rivals if network else [], workers)
            for name, why in absent.items():
                _miss(result, name, isa, RIVALS[name].scheme, why)
            for shape in [*network, *grid]:
                tick(done, total, f"{isa} {shape_text(shape)}")
                short = shape in grid
                entries = _ours(isa, shape, chosen, weights, short, result)
                if not short:
                    entries += _rivals(isa, shape, running, pin, result)
                result.rows += _measure(isa, shape, entries, pin, rounds, seconds * (0.1 if short else 1.0))
                done += 1
        mine = result.rows[first:]
        _tables(isa, [row for row in mine if row["grid"]], result)
        result.ratios += ratios(isa, [row for row in mine if not row["grid"]])
    tick(total, total, "")
    return result


def _ours(
    isa: str, shape: Shape, schemes: Sequence[BenchScheme], weights: str, short: bool, result: Result
) -> list[Entry]:
    kernels = _engine.bench_kernels(isa)
    families = {row["family"] for row in kernels}
    entries = []
    for scheme in schemes:
        if scheme.family not in families:
            _miss(result, "fewbins", isa, scheme.name, "no kernel of this family")
            continue
        # What lut4 is for: with more rows the engine decodes such weights once.
        if scheme.family == "lut4" and shape[0] > FEW_ROWS:
            continue
        if shape[0] == 1 and scheme.name not in FEW_ROWS_SCHEMES and len(schemes) > len(FEW_ROWS_SCHEMES):
            continue
        both = not short and shape[0] > 1 and scheme.family in ("dot32", "dot16")
        for requantize in (False, True) if both else (False,):
            entries += _entry(isa, shape, scheme, weights, requantize, "", result)
    if shape == EVERY_KERNEL:
        seen = {(entry.kernel, entry.scheme) for entry in entries}
        by_family = {scheme.family: scheme for scheme in schemes if scheme.family != "dot16"}
        for row in kernels:
            if row["isa"] != isa or row["family"] == "lut4":
                continue
            for scheme in [s for s in schemes if s.family == row["family"] == "dot16"] or [
                by_family.get(row["family"], BenchScheme("16bit", "dot32_i16", (-128, 127, 127)))
            ]:
                if scheme.family == row["family"] and (row["name"], scheme.name) not in seen:
                    for entry in _entry(isa, shape, scheme, weights, False, row["name"], result):
                        entry.selected = False
                        entries.append(entry)
    return entries


def _entry(
    isa: str, shape: Shape, scheme: BenchScheme, weights: str, requantize: bool, kernel: str, result: Result
) -> list[Entry]:
    try:
        subject = _engine.bench_gemm(
            shape, scheme.family, scheme.levels, isa, kernel=kernel, weights=weights, requantize=requantize
        )
    except UnsupportedError as error:
        _miss(result, "fewbins", isa, scheme.name, str(error))
        return []
    return [
        Entry(
            "fewbins",
            scheme.name,
            subject.form,
            lambda seconds: subject.run(seconds),
            (subject.mix, subject.mix_isa, subject.block) if subject.mix else None,
            subject.kernel,
            subject.block,
            subject.bytes,
        )
    ]


def _rivals(isa: str, shape: Shape, workers: dict[str, Worker], core: int, result: Result) -> list[Entry]:
    entries = []
    for name, worker in workers.items():
        rival = RIVALS[name]
        answer = worker.ask(f"load {' '.join(map(str, shape))} {core}")
        if "failed" in answer:
            _miss(result, name, isa, rival.scheme, answer["failed"])
            continue
        entries.append(Entry(name, rival.scheme, rival.form, turn_of(name, worker), mix_of(isa, rival.scheme)))
    return entries


def _measure(
    isa: str, shape: Shape, entries: Sequence[Entry], core: int, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Peaks first in every round, then a read of as much memory as weights where rows are few, then the engines."""
    mixes = sorted({entry.mix for entry in entries if entry.mix is not None})
    peaks = [_engine.bench_peak(mix, of, block) for mix, of, block in mixes]
    sizes = sorted({int(entry.weight_bytes) for entry in entries if entry.weight_bytes}) if shape[0] == 1 else []
    reads = [_engine.bench_read(size) for size in sizes]
    turns: list[Turn] = [
        *[_turn(peak, 0.3) for peak in peaks],
        *[_turn(read, 1.0) for read in reads],
        *[entry.turn for entry in entries],
    ]
    with pinned(core):
        times = take_turns(turns, rounds, seconds, lambda: None)
    rates = {mix: peak.macs / t.median_ms / 1e6 for mix, peak, t in zip(mixes, peaks, times, strict=False)}
    memory = {
        size: read.bytes / t.median_ms / 1e6 for size, read, t in zip(sizes, reads, times[len(peaks) :], strict=False)
    }
    return [
        _row(isa, shape, entry, t, rates, memory)
        for entry, t in zip(entries, times[len(peaks) + len(reads) :], strict=True)
    ]


def _turn(subject: _engine.Subject, share: float) -> Turn:
    return lambda seconds: subject.run(seconds * share)


def _row(
    isa: str,
    shape: Shape,
    entry: Entry,
    times: Times,
    peaks: dict[tuple[str, str, int], float],
    memory: dict[int, float],
) -> dict[str, Any]:
    m, n, k = shape
    gmacs = m * n * k / times.median_ms / 1e6
    peak = peaks[entry.mix] if entry.mix is not None else None
    row = {
        "engine": entry.engine,
        "isa": isa,
        "scheme": entry.scheme,
        "form": entry.form,
        "shape": shape_text(shape),
        "gmacs": gmacs,
        "peak_fraction": None if peak is None else gmacs / peak,
        **asdict(times),
        "peak_gmacs": peak,
        "mix": None if entry.mix is None else f"{entry.mix[0]} {entry.mix[1]}",
        "kernel": entry.kernel or None,
        "block_quads": entry.block or None,
        "selected": entry.selected,
        "grid": shape in GRID,
    }
    if shape[0] == 1 and entry.weight_bytes:
        gbs = entry.weight_bytes / times.median_ms / 1e6
        row |= {"weights_gbs": gbs, "memory_fraction": gbs / memory[int(entry.weight_bytes)]}
    return row


def _tables(isa: str, rows: Sequence[dict[str, Any]], result: Result) -> None:
    """Tables 1 to 3 of the paper: mean times, and E(A, B), the mean over shapes of time of B / time of A.

    The paper takes the mean of a shape's repeats; here it is the median, which other work on the machine does not move.
    """
    times: dict[str, dict[str, float]] = {}
    for row in rows:
        times.setdefault(row["scheme"], {})[row["shape"]] = row["median_ms"]
    for scheme, of_shape in times.items():
        mean = statistics.fmean(of_shape.values())
        result.grid.append({"isa": isa, "scheme": scheme, "products": len(of_shape), "mean_ms": mean})
    for a, b in itertools.product(times, times):
        both = times[a].keys() & times[b].keys()
        faster = statistics.fmean(times[b][shape] / times[a][shape] for shape in both)
        result.acceleration.append({"isa": isa, "scheme": a, "over": b, "ratio": faster})


def _miss(result: Result, engine: str, isa: str, scheme: str, why: str) -> None:
    row = {"engine": engine, "isa": isa, "scheme": scheme, "why": why}
    if row not in result.missing:
        result.missing.append(row)
