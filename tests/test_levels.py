# SPDX-License-Identifier: Apache-2.0
"""L0: levels, the 21 pairs and the 16-bit depths against the published table and against exhaustive search."""

from __future__ import annotations

import pytest

from fewbins.errors import FewbinsError, SchemeError
from fewbins.levels import (
    U4_DEPTH,
    Levels,
    average_bits,
    depth16,
    depth16_unsigned,
    fits_dot16,
    pairs,
)

# bins of activations, bins of weights, largest product, average bits, signed depth, depth of the unsigned x86 form
PUBLISHED = [
    (255, 3, 127, 4.790, 258, 129),
    (127, 5, 126, 4.655, 260, 130),
    (85, 7, 126, 4.608, 260, 130),
    (63, 9, 124, 4.574, 264, 132),
    (51, 11, 125, 4.566, 262, 131),
    (43, 13, 126, 4.563, 260, 130),
    (37, 15, 126, 4.558, 260, 130),
    (31, 17, 120, 4.521, 273, 136),
    (29, 19, 126, 4.553, 260, 130),
    (25, 21, 120, 4.518, 273, 136),
    (23, 23, 121, 4.524, 270, 135),
]


def test_derived_pairs_are_the_published_21() -> None:
    """Ten rows, their mirrors, and 23x23, which is its own mirror."""
    published = {(a, w) for a, w, *_ in PUBLISHED} | {(w, a) for a, w, *_ in PUBLISHED}
    assert len(pairs()) == 21
    assert set(pairs()) == published


@pytest.mark.parametrize(("bins_a", "bins_w", "product", "bits", "signed", "unsigned"), PUBLISHED)
def test_published_products_bits_and_depths_are_derived(
    bins_a: int, bins_w: int, product: int, bits: float, signed: int, unsigned: int
) -> None:
    """Both orders of a pair have the same product, bits and depths."""
    for a, w in ((bins_a, bins_w), (bins_w, bins_a)):
        h_a, h_w = Levels.of(a).magnitude, Levels.weights(w).magnitude
        assert h_a * h_w == product
        assert average_bits(a, w) == pytest.approx(bits, abs=5e-4)
        assert depth16(h_a, h_w) == signed
        assert depth16_unsigned(h_a, h_w) == unsigned


def test_no_pair_can_grow_on_either_side() -> None:
    """Exhaustive: a listed pair has a product of at most 127, and the next odd bin on either side has more."""
    maximal = {
        (2 * a + 1, 2 * w + 1)
        for a in range(1, 128)
        for w in range(1, 128)
        if a * w <= 127 and (a + 1) * w > 127 and a * (w + 1) > 127
    }
    assert set(pairs()) == maximal


@pytest.mark.parametrize("bins", range(3, 257))
def test_activation_levels_use_every_bin_and_hold_zero(bins: int) -> None:
    """Odd: symmetric; even: one more below zero."""
    levels = Levels.of(bins)
    assert levels.bins == bins
    assert levels.hi + levels.lo == (0 if bins % 2 else -1)


@pytest.mark.parametrize("bins", range(3, 257))
def test_weight_levels_are_symmetric(bins: int) -> None:
    """ceil(N / 2) - 1 on both sides."""
    levels = Levels.weights(bins)
    assert levels.hi == -levels.lo == -(-bins // 2) - 1
    assert levels.bins == bins - (bins % 2 == 0)


def test_named_levels_are_those_of_the_contract() -> None:
    """8bit, 4bit and u4."""
    assert (Levels.of(256), Levels.weights(256)) == (Levels(-128, 127), Levels(-127, 127))
    assert (Levels.of(16), Levels.weights(15)) == (Levels(-8, 7), Levels(-7, 7))
    assert Levels.u4() == Levels(0, 15)
    assert U4_DEPTH == 291


def test_any_pair_within_4095_has_eight_products_per_lane_and_safe_adjacent_sums() -> None:
    """The two conditions of dot16, from the bound alone; the bound is tight."""
    for h_a in range(1, 129):
        for h_w in range(1, 128):
            if fits_dot16(h_a, h_w):
                assert depth16(h_a, h_w) >= 8
                assert 2 * h_a * 2 * h_w <= 32767
    assert depth16(64, 64) == 7
    assert not fits_dot16(64, 64)
    assert fits_dot16(65, 63)


@pytest.mark.parametrize(("lo", "hi"), [(-129, 0), (0, 128), (1, 5), (-5, -1), (0, 0), (0, 1), (-1, 0)])
def test_impossible_levels_are_refused(lo: int, hi: int) -> None:
    """The message names the ends."""
    with pytest.raises(SchemeError, match=rf"levels {lo}\.\.{hi}"):
        Levels(lo, hi)


@pytest.mark.parametrize("bins", [-1, 0, 2, 257, 10**6])
def test_impossible_bin_counts_are_refused(bins: int) -> None:
    """For activations and weights, as a FewbinsError and a ValueError."""
    for make in (Levels.of, Levels.weights):
        with pytest.raises(FewbinsError, match=f"{bins} bins"):
            make(bins)
        with pytest.raises(ValueError, match="3 to 256"):
            make(bins)


def test_levels_are_hashable_values() -> None:
    """Equal ends, equal object in a set."""
    assert len({Levels(-11, 11), Levels.of(23), Levels.weights(23), Levels.weights(24)}) == 1
    assert str(Levels(-11, 11)) == "-11..11"
