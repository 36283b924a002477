# SPDX-License-Identifier: Apache-2.0
"""Write small model files that ask for a lot of memory, and show what both readers take for them.

    python tools/limits.py

Every file is read by Python, and loaded and planned by the engine, each in a process of its own. None may take more
than 50 ms of CPU (the best of three), or 50 MB more than a tiny model does: it is refused, or it no longer needs what
it asked for. Exit code 1 where one does.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile_models import Bytes, conv_attrs, relu

import fewbins
from fewbins import _engine, model_file

MILLISECONDS, MEGABYTES = 50, 50
WEIGHT = {"scale": "s", "zero_point": 0, "lo": -127, "hi": 127, "axis": None}
LEVELS = {"scale": 0, "zero_point": 0, "lo": -128, "hi": 127}


def weights(shape: list[int]) -> Bytes:
    """A file with zero weights for float arithmetic."""
    return Bytes().constant("s", np.ones(1, np.float32)).zeros("w", "int8", shape, WEIGHT)


def conv(shape: list[int], groups: int, size: int, nodes: int = 1) -> bytes:
    """Convolutions of x, all from the same weight."""
    file = weights(shape).tensor("x", [1, shape[1] * groups, size, size])
    for i in range(nodes):
        file.tensor(f"y{i}", [1, shape[0], size, size])
        file.node("Conv", ["x"], f"y{i}", conv_attrs((shape[2], shape[3]), groups), {"weight": "w"})
    return file.ends(["x"], [f"y{i}" for i in range(min(nodes, 1000))]).file()


def unused(count: int) -> bytes:
    return relu([1, 2]).zeros("w", "uint8", [count]).file()


def many_unused() -> bytes:
    file = relu([1, 2])
    for i in range(64):
        file.zeros(f"w{i}", "uint8", [16 << 20])
    return file.file()


def gemm(rows: int, columns: int) -> bytes:
    file = weights([rows, columns]).tensor("x", [1, columns]).tensor("y", [1, rows])
    return file.node("Gemm", ["x"], "y", {"clamp": None, "requantize": None}, {"weight": "w"}).ends(["x"], ["y"]).file()


def transpose(kernel: int, stride: int, size: int) -> bytes:
    out = (size - 1) * stride + kernel
    file = weights([1, 1, kernel, kernel]).tensor("x", [1, 1, size, size]).tensor("y", [1, 1, out, out])
    attrs = conv_attrs((kernel, kernel), strides=[stride, stride], output_padding=[0, 0])
    del attrs["auto_pad"]
    return file.node("ConvTranspose", ["x"], "y", attrs, {"weight": "w"}).ends(["x"], ["y"]).file()


def depthwise(kernel: int, size: int) -> bytes:
    out = size - kernel + 1
    file = weights([2, 1, kernel, kernel]).tensor("x", [1, 2, size, size]).tensor("y", [1, 2, out, out])
    attrs = conv_attrs((kernel, kernel), 2)
    return file.node("Conv", ["x"], "y", attrs, {"weight": "w"}).ends(["x"], ["y"]).file()


def direct(kernel: int, size: int) -> bytes:
    out = size - 2 * (kernel - 1)
    file = weights([1, 1, kernel, kernel]).tensor("x", [1, 1, size, size]).tensor("y", [1, 1, out, out])
    attrs = conv_attrs((kernel, kernel), dilations=[2, 2])
    return file.node("Conv", ["x"], "y", attrs, {"weight": "w"}).ends(["x"], ["y"]).file()


def pad(width: int) -> bytes:
    file = Bytes().tensor("x", [1, 1]).tensor("y", [1, width])
    attrs = {"pads": [0, 0, 0, width - 1], "mode": "constant", "value": 0.0}
    return file.node("Pad", ["x"], "y", attrs).ends(["x"], ["y"]).file()


def resize(mode: str, width: int) -> bytes:
    file = Bytes().tensor("x", [1, 1, 1, 1]).tensor("y", [1, 1, 1, width])
    attrs = {"mode": mode, "sizes": [1, width], "scales": None, "coordinates": "half_pixel", "requantize": None}
    attrs |= {"nearest": "round_prefer_floor", "places": "float64"}
    return file.node("Resize", ["x"], "y", attrs).ends(["x"], ["y"]).file()


def pool(kernel: int, size: int) -> bytes:
    out = size + kernel - 1
    file = Bytes().tensor("x", [1, 1, size, size]).tensor("q", [1, 1, size, size], LEVELS)
    file.tensor("r", [1, 1, out, out], LEVELS).tensor("y", [1, 1, out, out])
    attrs = conv_attrs((kernel, kernel), pads=[kernel - 1] * 4, ceil_mode=False, count_include_pad=False)
    attrs["requantize"] = {"kind": "float", "lo": -128, "hi": 127, "negate_residual": False}
    del attrs["groups"], attrs["clamp"]
    file.node("Quantize", ["x"], "q", {"axis": 1}).node("AveragePool", ["q"], "r", attrs).node(
        "Dequantize", ["r"], "y", {}
    )
    return file.ends(["x"], ["y"]).file()


CASES: dict[str, Callable[[], bytes]] = {
    "decoded constants: one of 2 GB": lambda: unused(2**31 - 1),
    "decoded constants: 64 of 16 MB": many_unused,
    "packed weights: 2 channels in each of 4 million groups": lambda: conv([8 << 20, 1, 1, 1], 4 << 20, 1),
    "packed weights: 8 million output channels": lambda: conv([8 << 20, 1, 1, 1], 1, 1),
    "packed weights: 8 million depthwise channels": lambda: conv([8 << 20, 1, 1, 1], 8 << 20, 1),
    "packed weights: one of 1 MB in 50 nodes": lambda: conv([256, 4096, 1, 1], 1, 1, nodes=50),
    "packed weights: Gemm with 8 million columns": lambda: gemm(8 << 20, 1),
    "packed weights: Gemm with half a million columns": lambda: gemm(1 << 19, 1),
    "tap lists: ConvTranspose, kernel and stride 512": lambda: transpose(512, 512, 8),
    "tap lists: ConvTranspose, stride 16,384": lambda: transpose(2, 16384, 3),
    "window tables: depthwise 31x31 over 8,192 x 8,192": lambda: depthwise(31, 8192),
    "window tables: 31x31 over 8,192 x 8,192": lambda: direct(31, 8192),
    "plan tables: Pad to 500 million": lambda: pad(500_000_000),
    "plan tables: Resize nearest to 100 million": lambda: resize("nearest", 100_000_000),
    "plan tables: Resize linear to 100 million": lambda: resize("linear", 100_000_000),
    "plan tables: means of 255 x 255 kinds of windows": lambda: pool(255, 255),
}


def read(data: bytes) -> None:
    model_file.from_bytes(data)


def load(data: bytes) -> None:
    session = _engine.Session(data, threads=1)
    session.plan([row["shape"] for row in session.inputs])


def resident(key: str) -> int:
    """VmRSS (now) or VmHWM (at most) of this process in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def measure(work: Callable[[bytes], None], data: bytes) -> tuple[str, float, float]:
    """What the work said, its milliseconds, and the megabytes that it took, in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "loads"
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins at VmRSS
        before, start = resident("VmRSS"), time.process_time()
        try:
            work(data)
        except fewbins.FewbinsError as error:
            said = str(error)
        except BaseException as error:
            said = f"CRASH: {type(error).__name__}: {error}"
        took = (time.process_time() - start) * 1000
        os.write(writing, pickle.dumps((said, took, (resident("VmHWM") - before) / 1e6)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(answer) if status == 0 and answer else ("CRASH: the process ended", 0.0, 0.0)


def main() -> int:
    tiny = relu([1, 2]).file()
    readers = {"Python": read, "engine": load}
    for work in readers.values():
        work(tiny)  # what is imported or made once is there
    floor = {name: measure(work, tiny)[2] for name, work in readers.items()}
    failed = 0
    print(f"{'file':56} {'bytes':>9}  reader      ms     MB  answer")
    for what, make in CASES.items():
        data = make()
        for name, work in readers.items():
            runs = [measure(work, data) for _ in range(3)]
            said = runs[0][0]
            took, more = min(run[1] for run in runs), max(run[2] for run in runs) - floor[name]
            for_memory = said == "loads" or "would pass the limit" in said or "too large" in said
            bad = took > MILLISECONDS or more > MEGABYTES or not for_memory
            failed += bad
            answer = said if said == "loads" or bad else f"refused: {said}"
            print(f"{what:56} {len(data):9,}  {name} {took:7.1f} {max(more, 0):6.1f}  {'BAD ' * bad}{answer[:140]}")
    print(
        f"{failed} answers took more than {MILLISECONDS} ms or {MEGABYTES} MB, or are of another kind"
        if failed
        else "all within bounds"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
