# SPDX-License-Identifier: Apache-2.0
"""Quantize and Dequantize: where float32 and levels meet.

With s = 1/2 and z = 1: 1.25 is 2.5 steps, half to even 2, plus z: 3; -9 is -18 steps, beyond the lowest level -8. Back:
(3 - 1) / 2 = 1 and (-8 - 1) / 2 = -4.5.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> affine = Affine(0.5, 1, Levels.of(16))
>>> evaluate("Quantize", QuantizeAttrs(), [[1.25, -9.0]], output=affine).tolist()
[3, -8]
>>> evaluate("Dequantize", DequantizeAttrs(), [[3, -8]], affines=[affine]).tolist()
[1.0, -4.5]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewbins import numerics
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, register
from fewbins.ops.operands import affine_of


@attributes("Quantize")
@dataclass(frozen=True)
class QuantizeAttrs:
    """Attributes of Quantize: input (x), float32; the output is levels by its own affine. There are none."""


@attributes("Dequantize")
@dataclass(frozen=True)
class DequantizeAttrs:
    """Attributes of Dequantize: input (x), levels; the output is float32 by the input's affine. There are none."""


def infer_quantize(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape; the output has the same."""
    return [inputs[0]]


@register("Quantize", infer_quantize)
def quantize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`q = clamp(rint(f32(x / s)) + z, lo, hi)`, NaN gives z."""
    return [numerics.quantize(inputs[0], affine_of(graph, node.output))]


@register("Dequantize", infer_quantize)
def dequantize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y = f32(s * f32(q - z))`."""
    return [numerics.dequantize(inputs[0], affine_of(graph, node.inputs[0]))]
