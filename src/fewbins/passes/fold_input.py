# SPDX-License-Identifier: Apache-2.0
"""Fold what a network does to its input by constants, such as (x - mean) / std, into the layers that read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewbins.graph import Graph, Names, Node, Shape, Tensor
from fewbins.numerics import flush_subnormals
from fewbins.ops import BinaryAttrs
from fewbins.passes.fold_scale import per_channel

F64 = npt.NDArray[np.float64]

MAX_RATIO = 2.0
"""Factors of channels that differ more than this stay: the input has one scale, and channels with a small range would
lose their precision to those with a large one."""

MAX_MEAN = 8.0
"""Means of more standard deviations than this are subtracted and not folded into a bias: levels have to hold 0, and
would be spent on values between 0 and those that occur."""


@dataclass(frozen=True)
class _Front:
    """Nodes behind an input that together compute `factor * x + term` for each channel.

    Attributes:
        source: the input.
        output: what the last of them writes.
        nodes: in order.
        axis: where the channels are in the source.
        factor: of each channel.
        term: of each channel.
    """

    source: str
    output: str
    nodes: Sequence[Node]
    axis: int
    factor: F64
    term: F64


def fold_input(graph: Graph) -> Graph:
    """Fold products, quotients, sums and differences by constants between a graph input and its first layers.

    An input that a Cast makes float32 counts as what the Cast gives.

    The constants have one value, or one for each channel; Transposes may stand among them, and a batch normalization,
    which is a depthwise Conv by now. The factors go into the weights of the Conv or Gemm nodes that read the result.
    What is subtracted goes into their biases where none of them pads; elsewhere one difference with the input stays
    (`x - mean`), which becomes a part of the Quantize in front.

    Args:
        graph: a float graph after `fold_batchnorm` and `fold_pad`.
    """
    for source in _sources(graph):
        front = _front(graph, source)
        if front is not None:
            graph = _folded(graph, front)
    return graph


def _sources(graph: Graph) -> list[str]:
    """The inputs, and what they are as float32 where they are given as another type."""
    casts = [node.output for node in graph.nodes if node.op == "Cast" and node.inputs[0] in graph.inputs]
    return [*graph.inputs, *casts]


def _front(graph: Graph, source: str) -> _Front | None:
    """The longest run of such nodes whose result is read by layers alone."""
    nodes: list[Node] = []
    output = source
    while graph.use_count(output) == 1 and graph.consumers(output):
        node = graph.consumers(output)[0]
        if not (_is_step(graph, node, output) or node.op == "Transpose"):
            break
        nodes.append(node)
        output = node.output
    while any(node.op != "Transpose" for node in nodes):
        front = _composed(graph, source, nodes)
        if front is not None:
            return front
        nodes.pop()
    return None


def _is_step(graph: Graph, node: Node, x: str) -> bool:
    if node.op == "Binary" and node.attrs.clamp is None:
        other = node.inputs[1] if node.inputs[0] == x else node.inputs[0]
        known = node.attrs.function in ("add", "sub", "mul") or (node.attrs.function == "div" and node.inputs[0] == x)
        return known and graph.tensors[other].is_constant and graph.tensors[x].shape == graph.tensors[node.output].shape
    return _is_scale_layer(graph, node)


def _is_scale_layer(graph: Graph, node: Node) -> bool:
    """Whether a node is a Conv with one weight for each channel, as a batch normalization becomes."""
    if node.op != "Conv" or len(node.inputs) != 1 or node.attrs.clamp is not None or "slope" in node.params:
        return False
    weight = graph.constant(node, "weight")
    return bool(
        node.attrs.groups == len(weight)
        and weight.shape[1:] == (1, 1, 1)
        and node.attrs.strides == (1, 1)
        and not _pads(node)
    )


def _takes(node: Node, x: str) -> bool:
    return node.op in ("Conv", "Gemm") and node.inputs[0] == x and x not in node.inputs[1:]


def _pads(node: Node) -> bool:
    return node.op == "Conv" and (node.attrs.auto_pad != "explicit" or any(node.attrs.pads))


def _composed(graph: Graph, source: str, nodes: Sequence[Node]) -> _Front | None:
    """The nodes as one factor and one term for each channel; None where they are not, or no layers read the result."""
    output = nodes[-1].output
    readers, shape = graph.consumers(output), graph.tensors[output].shape
    axes = {len(shape) - 1 if node.op == "Gemm" else 1 for node in readers if _takes(node, output)}
    if output in graph.outputs or len(axes) != 1 or not all(_takes(node, output) for node in readers):
        return None
    axis = axes.pop()
    channels = shape[axis]
    if not isinstance(channels, int):
        return None
    places = []  # the channels' axis in front of each node
    for node in reversed(nodes):
        if node.op == "Transpose":
            axis = node.attrs.perm[axis]
        places.append(axis)
    factor, term = np.ones(channels), np.zeros(channels)
    for node, place in zip(nodes, reversed(places), strict=True):
        if node.op == "Transpose":
            continue
        step = _step(graph, node, place, channels)
        if step is None:
            return None
        with np.errstate(all="ignore"):
            factor, term = factor * step[0], term * step[0] + step[1]
    usable = np.isfinite(factor).all() and np.isfinite(term).all() and (factor != 0).all()
    if not usable or np.abs(factor).max() > MAX_RATIO * np.abs(factor).min():
        return None
    return _Front(source, output, tuple(nodes), axis, factor, term)


def _step(graph: Graph, node: Node, axis: int, channels: int) -> tuple[F64, F64] | None:
    """A node as a factor and a term for each channel."""
    shape = graph.tensors[node.output].shape
    if node.op == "Conv":
        if axis != 1:
            return None
        factor = graph.constant(node, "weight").reshape(-1).astype(np.float64)
        bias = graph.constant(node, "bias").astype(np.float64) if "bias" in node.params else np.zeros(channels)
        return (factor, bias) if len(factor) == channels else None
    first = graph.tensors[node.inputs[0]]
    constant = first if first.is_constant else graph.tensors[node.inputs[1]]
    values = per_channel(constant.value, shape, axis, channels)
    if values is None:
        return None
    function, ones = node.attrs.function, np.ones(channels)
    if function == "mul":
        return values, 0 * ones
    if function == "div":
        with np.errstate(divide="ignore"):
            return 1.0 / values, 0 * ones
    if function == "add":
        return ones, values
    return (-ones, values) if constant is first else (ones, -values)


def _folded(graph: Graph, front: _Front) -> Graph:
    tensors, names = dict(graph.tensors), graph.names()
    readers = graph.consumers(front.output)
    subtract = bool(front.term.any()) and (
        any(_pads(node) for node in readers) or float(np.abs(front.term).max()) > MAX_MEAN
    )
    term = 0 * front.term if subtract else front.term
    changed = {}
    for node in readers:
        weight, bias = _weights(graph, node, front.factor, term)
        if not (np.isfinite(weight).all() and (bias is None or np.isfinite(bias).all())):
            return graph
        params = dict(node.params)
        for role, data in (("weight", weight), ("bias", bias)):
            if data is not None:
                params[role] = names.fresh(f"{node.name}/{role}")
                tensors[params[role]] = Tensor.constant(params[role], data)
        changed[node.name] = params
    made, x = _remaining(graph, front, subtract, tensors, names)
    gone = {node.name for node in front.nodes}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == front.nodes[0].name:
            nodes += made
        if node.name in changed:
            node = node.with_(inputs=(x, *node.inputs[1:]), params=changed[node.name])
        if node.name not in gone:
            nodes.append(node)
    return graph.replace(nodes=nodes, tensors=tensors).prune()


def _weights(
    graph: Graph, node: Node, factor: F64, term: F64
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Weight and bias of a layer that reads x instead of factor * x + term; no bias where it does not change."""
    weight = graph.constant(node, "weight").astype(np.float64)
    outputs = len(weight)
    groups = node.attrs.groups if node.op == "Conv" else 1
    # Row o of the weight reads the channels of its group.
    spread = (1,) * (weight.ndim - 2)
    by_row = np.repeat(factor.reshape(groups, -1), outputs // groups, axis=0).reshape(outputs, -1, *spread)
    terms = np.repeat(term.reshape(groups, -1), outputs // groups, axis=0).reshape(outputs, -1, *spread)
    with np.errstate(all="ignore"):
        scaled = flush_subnormals((weight * by_row).astype(np.float32))
        if not term.any():
            return scaled, None
        bias = graph.constant(node, "bias").astype(np.float64) if "bias" in node.params else np.zeros(outputs)
        bias = bias + (weight * terms).reshape(outputs, -1).sum(1)
        return scaled, bias.astype(np.float32)


def _remaining(
    graph: Graph, front: _Front, subtract: bool, tensors: dict[str, Tensor], names: Names
) -> tuple[list[Node], str]:
    """What stays between the input and its layers: the difference, if any, then the Transposes; and their result."""
    x, made = front.source, []
    if subtract:
        shape = graph.tensors[x].shape
        mean = (-front.term / front.factor).astype(np.float32)
        constant = names.fresh(f"{x}/mean")
        tensors[constant] = Tensor.constant(constant, mean.reshape(len(mean), *[1] * (len(shape) - 1 - front.axis)))
        first = next(node for node in front.nodes if node.op != "Transpose")
        made.append(_node(Node("Binary", first.name, (x, constant), (), BinaryAttrs("sub")), shape, tensors, names))
        x = made[-1].output
    for node in front.nodes:
        if node.op == "Transpose":
            shape = graph.tensors[node.output].shape
            made.append(_node(node.with_(inputs=(x,)), shape, tensors, names))
            x = made[-1].output
    return made, x


def _node(node: Node, shape: Shape, tensors: dict[str, Tensor], names: Names) -> Node:
    """The node with an output of its own: its values are not those of the tensor that it wrote before."""
    output = names.fresh(f"{node.inputs[0]}/{'centred' if node.op == 'Binary' else 'transposed'}")
    tensors[output] = Tensor(output, shape)
    return node.with_(outputs=(output,))
