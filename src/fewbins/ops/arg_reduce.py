# SPDX-License-Identifier: Apache-2.0
"""ArgReduce and TopK: where along an axis the largest or smallest elements stand.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("ArgReduce", ArgReduceAttrs("max", 1, keepdims=False), [[[1.0, 3.0, 3.0], [5.0, 4.0, 0.0]]]).tolist()
[1, 0]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, check_choice, fail, register
from fewbins.ops.shapes import need_axis


@attributes("ArgReduce")
@dataclass(frozen=True)
class ArgReduceAttrs:
    """Attributes of ArgReduce: input (x), float32, levels or integers; the output is int64.

    Attributes:
        function: "max" | "min".
        axis: not negative.
        keepdims: the axis stays, of size 1.
        last: of equal elements the last one counts, not the first.
    """

    function: str
    axis: int
    keepdims: bool = True
    last: bool = False

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("ArgReduce function", self.function, ("max", "min"))
        if self.axis < 0:
            raise GraphError(f"ArgReduce: axis (={self.axis}) must not be negative")


@attributes("TopK")
@dataclass(frozen=True)
class TopKAttrs:
    """Attributes of TopK: input (x), float32 or integers; outputs: the elements, and where they stand (int64).

    Attributes:
        axis: not negative.
        k: how many, at least 1.
        largest: the largest elements, not the smallest.
    """

    axis: int
    k: int
    largest: bool = True

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.axis < 0 or not 1 <= self.k < 2**31:
            raise GraphError(f"TopK: axis (={self.axis}) must not be negative, k (={self.k}) be 1 to {2**31 - 1}")


def infer_arg_reduce(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """The axis becomes 1, or vanishes."""
    x, axis = inputs[0], node.attrs.axis
    need_axis(node, x, axis)
    return [(*x[:axis], *((1,) if node.attrs.keepdims else ()), *x[axis + 1 :])]


def infer_top_k(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """The axis has size k."""
    x, axis, k = inputs[0], node.attrs.axis, node.attrs.k
    need_axis(node, x, axis)
    size = x[axis]
    if isinstance(size, int) and size < k:
        fail(node, f"axis {axis} has {size} elements, fewer than k = {k}")
    shape: Shape = (*x[:axis], k, *x[axis + 1 :])
    return [shape, shape]


@register("ArgReduce", infer_arg_reduce)
def arg_reduce(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """The place of the largest or smallest element, int64; of equals the first, or with `last` the last.

    As ONNX Runtime has it: the first element is the one to beat, NaN beats nothing, and nothing beats NaN. Levels are
    compared by their integers.
    """
    attrs: ArgReduceAttrs = node.attrs
    rows = np.moveaxis(inputs[0], attrs.axis, -1)
    if attrs.function == "max":
        best = np.where(np.isnan(rows), -np.inf, rows).max(axis=-1) if rows.dtype == np.float32 else rows.max(axis=-1)
    else:
        best = np.where(np.isnan(rows), np.inf, rows).min(axis=-1) if rows.dtype == np.float32 else rows.min(axis=-1)
    equal = rows == best[..., None]
    found = rows.shape[-1] - 1 - np.argmax(equal[..., ::-1], axis=-1) if attrs.last else np.argmax(equal, axis=-1)
    found = np.asarray(np.where(rows[..., 0] != rows[..., 0], 0, found), np.int64)
    return [np.expand_dims(found, attrs.axis) if attrs.keepdims else found]


@register("TopK", infer_top_k)
def top_k(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """The k best elements, best first; of equals the first comes first. NaN counts as larger than all numbers.

    >>> from fewbins.graph import Graph
    >>> x = np.float32([[1, 3, np.nan, 3]])
    >>> values, places = top_k(Node("TopK", "t", ("x",), ("v", "i"), TopKAttrs(1, 3)), [x], Graph((), {}, (), ()))
    >>> values.tolist(), places.tolist()
    ([[nan, 3.0, 3.0]], [[2, 1, 3]])
    """
    attrs: TopKAttrs = node.attrs
    rows = np.moveaxis(inputs[0], attrs.axis, -1)
    if attrs.largest:
        # A stable sort of the reversed row, read backwards: descending, the first of equals first. NaN sorts last.
        order = rows.shape[-1] - 1 - np.argsort(rows[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    else:
        order = np.argsort(rows, axis=-1, kind="stable")
    places = order[..., : attrs.k].astype(np.int64)
    values = np.take_along_axis(rows, places, axis=-1)
    return [np.ascontiguousarray(np.moveaxis(result, -1, attrs.axis)) for result in (values, places)]
