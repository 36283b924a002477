# SPDX-License-Identifier: Apache-2.0
"""Binary: a function of two tensors, element by element, with broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.ops.base import Requantize, attributes, check_choice, check_clamp

FUNCTIONS = ("add", "sub", "mul", "div", "pow", "max", "min")
QUANTIZED_FUNCTIONS = ("add", "sub", "mul")


@attributes("Binary")
@dataclass(frozen=True)
class BinaryAttrs:
    """Attributes of Binary: inputs (a, b), either of which may be a constant; NumPy's broadcasting.

    Attributes:
        function: one of `FUNCTIONS`; quantized: add, sub, mul.
        clamp: as Conv's.
        requantize: None for float arithmetic.
    """

    function: str
    clamp: tuple[float | None, float | None] | None = None
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Binary function", self.function, FUNCTIONS)
        check_clamp("Binary", self.clamp)
        if self.requantize is not None:
            check_choice("quantized Binary function", self.function, QUANTIZED_FUNCTIONS)
            if self.requantize.negate_residual and self.function != "sub":
                raise GraphError(f"Binary {self.function} cannot negate its second operand; only sub can")
