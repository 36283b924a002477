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
from fewbins.ops.base import Array, attributes, fail, register, since
from fewbins.ops.shapes import UNKNOWN, show


@attributes("Reshape")
@dataclass(frozen=True)
class ReshapeAttrs:
    """Attributes of Reshape: input (x), float32 or levels.

    Attributes:
        shape: the new sizes; 0 copies the input's size of the same index, one -1 takes what is left.
        axes: () or, for each new size, an axis of the input or -1. The new size is then that axis's size times
            `shape`'s entry, over `divisors`'; where it is -1, `shape`'s entry says all.
        divisors: () or as many as `axes`, each >= 1 and, where the size comes from an axis, a divisor of it.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...] = since(1, before=(), default=())
    divisors: tuple[int, ...] = since(1, before=(), default=())

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if any(size < -1 for size in self.shape) or self.shape.count(-1) > 1:
            raise GraphError(f"Reshape: shape {self.shape} must hold sizes >= 0 and at most one -1")
        if not len(self.axes) == len(self.divisors) in (0, len(self.shape)):
            raise GraphError(f"Reshape: axes {self.axes} and divisors {self.divisors} must be as many as {self.shape}")
        if min(self.axes, default=0) < -1 or min(self.divisors, default=1) < 1:
            raise GraphError(f"Reshape: axes {self.axes} must be >= -1, divisors {self.divisors} >= 1")
        if any(axis >= 0 and size < 1 for axis, size in zip(self.axes, self.shape, strict=False)):
            raise GraphError(f"Reshape: shape {self.shape} must be >= 1 where axes {self.axes} are not -1")


def infer_reshape(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """0 copies, -1 takes what is left, which may be one symbol; an axis gives its size times a fraction.

    >>> from fewbins.graph import Node
    >>> infer_reshape(Node("Reshape", "flatten", (), (), ReshapeAttrs((0, -1))), [("batch", 8, 2, 2)], {})
    [('batch', 32)]
    >>> infer_reshape(Node("Reshape", "heads", (), (), ReshapeAttrs((-1, 4, 8))), [("batch", 32)], {})
    [('batch', 4, 8)]
    >>> shuffle = ReshapeAttrs((0, 2, 6, 1, 1), (-1, -1, -1, 2, 3), (1, 1, 1, 1, 1))
    >>> infer_reshape(Node("Reshape", "shuffle", (), (), shuffle), [("batch", 12, "height", "width")], {})
    [('batch', 2, 6, 'height', 'width')]
    """
    x, attrs = inputs[0], node.attrs
    wanted = attrs.shape
    result: list[Dim] = list(wanted)
    copied: list[int] = []
    have, need = 1, 1
    for slot, size in enumerate(wanted):
        axis = attrs.axes[slot] if attrs.axes else -1
        if axis < 0 and size != 0:
            need *= max(size, 1)
            continue
        factor, divisor = (size, attrs.divisors[slot]) if axis >= 0 else (1, 1)
        axis = slot if axis < 0 else axis
        if axis >= len(x):
            fail(node, f"shape {wanted} copies axis {axis}, which {show(x)} does not have")
        result[slot] = _part(node, x[axis], factor, divisor)
        copied.append(axis)
        have, need = have * divisor, need * factor
    # What is copied stands on both sides; only the rest is counted.
    rest = [size for axis, size in enumerate(x) if axis not in copied]
    symbols = [size for size in rest if isinstance(size, str)]
    have *= math.prod(size for size in rest if isinstance(size, int))
    if all(isinstance(size, int) for size in x):
        have, need = math.prod(int(size) for size in x), math.prod(int(size) for size in result if size != -1)
    elif len(set(copied)) < len(copied):
        symbols.append(UNKNOWN)
    if -1 in wanted:
        hole = wanted.index(-1)
        if symbols:
            result[hole] = symbols[0] if len(symbols) == 1 and have == need else UNKNOWN
        elif need == 0 or have % need:
            fail(node, f"input {show(x)} cannot become {wanted}: {have} elements are no multiple of {need}")
        else:
            result[hole] = have // need
    elif not symbols and have != need:
        fail(node, f"input {show(x)} cannot become {wanted}: {have} elements are not {need}")
    return [tuple(result)]


def _part(node: Node, size: Dim, factor: int, divisor: int) -> Dim:
    if not isinstance(size, int):
        return size if factor == divisor else UNKNOWN
    if size * factor % divisor:
        fail(node, f"a size of {size} times {factor} is no multiple of {divisor}")
    return size * factor // divisor


@register("Reshape", infer_reshape)
def reshape(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """The same elements in the same row-major order of the logical tensor, floats or levels."""
    return [inputs[0].reshape(infer_reshape(node, [inputs[0].shape], {})[0])]
