# SPDX-License-Identifier: Apache-2.0
"""Compute what does not depend on the graph's inputs."""

from __future__ import annotations

import numpy as np

from fewbins.graph import Graph, Node, Tensor
from fewbins.ops import REGISTRY


def fold_constants(graph: Graph) -> Graph:
    """Replace every float node all of whose inputs are constants by the constants that its oracle gives.

    Nodes that write graph outputs stay, and so do nodes on levels.

    Args:
        graph: a float graph.

    Example:
        >>> from fewbins.ops import UnaryAttrs
        >>> four = Tensor.constant("four", np.float32([4.0]))
        >>> tensors = {t.name: t for t in (four, Tensor("two", (1,)), Tensor("root", (1,)))}
        >>> sqrt = Node("Unary", "sqrt", ("four",), ("two",), UnaryAttrs("sqrt"))
        >>> again = Node("Unary", "again", ("two",), ("root",), UnaryAttrs("sqrt"))
        >>> folded = fold_constants(Graph((sqrt, again), tensors, (), ("root",)))
        >>> [node.name for node in folded.nodes], folded.tensors["two"].value.tolist()
        (['again'], [2.0])
    """
    tensors = dict(graph.tensors)
    current = graph.replace(tensors=tensors)  # sees what is folded on the way
    nodes: list[Node] = []
    for node in graph.nodes:
        operands = [tensors[name] for name in node.inputs]
        float_only = all(tensor.is_constant and tensor.dtype == "float32" for tensor in operands)
        if not operands or not float_only or set(node.outputs) & set(graph.outputs):
            nodes.append(node)
            continue
        results = REGISTRY[node.op].oracle(node, [tensor.value for tensor in operands], current)
        for name, data in zip(node.outputs, results, strict=True):
            tensors[name] = Tensor.constant(name, np.array(data, np.float32, order="C"))
    return graph.replace(nodes=nodes, tensors=tensors).prune()
