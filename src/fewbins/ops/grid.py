# SPDX-License-Identifier: Apache-2.0
"""Range and Expand: values that depend on the sizes of other tensors, such as the anchors of a detector.

Three columns of a 1x3 input give 0.5, 1.5, 2.5; a row of those for each of two channels:

>>> from fewbins.ops.evaluate import evaluate
>>> image = [[[[7.0, 8.0, 9.0]]]]
>>> evaluate("Range", RangeAttrs((1,), (0,), (3,), (1,), 0.5), [image]).tolist()
[0.5, 1.5, 2.5]
>>> evaluate("Expand", ExpandAttrs((2, 1), (-1, 1), (0, 3), (1, 1)), [[4.0], image]).tolist()
[[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import UNKNOWN, broadcast, same, show

MAX_COUNT = 2**24
"""As many whole numbers as float32 holds."""


@dataclass(frozen=True)
class SizesOf:
    """Sizes that come from the axes of a node's inputs.

    Attributes:
        factors: one for each size, >= 1: the size itself where `inputs` says -1, else what an axis is multiplied by.
        inputs: the input whose axis is meant, or -1.
        axes: the axis of that input; 0 where `inputs` says -1.
        divisors: what the product is divided by, without a rest.
    """

    factors: tuple[int, ...]
    inputs: tuple[int, ...]
    axes: tuple[int, ...]
    divisors: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        count = len(self.factors)
        if not len(self.inputs) == len(self.axes) == len(self.divisors) == count or not 1 <= count <= 8:
            raise GraphError(f"sizes {self.factors} need as many inputs, axes and divisors, and 1 to 8 of them")
        if min(self.factors) < 1 or min(self.inputs) < -1 or min(self.axes) < 0 or min(self.divisors) < 1:
            raise GraphError(f"{self} must have factors and divisors >= 1, inputs >= -1 and axes >= 0")

    def sizes(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The sizes for inputs of these shapes; what no symbol expresses is unknown."""
        result: list[Dim] = []
        for factor, source, axis, divisor in zip(self.factors, self.inputs, self.axes, self.divisors, strict=True):
            if source < 0:
                result.append(factor)
                continue
            if source >= len(inputs) or axis >= len(inputs[source]):
                fail(node, f"a size comes from axis {axis} of input {source}, which does not exist")
            size = inputs[source][axis]
            if isinstance(size, str):
                result.append(size if factor == divisor else UNKNOWN)
                continue
            if size * factor % divisor:
                fail(node, f"a size of {size} times {factor} is no multiple of {divisor}")
            result.append(size * factor // divisor)
        return tuple(result)


@attributes("Range")
@dataclass(frozen=True)
class RangeAttrs(SizesOf):
    """Attributes of Range: inputs of any dtype, whose sizes alone are read. One size, at most 2**24, says how many.

    Attributes:
        start: the first number.
        step: from each to the next.
    """

    start: float = 0.0
    step: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        super().__post_init__()
        if len(self.factors) != 1:
            raise GraphError(f"Range: factors {self.factors} must be one size")


@attributes("Expand")
@dataclass(frozen=True)
class ExpandAttrs(SizesOf):
    """Attributes of Expand: input (x), float32, and inputs of any dtype, whose sizes alone are read.

    The sizes are those of the output, to which x broadcasts.
    """


def infer_range(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """One axis."""
    shape = node.attrs.sizes(node, inputs)
    if isinstance(shape[0], int) and shape[0] > MAX_COUNT:
        fail(node, f"counts to {shape[0]}; at most {MAX_COUNT} numbers are exact in float32")
    return [shape]


def infer_expand(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """The sizes; those of x must be 1 or the same."""
    shape = node.attrs.sizes(node, inputs)
    wide = broadcast(node, inputs[0], shape)
    if len(wide) != len(shape) or any(a != b and 1 in (a, b) for a, b in zip(wide, shape, strict=True)):
        fail(node, f"input {show(inputs[0])} does not broadcast to {show(shape)}")
    return [tuple(a if same(a, b) else b for a, b in zip(wide, shape, strict=True))]


@register("Range", infer_range, arity=(1, None))
def range_(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y[i] = f32(start + f64(i) * step)`, computed in float64 and rounded once."""
    (count,) = infer_range(node, [x.shape for x in inputs], {})[0]
    return [(node.attrs.start + np.arange(int(count), dtype=np.float64) * node.attrs.step).astype(np.float32)]


@register("Expand", infer_expand, arity=(1, None))
def expand(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """NumPy's broadcasting of x to the shape."""
    shape = infer_expand(node, [x.shape for x in inputs], {})[0]
    return [np.broadcast_to(inputs[0], tuple(int(size) for size in shape)).copy()]


def reads_sizes_only(node: Node, slot: int) -> bool:
    """Whether a node reads nothing but the sizes of its input in that slot, whose dtype may be any.

    >>> reads_sizes_only(Node("Expand", "e", ("x", "like"), ("y",), None), 1)
    True
    """
    return node.op == "Range" or (node.op == "Expand" and slot > 0)
