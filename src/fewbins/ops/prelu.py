# SPDX-License-Identifier: Apache-2.0
"""PRelu: a leaky ReLU whose slope is a constant per channel.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("PRelu", PReluAttrs(), [[[-4.0, -4.0, 2.0]]], params={"slope": np.float32([0.5, -0.25, 9])}).tolist()
[[-2.0, 1.0, 2.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.numerics import along
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import need_axis, need_channels


@attributes("PRelu")
@dataclass(frozen=True)
class PReluAttrs:
    """Attributes of PRelu: input (x), float32; param slope (C,) or (1,), along axis 1. There are none."""


def infer_prelu(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, C, ...) and slope (C,) or (1,); the output has the input's shape."""
    if "slope" not in params:
        fail(node, "needs a param 'slope'")
    if params["slope"] != (1,):
        need_axis(node, inputs[0], 1)
        need_channels(node, params, "slope", inputs[0][1])
    return [inputs[0]]


@register("PRelu", infer_prelu, params=("slope",))
def prelu(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y = x < 0 ? f32(x * slope[c]) : x`."""
    x = inputs[0]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return [np.where(x < 0, x * along(graph.constant(node, "slope"), x.ndim, 1), x)]
