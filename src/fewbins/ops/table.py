# SPDX-License-Identifier: Apache-2.0
"""Table: any function of one quantized tensor, as 256 bytes.

Levels -2..2 become u = 0..4. A table that holds 4 - u reverses them: q = -2 -> u 0 -> u' 4 -> q' 2.

>>> import numpy as np
>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> reverse = np.uint8([4, 3, 2, 1, 0] + [0] * 251)
>>> affine = Affine(1.0, 0, Levels.of(5))
>>> evaluate("Table", TableAttrs(), [[-2, 0, 1]], affines=[affine], output=affine, params={"table": reverse}).tolist()
[2, 0, -1]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewbins.graph import Graph, Node, Shape
from fewbins.numerics import from_memory, to_memory
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.operands import affine_of


@attributes("Table")
@dataclass(frozen=True)
class TableAttrs:
    """Attributes of Table: input (x), levels; param table uint8 (256,), from the input's `u` to the output's. None."""


def infer_table(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape; the output has the same."""
    if params.get("table") != (256,):
        fail(node, f"needs a param 'table' of shape (256,), not {params.get('table')}")
    return [inputs[0]]


@register("Table", infer_table, params=("table",))
def table(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`u' = table[u]`, with `u = q - lo` of the input and `q' = u' + lo'` of the output."""
    u = to_memory(inputs[0], affine_of(graph, node.inputs[0]).levels)
    return [from_memory(graph.constant(node, "table")[u], affine_of(graph, node.output).levels)]
