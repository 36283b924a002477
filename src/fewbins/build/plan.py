# SPDX-License-Identifier: Apache-2.0
"""What of a float graph becomes integer, and how many levels each tensor gets.

The rules are docs/numerics.md, section 5 ("Whose levels a tensor has"). A node works either on integers or in float32.
Nodes with weights follow their scheme. Others follow the base scheme and their neighbours: a node whose readers are all
float works in float, so that no precision is lost on the way to an output.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from fewbins.errors import SchemeError
from fewbins.graph import Graph, Node
from fewbins.levels import U4_DEPTH, Levels
from fewbins.ops.grid import reads_sizes_only
from fewbins.passes.fold_scale import channel_rows, per_channel
from fewbins.passes.fuse_activation import WEIGHTED
from fewbins.passes.share_scales import keeps_levels, share_scales
from fewbins.scheme import LayerInfo, LayerScheme, Role, Scheme

EIGHT_BITS = Levels.of(256)

LOOKS_AT_LEVELS = ("ArgReduce", "Compare")
"""Operators that give the same on levels as on what they stand for, and no levels themselves."""


@dataclass(frozen=True)
class Adapter:
    """A requantize node before a layer that cannot read its input's levels as they are."""

    tensor: str
    levels: Levels
    po2: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """Decisions about a fused float graph.

    Attributes:
        graph: the float graph.
        layers: scheme of every node with weights, by name.
        base: what nodes without weights follow.
        integer: names of the nodes that work on integers.
        groups: tensor with levels -> the tensor that stands for its group.
        levels: group -> its levels.
        po2: the groups whose scale is a power of two.
        floats: tensors that exist as float32 (some exist in both forms).
        adapters: node -> its adapter.
    """

    graph: Graph
    layers: Mapping[str, LayerScheme]
    base: LayerScheme
    integer: frozenset[str]
    groups: Mapping[str, str]
    levels: Mapping[str, Levels]
    po2: frozenset[str]
    floats: frozenset[str]
    adapters: Mapping[str, Adapter]

    def is_integer(self, node: Node) -> bool:
        """Whether the node works on integers."""
        return node.name in self.integer

    def has_levels(self, tensor: str) -> bool:
        """Whether the tensor exists in levels."""
        return tensor in self.groups

    def members(self) -> dict[str, list[str]]:
        """Group -> its tensors, in the order of the graph."""
        found: dict[str, list[str]] = {}
        for tensor in self.groups:
            found.setdefault(self.groups[tensor], []).append(tensor)
        return found

    def observed(self) -> dict[str, list[str]]:
        """Group -> the tensors whose values decide its scale: those that something outside the group reads.

        What a max-pool will drop, for one, need not be representable. Constants that are concatenated, and what a Pad
        pads with, are among the values of the node that adds them.
        """
        chosen = {}
        for group, members in self.members().items():
            read = [name for name in members if not self.graph.tensors[name].is_constant and self._read_outside(name)]
            chosen[group] = read or [name for name in members if not self.graph.tensors[name].is_constant]
        return chosen

    def rule(self, node: Node) -> str:
        """The requantization rule that the node's scheme asks for: float, fixed or shift."""
        return self.layers[node.name].requantize if node.name in self.layers else self.base.requantize

    def _read_outside(self, tensor: str) -> bool:
        readers = self.graph.consumers(tensor)
        inside = [r for r in readers if self.is_integer(r) and keeps_levels(r)]
        return len(inside) < len(readers) or tensor in self.graph.outputs


def layer_infos(graph: Graph) -> list[LayerInfo]:
    """What a scheme needs to know about every node with weights of a float graph."""
    fresh = set(graph.inputs)  # tensors that some path from an input reaches past no weights
    first = set()
    for node in graph.nodes:
        around = list(node.inputs)
        if node.op in WEIGHTED:
            if node.inputs[0] in fresh:
                first.add(node.name)
            around = around[1:]  # a fused residual goes around the weights
        if any(name in fresh for name in around):
            fresh.update(node.outputs)
    final = set(graph.outputs)
    last = set()
    for node in reversed(graph.nodes):
        if final.intersection(node.outputs):
            if node.op in WEIGHTED:
                last.add(node.name)
            final.update(node.inputs[1:] if node.op in WEIGHTED else node.inputs)
    return [
        LayerInfo(node.name, _role(graph, node), node.name in first, node.name in last)
        for node in graph.nodes
        if node.op in WEIGHTED
    ]


def _role(graph: Graph, node: Node) -> Role:
    if node.op == "Gemm":
        return "fc"
    weight = graph.tensors[node.params["weight"]]
    depthwise = node.op == "Conv" and node.attrs.groups > 1 and weight.shape[1] == 1
    return "dw" if depthwise else "conv"


