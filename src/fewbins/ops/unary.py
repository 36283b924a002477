# SPDX-License-Identifier: Apache-2.0
"""Unary: a function of one float tensor, element by element."""

from __future__ import annotations

from dataclasses import dataclass

from fewbins.ops.base import attributes, check_choice

FUNCTIONS = (
    "relu", "leaky_relu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "silu", "gelu", "gelu_tanh", "exp", "sqrt",
    "erf", "abs", "neg", "log", "softplus", "elu", "reciprocal", "floor", "ceil", "pow", "clip",
)  # fmt: skip


@attributes("Unary")
@dataclass(frozen=True)
class UnaryAttrs:
    """Attributes of Unary: input (x), float32; the output likewise.

    Attributes:
        function: one of `FUNCTIONS`.
        alpha: leaky_relu's slope, hard_sigmoid's and elu's alpha, pow's exponent.
        beta: hard_sigmoid's beta.
        lo: clip's lower end, None for none.
        hi: clip's upper end, None for none.
    """

    function: str
    alpha: float = 0.0
    beta: float = 0.0
    lo: float | None = None
    hi: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Unary function", self.function, FUNCTIONS)
