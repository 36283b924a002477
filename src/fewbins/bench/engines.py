# SPDX-License-Identifier: Apache-2.0
"""Engines under test. Each makes a call from a float32 array to a float32 array, in a process of its own.

`fb_SCHEME` is fewbins with that scheme on every layer, calibrated on the same two random inputs that the rivals get;
`ort_f32` and `ort_int8` are ONNX Runtime (static QDQ, unsigned activations, signed per-channel weights, all graph
optimisations; 7-bit weights where the CPU has no VNNI, since its kernels saturate there).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Engine:
    """The call to time, and how many threads it really has."""

    run: Callable[[], Any]
    threads: int

    def __call__(self) -> Any:
        """One run."""
        return self.run()


def make(engine: str, path: Path, cap: str, threads: int) -> Engine:
    """An engine, ready to be timed.

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


def derived_path(path: Path, recipe: Mapping[str, object]) -> Path:
    """Where the cache keeps what a recipe makes of a network.

    The name has a digest of the network's bytes (those of its external data too) and of the recipe, so another network,
    another version of a tool or another option is another file, whatever it is called and however old it is.
    """
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    files = [path]
    initializers = onnx.load(os.fspath(path), load_external_data=False).graph.initializer
    outside = [ExternalDataInfo(tensor) for tensor in initializers if uses_external_data(tensor)]
    files += sorted({path.parent / info.location for info in outside})
    for file in files:
        digest.update(f"{file.stat().st_size}:".encode())
        with open(file, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return cache_dir() / f"{path.stem}-{digest.hexdigest()[:20]}.onnx"


def _fewbins(path: Path, threads: int, scheme: str) -> Engine:
    _, shape = _input(path)
    # Never from the cache: what is measured is what this version of fewbins makes of the network.
    images = np.concatenate([_sample(shape, seed) for seed in range(2)])
    model = quantize(load_onnx(path), images, scheme=scheme)
    session = Session(model, threads)
    x = _sample(shape)
    return Engine(lambda: session.run(x), session.threads)


def _ort(onnxruntime: Any, path: Path, threads: int) -> Engine:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    feed = {value.name: _sample([n if isinstance(n, int) else 1 for n in value.shape])}
    return Engine(lambda: session.run(None, feed)[0], session.get_session_options().intra_op_num_threads)


def _qdq(path: Path, reduce_range: bool) -> Path:
    import onnx
    import onnxruntime
    from onnxruntime import quantization

    versions = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}
    target = derived_path(path, {"qdq": "uint8 x int8 per channel", "reduce_range": reduce_range, **versions})
    if target.is_file():
        return target

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
