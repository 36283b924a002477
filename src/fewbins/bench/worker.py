# SPDX-License-Identifier: Apache-2.0
"""The process that runs one engine: `python -m fewbins.bench.worker ENGINE CAP THREADS`.

Lines on stdin: `load PATH CORE` is answered by `{"ready": true}` or `{"failed": why}`, `go SECONDS` by the milliseconds
of each call.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from fewbins.bench import engines


def _pin(core: str) -> None:
    if core != "-":
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread), {int(core)})


def main() -> None:
    """Answer questions until stdin ends."""
    engine, cap, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    warnings.filterwarnings("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print goes to stderr
    call: Any = None
    for line in sys.stdin:
        words = line.split()
        if words[0] == "load":
            _pin(words[2])
            call = None
            gc.collect()
            try:
                call = engines.make(engine, Path(words[1]), cap, threads)
                call(), call()
                answer: Any = {"ready": True}
            except Exception as error:  # an engine that cannot run this network says why and is left out
                answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        else:
            call()
            answer, end = [], time.perf_counter() + float(words[1])
            while len(answer) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                call()
                answer.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(answer), file=replies, flush=True)


if __name__ == "__main__":
    main()
