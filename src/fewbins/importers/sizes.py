# SPDX-License-Identifier: Apache-2.0
"""Sizes that are only known at run time, and arithmetic on them.

Exporters write a reshape of a free batch as Shape, Gather, Concat, Reshape. The importer follows such values as
`Symbol`s: a number times free sizes. What is not of that form (a sum of two free sizes, a size divided by 3) becomes a
free size of its own, named by its expression, so that equal expressions stay equal.

>>> h = Symbol.of("height")
>>> h * 2, (h * 2) // 2 == h, h + 1
(Symbol(2*height), True, Symbol(height+1))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fewbins.graph import Dim

Number = int | float | Fraction


@dataclass(frozen=True)
class Symbol:
    """`coefficient` times the product of free sizes, which are all positive.

    Attributes:
        names: the free sizes, sorted, at least one; a name may occur more than once.
        coefficient: positive or negative, not zero.
    """

    names: tuple[str, ...]
    coefficient: Fraction = Fraction(1)

    @classmethod
    def of(cls, name: str) -> Symbol:
        """The free size of that name."""
        return cls((name,))

    def __str__(self) -> str:
        """A readable expression."""
        product = "*".join(self.names)
        return product if self.coefficient == 1 else f"{self.coefficient}*{product}"

    def __repr__(self) -> str:
        """The expression, marked as a symbol."""
        return f"Symbol({self})"

    def __mul__(self, other: Size) -> Size:
        """The product."""
        if isinstance(other, Symbol):
            return Symbol(tuple(sorted(self.names + other.names)), self.coefficient * other.coefficient)
        scaled = self.coefficient * Fraction(other)
        return Symbol(self.names, scaled) if scaled else 0

    __rmul__ = __mul__

    def __neg__(self) -> Symbol:
        """The negative."""
        return Symbol(self.names, -self.coefficient)

    def __add__(self, other: Size) -> Size:
        """The sum: exact for multiples of the same sizes, else a free size of its own."""
        if isinstance(other, Symbol):
            if other.names == self.names:
                total = self.coefficient + other.coefficient
                return Symbol(self.names, total) if total else 0
        elif other == 0:
            return self
        return Symbol.of(f"{self}+{other}" if isinstance(other, Symbol) or other >= 0 else f"{self}{other}")

    def __radd__(self, other: Number) -> Size:
        """The sum with a number."""
        return self + other

    def __sub__(self, other: Size) -> Size:
        """The difference."""
        return self + (-other)

    def __rsub__(self, other: Number) -> Size:
        """The difference from a number."""
        return (-self) + other

    def __truediv__(self, other: Size) -> Size:
        """The exact quotient, or a free size of its own."""
        if isinstance(other, Symbol):
            left = list(self.names)
            for name in other.names:
                if name not in left:
                    return Symbol.of(f"({self})/({other})")
                left.remove(name)
            ratio = self.coefficient / other.coefficient
            return Symbol(tuple(left), ratio) if left else _plain(ratio)
        return Symbol(self.names, self.coefficient / Fraction(other))

    def __rtruediv__(self, other: Number) -> Size:
        """A number divided by a free size."""
        return Symbol.of(f"{other}/({self})")

    def floor(self) -> Symbol:
        """Rounded down: itself where it is a whole multiple."""
        return self if self.coefficient.denominator == 1 else Symbol.of(f"floor({self})")

    def ceil(self) -> Symbol:
        """Rounded up: itself where it is a whole multiple."""
        return self if self.coefficient.denominator == 1 else Symbol.of(f"ceil({self})")

    def __floordiv__(self, other: Size) -> Size:
        """The quotient rounded down, as integer division of sizes is."""
        return floor(self / other)

    def __rfloordiv__(self, other: Number) -> Size:
        """A number divided by a free size, rounded down."""
        return floor(other / self)


Size = int | float | Fraction | Symbol


def floor(size: Size) -> Size:
    """The greatest whole size that is not greater."""
    return size.floor() if isinstance(size, Symbol) else int(size // 1)


def ceil(size: Size) -> Size:
    """The least whole size that is not less."""
    return size.ceil() if isinstance(size, Symbol) else -int(-size // 1)


def _plain(ratio: Fraction) -> int | Fraction:
    return ratio.numerator if ratio.denominator == 1 else ratio


def equal(a: Size, b: Size) -> bool | None:
    """Whether two sizes are equal; None where that depends on a free size.

    Free sizes are at least 1, so none of them equals a number below their coefficient.

    >>> equal(Symbol.of("batch"), -1), equal(Symbol.of("batch"), 1)
    (False, None)
    """
    if not isinstance(a, Symbol) and not isinstance(b, Symbol):
        return bool(a == b)
    if a == b:
        return True
    symbol, other = (a, b) if isinstance(a, Symbol) else (b, a)
    if isinstance(symbol, Symbol) and not isinstance(other, Symbol) and _at_least_coefficient(symbol, other):
        return False
    return None


def _at_least_coefficient(symbol: Symbol, number: Number) -> bool:
    # A compound name such as "height+-3" may be any number, so nothing is known about it.
    plain = all(not set(name) & set("+-/()") for name in symbol.names)
    return plain and symbol.coefficient > 0 and number < symbol.coefficient


def product(sizes: Sequence[Size]) -> Size:
    """The product of sizes.

    >>> product([2, Symbol.of("batch"), 3])
    Symbol(6*batch)
    """
    total: Size = 1
    for size in sizes:
        total = size * total
    return total


def from_dim(dim: Dim, tensor: str, axis: int) -> Size:
    """A size of a tensor; a free size that starts with "?" is only equal to itself, so it gets a name of its own."""
    if isinstance(dim, int):
        return dim
    return Symbol.of(f"?{tensor}.{axis}" if dim.startswith("?") else dim)
