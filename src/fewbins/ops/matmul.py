# SPDX-License-Identifier: Apache-2.0
"""MatMul: the products of two stacks of float matrices. A product with one constant matrix is a Gemm.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("MatMul", MatMulAttrs(), [[[[1.0, 2.0]], [[3.0, 4.0]]], [[5.0], [6.0]]]).tolist()
[[[17.0]], [[39.0]]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import broadcast, show


@attributes("MatMul")
@dataclass(frozen=True)
class MatMulAttrs:
    """Attributes of MatMul, of which there are none: inputs (a (..., M, K), b (..., K, N)), float32."""


def infer_matmul(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(..., M, K) and (..., K, N) give (..., M, N); the axes in front broadcast."""
    a, b = inputs
    if len(a) < 2 or len(b) < 2:
        fail(node, f"shapes {show(a)} and {show(b)} must have two axes or more")
    if isinstance(a[-1], int) and isinstance(b[-2], int) and a[-1] != b[-2]:
        fail(node, f"rows of {a[-1]} in {show(a)} do not fit columns of {b[-2]} in {show(b)}")
    return [(*broadcast(node, a[:-2], b[:-2]), a[-2], b[-1])]


@register("MatMul", infer_matmul, arity=(2, 2))
def matmul(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y = f32(sum over k of a[..., k] * b[k, ...])`: from 0, in float64, k ascending, rounded once.

    The product of two float32 is exact in float64, so it does not matter whether it is fused with the addition.
    """
    a, b = (x.astype(np.float64) for x in inputs)
    acc = np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    with np.errstate(all="ignore"):
        for k in range(a.shape[-1]):
            acc += a[..., :, k, None] * b[..., None, k, :]
        return [acc.astype(np.float32)]
