# SPDX-License-Identifier: Apache-2.0
"""The process that runs one engine on networks: arguments ENGINE CAP THREADS.

Lines on stdin: `load PATH CORE` is answered by `{"ready": true, "threads": N}` or `{"failed": why}`, `go SECONDS` by
the milliseconds of each call.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def pin(core: str) -> None:
    """Move every thread of this process to a core; "-" leaves them alone."""
    if core != "-":
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread), {int(core)})


def serve(make: Callable[[Sequence[str]], Callable[[], Any]]) -> None:
    """Answer questions until stdin ends.

    Args:
        make: the call to time, from the words between `load` and the core.
    """
    warnings.filterwarnings("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print goes to stderr
    call: Any = None
    for line in sys.stdin:
        words = shlex.split(line)
        if words[0] == "load":
            pin(words[-1])
            call = None
            gc.collect()
            try:
                call = make(words[1:-1])
                pin(words[-1])
                call(), call()
                answer: Any = {"ready": True, "threads": getattr(call, "threads", 1)}
            except Exception as error:  # an engine that cannot do this says why and is left out
                answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        else:
            call()
            answer, end = [], time.perf_counter() + float(words[1])
            while len(answer) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                call()
                answer.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(answer), file=replies, flush=True)


def main() -> None:
    """Serve one engine of `fewbins.bench.engines`."""
    from fewbins.bench import engines

    engine, cap, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    serve(lambda words: engines.make(engine, Path(words[0]), cap, threads))
