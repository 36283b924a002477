# SPDX-License-Identifier: Apache-2.0
"""Exact Winograd: 3x3 convolutions with fewer products and not one bit of difference (docs/numerics.md, section 6).

The engine has its own matrices and its own order of work (engine/kernels/winograd/); this is the contract's form, plain
and slow, against which a reader or a test can hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewbins.errors import ArgumentError
from fewbins.levels import Levels
from fewbins.numerics.affine import I32, Integers

_B2 = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_G2 = ((1, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 1))
_A2 = ((2, 1, 1, 0), (0, 1, -1, -2))
# Row 1 of B^T and of G is negated, so that 26 bins grow to -128..125 and not to 128.
_B4 = (
    (4, 0, -5, 0, 1, 0),
    (0, 4, 4, -1, -1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_G4 = ((1, 0, 0), (1, 1, 1), (-1, 1, -1), (1, 2, 4), (1, -2, 4), (0, 0, 1))
_A4 = ((6, 4, 4, 1, 1, 0), (0, 4, -4, 2, -2, 0), (0, 4, 4, 4, 4, 0), (0, 4, -4, 8, -8, 24))


@dataclass(frozen=True)
class WinogradForm:
    """`Y = A^T [(G g G^T) . (B^T d B)] A / (odd * 2**shift)`, all integers; row forms have the right half only.

    Attributes:
        name: "f2x2", "f4x4", or "f2" and "f4" for rows.
        tile: outputs along an axis; `tile + 2` inputs and products.
        two_d: both axes; a row form transforms lines and sums over the kernel's three rows.
        b, g, a: `B^T`, `G`, `A^T`, rows of integers.
        odd, shift: the divisor at the end is `odd * 2**shift`.
    """

    name: str
    tile: int
    two_d: bool
    b: tuple[tuple[int, ...], ...]
    g: tuple[tuple[int, ...], ...]
    a: tuple[tuple[int, ...], ...]
    odd: int
    shift: int

    def input_factors(self) -> Integers:
        """Of every position (rows) for every input of a tile (columns): the matrix from `d` to `V`."""
        return self._on_both_axes(self.b)

    def weight_factors(self) -> Integers:
        """The matrix from a 3x3 kernel, or one line of it, to `U`."""
        return self._on_both_axes(self.g)

    def output_factors(self) -> Integers:
        """The matrix from the positions to `odd * 2**shift * Y`."""
        return self._on_both_axes(self.a)

    def _on_both_axes(self, rows: tuple[tuple[int, ...], ...]) -> Integers:
        matrix = np.array(rows, np.int64)
        return np.kron(matrix, matrix) if self.two_d else matrix


WINOGRAD_FORMS = {
    form.name: form
    for form in (
        WinogradForm("f2x2", 2, True, _B2, _G2, _A2, 1, 2),
        WinogradForm("f4x4", 4, True, _B4, _G4, _A4, 9, 6),
        WinogradForm("f2", 2, False, _B2, _G2, _A2, 1, 1),
        WinogradForm("f4", 4, False, _B4, _G4, _A4, 3, 3),
    )
}
"""The forms by name."""


def growth(factors: Integers, low: int, high: int) -> Integers:
    """The exact range of every row of `factors @ x`, for `x` in `low..high`: both ends are reached.

    Args:
        factors: integers of shape (rows, columns).
        low: smallest entry of `x`.
        high: largest entry of `x`.

    Returns:
        Integers of shape (rows, 2): smallest and largest.

    >>> growth(np.array([[1, 0, -1, 0], [0, 1, 1, 0]]), -64, 63)
    array([[-127,  127],
           [-128,  126]])
    >>> v = growth(WINOGRAD_FORMS["f4x4"].input_factors(), -128, 127)
    >>> int(v.min()), int(v.max())
    (-12768, 12750)
    >>> int(growth(WINOGRAD_FORMS["f4x4"].weight_factors(), -127, 127).max())
    6223
    """
    positive, negative = np.maximum(factors, 0).sum(axis=1), np.minimum(factors, 0).sum(axis=1)
    return np.stack([positive * low + negative * high, positive * high + negative * low], axis=1)


def division_is_exact(form: WinogradForm, weights: Integers, levels: Levels) -> bool:
    """Whether every `y = sum q_a * q_w` of a layer lies in `-2**(31 - shift) .. 2**(31 - shift) - 1`.

    Args:
        form: the form.
        weights: integers of shape (C_out, C_in, 3, 3).
        levels: of the input.

    Returns:
        The proof's answer: True only if it holds for all inputs.

    >>> extreme = np.full((1, 229, 3, 3), 127)
    >>> division_is_exact(WINOGRAD_FORMS["f4x4"], extreme, Levels.of(256))
    True
    >>> division_is_exact(WINOGRAD_FORMS["f4x4"], np.full((1, 230, 3, 3), 127), Levels.of(256))
    False
    """
    sums = np.abs(np.asarray(weights).astype(np.int64)).reshape(len(weights), -1).sum(axis=1)
    bound: int = 2 ** (31 - form.shift)
    return int(levels.magnitude * sums.max()) < bound


def winograd_conv(form: WinogradForm, q: Integers, weights: Integers) -> I32:
    """A valid 3x3 convolution of stride 1 through a form, with every sum modulo 2**32.

    One tile by hand, F(2,3) on the row `d = 1 2 3 4` with the kernel line `g = 1 2 3`: `V = (1-3, 2+3, 3-2, 2-4) =
    (-2, 5, 1, -2)`, `U = (1, 6, 2, 3)`, products `M = (-2, 30, 2, -6)`, `A^T M = (2*-2 + 30 + 2, 30 - 2 - 2*-6) =
    (28, 40)`, halved `(14, 20)`: `1*1 + 2*2 + 3*3` and `1*2 + 2*3 + 3*4`.

    Args:
        form: the form.
        q: levels of shape (N, C_in, H, W), padding included, H and W at least 3.
        weights: integers of shape (C_out, C_in, 3, 3).

    Returns:
        int32 of shape (N, C_out, H - 2, W - 2), equal to the convolution wherever `division_is_exact` holds.

    Raises:
        ArgumentError: the kernel is not 3x3, or the input is smaller.

    >>> line = np.array([[[[0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]]]])
    >>> kernel = np.array([[[[0, 0, 0], [1, 2, 3], [0, 0, 0]]]])
    >>> winograd_conv(WINOGRAD_FORMS["f2"], line, kernel).tolist()
    [[[[14, 20]]]]
    """
    images, channels, height, width = q.shape
    if weights.shape[2:] != (3, 3) or weights.shape[1] != channels or min(height, width) < 3:
        raise ArgumentError(f"weights of shape {weights.shape} are not 3x3 kernels for an input of shape {q.shape}")
    rows, columns = height - 2, width - 2
    tile, points = form.tile, form.tile + 2
    lines = tile if form.two_d else 1
    depth = points if form.two_d else 1  # input lines of a tile
    kernels = np.asarray(weights).astype(np.int64).reshape(len(weights), channels, *((1, 9) if form.two_d else (3, 3)))
    u = kernels @ form.weight_factors().T  # (C_out, C_in, taps, positions)
    across, down = -(-columns // tile), -(-rows // lines)
    padded = np.zeros((images, channels, down * lines + 2, across * tile + 2), np.int64)
    padded[:, :, :height, :width] = q
    out = np.zeros((images, len(weights), down * lines, across * tile), np.int64)
    for y in range(0, down * lines, lines):
        for x in range(0, across * tile, tile):
            sums = np.zeros((images, len(weights), u.shape[3]), np.int64)
            for tap in range(u.shape[2]):
                d = padded[:, :, y + tap : y + tap + depth, x : x + points].reshape(images, channels, -1)
                v = d @ form.input_factors().T
                sums += np.einsum("ncp,ocp->nop", v, u[:, :, tap])
            scaled = sums @ form.output_factors().T * pow(form.odd, -1, 2**32)
            wrapped = (scaled % 2**32).astype(np.uint32).view(np.int32) >> form.shift
            out[:, :, y : y + lines, x : x + tile] = wrapped.reshape(images, len(weights), lines, tile)
    return out[:, :, :rows, :columns].astype(np.int32)
