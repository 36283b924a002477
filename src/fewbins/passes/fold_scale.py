# SPDX-License-Identifier: Apache-2.0
"""Fold products and sums with constants into the weights and the bias before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fewbins.graph import Graph, Names, Node, Shape, Tensor
from fewbins.passes.fuse_activation import WEIGHTED

F64 = npt.NDArray[np.float64]


def fold_scale(graph: Graph) -> Graph:
    """Fold `Binary` mul, div, add and sub by a constant (one value, or one per channel) into Conv, ConvTranspose, Gemm.

    The weighted node must have no activation and no residual, and nothing else may read its result. It keeps its name
    and writes the Binary's output.

    Args:
        graph: a float graph before `fuse_activation`.
    """
    tensors = dict(graph.tensors)
    names = graph.names()
    hosts: dict[str, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        folded = None
        if node.op == "Binary":
            operand = next((name for name in node.inputs if not tensors[name].is_constant), "")
            host = hosts.get(operand)
            if host is not None and graph.use_count(operand) == 1:
                folded = _fold(host, node, tensors, names)
                if folded is not None:
                    nodes[nodes.index(host)] = folded
        if folded is None:
            nodes.append(node)
            folded = node
        if _is_host(folded):
            hosts[folded.output] = folded
    return graph.replace(nodes=nodes, tensors=tensors).prune()


def _is_host(node: Node) -> bool:
    return node.op in WEIGHTED and len(node.inputs) == 1 and node.attrs.clamp is None and "slope" not in node.params


def _fold(host: Node, node: Node, tensors: dict[str, Tensor], names: Names) -> Node | None:
    function, constant_first = node.attrs.function, tensors[node.inputs[0]].is_constant
    constant = tensors[node.inputs[0] if constant_first else node.inputs[1]]
    weight = tensors[host.params["weight"]].value.astype(np.float64)
    channels = output_channels(host, weight.shape)
    shape = tensors[host.output].shape
    values = None if constant.data is None else per_channel(constant.data, shape, channel_axis(host, shape), channels)
    if values is None or node.attrs.clamp is not None:
        return None
    bias = tensors[host.params["bias"]].value.astype(np.float64) if "bias" in host.params else np.zeros(channels)
    scale, shift = np.ones(channels), np.zeros(channels)
    if function == "mul":
        scale = values
    elif function == "div" and not constant_first and np.all(values != 0):
        scale = 1.0 / values
    elif function == "add":
        shift = values
    elif function == "sub":
        scale, shift = (-scale, values) if constant_first else (scale, -values)
    else:
        return None
    with np.errstate(all="ignore"):
        new_weight = scale_channels(host, weight, scale).astype(np.float32)
        new_bias = (bias * scale + shift).astype(np.float32)
    if not (np.isfinite(new_weight).all() and np.isfinite(new_bias).all()):
        return None
    params = dict(host.params)
    for role, data in (("weight", new_weight), ("bias", new_bias)):
        params[role] = names.fresh(f"{node.name}/{role}")
        tensors[params[role]] = Tensor.constant(params[role], data)
    return host.with_(outputs=node.outputs, params=params)


def channel_axis(node: Node, shape: Shape) -> int:
    """The axis of a weighted node's output that its bias runs along."""
    return len(shape) - 1 if node.op == "Gemm" else 1


def output_channels(node: Node, weight_shape: tuple[int, ...]) -> int:
    """How many output channels a weighted node has."""
    return weight_shape[1] * node.attrs.groups if node.op == "ConvTranspose" else weight_shape[0]


def scale_channels(node: Node, weight: F64, scale: F64) -> F64:
    """The weights, each output channel multiplied by its entry of `scale`."""
    rows = channel_rows(node, weight) * scale[:, None]
    return weight_of_rows(node, rows, weight.shape)


def channel_rows(node: Node, weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The weights as (output channels, everything else).

    A ConvTranspose stores (I, O/groups, kH, kW); its output channel `g * O/groups + j` takes the inputs of group g.
    """
    if node.op != "ConvTranspose":
        return np.asarray(weight.reshape(len(weight), -1))
    groups = node.attrs.groups
    by_group = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
    return np.asarray(by_group.transpose(0, 2, 1, 3).reshape(groups * weight.shape[1], -1))


def weight_of_rows(node: Node, rows: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The inverse of `channel_rows`."""
    if node.op != "ConvTranspose":
        return rows.reshape(shape)
    groups = node.attrs.groups
    by_group = rows.reshape(groups, shape[1], shape[0] // groups, -1)
    return np.ascontiguousarray(by_group.transpose(0, 2, 1, 3)).reshape(shape)


def per_channel(values: npt.NDArray[Any], shape: Shape, axis: int, channels: int) -> F64 | None:
    """A constant that broadcasts to `shape` without widening it, as one value per channel; None if it is not that.

    >>> per_channel(np.float32([[[2.0]], [[3.0]]]), ("batch", 2, 8, 8), 1, 2)
    array([2., 3.])
    """
    if values.ndim > len(shape):
        return None
    if values.size == 1:
        return np.full(channels, float(values.reshape(-1)[0]))
    aligned = (1,) * (len(shape) - values.ndim) + values.shape
    if values.size != channels or aligned[axis] != channels:
        return None
    return values.reshape(-1).astype(np.float64)
