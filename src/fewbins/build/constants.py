# SPDX-License-Identifier: Apache-2.0
"""The constants of section 4 of docs/numerics.md, for one node."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fewbins.errors import ArgumentError, CalibrationError
from fewbins.numerics import (
    check_shift_spread,
    fixed_multiplier,
    fixed_residual_multipliers,
    float_multiplier,
    is_power_of_two,
    shift_amount,
)

F64 = npt.NDArray[np.float64]
Constants = dict[str, npt.NDArray[Any]]


def requantize_constants(
    rule: str, m64: F64, *, residual: float | None = None, negative: F64 | None = None, where: str = "node"
) -> tuple[str, Constants]:
    """The kind of a node and its params.

    Args:
        rule: "float", "fixed" or "shift" as the scheme asks, or "dequantize".
        m64: real multipliers, (1,) or (C,).
        residual: real multiplier of the second operand; negative for a subtraction.
        negative: real multipliers where the accumulator is negative, (1,) or (C,).
        where: names the node in errors.

    Returns:
        The kind, which is "fixed" where "shift" was asked for and a multiplier is no power of two; params by role.

    >>> requantize_constants("shift", np.array([0.25]))
    ('shift', {'shift': array([2], dtype=int32)})
    >>> requantize_constants("shift", np.array([0.3]))[0]
    'fixed'
    """
    try:
        return _constants(rule, m64, residual, negative)
    except (CalibrationError, ArgumentError) as error:
        raise CalibrationError(f"{where}: {error}") from error


def mean_rule(rule: str) -> str:
    """The kind of a mean or a sum, whose multipliers depend on the input's size: `shift` becomes `fixed`."""
    return "fixed" if rule == "shift" else rule


def _constants(rule: str, m64: F64, residual: float | None, negative: F64 | None) -> tuple[str, Constants]:
    if rule == "shift" and negative is None and _shifts(m64, residual):
        params: Constants = {"shift": shift_amount(m64)}
        if residual is not None:
            params["residual_shift"] = shift_amount([abs(residual)])
            check_shift_spread(params["shift"], params["residual_shift"])
        return "shift", params
    if rule in ("float", "dequantize"):
        params = {"multiplier": float_multiplier(m64)}
        if residual is not None:
            params["residual_multiplier"] = float_multiplier([residual])
        if negative is not None:
            params["multiplier_neg"] = float_multiplier(negative)
        return rule, params
    if residual is not None:
        multiplier, residual_multiplier, exponent = fixed_residual_multipliers(m64, residual)
        return "fixed", {"multiplier": multiplier, "residual_multiplier": residual_multiplier, "exponent": exponent}
    multiplier, exponent = fixed_multiplier(m64)
    params = {"multiplier": multiplier, "exponent": exponent}
    if negative is not None:
        params["multiplier_neg"], params["exponent_neg"] = fixed_multiplier(negative)
    return "fixed", params


def _shifts(m64: F64, residual: float | None) -> bool:
    return bool(np.all(is_power_of_two(m64))) and (residual is None or bool(is_power_of_two(abs(residual))))
