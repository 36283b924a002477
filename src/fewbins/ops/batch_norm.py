# SPDX-License-Identifier: Apache-2.0
"""BatchNormalization: between the importer and the pass that folds it, never in a file."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import attributes


@attributes("BatchNormalization")
@dataclass(frozen=True)
class BatchNormAttrs:
    """Attributes of BatchNormalization: input (x), float32; params scale, bias, mean, var, each (C,) along axis 1.

    Attributes:
        epsilon: added to the variance.
    """

    epsilon: float = 1e-5
