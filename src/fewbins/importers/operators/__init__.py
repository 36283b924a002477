# SPDX-License-Identifier: Apache-2.0
"""The ONNX operators that can be imported; one small function each, in files by topic."""

from fewbins.importers.operators import (
    arithmetic,
    einsum,
    elementwise,
    folds,
    grid,
    heads,
    movement,
    normalization,
    products,
    reshaping,
    resize,
    windows,
)
from fewbins.importers.operators.base import OPERATORS, Operator

__all__ = [
    "OPERATORS",
    "Operator",
    "arithmetic",
    "einsum",
    "elementwise",
    "folds",
    "grid",
    "heads",
    "movement",
    "normalization",
    "products",
    "reshaping",
    "resize",
    "windows",
]
