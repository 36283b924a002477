# SPDX-License-Identifier: Apache-2.0
"""Fold BatchNormalization into the weights before it, or turn it into a node that is quantized like any other."""

from __future__ import annotations

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Names, Node, Tensor
from fewbins.numerics import flush_subnormals
from fewbins.ops import BinaryAttrs, ConvAttrs
from fewbins.passes.fold_scale import F64, channel_axis, output_channels, scale_channels
from fewbins.passes.fuse_activation import WEIGHTED


def fold_batchnorm(graph: Graph) -> Graph:
    """Remove every BatchNormalization: y = (x - mean) * scale / sqrt(var + epsilon) + bias.

    Behind a Conv, ConvTranspose or Gemm that nothing else reads, it goes into that node's weights and bias, computed
    in float64 and rounded once; the node keeps its name and writes the BatchNormalization's output. A standalone one
    of rank 4 becomes a depthwise 1x1 Conv; of another rank, a Binary mul and add.

    Args:
        graph: a float graph before `fuse_activation`.

    Raises:
        GraphError: a factor or a sum that is not finite, from a negative variance or a huge scale; names the node.
    """
    tensors, names = dict(graph.tensors), graph.names()
    nodes: list[Node] = []
    places: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "BatchNormalization":
            scale, shift = _affine(graph, node)
            place = places.get(node.inputs[0])
            if place is not None and graph.use_count(node.inputs[0]) == 1 and _fits(tensors, nodes[place], len(scale)):
                nodes[place] = _into(nodes[place], node, scale, shift, tensors, names)
                places[node.output] = place
                continue
            made = _alone(graph, node, scale, shift, tensors, names)
        else:
            made = [node]
        for one in made:
            places.update(dict.fromkeys(one.outputs, len(nodes)))
            nodes.append(one)
    return graph.replace(nodes=nodes, tensors=tensors).prune()


def _affine(graph: Graph, node: Node) -> tuple[F64, F64]:
    """Factor and sum of each channel, in float64."""
    with np.errstate(all="ignore"):
        scale, bias, mean, var = (
            graph.constant(node, role).astype(np.float64) for role in ("scale", "bias", "mean", "var")
        )
        factor = scale / np.sqrt(var + node.attrs.epsilon)
        shift = bias - mean * factor
        wrong = np.flatnonzero(~(np.isfinite(factor.astype(np.float32)) & np.isfinite(shift.astype(np.float32))))
    if wrong.size:
        channel = int(wrong[0])
        raise GraphError(
            f"node '{node.name}' (BatchNormalization): channel {channel} has variance {var[channel]:g} and scale "
            f"{scale[channel]:g}, which give no finite factor; repair the network's statistics"
        )
    return factor, shift


def _fits(tensors: dict[str, Tensor], host: Node, channels: int) -> bool:
    """Whether the node before can take a factor and a sum for each channel of axis 1."""
    if host.op not in WEIGHTED or len(host.inputs) != 1 or host.attrs.clamp is not None or "slope" in host.params:
        return False
    weight = tensors[host.params["weight"]]
    shape = tensors[host.output].shape
    data = weight.data
    return data is not None and channel_axis(host, shape) == 1 and output_channels(host, data.shape) == channels


def _into(host: Node, node: Node, scale: F64, shift: F64, tensors: dict[str, Tensor], names: Names) -> Node:
    params = dict(host.params)
    with np.errstate(all="ignore"):
        weight = tensors[params["weight"]].value.astype(np.float64)
        bias = tensors[params["bias"]].value.astype(np.float64) if "bias" in params else np.zeros_like(shift)
        params["weight"] = _constant(f"{host.name}.weight", scale_channels(host, weight, scale), node, tensors, names)
        params["bias"] = _constant(f"{host.name}.bias", bias * scale + shift, node, tensors, names)
    return host.with_(outputs=node.outputs, params=params)


def _alone(graph: Graph, node: Node, scale: F64, shift: F64, tensors: dict[str, Tensor], names: Names) -> list[Node]:
    rank, channels = len(graph.tensors[node.inputs[0]].shape), len(scale)
    if rank == 4:
        params = {
            "weight": _constant(f"{node.name}.weight", scale.reshape(-1, 1, 1, 1), node, tensors, names),
            "bias": _constant(f"{node.name}.bias", shift, node, tensors, names),
        }
        return [Node("Conv", node.name, node.inputs, node.outputs, ConvAttrs((1, 1), groups=channels), params)]
    shape = (channels, *[1] * (rank - 2))
    factor = _constant(f"{node.name}.scale", scale.reshape(shape), node, tensors, names)
    term = _constant(f"{node.name}.shift", shift.reshape(shape), node, tensors, names)
    product = names.fresh(f"{node.output}:scaled")
    tensors[product] = Tensor(product, tensors[node.output].shape)
    first = Node("Binary", names.fresh(f"{node.name}:scale"), (node.inputs[0], factor), (product,), BinaryAttrs("mul"))
    return [first, Node("Binary", node.name, (product, term), node.outputs, BinaryAttrs("add"))]


def _constant(name: str, values: F64, node: Node, tensors: dict[str, Tensor], names: Names) -> str:
    with np.errstate(all="ignore"):
        data = flush_subnormals(values.astype(np.float32))
    if not np.isfinite(data).all():
        raise GraphError(
            f"node '{node.name}' (BatchNormalization): folded weights exceed float32; repair the network's statistics"
        )
    name = names.fresh(name)
    tensors[name] = Tensor.constant(name, np.ascontiguousarray(data))
    return name
