# SPDX-License-Identifier: Apache-2.0
"""Gemm: a matrix product with a constant, over the last axis of the input."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import Requantize, attributes, check_clamp


@attributes("Gemm")
@dataclass(frozen=True)
class GemmAttrs:
    """Attributes of Gemm: inputs (x (..., K)[, residual]); params weight (M, K), bias (M,), slope (1,) or (M,).

    Attributes:
        clamp: as Conv's.
        requantize: None for float arithmetic.
    """

    clamp: tuple[float | None, float | None] | None = None
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_clamp("Gemm", self.clamp)
