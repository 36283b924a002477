# SPDX-License-Identifier: Apache-2.0
"""Transpose: axes in another order.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Transpose", TransposeAttrs((1, 0)), [[[1.0, 2.0, 3.0]]]).tolist()
[[1.0], [2.0], [3.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, register
from fewbins.ops.shapes import need_rank


@attributes("Transpose")
@dataclass(frozen=True)
class TransposeAttrs:
    """Attributes of Transpose: input (x), float32 or levels.

    Attributes:
        perm: output axis i is input axis perm[i].
    """

    perm: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if sorted(self.perm) != list(range(len(self.perm))):
            raise GraphError(f"Transpose: perm {self.perm} must hold each axis once")


def infer_transpose(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Sizes in the order of perm."""
    need_rank(node, inputs[0], len(node.attrs.perm))
    return [tuple(inputs[0][axis] for axis in node.attrs.perm)]


@register("Transpose", infer_transpose)
def transpose(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Elements move, floats or levels: output axis i is input axis perm[i]."""
    return [np.asarray(inputs[0].transpose(node.attrs.perm), order="C")]
