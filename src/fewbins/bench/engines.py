# SPDX-License-Identifier: Apache-2.0
"""Engines under test. Each makes a call from a float32 array to a float32 array, in a process of its own.

`fb_SCHEME` is fewbins with that scheme on every layer, calibrated on the same two random inputs that the rivals get;
`ort_f32` and `ort_int8` are ONNX Runtime (static QDQ, unsigned activations, signed per-channel weights, all graph
optimisations; 7-bit weights where the CPU has no VNNI, since its kernels saturate there).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fewbins.bench.places import cache_dir
from fewbins.errors import DataError
from fewbins.importers.onnx import load_onnx
from fewbins.quantize import quantize
from fewbins.session import Session

FULL_RANGE = ("avxvnni", "vnni", "none")  # caps under which int8 products do not saturate
CAPS = ("avx2", "avxvnni", "avx512", "vnni", "none")


def make(engine: str, path: Path, cap: str, threads: int) -> Callable[[], Any]:
    """The call to time.

    Raises:
        DataError: the engine is unknown or not installed.
    """
    if engine.startswith("fb_"):
        return _fewbins(path, threads, engine[3:])
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError("ONNX Runtime is not installed: pip install 'fewbins[bench]'") from error
    if engine == "ort_f32":
        return _ort(onnxruntime, path, threads)
    if engine == "ort_int8":
        return _ort(onnxruntime, _qdq(path, cap not in FULL_RANGE), threads)
    raise DataError(f"engine '{engine}' is unknown; one of ort_f32, ort_int8, fb_SCHEME such as fb_255x33")


def _input(path: Path) -> tuple[str, list[int]]:
    import onnx

    value = onnx.load(str(path), load_external_data=False).graph.input[0]
    return value.name, [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]


def _sample(shape: list[int], seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _derived(path: Path, suffix: str) -> Path:
    """A file derived from the network, kept in the cache; stale where the network is newer."""
    target = cache_dir() / f"{path.stem}{suffix}"
    if target.is_file() and target.stat().st_mtime < path.stat().st_mtime:
        target.unlink()
    return target


def _fewbins(path: Path, threads: int, scheme: str) -> Callable[[], Any]:
    _, shape = _input(path)
    # Never from the cache: what is measured is what this version of fewbins makes of the network.
    images = np.concatenate([_sample(shape, seed) for seed in range(2)])
    model = quantize(load_onnx(path), images, scheme=scheme)
    session = Session(model, threads)
    x = _sample(shape)
    return lambda: session.run(x)


def _ort(onnxruntime: Any, path: Path, threads: int) -> Callable[[], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    feed = {value.name: _sample([n if isinstance(n, int) else 1 for n in value.shape])}
    return lambda: session.run(None, feed)[0]


def _qdq(path: Path, reduce_range: bool) -> Path:
    target = _derived(path, ".qdq7.onnx" if reduce_range else ".qdq8.onnx")
    if target.is_file():
        return target
    from onnxruntime import quantization

    name, shape = _input(path)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self.feeds = iter([{name: _sample(shape, seed)} for seed in range(2)])

        def get_next(self) -> Any:
            return next(self.feeds, None)

    temporary = target.with_suffix(f".{os.getpid()}.onnx")
    quantization.quantize_static(
        os.fspath(path),
        os.fspath(temporary),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        reduce_range=reduce_range,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    os.replace(temporary, target)
    return target