def resolve_layers(graph: Graph, scheme: Scheme) -> dict[str, LayerScheme]:
    """What every node with weights gets.

    Raises:
        SchemeError: a selector matches no layer, or a `u4` layer is too deep for its 16-bit accumulator.
    """
    layers = scheme.resolve(layer_infos(graph))
    deep = []
    for node in graph.nodes:
        if node.op in WEIGHTED and layers[node.name].kind == "u4":
            depth = channel_rows(node, graph.constant(node, "weight")).shape[1]
            if depth > U4_DEPTH:
                deep.append(f"'{node.name}' sums {depth}")
    if deep:
        raise SchemeError(
            f"u4 sums at most {U4_DEPTH} products in 16 bits, but layer {', '.join(deep)}; "
            "give such layers another scheme, as in name=4bit"
        )
    return layers


def make_plan(graph: Graph, layers: Mapping[str, LayerScheme], base: LayerScheme) -> Plan:
    """Decide about every node and tensor.

    Args:
        graph: float graph after all passes.
        layers: from `resolve_layers`.
        base: the scheme of nodes without weights.
    """
    candidates = _integer_candidates(graph, layers, base)
    integer, with_levels, floats = _forms(graph, candidates)
    looking = _looking(graph, integer, with_levels)
    if looking:
        integer, with_levels, floats = _forms(graph, candidates, looking)
    nodes = [node for node in graph.nodes if node.name in integer]
    joined = share_scales(graph, nodes)
    groups = {name: joined.get(name, name) for name in graph.tensors if name in with_levels}
    levels = _levels(graph, groups, floats, integer, layers, base)
    po2 = _po2_groups(nodes, groups, layers, base)
    adapters = {}
    for node in nodes:
        layer = layers.get(node.name)
        if layer is not None and layer.activation is not None and not layer.reads(levels[groups[node.inputs[0]]]):
            adapters[node.name] = Adapter(node.inputs[0], layer.activation, layer.po2)
    return Plan(graph, layers, base, integer, groups, levels, po2, floats, adapters)


def _integer_candidates(graph: Graph, layers: Mapping[str, LayerScheme], base: LayerScheme) -> set[str]:
    """Nodes that can work on integers and have something to gain from it: not all that they read is born as float32."""
    born_float = set(graph.inputs)
    found = set()
    for node in graph.nodes:
        from_float = all(name in born_float for name in node.inputs if not graph.tensors[name].is_constant)
        if node.op in WEIGHTED:
            possible = not layers[node.name].is_float
        elif keeps_levels(node):
            possible = True
        else:
            possible = not base.is_float and not from_float and has_integer_form(graph, node)
        if possible:
            found.add(node.name)
        if not possible or (keeps_levels(node) and from_float):
            born_float.update(node.outputs)
    return found


def _looking(graph: Graph, integer: frozenset[str], with_levels: set[str]) -> set[str]:
    """Nodes that compare what is there in levels anyway, and so compare levels.

    Of two tensors that are compared, both must be there in levels that mean the same, and one must be computed so: a
    peak, `s == maxpool(s)`, is then found although one of the two was rounded on its way.
    """

    def is_native(name: str) -> bool:
        producer = graph.producer(name)
        return name in with_levels and producer is not None and producer.name in integer

    joined = share_scales(graph, [node for node in graph.nodes if node.name in integer])
    found = set()
    for node in graph.nodes:
        if node.op in LOOKS_AT_LEVELS and all(name in with_levels for name in node.inputs):
            alike = len({joined.get(name, name) for name in node.inputs}) == 1
            if alike and any(is_native(name) for name in node.inputs):
                found.add(node.name)
    return found


def _forms(
    graph: Graph, candidates: set[str], looking: Set[str] = frozenset()
) -> tuple[frozenset[str], set[str], frozenset[str]]:
    """The integer nodes, the tensors that exist in levels, and those that exist in their own type, float32 as a rule.

    Walked from the end: what a node's readers want is known when the node's turn comes. Nodes that are `looking` read
    levels that other nodes want, too.
    """
    integer: set[str] = set()
    with_levels: set[str] = set()
    floats = set(graph.inputs) | set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in looking:
            integer.add(node.name)
            floats.update(node.outputs)
            with_levels.update(node.inputs)
            continue
        wanted = any(name in with_levels for name in node.outputs)
        if node.name not in candidates or not (wanted or node.op in WEIGHTED or _sums_to_float(graph, node)):
            floats.update(name for slot, name in enumerate(node.inputs) if not reads_sizes_only(node, slot))
            floats.update(node.outputs)
            continue
        integer.add(node.name)
        if not wanted:
            floats.update(node.outputs)
        for slot, name in enumerate(node.inputs):
            if node.op in WEIGHTED and slot == 1 and not wanted:
                floats.add(name)  # a layer that writes float32 adds a float32 residual
            elif keeps_levels(node) or not graph.tensors[name].is_constant:
                with_levels.add(name)
    return frozenset(integer), with_levels, frozenset(n for n in floats if not graph.tensors[n].is_constant)


