# SPDX-License-Identifier: Apache-2.0
"""Requantize: levels of one affine become levels of another.

A leaky ReLU with slope 1/4 and s = s_y: q - z = [-6, 3] with m = 1 and m_neg = 1/4 gives -1.5 -> -2 (half to even) and
3; z_y = 2 makes 0 and 5.

>>> import numpy as np
>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Requantize", RequantizeAttrs(Requantize("float", -8, 7)), [[-5, 4]],
...          affines=[Affine(1.0, 1, Levels.of(16))], output=Affine(1.0, 2, Levels.of(16)),
...          params={"multiplier": np.float32([1]), "multiplier_neg": np.float32([0.25])}).tolist()
[0, 5]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, Requantize, attributes, register
from fewbins.ops.operands import centred, finish_levels
from fewbins.ops.shapes import CONSTANT_ROLES, need_constants


@attributes("Requantize")
@dataclass(frozen=True)
class RequantizeAttrs:
    """Attributes of Requantize: input (x), levels; `acc = q - z`; params multiplier (1,) or (C,) along axis 1.

    A ReLU, Clip, LeakyReLU or PReLU that stands alone, a product with a constant, an input of a Concat.

    Attributes:
        requantize: section 4 of docs/numerics.md.
    """

    requantize: Requantize


def infer_requantize(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape; the output has the same. Constants of more than one value go along axis 1."""
    need_constants(node, params, inputs[0][1] if len(inputs[0]) > 1 else 1)
    return [inputs[0]]


@register("Requantize", infer_requantize, params=CONSTANT_ROLES)
def requantize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`acc = q - z`, then section 4 of docs/numerics.md with constants of one value, or one per channel of axis 1."""
    return [finish_levels(node, graph, centred(graph, node.inputs[0], inputs[0]))]
