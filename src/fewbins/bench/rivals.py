# SPDX-License-Identifier: Apache-2.0
"""Matrix products of other libraries, each in a process of its own: arguments ENGINE.

Shapes are M x N x K: M rows of activations, weights of N columns, K products each. Weights are constants that a library
may pack once. Imports nothing but the library, so that another interpreter can run it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fewbins.bench.worker import serve


@dataclass(frozen=True)
class Rival:
    """A library's product: what it needs, and what it computes."""

    modules: tuple[str, ...]
    scheme: str
    form: str


RIVALS = {
    "numpy": Rival(("numpy",), "float", "float32"),
    "torch_onednn": Rival(("torch",), "8bit", "requantized"),
    "torch_fbgemm": Rival(("torch",), "8bit", "requantized"),
    "onnxruntime": Rival(("onnxruntime", "onnx"), "8bit", "int32"),
}


def interpreter(rival: Rival) -> str | None:
    """The first of this interpreter and FEWBINS_BENCH_PYTHON that has the library."""
    if all(importlib.util.find_spec(name) is not None for name in rival.modules):
        return sys.executable
    other = os.environ.get("FEWBINS_BENCH_PYTHON")
    if not other:
        return None
    probe = "import importlib.util, sys; sys.exit(any(importlib.util.find_spec(n) is None for n in sys.argv[1:]))"
    try:
        done = subprocess.run([other, "-c", probe, *rival.modules], capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return other if done.returncode == 0 else None


def _numpy(m: int, n: int, k: int) -> Callable[[], Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    a = rng.random((m, k), dtype=np.float32)
    b = rng.random((k, n), dtype=np.float32)
    out = np.empty((m, n), np.float32)
    return lambda: np.matmul(a, b, out=out)


def _torch(engine: str) -> Callable[[int, int, int], Callable[[], Any]]:
    def make(m: int, n: int, k: int) -> Callable[[], Any]:
        import torch

        torch.set_num_threads(1)
        torch.backends.quantized.engine = engine
        x = torch.quantize_per_tensor(torch.rand(m, k), 1 / 255, 0, torch.quint8)
        # 7-bit weights: the products of 8-bit ones saturate where there is no 8-bit dot product.
        w = torch.quantize_per_channel(
            torch.rand(n, k) - 0.5, torch.full((n,), 1 / 127), torch.zeros(n, dtype=torch.int64), 0, torch.qint8
        )
        packed = torch.ops.quantized.linear_prepack(w, None)
        scale, zero = k**0.5 / 400, 128

        def call() -> Any:
            with torch.inference_mode():
                return torch.ops.quantized.linear(x, packed, scale, zero)

        return call

    return make


def _onnxruntime(m: int, n: int, k: int) -> Callable[[], Any]:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = rng.integers(-64, 64, (k, n), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [m, k])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [m, n])],
        [numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    a = onnxruntime.OrtValue.ortvalue_from_numpy(rng.integers(0, 256, (m, k), dtype=np.uint8))
    y = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((m, n), np.int32))
    binding.bind_ortvalue_input("a", a)
    binding.bind_ortvalue_output("y", y)
    return lambda: session.run_with_iobinding(binding)


_MAKERS = {
    "numpy": _numpy,
    "torch_onednn": _torch("onednn"),
    "torch_fbgemm": _torch("fbgemm"),
    "onnxruntime": _onnxruntime,
}


def main() -> None:
    """Serve one library: `load M N K CORE`."""
    make = _MAKERS[sys.argv[1]]

    def load(words: Sequence[str]) -> Callable[[], Any]:
        m, n, k = map(int, words)
        return make(m, n, k)

    serve(load)
