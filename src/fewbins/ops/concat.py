# SPDX-License-Identifier: Apache-2.0
"""Concat: tensors side by side along one axis.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Concat", ConcatAttrs(1), [[[1.0, 2.0], [3.0, 4.0]], [[5.0], [6.0]]]).tolist()
[[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.operands import is_levels
from fewbins.ops.shapes import UNKNOWN, merged, need_axis, show


@attributes("Concat")
@dataclass(frozen=True)
class ConcatAttrs:
    """Attributes of Concat: one or more inputs of one dtype; levels all have the output's affine.

    Attributes:
        axis: not negative.
    """

    axis: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.axis < 0:
            raise GraphError(f"Concat: axis (={self.axis}) must not be negative")


def infer_concat(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Shapes that agree but for the axis, whose sizes are added."""
    axis = node.attrs.axis
    need_axis(node, inputs[0], axis)
    result: list[Dim] = list(inputs[0])
    total: Dim = 0
    for shape in inputs:
        if len(shape) != len(result):
            fail(node, f"shapes {show(inputs[0])} and {show(shape)} must have one rank")
        for other, size in enumerate(shape):
            if other != axis:
                what = f"axis {other} of {show(inputs[0])} and {show(shape)}"
                result[other] = merged(node, result[other], size, what)
        size = shape[axis]
        total = total + size if isinstance(total, int) and isinstance(size, int) else UNKNOWN
    result[axis] = total if len(inputs) > 1 else inputs[0][axis]
    return [tuple(result)]


@register("Concat", infer_concat, arity=(1, None))
def concat(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Elements move. Levels must all have the output's affine; a Requantize node in front makes it so."""
    if is_levels(graph, node.output):
        for name in node.inputs:
            if graph.tensors[name].affine != graph.tensors[node.output].affine:
                fail(node, f"input '{name}' must have the scale, zero point and levels of the output '{node.output}'")
    return [np.concatenate(list(inputs), axis=node.attrs.axis)]
