# SPDX-License-Identifier: Apache-2.0
"""What the oracles of operators with weights and requantization share: their operands, and the way out of `acc`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node
from fewbins.numerics import (
    Affine,
    along,
    clamp_float,
    dequantize,
    fixed_multiplier,
    float_multiplier,
    mean_multiplier,
    requantize_fixed,
    requantize_float,
    requantize_shift,
    requantize_to_float,
)
from fewbins.ops.base import Array, Requantize

EXACT_FLOAT32 = 2**24
"""Sums of integers below this are exact in float32, whatever their order."""


def affine_of(graph: Graph, name: str) -> Affine:
    """The affine of a tensor of levels; GraphError when it has none."""
    affine = graph.tensors[name].affine
    if affine is None:
        raise GraphError(f"tensor '{name}' needs an affine: it is read or written as levels")
    return affine


def is_levels(graph: Graph, name: str) -> bool:
    """Whether the tensor holds levels rather than float32."""
    return graph.tensors[name].dtype == "levels"


def centred(graph: Graph, name: str, q: Array) -> Array:
    """`q - z` of a tensor of levels, int32."""
    return np.asarray(np.asarray(q, dtype=np.int32) - np.int32(affine_of(graph, name).zero_point))


def integer_weight(node: Node, graph: Graph) -> Array:
    """The weight as integers, zero point subtracted: `q` (int8), `uw - zw` (u4), `table[index]` (lut4); int32."""
    weight = graph.tensors[node.params["weight"]]
    if "weight_table" in node.params:
        table = graph.constant(node, "weight_table").astype(np.int32)
        return np.asarray(table[weight.value])
    zero_point = weight.affine.zero_point if weight.affine is not None else 0
    return np.asarray(weight.value.astype(np.int32) - np.int32(zero_point))


def float_weight(node: Node, graph: Graph, *, groups: int = 1, transposed: bool = False) -> Array:
    """The weight as float32: itself, or `f32(s * f32(q - z))` where it is stored in integers (scheme `wN`).

    Args:
        node: with a param "weight".
        graph: the graph of the node.
        groups: of a transposed convolution.
        transposed: the weight is (I, O/groups, kH, kW), with scales for the O output channels `g * O/groups + j`.
    """
    weight = graph.tensors[node.params["weight"]]
    if weight.dtype == "float32":
        return weight.value
    if weight.affine is None:
        raise GraphError(f"node '{node.name}' ({node.op}): its {weight.dtype} weight has no affine")
    if not transposed or weight.affine.axis is None:
        return dequantize(weight.value, weight.affine)
    grouped = weight.value.reshape(groups, -1, *weight.value.shape[1:])
    scale = weight.affine.scale.reshape(groups, 1, weight.value.shape[1], 1, 1)
    steps = (grouped.astype(np.int32) - np.int32(weight.affine.zero_point)).astype(np.float32)
    return np.asarray((scale * steps).reshape(weight.value.shape), dtype=np.float32)


def exact_dtype(x: Array, weight: Array, channel_axis: int) -> type[np.float32] | type[np.float64]:
    """The float type in which the sums of `x * weight` are exact integers, whatever the order of summation.

    `max|x| * max_c sum|w|` bounds every partial sum; float32 is twice as fast where it suffices.
    """
    others = tuple(axis for axis in range(weight.ndim) if axis != channel_axis)
    bound = int(np.abs(x).max(initial=0)) * int(np.abs(weight.astype(np.int64)).sum(axis=others).max(initial=0))
    if bound >= 2**53:
        raise GraphError(f"an accumulator may reach {bound}; the proof of docs/numerics.md section 3 cannot have held")
    return np.float32 if bound < EXACT_FLOAT32 else np.float64


def finish_float(node: Node, graph: Graph, y: Array, residual: Sequence[Array], axis: int) -> Array:
    """The float way out: `f32(y + bias)`, slope where negative, residual, clamp.

    Args:
        node: a Conv, ConvTranspose or Gemm.
        graph: the graph of the node.
        y: float64 sums.
        residual: none or one float32 array of the shape of `y`.
        axis: the channel axis of `y`.
    """
    if "bias" in node.params:
        y = y + along(graph.constant(node, "bias").astype(np.float64), y.ndim, axis)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out = np.asarray(y, dtype=np.float32)
        if "slope" in node.params:
            out = np.where(out < 0, out * along(graph.constant(node, "slope"), out.ndim, axis), out)
        for other in residual:
            out = out + other
    return clamp_float(out, node.attrs.clamp)


def with_bias(node: Node, graph: Graph, acc: Array, axis: int) -> Array:
    """`acc + bias` in int64; `acc` may be the float image of exact integers."""
    total = np.asarray(acc).astype(np.int64)
    if "bias" in node.params:
        total = total + along(graph.constant(node, "bias").astype(np.int64), total.ndim, axis)
    return np.asarray(total)


def finish_levels(node: Node, graph: Graph, acc: Array, residual: Sequence[Array] = (), axis: int | None = 1) -> Array:
    """Section 4 of docs/numerics.md, from `acc` to the node's output, with the constants among the node's params.

    Args:
        node: its attrs have `requantize`, and may have `clamp`, which the kind "dequantize" applies.
        graph: the graph of the node.
        acc: exact integers.
        residual: none or one array: levels `q` of the node's second input, or float32 under "dequantize".
        axis: the channel axis of `acc`.

    Returns:
        int32 signed levels, or float32 under "dequantize".
    """
    rule: Requantize = node.attrs.requantize
    needed, negative, other = _ROLES[rule.kind]
    roles = [*needed, *(role for role in negative if role in node.params)]
    if residual and other:
        roles.append(other)
    constants = {role: graph.constant(node, role) for role in roles}
    if rule.kind == "dequantize":
        clamp = getattr(node.attrs, "clamp", None)
        return requantize_to_float(acc, axis=axis, residual=residual[0] if residual else None, clamp=clamp, **constants)
    steps = centred(graph, node.inputs[1], residual[0]) if residual else None
    if steps is not None and rule.negate_residual:
        steps = -steps
    output: dict[str, Any] = {"zero_point": affine_of(graph, node.output).zero_point, "lo": rule.lo, "hi": rule.hi}
    finish: Any = {"float": requantize_float, "fixed": requantize_fixed, "shift": requantize_shift}[rule.kind]
    levels: Array = finish(acc, axis=axis, residual=steps, **output, **constants)
    return levels


# Params of each kind: those that it needs, those of a leaky activation, and that of a residual.
_ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "float": (("multiplier",), ("multiplier_neg",), "residual_multiplier"),
    "fixed": (("multiplier", "exponent"), ("multiplier_neg", "exponent_neg"), "residual_multiplier"),
    "shift": (("shift",), (), "residual_shift"),
    "dequantize": (("multiplier",), ("multiplier_neg",), ""),
}


def finish_mean(node: Node, graph: Graph, acc: Array, count: Array | int) -> Array:
    """Section 4 for a mean over `count` elements (1 for a sum), whose constants follow from the scales.

    `m64 = f64(s) / (f64(n) * f64(s_y))`, without `s_y` under "dequantize"; then as `float` or `fixed` make their
    constants of it. Under `shift` a mean uses `fixed`, which gives the same levels where `m64` is a power of two.

    Args:
        node: its attrs have `requantize`.
        graph: the graph of the node.
        acc: exact integer sums of `q - z`.
        count: n, one for all or an array that broadcasts against `acc`.
    """
    rule: Requantize = node.attrs.requantize
    scale = affine_of(graph, node.inputs[0]).scale
    if rule.kind == "dequantize":
        return requantize_to_float(acc, float_multiplier(mean_multiplier(scale, count)), axis=None)
    output = affine_of(graph, node.output)
    m64 = mean_multiplier(scale, count, output.scale)
    levels: dict[str, Any] = {"zero_point": output.zero_point, "lo": rule.lo, "hi": rule.hi, "axis": None}
    if rule.kind == "float":
        return requantize_float(acc, float_multiplier(m64), **levels)
    return requantize_fixed(acc, *fixed_multiplier(m64), **levels)
