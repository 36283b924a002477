# SPDX-License-Identifier: Apache-2.0
"""Repair of biases: the mean of every channel, after its activation, becomes what it is in the float network.

Rounded weights and clipped activations shift means, and the shifts add up from layer to layer. Matching the mean before
the activation is not enough, and harmful in deep networks with few bins: noise that a ReLU cuts on one side has a mean
of its own, and corrections that ignore it drive activations to zero layer by layer.

Source: the idea is bias correction (Nagel et al. 2019, arXiv 1906.04721, section 4.2); matching after the activation,
and rejecting what raises the error, are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Activation = Callable[[F32], F32]

_STEPS = 8
_TOLERANCE = 1e-4  # of the channel's spread


def correct(before: F32, target: F32, activation: Activation) -> F64:
    """What to add to each channel's bias.

    Args:
        before: samples of the layer with quantized input and weights, before its activation: (samples, C).
        target: the same samples of the float network, after its activation: (samples, C).
        activation: maps the first to what the second should be, element by element; it includes the saturation of the
            output's levels.

    Returns:
        (C,): the shift that makes the means equal; 0 for a channel whose squared error it would not lower.

    >>> relu = lambda t: np.maximum(t, np.float32(0))
    >>> t = np.linspace(-1, 1, 2001, dtype=np.float32)[:, None]
    >>> np.round(correct(t - np.float32(0.25), relu(t), relu), 3).tolist()
    [0.25]
    """
    goal = target.mean(axis=0, dtype=np.float64)
    spread = np.maximum(before.std(axis=0, dtype=np.float64), 1e-30)
    shift = np.zeros(before.shape[1])
    low, high = np.full_like(shift, -np.inf), np.full_like(shift, np.inf)
    for _ in range(_STEPS):
        moved = before + shift.astype(np.float32)
        gap = goal - activation(moved).mean(axis=0, dtype=np.float64)
        open_ = np.abs(gap) > _TOLERANCE * spread
        if not open_.any():
            break
        low, high = np.where(gap > 0, shift, low), np.where(gap < 0, shift, high)
        probe = (0.05 * spread).astype(np.float32)
        slope = (activation(moved + probe) - activation(moved - probe)).mean(axis=0, dtype=np.float64) / (2 * probe)
        step = gap / np.maximum(slope, 0.05)
        step = np.clip(step, -2 * spread, 2 * spread)
        after = shift + np.where(open_, step, 0.0)
        # A step beyond a bound that an earlier step has set goes half the way to it instead.
        outside = (after <= low) | (after >= high)
        with np.errstate(invalid="ignore"):
            middle = np.where(np.isfinite(low) & np.isfinite(high), (low + high) / 2, shift)
        shift = np.where(open_ & outside, middle, after)
    return np.where(lowers_error(before, target, activation, shift), shift, 0.0)


def lowers_error(before: F32, target: F32, activation: Activation, shift: F64) -> npt.NDArray[np.bool_]:
    """For each channel, whether the shift lowers the squared error of the layer's output on the samples."""
    old = np.square(activation(before) - target, dtype=np.float64).sum(axis=0)
    new = np.square(activation(before + shift.astype(np.float32)) - target, dtype=np.float64).sum(axis=0)
    return np.asarray(new < old)
