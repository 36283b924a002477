# SPDX-License-Identifier: Apache-2.0
"""The dial between bins and speed: multiply-adds per second against products per block of 16-bit sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from fewbins import _engine
from fewbins.bench.bins import BenchScheme
from fewbins.bench.gemm import Shape, shape_text
from fewbins.bench.turns import Tick, Times, last_core, pinned, take_turns
from fewbins.errors import ArgumentError

SHAPE: Shape = (196, 256, 2304)
# Per 16-bit lane. Weights at their ends then need blocks of exactly this length, so every count is a pair of bins.
PRODUCTS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 72, 96, 128, 192, 258, 574)
LANDMARKS = ("255x129", "255x65", "255x33", "127x33", "64x29", "23x23")


def scheme_of(products: int) -> BenchScheme:
    """The scheme with most bins of activations whose worst case is so many products per 16-bit sum.

    >>> scheme_of(16).name, scheme_of(258).name
    ('255x33', '255x3')
    """
    for magnitude in range(127, 0, -1):
        weight = 32767 // products // magnitude
        if weight > 0 and 32767 // (magnitude * weight) // 2 == products // 2:
            return BenchScheme.of(f"{2 * magnitude + 1}x{2 * weight + 1}")
    raise ArgumentError(f"no levels need blocks of {products} products")


def run(
    isas: Sequence[str],
    *,
    shape: Shape = SHAPE,
    products: Sequence[int] = PRODUCTS,
    core: int | None = None,
    rounds: int = 5,
    seconds: float = 0.01,
    tick: Tick = lambda done, total, text: None,
) -> list[dict[str, Any]]:
    """Measure every dot16 kernel of the newest instruction set in reach, and what does not depend on blocks.

    Args:
        isas: instruction sets of this machine, by the engine's names.
        shape: M, N, K of the product.
        products: per 16-bit lane and block, even and at least 4; those beyond K / 2 are left out, but for the first.
        core: where to pin; by default the last that this process may use.
        rounds: turns of each.
        seconds: length of a turn.
        tick: called with steps done, all steps, and a text.

    Returns:
        Rows with engine, isa, scheme, form, shape, gmacs, peak_fraction, products_per_block (None: exact 8-bit or float
        sums), kernel. Engine "peak" is the instruction mix in registers.
    """
    pin = last_core() if core is None else core
    lengths = [count for count in products if count <= max(products[0], shape[2] // 2)]
    rows: list[dict[str, Any]] = []
    done, total = 0, len(isas) * (len(lengths) + 1)
    for isa in isas:
        tick(done, total, isa)
        rows += _measure(
            isa, shape, [(BenchScheme.of("8bit"), "", 0), (BenchScheme.of("float"), "", 0)], pin, rounds, seconds
        )
        done += 1
        dot16 = [row for row in _engine.bench_kernels(isa) if row["family"] == "dot16"]
        newest = dot16[0]["isa"] if dot16 else ""
        names = [row["name"] for row in dot16 if row["isa"] == newest]
        for count in lengths:
            tick(done, total, f"{isa} {count} products")
            rows += _measure(isa, shape, [(scheme_of(count), name, count // 2) for name in names], pin, rounds, seconds)
            done += 1
    tick(total, total, "")
    return rows


def _measure(
    isa: str, shape: Shape, which: Sequence[tuple[BenchScheme, str, int]], core: int, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    subjects = [
        _engine.bench_gemm(shape, scheme.family, scheme.levels, isa, kernel=kernel, weights="worst", block=block)
        for scheme, kernel, block in which
    ]
    used = [(s.mix, s.mix_isa, block) if s.mix else None for s, (_, _, block) in zip(subjects, which, strict=True)]
    mixes = sorted({mix for mix in used if mix is not None})
    peaks = [_engine.bench_peak(*mix) for mix in mixes]
    turns: list[Callable[[float], Sequence[float]]] = [_turn(peak, 0.3) for peak in peaks]
    turns += [_turn(subject, 1.0) for subject in subjects]
    with pinned(core):
        times = take_turns(turns, rounds, seconds, lambda: None)
    rates = {mix: peak.macs / t.median_ms / 1e6 for mix, peak, t in zip(mixes, peaks, times, strict=False)}

    def row(engine: str, scheme: str, subject: _engine.Subject, kernel: str, block: int, t: Times) -> dict[str, Any]:
        gmacs = subject.macs / t.median_ms / 1e6
        peak = rates.get((subject.mix, subject.mix_isa, block))
        return {
            "engine": engine,
            "isa": isa,
            "scheme": scheme,
            "form": "registers" if engine == "peak" else subject.form,
            "shape": shape_text(shape),
            "gmacs": gmacs,
            "peak_fraction": None if peak is None else gmacs / peak,
            **asdict(t),
            "products_per_block": 2 * block or None,
            "kernel": kernel,
        }

    rows = [
        row("peak", which[0][0].name, peak, peak.form, mix[2], t)
        for mix, peak, t in zip(mixes, peaks, times, strict=False)
        if mix[2]
    ]
    for (scheme, _, block), subject, t in zip(which, subjects, times[len(peaks) :], strict=True):
        rows.append(row("fewbins", scheme.name, subject, subject.kernel, block, t))
    return rows


def _turn(subject: _engine.Subject, share: float) -> Callable[[float], Sequence[float]]:
    return lambda seconds: subject.run(seconds * share)
