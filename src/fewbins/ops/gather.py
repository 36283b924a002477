# SPDX-License-Identifier: Apache-2.0
"""Gather: slices of a tensor along one axis, picked by indices that are computed at run time.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Gather", GatherAttrs(0), [[[1.0, 2.0], [3.0, 4.0]], np.int64([1, -2])]).tolist()
[[3.0, 4.0], [1.0, 2.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import ArgumentError, GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import need_axis, show

MAX_RANK = 8


@attributes("Gather")
@dataclass(frozen=True)
class GatherAttrs:
    """Attributes of Gather: inputs (x, indices): any dtype, and int32 or int64.

    Attributes:
        axis: not negative.
    """

    axis: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.axis < 0:
            raise GraphError(f"Gather: axis (={self.axis}) must not be negative")


def infer_gather(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """The axes of the indices in place of the axis."""
    x, indices = inputs
    need_axis(node, x, node.attrs.axis)
    shape = (*x[: node.attrs.axis], *indices, *x[node.attrs.axis + 1 :])
    if len(shape) > MAX_RANK:
        fail(node, f"indices {show(indices)} into {show(x)} give more than {MAX_RANK} axes")
    return [shape]


@register("Gather", infer_gather, arity=(2, 2))
def gather(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Slices are copied; a negative index counts from the end.

    Raises:
        ArgumentError: an index beyond the axis.
    """
    x, indices = inputs
    size = x.shape[node.attrs.axis]
    wrong = indices[(indices < -size) | (indices >= size)]
    if wrong.size:
        raise ArgumentError(f"node '{node.name}' (Gather): index {wrong[0]} is not one of an axis of size {size}")
    return [np.take(x, indices, axis=node.attrs.axis)]
