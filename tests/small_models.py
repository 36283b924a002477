# SPDX-License-Identifier: Apache-2.0
"""Model files made once per test run from the digits network, on random images: quick, and good enough to run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

import fewbins

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits.onnx"


def images(count: int = 64) -> np.ndarray:
    """float32 (count, 1, 8, 8), in the range of the digits."""
    return np.random.default_rng(1).uniform(0, 1, (count, 1, 8, 8)).astype(np.float32)


@cache
def digits(scheme: str = "255x33,first=8bit,last=8bit", **options: object) -> fewbins.QuantizedModel:
    """The digits network at a scheme."""
    graph = fewbins.load_onnx(DIGITS)
    return fewbins.quantize(graph, None if scheme == "float" else images(), scheme=scheme, **options)


@cache
def digits_bytes(scheme: str = "255x33,first=8bit,last=8bit") -> bytes:
    """Its file."""
    return digits(scheme).to_bytes()
