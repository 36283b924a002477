# SPDX-License-Identifier: Apache-2.0
"""Move a ReLU, Clip, LeakyReLU or PReLU into the node that computes its input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fewbins.graph import Graph, Names, Node, Tensor
from fewbins.ops import UnaryAttrs

WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
FUSED_BINARY = ("add", "sub", "mul")

Clamp = tuple[float | None, float | None]


def fuse_activation(graph: Graph) -> Graph:
    """Fuse activations that are the only reader of a Conv, ConvTranspose, Gemm or Binary (add, sub, mul).

    ReLU and Clip become the node's `clamp`; LeakyReLU and PReLU its param `slope`, of shape (1,) or (C,), where there
    is no residual. The fused node keeps its own name and writes the activation's output, so that the network computes
    the same numbers.

    Args:
        graph: a float graph, before `fuse_residual` or after.

    Returns:
        The graph with fewer nodes; run again, it changes nothing.
    """
    tensors, names = dict(graph.tensors), graph.names()
    fused: dict[str, Node] = {}  # by the tensor that the node writes now
    nodes: list[Node] = []
    for node in graph.nodes:
        producer = fused.get(node.inputs[0]) if node.op in ("Unary", "PRelu") else None
        merged = None
        if producer is not None and graph.use_count(node.inputs[0]) == 1:
            merged = _merge(producer, node, tensors, names)
        if merged is None or producer is None:
            nodes.append(node)
            if _takes_activation(node):
                fused[node.output] = node
            continue
        nodes[nodes.index(producer)] = merged
        del fused[producer.output]
        fused[merged.output] = merged
    return graph.replace(nodes=nodes, tensors=tensors).prune()


def _takes_activation(node: Node) -> bool:
    return node.op in WEIGHTED or (node.op == "Binary" and node.attrs.function in FUSED_BINARY)


def _merge(producer: Node, activation: Node, tensors: dict[str, Tensor], names: Names) -> Node | None:
    """The producer with the activation inside, or None where the two do not fuse."""
    if "slope" in producer.params:
        return None
    clamp = clamp_of(activation)
    if clamp is not None:
        attrs = replace(producer.attrs, clamp=_compose(producer.attrs.clamp, clamp))
        return producer.with_(attrs=attrs, outputs=activation.outputs)
    if producer.op not in WEIGHTED or len(producer.inputs) > 1 or producer.attrs.clamp is not None:
        return None
    rank = len(tensors[producer.output].shape)
    if activation.op == "PRelu":
        name = activation.params["slope"]
        slope = tensors[name].value
        # PReLU's channels lie along axis 1, which is Gemm's last axis at rank 2 only.
        if slope.size > 1 and producer.op == "Gemm" and rank != 2:
            return None
        if slope.ndim != 1:
            name = names.fresh(f"{activation.name}/slope")
            tensors[name] = Tensor.constant(name, slope.reshape(-1))
    elif isinstance(activation.attrs, UnaryAttrs) and activation.attrs.function == "leaky_relu":
        name = names.fresh(f"{activation.name}/slope")
        tensors[name] = Tensor.constant(name, np.array([activation.attrs.alpha], np.float32))
    else:
        return None
    return producer.with_(outputs=activation.outputs, params={**producer.params, "slope": name})


def clamp_of(node: Node) -> Clamp | None:
    """The range that a lone ReLU or Clip keeps its values in; None for any other node.

    >>> clamp_of(Node("Unary", "act", ("x",), ("y",), UnaryAttrs("relu")))
    (0.0, None)
    """
    if node.op != "Unary":
        return None
    if node.attrs.function == "relu":
        return (0.0, None)
    if node.attrs.function == "clip":
        return (node.attrs.lo, node.attrs.hi)
    return None


def _compose(first: Clamp | None, second: Clamp) -> Clamp:
    """The clamp that equals `first`, then `second`: each bound of the first passes through the second."""
    if first is None:
        return second

    def through(bound: float | None, other: float | None) -> float | None:
        if bound is None:
            return other
        low, high = second
        if low is not None:
            bound = max(bound, low)
        return bound if high is None else min(bound, high)

    return through(first[0], second[0]), through(first[1], second[1])
