# SPDX-License-Identifier: Apache-2.0
"""Exact Winograd in the contract's form: growth against exhaustive extremes, results against convolution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fewbins.errors import ArgumentError
from fewbins.levels import Levels
from fewbins.numerics import WINOGRAD_FORMS, division_is_exact, growth, winograd_conv

FORMS = list(WINOGRAD_FORMS.values())
names = pytest.mark.parametrize("form", FORMS, ids=list(WINOGRAD_FORMS))


def direct(q: np.ndarray, w: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(q.astype(np.int64), (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w.astype(np.int64))


@names
def test_growth_is_reached_by_the_extremes_and_never_passed(form):
    for factors in (np.array(form.b), np.array(form.g)):
        for low, high in ((-13, 12), (-128, 127), (-11, 11)):
            corners = np.array(list(itertools.product((low, high), repeat=factors.shape[1])))
            values = factors @ corners.T
            bounds = growth(factors, low, high)
            np.testing.assert_array_equal(bounds[:, 0], values.min(axis=1))
            np.testing.assert_array_equal(bounds[:, 1], values.max(axis=1))


@names
def test_growth_of_every_position_is_reached(form):
    low, high = -128, 127
    for factors in (form.input_factors(), form.weight_factors()):
        bounds = growth(factors, low, high)
        largest = np.where(factors > 0, high, low)
        smallest = np.where(factors > 0, low, high)
        np.testing.assert_array_equal(bounds[:, 1], (factors * largest).sum(axis=1))
        np.testing.assert_array_equal(bounds[:, 0], (factors * smallest).sum(axis=1))


@pytest.mark.parametrize(
    ("name", "bins", "magnitude", "v", "u"),
    [
        ("f2", 128, 42, (-128, 127), 126),
        ("f4", 26, 18, (-128, 125), 126),
        ("f2x2", 64, 14, (-128, 126), 126),
        ("f4x4", 256, 127, (-12768, 12750), 6223),
    ],
)
def test_the_table_of_the_contract(name, bins, magnitude, v, u):
    form, levels = WINOGRAD_FORMS[name], Levels.of(bins)
    inputs = growth(form.input_factors(), levels.lo, levels.hi)
    assert (inputs.min(), inputs.max()) == v
    assert growth(form.weight_factors(), -magnitude, magnitude).max() == u


@names
@pytest.mark.parametrize(("height", "width"), [(3, 3), (4, 6), (6, 6), (7, 12), (11, 9)])
def test_equals_the_convolution(form, height, width):
    rng = np.random.default_rng(height * width)
    q = rng.integers(-128, 128, (2, 5, height, width))
    w = rng.integers(-127, 128, (4, 5, 3, 3))
    np.testing.assert_array_equal(winograd_conv(form, q, w), direct(q, w))


@names
def test_equals_the_convolution_at_the_largest_proven_depth_of_extremes(form):
    limit = (2 ** (31 - form.shift) - 1) // (128 * 127 * 9)
    channels = min(limit, 600)  # the row forms take more than anybody has
    w = np.full((1, channels, 3, 3), 127)
    assert division_is_exact(form, w, Levels.of(256))
    assert not division_is_exact(form, np.full((1, limit + 1, 3, 3), 127), Levels.of(256))
    for level in (-128, 127):
        q = np.full((1, channels, 6, 6), level)
        np.testing.assert_array_equal(winograd_conv(form, q, w), direct(q, w))


def test_one_channel_past_the_bound_wraps():
    form = WINOGRAD_FORMS["f4x4"]
    w = np.full((1, 230, 3, 3), 127)
    q = np.full((1, 230, 6, 6), -128)
    assert (winograd_conv(form, q, w) != direct(q, w)).any()
    for channels in (230, 256, 512):
        assert not division_is_exact(form, np.full((1, channels, 3, 3), 127), Levels.of(256))


def test_kernels_of_another_size_are_refused():
    with pytest.raises(ArgumentError, match="3x3"):
        winograd_conv(WINOGRAD_FORMS["f2"], np.zeros((1, 2, 5, 5)), np.zeros((1, 2, 5, 5)))
