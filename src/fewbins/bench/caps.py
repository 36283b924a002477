# SPDX-License-Identifier: Apache-2.0
"""Rivals under the cap of one of our instruction sets: their processes, and the mix that bounds them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from fewbins import _engine
from fewbins.bench.places import tool
from fewbins.bench.process import Worker
from fewbins.bench.rivals import RIVALS, interpreter
from fewbins.errors import DataError

# What hides from a rival the instruction sets above ours, and the core that OpenBLAS then takes itself for.
RIVAL_CAP = {"ssse3": "sse4", "avx2": "avx2", "avxvnni": "avxvnni", "avx512bw": "avx512", "avx512vnni": "vnni"}
CORE_TYPE = {
    "ssse3": "Nehalem", "avx2": "Haswell", "avxvnni": "Haswell", "avx512bw": "SkylakeX", "avx512vnni": "SkylakeX",
}  # fmt: skip
# The mix that bounds a rival's 8-bit product: what these libraries run, seen in their loops.
RIVAL_MIX = {
    "ssse3": ("madd8", "ssse3"), "avx2": ("madd8", "avx2"), "avxvnni": ("dpbusd", "avxvnni"),
    "avx512bw": ("madd8", "avx512bw"), "avx512vnni": ("dpbusd", "avx512vnni"), "amx": ("tdpbusd", "amx"),
}  # fmt: skip
FLOAT_MIX = {"ssse3": "ssse3", "avx2": "avx2", "avxvnni": "avx2"}


def start(isa: str, rivals: Sequence[str], stack: contextlib.ExitStack) -> tuple[dict[str, Worker], dict[str, str]]:
    """Start the processes of rivals, stopped between turns.

    Args:
        isa: what they may use, by the engine's name.
        rivals: names of `fewbins.bench.rivals.RIVALS`.
        stack: ends them.

    Returns:
        The processes, and why others have none, by name.
    """
    workers, missing = {}, {}
    environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if isa in CORE_TYPE:
        environment["OPENBLAS_CORETYPE"] = CORE_TYPE[isa]
    for rival in rivals:
        python = interpreter(RIVALS[rival])
        if python is None:
            missing[rival] = "not installed"
            continue
        cap = RIVAL_CAP.get(isa, "none")
        # Without the tool that sets caps, rivals can still be measured on all that this machine has.
        if isa == _engine.cpu_info()["best_isa"] and tool("isacap") is None:
            cap = "none"
        try:
            workers[rival] = stack.enter_context(
                Worker("fewbins.bench.rivals", [rival], cap=cap, environment=environment, python=python)
            )
        except DataError as error:
            missing[rival] = str(error)
    return workers, missing


def mix_of(isa: str, scheme: str) -> tuple[str, str, int] | None:
    """The instruction mix that bounds a rival's products, as `_engine.bench_peak` takes it; None: not known.

    >>> mix_of("neon", "8bit") is None
    True
    """
    mix, of = ("fma", FLOAT_MIX.get(isa, "avx512bw")) if scheme == "float" else RIVAL_MIX.get(isa, ("", ""))
    known = any((row["mix"], row["isa"]) == (mix, of) and row["runs_here"] for row in _engine.bench_mixes())
    return (mix, of, 0) if known else None


def turn_of(name: str, worker: Worker) -> Callable[[float], Sequence[float]]:
    """A turn of a rival: seconds to milliseconds of each call."""

    def ask(seconds: float) -> Sequence[float]:
        answer = worker.ask(f"go {seconds:g}")
        if isinstance(answer, dict):
            raise DataError(f"{name} ended while it ran: {answer['failed']}")
        return [float(ms) for ms in answer]

    return ask
