# SPDX-License-Identifier: Apache-2.0
"""BatchNormalization: between the importer and the pass that folds it, never in a file.

>>> from fewbins.ops.evaluate import evaluate
>>> params = {role: np.float32([value]) for role, value in zip(ROLES, (3.0, 1.0, 2.0, 3.0))}
>>> evaluate("BatchNormalization", BatchNormAttrs(epsilon=1.0), [[[4.0]]], params=params).tolist()   # 2 / 2 * 3 + 1
[[4.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.numerics import along
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.shapes import need_axis, need_channels


@attributes("BatchNormalization")
@dataclass(frozen=True)
class BatchNormAttrs:
    """Attributes of BatchNormalization: input (x), float32; params scale, bias, mean, var, each (C,) along axis 1.

    Attributes:
        epsilon: added to the variance.
    """

    epsilon: float = 1e-5


ROLES = ("scale", "bias", "mean", "var")


def infer_batch_norm(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, C, ...); the output has the same."""
    need_axis(node, inputs[0], 1)
    for role in ROLES:
        if role not in params:
            fail(node, f"needs a param '{role}'")
        need_channels(node, params, role, inputs[0][1], one=False)
    return [inputs[0]]


@register("BatchNormalization", infer_batch_norm, params=ROLES)
def batch_norm(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`(x - mean[c]) / sqrt(var[c] + epsilon) * scale[c] + bias[c]` in float64, rounded once."""
    x = inputs[0].astype(np.float64)
    scale, bias, mean, var = (along(graph.constant(node, role).astype(np.float64), x.ndim, 1) for role in ROLES)
    return [((x - mean) / np.sqrt(var + node.attrs.epsilon) * scale + bias).astype(np.float32)]
