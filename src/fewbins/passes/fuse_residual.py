# SPDX-License-Identifier: Apache-2.0
"""Move the addition at the end of a residual block into its convolution."""

from __future__ import annotations

from dataclasses import replace

from fewbins.graph import Graph, Node, Shape
from fewbins.passes.fuse_activation import WEIGHTED


def fuse_residual(graph: Graph) -> Graph:
    """Fuse `Binary add` of two activations of one shape into the Conv, ConvTranspose or Gemm that computes one of them.

    The convolution then has the inputs `(x, residual)` and the addition's clamp. It must have no activation and no
    residual of its own, and nothing else may read its result. Where both operands qualify, the later one is taken.

    Args:
        graph: a float graph after `fuse_activation`.

    Returns:
        The graph with fewer nodes.
    """
    order = {node.name: place for place, node in enumerate(graph.nodes)}
    gone: set[str] = set()
    nodes: list[Node] = []
    for node in graph.nodes:
        host = _host(graph, node, order)
        if host is None:
            nodes.append(node)
            continue
        gone.add(host.name)
        residual = node.inputs[1] if node.inputs[0] == host.output else node.inputs[0]
        attrs = replace(host.attrs, clamp=node.attrs.clamp)
        nodes.append(host.with_(inputs=(host.inputs[0], residual), outputs=node.outputs, attrs=attrs))
    # A fused convolution stands where the addition stood: both operands are computed by then.
    kept = [node for node in nodes if node.name not in gone or len(node.inputs) > 1]
    return graph.replace(nodes=kept).prune()


def _host(graph: Graph, node: Node, order: dict[str, int]) -> Node | None:
    if node.op != "Binary" or node.attrs.function != "add":
        return None
    left, right = node.inputs
    if left == right or not same_shape(graph.tensors[left].shape, graph.tensors[right].shape):
        return None
    if graph.tensors[left].is_constant or graph.tensors[right].is_constant:
        return None
    found = [graph.producer(name) for name in node.inputs]
    hosts = [producer for producer in found if producer is not None and _fits(graph, producer)]
    return max(hosts, key=lambda host: order[host.name], default=None)


def _fits(graph: Graph, producer: Node) -> bool:
    return (
        producer.op in WEIGHTED
        and len(producer.inputs) == 1
        and producer.attrs.clamp is None
        and "slope" not in producer.params
        and graph.use_count(producer.output) == 1
    )


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether two shapes are certainly equal; sizes whose name starts with "?" are not.

    >>> same_shape(("batch", 3), ("batch", 3)), same_shape(("?", 3), ("?", 3))
    (True, False)
    """
    return a == b and not any(isinstance(size, str) and size.startswith("?") for size in a)
