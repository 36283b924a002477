# SPDX-License-Identifier: Apache-2.0
"""Normalizations that exporters spell out in simple operators, put together again.

`(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)`, with the square as Pow or Mul and the quotient as Div or as a
product with a Reciprocal; a scale and a bias that follow; and GroupNormalization as PyTorch writes it for old opsets,
an InstanceNormalization of an input whose channels were reshaped into groups.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fewbins.graph import Graph, Node
from fewbins.importers.patterns import operands_of, sum_with
from fewbins.ops import NormalizeAttrs


def recognize_normalizations(graph: Graph) -> Graph:
    """Replace what spells out a normalization by one Normalize node; `Graph.prune` takes its inner nodes."""
    for step in (_whole, _of_groups, _with_scale, _with_bias):
        graph = graph.replace(nodes=[step(graph, node) or node for node in graph.nodes])
    return graph


def _whole(graph: Graph, node: Node) -> Node | None:
    """A quotient of a centred tensor by its deviation."""
    quotient = _quotient(graph, node)
    if quotient is None:
        return None
    centred, deviation = quotient
    root = graph.producer(deviation)
    if root is None or root.op != "Unary" or root.attrs.function != "sqrt":
        return None
    variance = sum_with(graph, root.inputs[0])
    x = _centred(graph, centred)
    if variance is None or x is None or not 0 <= variance[1] < np.inf:
        return None
    mean = graph.producer(variance[0])
    if mean is None or not _is_mean(mean) or mean.attrs.axes != x[1]:
        return None
    squared = _square(graph, mean.inputs[0])
    if squared is None or _centred(graph, squared) != x:
        return None
    return Node("Normalize", node.name, (x[0],), node.outputs, NormalizeAttrs(x[1], epsilon=variance[1]))


def _quotient(graph: Graph, node: Node) -> tuple[str, str] | None:
    """Dividend and divisor of a node that divides, or multiplies by a reciprocal."""
    if node.op != "Binary" or node.attrs.clamp is not None:
        return None
    if node.attrs.function == "div":
        return node.inputs[0], node.inputs[1]
    if node.attrs.function == "mul":
        for x, factor in (node.inputs, node.inputs[::-1]):
            inverse = graph.producer(factor)
            if inverse is not None and inverse.op == "Unary" and inverse.attrs.function == "reciprocal":
                return x, inverse.inputs[0]
    return None


def _centred(graph: Graph, name: str) -> tuple[str, tuple[int, ...]] | None:
    """The tensor and the axes of `x - mean(x)`."""
    operands = operands_of(graph, name, "sub")
    if operands is None:
        return None
    mean = graph.producer(operands[1])
    if mean is None or not _is_mean(mean) or mean.inputs[0] != operands[0]:
        return None
    return operands[0], mean.attrs.axes


def _is_mean(node: Node) -> bool:
    return node.op == "Reduce" and node.attrs.function == "mean" and bool(node.attrs.keepdims)


def _square(graph: Graph, name: str) -> str | None:
    node = graph.producer(name)
    if node is not None and node.op == "Unary" and node.attrs.function == "pow" and node.attrs.alpha == 2:
        return node.inputs[0]
    operands = operands_of(graph, name, "mul")
    return operands[0] if operands is not None and operands[0] == operands[1] else None


def _with_scale(graph: Graph, node: Node) -> Node | None:
    found = _affine(graph, node, "mul")
    if found is None or found[0].params:
        return None
    inner, constant = found
    return node.with_(op="Normalize", inputs=inner.inputs, attrs=inner.attrs, params={"scale": constant})


def _with_bias(graph: Graph, node: Node) -> Node | None:
    found = _affine(graph, node, "add")
    if found is None or "bias" in found[0].params:
        return None
    inner, constant = found
    params: Mapping[str, str] = {**inner.params, "bias": constant}
    return node.with_(op="Normalize", inputs=inner.inputs, attrs=inner.attrs, params=params)


def _affine(graph: Graph, node: Node, function: str) -> tuple[Node, str] | None:
    """A Normalize that nothing else reads, and the constant that this node adds or multiplies it by."""
    operands = operands_of(graph, node.outputs[0], function)
    for x, constant in (operands, operands[::-1]) if operands is not None else ():
        inner, tensor = graph.producer(x), graph.tensors[constant]
        fits = tensor.is_constant and tensor.dtype == "float32"
        if inner is None or inner.op != "Normalize" or not fits or graph.use_count(x) != 1:
            continue
        if graph.tensors[node.output].shape == graph.tensors[x].shape:
            return inner, constant
    return None


def _of_groups(graph: Graph, node: Node) -> Node | None:
    """A Reshape back from (N, groups, rest), behind a Normalize over the rest that scales by nothing."""
    if node.op != "Reshape":
        return None
    inner = graph.producer(node.inputs[0])
    if inner is None or inner.op != "Normalize" or inner.attrs.axes != (2,) or not _is_plain(graph, inner):
        return None
    cut = graph.producer(inner.inputs[0])
    if cut is None or cut.op != "Reshape":
        return None
    x, parts = graph.tensors[cut.inputs[0]].shape, graph.tensors[inner.inputs[0]].shape
    if len(x) < 3 or len(parts) != 3 or parts[0] != x[0] or graph.tensors[node.output].shape != x:
        return None
    groups = parts[1]
    if not isinstance(groups, int) or not isinstance(x[1], int) or x[1] % groups:
        return None
    attrs = NormalizeAttrs(tuple(range(1, len(x))), groups, inner.attrs.epsilon)
    return Node("Normalize", node.name, cut.inputs, node.outputs, attrs)


def _is_plain(graph: Graph, node: Node) -> bool:
    neutral = {"scale": 1, "bias": 0}
    return all(bool((graph.constant(node, role) == neutral[role]).all()) for role in node.params)
