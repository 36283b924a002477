# SPDX-License-Identifier: Apache-2.0
"""Requantize: levels of one affine become levels of another."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import Requantize, attributes


@attributes("Requantize")
@dataclass(frozen=True)
class RequantizeAttrs:
    """Attributes of Requantize: input (x), levels; `acc = q - z`; params multiplier (1,) or (C,) along axis 1.

    A ReLU, Clip, LeakyReLU or PReLU that stands alone, a product with a constant, an input of a Concat.

    Attributes:
        requantize: section 4 of docs/numerics.md.
    """

    requantize: Requantize
