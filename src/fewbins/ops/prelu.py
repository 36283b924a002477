# SPDX-License-Identifier: Apache-2.0
"""PRelu: a leaky ReLU whose slope is a constant per channel."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import attributes


@attributes("PRelu")
@dataclass(frozen=True)
class PReluAttrs:
    """Attributes of PRelu: input (x), float32; param slope (C,) or (1,), along axis 1. There are none."""
