# SPDX-License-Identifier: Apache-2.0
"""Softmax along one axis.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Softmax", SoftmaxAttrs(1), [[[1.0, 1.0], [2000.0, 1000.0]]]).tolist()
[[0.5, 0.5], [1.0, 0.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, register
from fewbins.ops.reduce import in_order
from fewbins.ops.shapes import need_axis


@attributes("Softmax")
@dataclass(frozen=True)
class SoftmaxAttrs:
    """Attributes of Softmax: input (x), float32.

    Attributes:
        axis: the axis that sums to 1, not negative.
    """

    axis: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.axis < 0:
            raise GraphError(f"Softmax: axis (={self.axis}) must not be negative")


def infer_softmax(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape that has the axis; the output has the same."""
    need_axis(node, inputs[0], node.attrs.axis)
    return [inputs[0]]


@register("Softmax", infer_softmax)
def softmax(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`e[i] = exp(f64(x[i]) - f64(max x))`, `y[i] = f32(e[i] / sum e)`; the sum in float64, element after element."""
    x = np.moveaxis(inputs[0], node.attrs.axis, -1).astype(np.float64)
    with np.errstate(all="ignore"):
        exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
        y = exponentials / in_order(exponentials)[..., None]
    return [np.ascontiguousarray(np.moveaxis(y, -1, node.attrs.axis), dtype=np.float32)]
