# SPDX-License-Identifier: Apache-2.0
"""Reshape: the same elements in another shape; also Flatten, Squeeze and Unsqueeze.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Reshape", ReshapeAttrs((0, -1)), [[[[1.0, 2.0], [3.0, 4.0]]]]).tolist()
[[1.0, 2.0, 3.0, 4.0]]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import UNKNOWN, show


@attributes("Reshape")
@dataclass(frozen=True)
class ReshapeAttrs:
    """Attributes of Reshape: input (x), float32 or levels.

    Attributes:
        shape: the new sizes; 0 copies the input's size of the same index, one -1 takes what is left.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if any(size < -1 for size in self.shape) or self.shape.count(-1) > 1:
            raise GraphError(f"Reshape: shape {self.shape} must hold sizes >= 0 and at most one -1")


def infer_reshape(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """0 copies, -1 takes what is left, which may be one symbol.

    >>> from fewbins.graph import Node
    >>> infer_reshape(Node("Reshape", "flatten", (), (), ReshapeAttrs((0, -1))), [("batch", 8, 2, 2)], {})
    [('batch', 32)]
    >>> infer_reshape(Node("Reshape", "heads", (), (), ReshapeAttrs((-1, 4, 8))), [("batch", 32)], {})
    [('batch', 4, 8)]
    """
    x, wanted = inputs[0], node.attrs.shape
    result: list[Dim] = list(wanted)
    left: list[Dim] = list(x)
    for axis, size in enumerate(wanted):
        if size == 0:
            if axis >= len(x):
                fail(node, f"shape {wanted} copies axis {axis}, which {show(x)} does not have")
            result[axis] = x[axis]
            left[axis] = 1
    have = math.prod(size for size in left if isinstance(size, int))
    symbols = [size for size in left if isinstance(size, str)]
    need = math.prod(size for size in wanted if size > 0)
    if -1 in wanted:
        hole = wanted.index(-1)
        if not symbols:
            if have % need:
                fail(node, f"input {show(x)} cannot become {wanted}: {have} elements are no multiple of {need}")
            result[hole] = have // need
        else:
            result[hole] = symbols[0] if len(symbols) == 1 and have == need else UNKNOWN
    elif not symbols and have != need:
        fail(node, f"input {show(x)} cannot become {wanted}: {have} elements are not {need}")
    return [tuple(result)]


@register("Reshape", infer_reshape)
def reshape(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """The same elements in the same row-major order of the logical tensor, floats or levels."""
    return [inputs[0].reshape(infer_reshape(node, [inputs[0].shape], {})[0])]
