# SPDX-License-Identifier: Apache-2.0
"""Quantize and Dequantize: where float32 and levels meet.

With s = 1/2 and z = 1: 1.25 is 2.5 steps, half to even 2, plus z: 3; -9 is -18 steps, beyond the lowest level -8. Back:
(3 - 1) / 2 = 1 and (-8 - 1) / 2 = -4.5.

>>> import numpy as np
>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> affine = Affine(0.5, 1, Levels.of(16))
>>> evaluate("Quantize", QuantizeAttrs(), [[1.25, -9.0]], output=affine).tolist()
[3, -8]
>>> offset = {"offset": np.float32([0.25, -8])}
>>> evaluate("Quantize", QuantizeAttrs(), [[[1.25, -9.0]]], params=offset, output=affine).tolist()
[[3, -1]]
>>> evaluate("Dequantize", DequantizeAttrs(), [[3, -8]], affines=[affine]).tolist()
[1.0, -4.5]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins import numerics
from fewbins.graph import Graph, Node, Shape
from fewbins.numerics import along
from fewbins.ops.base import Array, attributes, register, since
from fewbins.ops.operands import affine_of
from fewbins.ops.shapes import need_axis, need_channels


@attributes("Quantize")
@dataclass(frozen=True)
class QuantizeAttrs:
    """Attributes of Quantize: input (x), float32; the output is levels by its own affine.

    Attributes:
        axis: the axis of the param `offset`, one number or one per channel, which is subtracted first; without the
            param it says nothing.
    """

    axis: int = since(1, before=1, default=1)


@attributes("Dequantize")
@dataclass(frozen=True)
class DequantizeAttrs:
    """Attributes of Dequantize: input (x), levels; the output is float32 by the input's affine. There are none."""


def infer_quantize(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape, and an offset (C,) or (1,) along the axis; the output has the input's shape."""
    if params.get("offset", (1,)) != (1,):
        need_axis(node, inputs[0], node.attrs.axis)
        need_channels(node, params, "offset", inputs[0][node.attrs.axis])
    return [inputs[0]]


def infer_dequantize(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape; the output has the same."""
    return [inputs[0]]


@register("Quantize", infer_quantize, params=("offset",))
def quantize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`q = clamp(rint(f32(f32(x - offset[c]) / s)) + z, lo, hi)`, NaN gives z."""
    x = inputs[0]
    if "offset" in node.params:
        with np.errstate(over="ignore", invalid="ignore"):
            x = x - along(graph.constant(node, "offset"), x.ndim, node.attrs.axis)
    return [numerics.quantize(x, affine_of(graph, node.output))]


@register("Dequantize", infer_dequantize)
def dequantize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y = f32(s * f32(q - z))`."""
    return [numerics.dequantize(inputs[0], affine_of(graph, node.inputs[0]))]
