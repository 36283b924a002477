# SPDX-License-Identifier: Apache-2.0
"""Sizes that are only known at run time, and arithmetic on them.

Exporters write a reshape of a free batch as Shape, Gather, Concat, Reshape. The importer follows such values as
`Symbol`s: a number times free sizes. What is not of that form (a sum of two free sizes, a size divided by 3) becomes a
free size of its own, named by its expression, so that equal expressions stay equal.

>>> h = Symbol.of("height")
>>> h * 2, (h * 2) // 2 == h, h + 1, (h + 1) * 2
(Symbol(2*height), True, Symbol(height+1), Symbol(2*(height+1)))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from fewbins.graph import Dim

Number = int | float | Fraction


@dataclass(frozen=True)
class Symbol:
    """`coefficient` times the product of free sizes.

    Attributes:
        names: the free sizes, sorted, at least one; a name may occur more than once.
        coefficient: positive or negative, not zero.
        positive: whether each of the free sizes is at least 1, as a tensor's are; of a difference nothing is known.
    """

    names: tuple[str, ...]
    coefficient: Fraction = Fraction(1)
    positive: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, name: str, *, positive: bool = True) -> Symbol:
        """The free size of that name."""
        return cls((name,), positive=positive)

    def __str__(self) -> str:
        """A readable expression."""
        if len(self.names) == 1 and self.coefficient == 1:
            return self.names[0]
        factors = [f"({name})" if set(name) & set("+-/") else name for name in self.names]
        return "*".join(factors if self.coefficient == 1 else [str(self.coefficient), *factors])

    def __repr__(self) -> str:
        """The expression, marked as a symbol."""
        return f"Symbol({self})"

    def __mul__(self, other: Size) -> Size:
        """The product."""
        if isinstance(other, Symbol):
            names, factor = tuple(sorted(self.names + other.names)), self.coefficient * other.coefficient
            return Symbol(names, factor, self.positive and other.positive)
        scaled = self.coefficient * Fraction(other)
        return Symbol(self.names, scaled, self.positive) if scaled else 0

    __rmul__ = __mul__

    def __neg__(self) -> Symbol:
        """The negative."""
        return Symbol(self.names, -self.coefficient, self.positive)

    def __add__(self, other: Size) -> Size:
        """The sum: exact for multiples of the same sizes, else a free size of its own."""
        if isinstance(other, Symbol):
            if other.names == self.names:
                total = self.coefficient + other.coefficient
                return Symbol(self.names, total, self.positive) if total else 0
        elif other == 0:
            return self
        sign = "+" if isinstance(other, Symbol) or other >= 0 else ""
        known = self.positive and self.coefficient > 0 and sign == "+"
        if isinstance(other, Symbol):
            known = known and other.positive and other.coefficient > 0
        # A sum of whole positive sizes is one, but not one of parts of them.
        whole = self.coefficient.denominator == 1
        return Symbol.of(f"{self}{sign}{other}", positive=known and whole)

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
                    return Symbol.of(f"({self})/({other})", positive=False)
                left.remove(name)
            ratio = self.coefficient / other.coefficient
            return Symbol(tuple(left), ratio, self.positive) if left else _plain(ratio)
        return Symbol(self.names, self.coefficient / Fraction(other), self.positive)

    def __rtruediv__(self, other: Number) -> Size:
        """A number divided by a free size."""
        return Symbol.of(f"{other}/({self})", positive=False)

    def floor(self) -> Symbol:
        """Rounded down: itself where it is a whole multiple."""
        return self if self.coefficient.denominator == 1 else Symbol.of(f"floor({self})", positive=False)

    def ceil(self) -> Symbol:
        """Rounded up: itself where it is a whole multiple."""
        known = self.positive and self.coefficient > 0
        return self if self.coefficient.denominator == 1 else Symbol.of(f"ceil({self})", positive=known)

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


# What Symbol.floor calls a part of a product of free sizes.
_FLOORED = re.compile(r"floor\((\d+/\d+)\*([^()]+)\)")


def unrounded(size: Symbol) -> Symbol:
    """The size with its rounded quotients taken as exact, which they are where they count a tensor's elements.

    >>> unrounded((Symbol.of("height") // 2) * 3), unrounded(Symbol.of("height"))
    (Symbol(3/2*height), Symbol(height))
    """
    exact = Symbol((), size.coefficient, size.positive)
    for name in size.names:
        found = _FLOORED.fullmatch(name)
        names, factor = (tuple(found[2].split("*")), Fraction(found[1])) if found else ((name,), Fraction(1))
        exact = Symbol(tuple(sorted(exact.names + names)), exact.coefficient * factor, size.positive)
    return exact


# What Symbol.__add__ calls the sum of a free size and a number.
_SUM = re.compile(r"(?:(\d+(?:/\d+)?)\*)?([^-+*/()]+)([-+]\d+(?:\.\d+)?)")


def terms(size: Symbol) -> tuple[Symbol, Fraction] | None:
    """A sum as its free size and its number; None for other sizes.

    >>> terms(Symbol.of("width") - 1), terms(Symbol.of("width"))
    ((Symbol(width), Fraction(-1, 1)), None)
    """
    found = _SUM.fullmatch(size.names[0]) if len(size.names) == 1 else None
    if found is None:
        return None
    part = Symbol((found[2],), Fraction(found[1] or 1) * size.coefficient)
    return part, Fraction(found[3]) * size.coefficient


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
    return symbol.positive and symbol.coefficient > 0 and number < symbol.coefficient


def at_least(a: Size, b: Size) -> bool | None:
    """Whether a >= b; None where that depends on a free size.

    >>> h = Symbol.of("height")
    >>> at_least(h, 1), at_least(0, h), at_least(h * 2, h), at_least(h, 4)
    (True, False, True, None)
    """
    if not isinstance(a, Symbol) and not isinstance(b, Symbol):
        return bool(a >= b)
    if a == b:
        return True
    if not isinstance(b, Symbol):
        assert isinstance(a, Symbol)
        return True if a.positive and a.coefficient > 0 and a.coefficient >= b else None
    if not isinstance(a, Symbol):
        return False if b.positive and b.coefficient > 0 and a < b.coefficient else None
    return a.coefficient >= b.coefficient if a.names == b.names and a.positive else None


def larger(a: Size, b: Size) -> Size:
    """The larger of two sizes; a free size of its own where that is not known.

    >>> larger(Symbol.of("height"), 1), larger(4, Symbol.of("height"))
    (Symbol(height), Symbol(max(4, height)))
    """
    return _chosen(a, b, at_least(a, b), at_least(b, a), "max")


def smaller(a: Size, b: Size) -> Size:
    """The smaller of two sizes; a free size of its own where that is not known.

    >>> smaller(Symbol.of("height"), 1)
    1
    """
    return _chosen(a, b, at_least(b, a), at_least(a, b), "min")


def _chosen(a: Size, b: Size, first: bool | None, second: bool | None, name: str) -> Size:
    if first is not None:
        return a if first else b
    if second is not None:
        return b if second else a
    return Symbol.of(f"{name}({', '.join(sorted((str(a), str(b))))})", positive=False)


def absolute(size: Size) -> Size:
    """The magnitude of a size.

    >>> absolute(-Symbol.of("height")), absolute(-3)
    (Symbol(height), 3)
    """
    if not isinstance(size, Symbol):
        return size if size >= 0 else -size
    return (size if size.coefficient > 0 else -size) if size.positive else Symbol.of(f"abs({size})", positive=False)


def modulo(a: Size, b: Size) -> Size:
    """What an integer division leaves over.

    >>> h = Symbol.of("height")
    >>> modulo(h * 6, 3), modulo(h, 32)
    (0, Symbol((height) mod (32)))
    """
    if not isinstance(a, Symbol) and not isinstance(b, Symbol):
        return a % b
    ratio = a / b
    if isinstance(ratio, Symbol) and isinstance(b, Symbol):
        return Symbol.of(f"({a}) mod ({b})", positive=False)
    whole = ratio.coefficient if isinstance(ratio, Symbol) else Fraction(ratio)
    return 0 if whole.denominator == 1 else Symbol.of(f"({a}) mod ({b})", positive=False)


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
