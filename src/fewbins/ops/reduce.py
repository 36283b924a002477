# SPDX-License-Identifier: Apache-2.0
"""Reduce: a sum, mean, product, maximum or minimum over some axes.

The global average of the levels [[3, 0], [-1, 4]], z = 1: the sum of q - z is 2 - 1 - 2 + 3 = 2, n = 4, s = 1 and s_y
= 1/4: m = 1 / (4 * 1/4) = 1, so 2, plus z_y = -2: 0.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Reduce", ReduceAttrs("mean", (2, 3), requantize=Requantize("float", -8, 7)), [[[[[3, 0], [-1, 4]]]]],
...          affines=[Affine(1.0, 1, Levels.of(16))], output=Affine(0.25, -2, Levels.of(16))).tolist()
[[[[0]]]]
>>> evaluate("Reduce", ReduceAttrs("prod", (1,), keepdims=False), [[[2.0, 3.0], [-1.0, 4.0]]]).tolist()
[6.0, -4.0]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, Requantize, attributes, check_choice, register
from fewbins.ops.operands import centred, finish_mean
from fewbins.ops.shapes import need_axis

FUNCTIONS = ("mean", "sum", "max", "min", "prod")


@attributes("Reduce")
@dataclass(frozen=True)
class ReduceAttrs:
    """Attributes of Reduce: input (x).

    Attributes:
        function: one of `FUNCTIONS`; prod is float only.
        axes: the axes to reduce, not negative, ascending, at least one.
        keepdims: reduced axes stay, of size 1.
        requantize: mean and sum on levels only.
    """

    function: str
    axes: tuple[int, ...]
    keepdims: bool = True
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Reduce function", self.function, FUNCTIONS)
        if not self.axes or self.axes[0] < 0 or list(self.axes) != sorted(set(self.axes)):
            raise GraphError(f"Reduce: axes {self.axes} must be one or more, ascending and not negative")
        if self.requantize is not None:
            check_choice("requantized Reduce function", self.function, ("mean", "sum"))


def infer_reduce(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """The axes become 1, or vanish."""
    need_axis(node, inputs[0], node.attrs.axes[-1])
    kept = enumerate(inputs[0])
    if node.attrs.keepdims:
        return [tuple(1 if axis in node.attrs.axes else size for axis, size in kept)]
    return [tuple(size for axis, size in kept if axis not in node.attrs.axes)]


@register("Reduce", infer_reduce)
def reduce(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Over the elements of the axes, taken in row-major order of the logical (N, C, H, W) tensor.

    Quantized mean and sum: `acc = sum (q - z)`, then `operands.finish_mean` with n = the number of elements (sum: 1).
    max and min pick levels. In float: max and min (NaN gives NaN); sum, mean and prod go on in float64 from 0 (prod:
    1), one element after another, a mean is divided by n, and the result is rounded once.
    """
    x, attrs = inputs[0], node.attrs
    shape = infer_reduce(node, [x.shape], {})[0]
    last = np.moveaxis(x, attrs.axes, range(x.ndim - len(attrs.axes), x.ndim))
    rows = last.reshape(*last.shape[: x.ndim - len(attrs.axes)], -1)
    count = math.prod(x.shape[axis] for axis in attrs.axes)
    if attrs.function in ("max", "min"):
        return [(rows.max(axis=-1) if attrs.function == "max" else rows.min(axis=-1)).reshape(shape)]
    if attrs.requantize is not None:
        acc = centred(graph, node.inputs[0], rows).astype(np.int64).sum(axis=-1).reshape(shape)
        return [finish_mean(node, graph, acc, count if attrs.function == "mean" else 1)]
    with np.errstate(all="ignore"):
        total = in_order(rows, product=attrs.function == "prod").reshape(shape)
        return [(total / count if attrs.function == "mean" else total).astype(np.float32)]


def in_order(rows: Array, *, product: bool = False) -> Array:
    """The float64 sum (or product) along the last axis, strictly one element after another.

    NumPy's own sum adds in pairs, whose rounding depends on the memory order; an accumulation cannot.
    """
    wide = rows.astype(np.float64)
    if product:
        return np.asarray(np.multiply.accumulate(wide, axis=-1)[..., -1])
    return np.asarray(np.add.accumulate(wide, axis=-1)[..., -1] + 0.0)
