# SPDX-License-Identifier: Apache-2.0
"""Scales of weights, tables, and the repair of biases."""

from __future__ import annotations

import numpy as np
import pytest

from fewbins.levels import Levels
from fewbins.rounding import bias_correction
from fewbins.rounding.lut import fit_table, nearest_entry
from fewbins.rounding.nearest import asymmetric_scales, round_rows, symmetric_scales


def column(scale: np.ndarray) -> np.ndarray:
    return scale.reshape(-1, 1) if scale.ndim else scale


def error(rows: np.ndarray, levels: Levels, scale: np.ndarray, zero_point: int = 0) -> float:
    q = round_rows(rows, scale, levels, zero_point).astype(np.float64)
    assert q.min() >= levels.lo and q.max() <= levels.hi
    return float((((q - zero_point) * column(scale) - rows) ** 2).mean())


@pytest.fixture
def rows(rng) -> np.ndarray:
    spread = 10.0 ** rng.uniform(-3, 1, (16, 1))
    return (rng.laplace(0, 1, (16, 400)) * spread).astype(np.float32)


@pytest.mark.parametrize("bins", [3, 15, 23, 33, 255])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("po2", [True, False])
def test_mse_scales_have_the_least_error(rows, bins, per_channel, po2):
    levels = Levels.weights(bins)
    errors = {
        observer: error(
            rows, levels, symmetric_scales(rows, levels, per_channel=per_channel, observer=observer, po2=po2)
        )
        for observer in ("mse", "minmax", "percentile")
    }
    assert errors["mse"] <= min(errors.values()) * 1.001, errors


def test_mse_scales_are_near_the_best_of_a_dense_search(rows):
    levels = Levels.weights(23)
    found = symmetric_scales(rows, levels, per_channel=True)
    for row, scale in zip(rows, found, strict=True):
        dense = [error(row[None], levels, np.float32([np.abs(row).max() / 11 * f])) for f in np.linspace(0.1, 1, 400)]
        assert error(row[None], levels, scale.reshape(1)) <= 1.01 * min(dense)


def test_scales_of_powers_of_two_are_that(rows):
    for observer in ("mse", "minmax"):
        scale = symmetric_scales(rows, Levels.weights(255), per_channel=True, observer=observer, po2=True)
        assert (np.frexp(scale)[0] == 0.5).all()


def test_a_channel_without_weights_has_scale_zero_for_the_builder_to_raise(rows):
    rows[3] = 0
    scale = symmetric_scales(rows, Levels.weights(33), per_channel=True)
    assert scale[3] == 0 and (np.delete(scale, 3) > 0).all()


def test_a_zero_point_helps_weights_that_lean_to_one_side(rng):
    rows = rng.uniform(-0.2, 1.0, (8, 200)).astype(np.float32)
    scale, zero_point = asymmetric_scales(rows, Levels.u4(), per_channel=False)
    symmetric = symmetric_scales(rows, Levels.weights(16), per_channel=False)
    assert 0 < zero_point < 7
    assert error(rows, Levels.u4(), scale, zero_point) < 0.5 * error(rows, Levels.weights(16), symmetric)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("po2", [True, False])
def test_a_table_of_16_beats_16_even_steps(rng, per_channel, po2):
    rows = rng.laplace(0, 0.1, (8, 2000)).astype(np.float32)
    table, scale = fit_table(rows, per_channel=per_channel, po2=po2)
    assert len(set(table.tolist())) == 16 and table.min() >= -127
    real = table[nearest_entry(rows, scale, table)].astype(np.float64) * column(scale)
    even = symmetric_scales(rows, Levels.weights(16), per_channel=per_channel)
    assert ((real - rows) ** 2).mean() < 0.8 * error(rows, Levels.weights(16), even)


def test_the_nearest_entry_is_the_nearest(rng):
    table = np.sort(rng.choice(np.arange(-127, 128), 16, replace=False)).astype(np.int8)
    rows = rng.uniform(-140, 140, (4, 500)).astype(np.float32)
    chosen = np.abs(table[nearest_entry(rows, np.float32([1, 1, 1, 1]), table)] - rows)
    np.testing.assert_array_equal(chosen, np.abs(table.astype(np.float32)[:, None, None] - rows).min(0))


def test_a_table_keeps_zero_where_weights_are_pruned(rng):
    rows = rng.normal(0, 1, (4, 100)).astype(np.float32)
    rows[2] = 0
    table, scale = fit_table(rows, per_channel=True, po2=False)
    assert 0 in table and scale[2] == 0


def relu(t: np.ndarray) -> np.ndarray:
    return np.maximum(t, np.float32(0))


def test_means_match_behind_the_activation(rng):
    before = rng.normal(-0.5, 1, (4000, 6)).astype(np.float32)
    noisy = before + rng.normal(0.3, 0.4, before.shape).astype(np.float32)
    shift = bias_correction.correct(noisy, relu(before), relu)
    got = relu(noisy + shift.astype(np.float32)).mean(0)
    np.testing.assert_allclose(got, relu(before).mean(0), atol=2e-3)
    # Matching before the activation would take back 0.3 and leave the mean of the noise that the ReLU has cut.
    assert (np.abs(shift + 0.3) > 0.02).all()


def test_a_correction_that_raises_the_error_is_not_made():
    """The only way to the wanted mean flips samples that were right: that costs far more than the mean is worth."""
    before = np.concatenate([np.full(90, 0.9), np.full(10, -1.0)]).astype(np.float32)[:, None]
    step = lambda t: (t > 0).astype(np.float32)
    target = step(before) + np.float32(0.05)
    assert not bias_correction.lowers_error(before, target, step, np.array([1.5])).item()
    assert bias_correction.correct(before, target, step).item() == 0.0


def test_a_channel_that_is_right_stays_as_it_is(rng):
    before = rng.normal(0, 1, (1000, 3)).astype(np.float32)
    np.testing.assert_array_equal(bias_correction.correct(before, relu(before), relu), np.zeros(3))
