# SPDX-License-Identifier: Apache-2.0
"""Normalize: LayerNormalization, GroupNormalization and InstanceNormalization, by the axes that they average over.

The mean of [1, 3] is 2 and the variance 1, so with epsilon 3 the factor is 1/2; scale [4, 2] and bias [0, 1] follow.

>>> from fewbins.ops.evaluate import evaluate
>>> params = {"scale": np.float32([4.0, 2.0]), "bias": np.float32([0.0, 1.0])}
>>> evaluate("Normalize", NormalizeAttrs((1,), epsilon=3.0), [[[1.0, 3.0]]], params=params).tolist()
[[-2.0, 2.0]]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, fail, register
from fewbins.ops.reduce import in_order
from fewbins.ops.shapes import need_axis, show

LANES = 8


@attributes("Normalize")
@dataclass(frozen=True)
class NormalizeAttrs:
    """Attributes of Normalize: input (x), float32; params scale and bias, of shapes that broadcast against x's.

    Attributes:
        axes: the axes that share a mean and a variance, not negative, ascending, at least one.
        groups: axis 1, which is then among the axes, is cut into so many parts, each with its own mean and variance.
        epsilon: added to the variance, not negative.
    """

    axes: tuple[int, ...]
    groups: int = 1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if not self.axes or list(self.axes) != sorted(set(self.axes)) or self.axes[0] < 0:
            raise GraphError(f"Normalize: axes {self.axes} must be one or more, ascending and not negative")
        if self.groups < 1 or (self.groups > 1 and 1 not in self.axes):
            raise GraphError(f"Normalize: groups (={self.groups}) must be at least 1, and 1 where axis 1 stays")
        if not 0 <= self.epsilon < math.inf:
            raise GraphError(f"Normalize: epsilon (={self.epsilon}) must be finite and not negative")


def infer_normalize(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Any shape that has the axes; the output has the same."""
    x, attrs = inputs[0], node.attrs
    need_axis(node, x, attrs.axes[-1])
    if attrs.groups > 1 and isinstance(x[1], int) and x[1] % attrs.groups:
        fail(node, f"{x[1]} channels of {show(x)} cannot be cut into {attrs.groups} groups")
    for role, shape in params.items():
        tail = x[len(x) - len(shape) :] if len(shape) <= len(x) else ()
        if len(shape) > len(x) or any(a not in (1, b) and isinstance(b, int) for a, b in zip(shape, tail, strict=True)):
            fail(node, f"{role} of shape {show(shape)} does not broadcast against the input {show(x)}")
    return [x]


@register("Normalize", infer_normalize, params=("scale", "bias"))
def normalize(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y = f32((x - mean) * r * scale + bias)`, all in float64 and from left to right, rounded once at the end.

    Over the n elements of the axes, in memory order (rank 4: N, H, W, C): `mean = sum x / n`,
    `var = sum (x - mean)^2 / n`, `r = 1 / sqrt(var + epsilon)`; both sums as `sum_in_lanes` has them. A missing scale
    counts as 1, a missing bias as 0.
    """
    x, attrs = inputs[0].astype(np.float64), node.attrs
    parts = x.reshape(x.shape[0], attrs.groups, -1, *x.shape[2:]) if attrs.groups > 1 else x
    # Cut into groups, axis 1 is the group and what follows moves up by one.
    axes = [axis + 1 if attrs.groups > 1 and axis > 0 else axis for axis in attrs.axes]
    if x.ndim == 4 and 1 in attrs.axes:
        axes.append(axes.pop(attrs.axes.index(1)))
    rows = np.moveaxis(parts, axes, range(parts.ndim - len(axes), parts.ndim))
    flat = rows.reshape(*rows.shape[: parts.ndim - len(axes)], -1)
    with np.errstate(all="ignore"):
        mean = sum_in_lanes(flat)[..., None] / flat.shape[-1]
        variance = sum_in_lanes((flat - mean) ** 2)[..., None] / flat.shape[-1]
        y = (flat - mean) * (1.0 / np.sqrt(variance + attrs.epsilon))
        y = np.moveaxis(y.reshape(rows.shape), range(parts.ndim - len(axes), parts.ndim), axes).reshape(x.shape)
        if "scale" in node.params:
            y = y * graph.constant(node, "scale").astype(np.float64)
        y = y + (graph.constant(node, "bias").astype(np.float64) if "bias" in node.params else 0.0)
        return [y.astype(np.float32)]


def sum_in_lanes(rows: Array) -> Array:
    """The float64 sum along the last axis, which vector code can compute in the same order.

    Element k is added to lane k % 8, each lane from 0 and in order; then `a[j] += a[j + 4]`, `a[j] += a[j + 2]` and
    `a[0] + a[1]`.

    >>> sum_in_lanes(np.arange(20.0)).item()
    190.0
    """
    count = rows.shape[-1]
    padded = np.concatenate([rows, np.zeros((*rows.shape[:-1], -count % LANES))], axis=-1)
    lanes = in_order(np.moveaxis(padded.reshape(*rows.shape[:-1], -1, LANES), -2, -1))
    halves = lanes[..., :4] + lanes[..., 4:]
    pairs = halves[..., :2] + halves[..., 2:]
    return np.asarray(pairs[..., 0] + pairs[..., 1])