def _sums_to_float(graph: Graph, node: Node) -> bool:
    """Whether a mean or sum that only float nodes read is worth doing on levels (kind "dequantize": the sum is exact).

    Behind an elementwise node it is not: squares, say, would first be rounded to levels, and what rounds to 0 is lost
    for the mean (28 dB in a network that normalizes by the mean of squares, where all else together leaves 38 dB).
    """
    if node.op != "AveragePool" and not (node.op == "Reduce" and node.attrs.function in ("mean", "sum")):
        return False
    producer = graph.producer(node.inputs[0])
    return producer is None or producer.op not in ("Binary", "Unary", "PRelu")


def has_integer_form(graph: Graph, node: Node) -> bool:
    """Whether a node without weights can work on integers (docs/numerics.md, section 5)."""
    if node.op in ("AveragePool", "Unary", "Resize"):
        return True
    if node.op == "PRelu":
        return len(graph.tensors[node.output].shape) >= 2
    if node.op == "Reduce":
        return node.attrs.function in ("mean", "sum")
    if node.op != "Binary":
        return False
    function = node.attrs.function
    constants = [graph.tensors[name].is_constant for name in node.inputs]
    if function in ("add", "sub", "mul"):
        return True
    if function == "div":
        return constants[1] and bool((graph.tensors[node.inputs[1]].value != 0).all())
    if function in ("max", "min") and any(constants):
        return graph.tensors[node.inputs[constants.index(True)]].value.size == 1
    return False


def channel_factors(graph: Graph, node: Node) -> list[float] | None:
    """For a product with (or quotient by) a constant per tensor or per channel: one factor, or one for each channel.

    None where the node is something else, or the constant varies in another way.
    """
    if node.op != "Binary" or node.attrs.function not in ("mul", "div"):
        return None
    constants = [name for name in node.inputs if graph.tensors[name].is_constant]
    if len(constants) != 1 or (node.attrs.function == "div" and constants[0] != node.inputs[1]):
        return None
    shape = graph.tensors[node.output].shape
    values = graph.tensors[constants[0]].value
    if values.ndim > len(shape):
        return None
    if values.size == 1:
        factors = values.reshape(1).astype(float)
    else:
        axis = 1
        channels = shape[axis] if len(shape) > axis else None
        if not isinstance(channels, int):
            return None
        spread = per_channel(values, shape, axis, channels)
        if spread is None:
            return None
        factors = spread
    return list(1.0 / factors if node.attrs.function == "div" else factors)


def _levels(
    graph: Graph,
    groups: Mapping[str, str],
    floats: frozenset[str],
    integer: frozenset[str],
    layers: Mapping[str, LayerScheme],
    base: LayerScheme,
) -> dict[str, Levels]:
    asked: dict[str, Levels] = {}

    def ask(tensor: str, levels: Levels) -> None:
        group = groups[tensor]
        if group not in asked or levels.bins > asked[group].bins:
            asked[group] = levels

    for node in graph.nodes:
        if node.name not in integer:
            continue
        activation = layers[node.name].activation if node.name in layers else None
        if activation is not None:
            ask(node.inputs[0], activation)
        elif is_table(node):
            ask(node.inputs[0], EIGHT_BITS)
    for tensor in groups:
        producer = graph.producer(tensor)
        if tensor in floats and producer is not None and producer.name in integer:
            ask(tensor, EIGHT_BITS)
    default = base.activation or EIGHT_BITS
    return {group: asked.get(group, default) for group in groups.values()}


def is_table(node: Node) -> bool:
    """Whether the node, on levels, is a 256-entry table: any function of one tensor that is not piecewise linear."""
    return node.op == "Unary" and node.attrs.function not in ("relu", "clip", "leaky_relu")


def _po2_groups(
    nodes: list[Node], groups: Mapping[str, str], layers: Mapping[str, LayerScheme], base: LayerScheme
) -> frozenset[str]:
    found: set[str] = set()
    for node in nodes:
        if layers[node.name].po2 if node.name in layers else base.po2:
            found.update(groups[name] for name in (*node.inputs, *node.outputs) if name in groups)
    return frozenset(found)


__all__ = ["Adapter", "Plan", "channel_factors", "is_table", "layer_infos", "make_plan", "resolve_layers"]
