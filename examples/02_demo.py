# SPDX-License-Identifier: Apache-2.0
"""Quantize a small CNN to several numbers of bins, run each, and compare. Needs no network and no data of yours.

    python examples/02_demo.py        (or: make demo)

The model is examples/digits.onnx, made by 01_train_digits.py; the images are scikit-learn's digits. Calibration sees
training images only. ONNX Runtime runs beside it where it is installed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from digits_data import digits
from rich.console import Console
from rich.table import Table

import fewbins

MODEL = Path(__file__).with_name("digits.onnx")
SCHEMES = ["float", "8bit", "255x33", "23x23", "4bit"]
REPEATS = 15


def microseconds_per_image(run: Callable[[np.ndarray], object], x: np.ndarray) -> float:
    """Return the median over some repetitions, the first of which warms up and does not count."""
    run(x)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run(x)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6 / len(x)


def onnxruntime_run() -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function that runs the float model in ONNX Runtime on one thread, or None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"image": x})[0]


def main() -> None:
    x_train, _, x_test, y_test = digits()
    graph = fewbins.load_onnx(MODEL)
    table = Table(title=f"{MODEL.name}: {len(x_test)} test images, one thread", title_justify="left")
    for column in ("engine", "scheme", "accuracy", "file, bytes", "µs per image"):
        table.add_column(column, justify="left" if column in ("engine", "scheme") else "right")

    def row(engine: str, scheme: str, size: int, run: Callable[[np.ndarray], np.ndarray]) -> None:
        accuracy = float((run(x_test).argmax(axis=1) == y_test).mean())
        table.add_row(engine, scheme, f"{accuracy:.1%}", f"{size:,}", f"{microseconds_per_image(run, x_test):.2f}")

    with tempfile.TemporaryDirectory() as folder:
        for scheme in SCHEMES:
            path = Path(folder) / f"digits-{scheme}.fewbins"
            fewbins.quantize(graph, x_train[:256], scheme=scheme).save(path)
            row("fewbins", scheme, path.stat().st_size, fewbins.Session(path, threads=1).run)
    rival = onnxruntime_run()
    if rival is not None:
        row("ONNX Runtime", "float", MODEL.stat().st_size, rival)
    Console().print(table)


if __name__ == "__main__":
    main()
