# SPDX-License-Identifier: Apache-2.0
"""The table of ONNX operators: which forms are known, how one becomes canonical nodes, how one is folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fewbins.importers.context import Context
from fewbins.importers.values import Array, Constant, OnnxNode, Value

# An operator on float32 values: emits nodes, returns one value for each output (None: an output that nobody reads).
Lower = Callable[[Context, OnnxNode], Sequence[Value | None]]
# An operator on constants: takes one array for each input (None: absent), of dtype object where sizes are free.
Fold = Callable[[OnnxNode, Sequence[Constant | None]], Sequence[Constant | Array]]


@dataclass
class Operator:
    """One ONNX operator.

    Attributes:
        versions: the since-versions of the forms that `lower` and `fold` understand.
        lower: for activations; None: the operator exists on constants only.
        fold: for constants; None: `lower` is used, and its nodes are computed at once.
        grid: for constants whose result has free sizes as its shape; it is computed at run time.
    """

    versions: set[int] = field(default_factory=set)
    lower: Lower | None = None
    fold: Fold | None = None
    grid: Lower | None = None


OPERATORS: dict[str, Operator] = {}


def lowers(name: str, *versions: int) -> Callable[[Lower], Lower]:
    """Function decorator: imports the operator's forms of these since-versions."""

    def enter(function: Lower) -> Lower:
        entry = OPERATORS.setdefault(name, Operator())
        entry.lower = function
        entry.versions.update(versions)
        return function

    return enter


def grids(name: str) -> Callable[[Lower], Lower]:
    """Function decorator: imports an operator on constants whose result has free sizes as its shape."""

    def enter(function: Lower) -> Lower:
        OPERATORS.setdefault(name, Operator()).grid = function
        return function

    return enter


def folds(name: str, *versions: int) -> Callable[[Fold], Fold]:
    """Function decorator: computes the operator's forms of these since-versions on constants."""

    def enter(function: Fold) -> Fold:
        entry = OPERATORS.setdefault(name, Operator())
        entry.fold = function
        entry.versions.update(versions)
        return function

    return enter
