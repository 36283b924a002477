# SPDX-License-Identifier: Apache-2.0
"""Where: elements of one tensor where a condition is true, of another where it is false.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Where", WhereAttrs(), [np.array([True, False]), [1.0, 2.0], [9.0]]).tolist()
[1.0, 9.0]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, register
from fewbins.ops.shapes import broadcast


@attributes("Where")
@dataclass(frozen=True)
class WhereAttrs:
    """Attributes of Where: none; inputs (condition, x, y): bool, and two of one dtype; NumPy's broadcasting."""


def infer_where(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Three shapes broadcast as NumPy's."""
    return [broadcast(node, broadcast(node, inputs[0], inputs[1]), inputs[2])]


@register("Where", infer_where, arity=(3, 3))
def where(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """X where the condition is true, else y; elements are copied."""
    condition, x, y = inputs
    return [np.where(condition, x, y)]
