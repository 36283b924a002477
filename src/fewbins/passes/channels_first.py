# SPDX-License-Identifier: Apache-2.0
"""Keep the channels of images in axis 1.

Networks such as ConvNeXt turn an image (N, C, H, W) into (N, H, W, C) for what works along the last axis, a
LayerNormalization and matrix products, and back again. The same work along axis 1, with convolutions of one pixel for
the products, needs no turning: the engine has the channels of a pixel side by side in any case.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fewbins.graph import Graph, Node, Tensor
from fewbins.ops import (
    BinaryAttrs,
    ConcatAttrs,
    ConvAttrs,
    GemmAttrs,
    NormalizeAttrs,
    ReduceAttrs,
    ReshapeAttrs,
    SliceAttrs,
    SoftmaxAttrs,
    TransposeAttrs,
    UnaryAttrs,
)

TO_LAST = (0, 2, 3, 1)
TO_FIRST = (0, 3, 1, 2)
# Where the axes of (N, H, W, C) are in (N, C, H, W).
PLACES = TO_LAST


def keep_channels_first(graph: Graph) -> Graph:
    """Move Transposes from (N, C, H, W) to (N, H, W, C) behind the nodes that read them, until they meet their inverse.

    Tensors that the graph had keep their names and shapes. A Gemm along the channels becomes a Conv.

    Args:
        graph: a float graph.

    Example:
        >>> shapes = {"x": ("N", 2, 5, 8), "turned": ("N", 5, 8, 2), "act": ("N", 5, 8, 2), "y": ("N", 2, 5, 8)}
        >>> tensors = {name: Tensor(name, shape) for name, shape in shapes.items()}
        >>> nodes = (Node("Transpose", "t", ("x",), ("turned",), TransposeAttrs(TO_LAST)), Node("Unary", "u",
        ...          ("turned",), ("act",), UnaryAttrs("abs")), Node("Transpose", "v", ("act",), ("y",),
        ...          TransposeAttrs(TO_FIRST)))
        >>> [node.op for node in keep_channels_first(Graph(nodes, tensors, ("x",), ("y",))).nodes]
        ['Unary', 'Reshape']
    """
    return _Turned(graph).run()


class _Turned:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tensors = dict(graph.tensors)
        self._names = graph.names()
        self._nodes: list[Node] = []
        self._first: dict[str, str] = {}  # a tensor (N, H, W, C) -> the tensor (N, C, H, W) with the same elements
        self._alias: dict[str, str] = {}  # what is not written any more -> what to read instead

    def run(self) -> Graph:
        for node in self._graph.nodes:
            node = node.with_(inputs=tuple(self._alias.get(name, name) for name in node.inputs))
            if node.op == "Transpose" and self._tensors[node.inputs[0]].dtype == "float32":
                self._transpose(node)
            elif not self._on_first(node):
                self._nodes.append(node)
        return self._graph.replace(nodes=self._nodes, tensors=self._tensors).prune()

    def _transpose(self, node: Node) -> None:
        x, y = node.inputs[0], node.output
        if node.attrs.perm == TO_FIRST and x in self._first:
            if y not in self._graph.outputs:
                self._alias[y] = self._first[x]
                return
            node = Node("Reshape", node.name, (self._first[x],), node.outputs, ReshapeAttrs((0, 0, 0, 0)))
        elif node.attrs.perm == TO_LAST:
            self._first[y] = x
        self._nodes.append(node)

    def _on_first(self, node: Node) -> bool:
        """Do the node's work with the channels in axis 1 where all of its inputs are there so."""
        operands = [name for name in node.inputs if not self._tensors[name].is_constant]
        if not operands or not all(name in self._first for name in operands) or len(node.outputs) != 1:
            return False
        made = self._turned(node)
        if made is None or any(len(self._tensors[name].shape) > 4 for name in node.reads()):
            return False
        inputs = tuple(self._first[name] if name in self._first else self._constant(name) for name in node.inputs)
        made = made.with_(inputs=inputs)
        if len(self._tensors[node.output].shape) != 4:
            self._nodes.append(made)
            return True
        shape = self._tensors[node.output].shape
        output = self._names.fresh(f"{node.output}/channels first")
        self._tensors[output] = Tensor(output, tuple(shape[axis] for axis in TO_FIRST))
        self._nodes.append(made.with_(outputs=(output,)))
        back = self._names.fresh(f"{node.name}:channels last")
        self._nodes.append(Node("Transpose", back, (output,), node.outputs, TransposeAttrs(TO_LAST)))
        self._first[node.output] = output
        return True

    def _turned(self, node: Node) -> Node | None:
        """The node for channels in axis 1, its inputs aside; None where that is not known."""
        attrs: Any = node.attrs
        if isinstance(attrs, UnaryAttrs | BinaryAttrs):
            return node
        if isinstance(attrs, ConcatAttrs | SoftmaxAttrs):
            return node.with_(attrs=replace(attrs, axis=PLACES[attrs.axis]))
        if isinstance(attrs, SliceAttrs):
            return node.with_(attrs=replace(attrs, axes=tuple(PLACES[axis] for axis in attrs.axes)))
        if isinstance(attrs, ReduceAttrs):
            kept = [PLACES[axis] for axis in range(4) if axis not in attrs.axes]
            if not attrs.keepdims and kept != sorted(kept):
                return None
            return node.with_(attrs=replace(attrs, axes=tuple(sorted(PLACES[axis] for axis in attrs.axes))))
        if isinstance(attrs, NormalizeAttrs) and attrs.groups == 1:
            params = {role: self._constant(name) for role, name in node.params.items()}
            axes = tuple(sorted(PLACES[axis] for axis in attrs.axes))
            return node.with_(attrs=replace(attrs, axes=axes), params=params)
        if isinstance(attrs, GemmAttrs) and len(node.inputs) == 1:
            return self._conv(node, attrs)
        return None

    def _conv(self, node: Node, attrs: GemmAttrs) -> Node:
        weight = node.params["weight"]
        data = self._tensors[weight].value
        made = self._names.fresh(f"{weight}/pixel")
        self._tensors[made] = Tensor.constant(made, data.reshape(*data.shape, 1, 1))
        return node.with_(op="Conv", attrs=ConvAttrs((1, 1), clamp=attrs.clamp), params={**node.params, "weight": made})

    def _constant(self, name: str) -> str:
        """A constant that broadcasts against (N, H, W, C) as one that broadcasts against (N, C, H, W)."""
        data = self._tensors[name].value
        if data.size == 1:
            return name
        made = self._names.fresh(f"{name}/channels first")
        whole = data.reshape(*(1,) * (4 - data.ndim), *data.shape)
        self._tensors[made] = Tensor.constant(made, np.ascontiguousarray(whole.transpose(TO_FIRST)))
        return made
