# SPDX-License-Identifier: Apache-2.0
"""Gemm: a matrix product with a constant, over the last axis of the input.

Levels -8..7, z = 2, so x - z = [1, -3]. Row [2, 1] with bias 4 gives 4 + 2 - 3 = 3, row [-1, 2] with bias 0 gives -7.
In `fixed`, m = 3/4 = 1610612736 * 2**-31: 3 * 3/4 + 1/2 = 2.75 -> 2 and -7 * 3/4 + 1/2 = -4.75 -> -5 (floor); z_y = 1
makes them 3 and -4.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> evaluate(
...     "Gemm", GemmAttrs(requantize=Requantize("fixed", -8, 7)), [[[3, -1]]],
...     affines=[Affine(0.75, 2, Levels.of(16))], output=Affine(1.0, 1, Levels.of(16)),
...     params={"weight": np.int8([[2, 1], [-1, 2]]), "bias": np.int32([4, 0]),
...             "multiplier": np.int32([1610612736]), "exponent": np.int32([31])},
... ).tolist()
[[3, -4]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, Requantize, attributes, check_clamp, fail, register
from fewbins.ops.operands import (
    centred,
    exact_dtype,
    finish_float,
    finish_levels,
    float_weight,
    integer_weight,
    with_bias,
)
from fewbins.ops.shapes import CONSTANT_ROLES, need_channels, need_constants, need_residual, show


@attributes("Gemm")
@dataclass(frozen=True)
class GemmAttrs:
    """Attributes of Gemm: inputs (x (..., K)[, residual]); params weight (M, K), bias (M,), slope (1,) or (M,).

    Attributes:
        clamp: as Conv's.
        requantize: None for float arithmetic.
    """

    clamp: tuple[float | None, float | None] | None = None
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_clamp("Gemm", self.clamp)


def infer_gemm(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(..., K) and weight (M, K) give (..., M)."""
    x, weight = inputs[0], params.get("weight")
    if weight is None or len(weight) != 2 or not x:
        fail(node, f"weight {show(weight or ())} must be (M, K) for an input (..., K), not {show(x)}")
    if isinstance(x[-1], int) and x[-1] != weight[1]:
        fail(node, f"input {show(x)} ends in {x[-1]}, but weight {show(weight)} needs {weight[1]}")
    need_channels(node, params, "bias", weight[0], one=False)
    need_channels(node, params, "slope", weight[0])
    need_constants(node, params, weight[0])
    return [need_residual(node, inputs, (*x[:-1], weight[0]))]


@register("Gemm", infer_gemm, arity=(1, 2), params=("weight", "bias", "slope", "weight_table", *CONSTANT_ROLES))
def gemm(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`acc[..., m] = b[m] + sum over k of (q[..., k] - z) * w[m, k]`, then section 4 of docs/numerics.md.

    In float: the sum in float64, rounded once, then slope, residual and clamp in float32. Constants go along the last
    axis.
    """
    last = inputs[0].ndim - 1
    if node.attrs.requantize is None:
        y = inputs[0].astype(np.float64) @ float_weight(node, graph).astype(np.float64).T
        return [finish_float(node, graph, y, inputs[1:], last)]
    steps, weight = centred(graph, node.inputs[0], inputs[0]), integer_weight(node, graph)
    dtype = exact_dtype(steps, weight, 0)
    acc = with_bias(node, graph, steps.astype(dtype) @ weight.astype(dtype).T, last)
    return [finish_levels(node, graph, acc, inputs[1:], last)]
