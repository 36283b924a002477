# SPDX-License-Identifier: Apache-2.0
"""Quantize and Dequantize: where float32 and levels meet."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import attributes


@attributes("Quantize")
@dataclass(frozen=True)
class QuantizeAttrs:
    """Attributes of Quantize: input (x), float32; the output is levels by its own affine. There are none."""


@attributes("Dequantize")
@dataclass(frozen=True)
class DequantizeAttrs:
    """Attributes of Dequantize: input (x), levels; the output is float32 by the input's affine. There are none."""
