# SPDX-License-Identifier: Apache-2.0
"""Turn a slice of a convolution's channels into a convolution of its own, with that part of the weights."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from fewbins.graph import Graph, Node, Tensor
from fewbins.passes.fold_scale import channel_axis


def can_slice_weights(graph: Graph, node: Node) -> bool:
    """Whether the node is a Slice of output channels alone, right behind a Conv of one group or a Gemm."""
    if node.op != "Slice":
        return False
    host = graph.producer(node.inputs[0])
    if host is None or host.op not in ("Conv", "Gemm") or len(host.inputs) > 1:
        return False
    one_group = host.op == "Gemm" or host.attrs.groups == 1
    return bool(one_group and node.attrs.axes == (channel_axis(host, graph.tensors[host.output].shape),))


def slice_weights(graph: Graph, slices: Container[str]) -> Graph:
    """Replace Slice nodes by Conv or Gemm nodes that compute just those channels.

    The network computes the same numbers, with more multiplications where something else reads the whole tensor too.
    What is won is a scale of its own: levels that move keep their scale, so that one loud channel that a slice drops
    would take the precision of all the channels that it keeps.

    Args:
        graph: a float graph.
        slices: names of nodes for which `can_slice_weights` holds; others are left alone.
    """
    tensors, names = dict(graph.tensors), graph.names()
    nodes: list[Node] = []
    for node in graph.nodes:
        host = graph.producer(node.inputs[0]) if node.inputs else None
        if node.name not in slices or host is None or not can_slice_weights(graph, node):
            nodes.append(node)
            continue
        start, end, step = node.attrs.starts[0], node.attrs.ends[0], node.attrs.steps[0]
        channels = len(graph.constant(host, "weight"))
        # ONNX's "to the end, backwards" is an end below -channels, which Python writes as None.
        part = slice(start, None if end < -channels and step < 0 else end, step)
        params = {}
        for role, name in host.params.items():
            data = tensors[name].value
            data = data if role == "slope" and data.size == 1 else data[part]
            params[role] = names.fresh(f"{node.name}/{role}")
            tensors[params[role]] = Tensor.constant(params[role], np.ascontiguousarray(data))
        nodes.append(Node(host.op, node.name, host.inputs, node.outputs, host.attrs, params))
    return graph.replace(nodes=nodes, tensors=tensors).prune()
