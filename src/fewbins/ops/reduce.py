# SPDX-License-Identifier: Apache-2.0
"""Reduce: a sum, mean, product, maximum or minimum over some axes."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import Requantize, attributes, check_choice

FUNCTIONS = ("mean", "sum", "max", "min", "prod")


@attributes("Reduce")
@dataclass(frozen=True)
class ReduceAttrs:
    """Attributes of Reduce: input (x).

    Attributes:
        function: one of `FUNCTIONS`; prod is float only.
        axes: the axes to reduce, not negative, ascending, at least one.
        keepdims: reduced axes stay, of size 1.
        requantize: mean and sum on levels only.
    """

    function: str
    axes: tuple[int, ...]
    keepdims: bool = True
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Reduce function", self.function, FUNCTIONS)
        if not self.axes or self.axes[0] < 0 or list(self.axes) != sorted(set(self.axes)):
            raise GraphError(f"Reduce: axes {self.axes} must be one or more, ascending and not negative")
        if self.requantize is not None:
            check_choice("requantized Reduce function", self.function, ("mean", "sum"))
