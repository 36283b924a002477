# SPDX-License-Identifier: Apache-2.0
"""Slice: part of a tensor, with steps of either sign.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Slice", SliceAttrs((1,), (2**62,), (0,), (2,)), [[0.0, 1.0, 2.0, 3.0, 4.0]]).tolist()
[1.0, 3.0]
>>> evaluate("Slice", SliceAttrs((-2,), (-(2**62),), (0,), (-1,)), [[0.0, 1.0, 2.0, 3.0, 4.0]]).tolist()
[3.0, 2.0, 1.0, 0.0]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import UNKNOWN, need_axis, show


@attributes("Slice")
@dataclass(frozen=True)
class SliceAttrs:
    """Attributes of Slice: input (x), float32 or levels. ONNX's meaning of every field.

    Attributes:
        starts: one per axis in `axes`; negative counts from the end.
        ends: likewise; values beyond the size mean "to the end", +-2**62 is usual.
        axes: not negative, each at most once.
        steps: not 0.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    axes: tuple[int, ...]
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if not len(self.starts) == len(self.ends) == len(self.axes) == len(self.steps):
            raise GraphError(
                f"Slice: starts {self.starts}, ends {self.ends}, axes {self.axes} steps {self.steps} differ in length"
            )
        if any(axis < 0 for axis in self.axes) or len(set(self.axes)) != len(self.axes):
            raise GraphError(f"Slice: axes {self.axes} must not be negative or repeat")
        if 0 in self.steps:
            raise GraphError(f"Slice: steps {self.steps} must not be 0")


def infer_slice(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Sliced sizes by ONNX's rule; a symbol stays where all of it is taken, else it becomes unknown."""
    result: list[Dim] = list(inputs[0])
    for start, end, axis, step in _ranges(node.attrs):
        need_axis(node, inputs[0], axis)
        size = inputs[0][axis]
        if isinstance(size, int):
            count = len(positions(start, end, step, size))
            if count < 1:
                fail(
                    node, f"nothing is left of axis {axis} of {show(inputs[0])}: start {start}, end {end}, step {step}"
                )
            result[axis] = count
        elif not _takes_all(start, end, step):
            result[axis] = UNKNOWN
    return [tuple(result)]


def _ranges(attrs: SliceAttrs) -> list[tuple[int, int, int, int]]:
    return list(zip(attrs.starts, attrs.ends, attrs.axes, attrs.steps, strict=True))


def _takes_all(start: int, end: int, step: int) -> bool:
    far = 2**31 - 1  # no size is larger
    return (step == 1 and start == 0 and end >= far) or (step == -1 and (start == -1 or start >= far) and end <= -far)


def positions(start: int, end: int, step: int, size: int) -> range:
    """The indices that a slice takes of an axis of `size`, by ONNX's rule.

    >>> positions(-2, 2**62, 1, 5), positions(9, -(2**62), -2, 5), positions(-9, -9, -1, 5)
    (range(3, 5), range(4, -1, -2), range(0, -1, -1))
    """
    start = start + size if start < 0 else start
    end = end + size if end < 0 else end
    if step > 0:
        return range(min(max(start, 0), size), min(max(end, 0), size), step)
    return range(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step)


@register("Slice", infer_slice)
def slice_(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Elements `start, start + step, ...` before `end` along each axis, floats or levels.

    A negative start or end counts from the end (the size is added once). Then, for a positive step, both are clamped to
    0..size; for a negative step, start to 0..size-1 and end to -1..size-1. (Python's slices differ where a start lies
    before the first element and the step is negative: ONNX still takes the first element.)
    """
    y = inputs[0]
    for start, end, axis, step in _ranges(node.attrs):
        y = np.take(y, np.asarray(positions(start, end, step, y.shape[axis])), axis=axis)
    return [np.asarray(y, order="C")]
