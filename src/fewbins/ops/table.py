# SPDX-License-Identifier: Apache-2.0
"""Table: any function of one quantized tensor, as 256 bytes."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import attributes


@attributes("Table")
@dataclass(frozen=True)
class TableAttrs:
    """Attributes of Table: input (x), levels; param table uint8 (256,), from the input's `u` to the output's. None."""
