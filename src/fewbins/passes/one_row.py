# SPDX-License-Identifier: Apache-2.0
"""Keep one-dimensional networks in images of one row.

Layers with a window work on images. The importer takes a tensor (N, C, L) in front of one to (N, C, 1, L), and back
behind it. Between two such layers the way back and the way there cancel, and what stands between them (activations,
sums, paddings) works as well on the image. So a one-dimensional network is the same nodes as its twin with a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fewbins.graph import Graph, Node, Shape, Tensor
from fewbins.ops import NormalizeAttrs, PadAttrs, ReduceAttrs, ReshapeAttrs, SliceAttrs
from fewbins.ops.shapes import same

TO_IMAGE = ReshapeAttrs((0, 0, 1, -1))
TO_LINE = ReshapeAttrs((0, 0, -1))
# Where the axes of (N, C, L) are in (N, C, 1, L).
PLACES = (0, 1, 3)


def keep_rows(graph: Graph) -> Graph:
    """Move Reshapes from (N, C, 1, L) to (N, C, L) behind the nodes that read them, until they meet their inverse.

    Tensors that the graph had keep their names and shapes; graph inputs and outputs stay as they are.

    Args:
        graph: a float graph.

    Example:
        >>> from fewbins.ops import UnaryAttrs
        >>> shapes = {"x": ("N", 2, 1, 8), "line": ("N", 2, 8), "act": ("N", 2, 8), "y": ("N", 2, 1, 8)}
        >>> nodes = (Node("Reshape", "r", ("x",), ("line",), TO_LINE), Node("Unary", "u", ("line",), ("act",),
        ...          UnaryAttrs("relu")), Node("Reshape", "s", ("act",), ("image",), TO_IMAGE), Node("Unary", "v",
        ...          ("image",), ("y",), UnaryAttrs("abs")))
        >>> tensors = {name: Tensor(name, shape) for name, shape in {**shapes, "image": shapes["x"]}.items()}
        >>> [node.name for node in keep_rows(Graph(nodes, tensors, ("x",), ("y",))).nodes]
        ['u', 'v']
    """
    return _Rows(graph).run()


class _Rows:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tensors = dict(graph.tensors)
        self._names = graph.names()
        self._nodes: list[Node] = []
        self._images: dict[str, str] = {}  # a tensor (N, C, L) -> the tensor (N, C, 1, L) with the same elements
        self._alias: dict[str, str] = {}  # what is not written any more -> what to read instead

    def run(self) -> Graph:
        for node in self._graph.nodes:
            node = node.with_(inputs=tuple(self._alias.get(name, name) for name in node.inputs))
            if node.op == "Reshape" and len(node.inputs) == 1 and self._tensors[node.inputs[0]].dtype == "float32":
                self._reshape(node)
            elif not self._on_images(node):
                self._nodes.append(node)
        return self._graph.replace(nodes=self._nodes, tensors=self._tensors).prune()

    def _reshape(self, node: Node) -> None:
        x, y = node.inputs[0], node.output
        before, after = self._tensors[x].shape, self._tensors[y].shape
        if _is_image_of(after, before):
            image = self._images.setdefault(x, y)
            if image != y and y not in self._graph.outputs:
                self._alias[y] = image
                return
        elif _is_image_of(before, after):
            self._images[y] = x
        self._nodes.append(node)

    def _on_images(self, node: Node) -> bool:
        """Do the node's work on images where all of its inputs are there as such."""
        operands = [name for name in node.inputs if not self._tensors[name].is_constant]
        if not operands or not all(name in self._images for name in operands) or len(node.outputs) != 1:
            return False
        attrs = _attributes(node)
        if attrs is None or any(len(self._tensors[name].shape) > 3 for name in node.inputs):
            return False
        shape = self._tensors[node.output].shape
        inputs = tuple(self._images[name] if name in self._images else self._constant(name) for name in node.inputs)
        if node.op == "Normalize":
            node = node.with_(params={role: self._constant(name) for role, name in node.params.items()})
        if len(shape) != 3:
            self._nodes.append(node.with_(inputs=inputs, attrs=attrs))
            return True
        image = self._names.fresh(f"{node.output}/row")
        self._tensors[image] = replace(self._tensors[node.output], name=image, shape=(*shape[:2], 1, shape[2]))
        self._nodes.append(node.with_(inputs=inputs, outputs=(image,), attrs=attrs))
        back = self._names.fresh(f"{node.name}:line")
        self._nodes.append(Node("Reshape", back, (image,), node.outputs, TO_LINE))
        self._images[node.output] = image
        return True

    def _constant(self, name: str) -> str:
        data = self._tensors[name].value
        if data.ndim < 2:
            return name
        made = self._names.fresh(f"{name}/row")
        self._tensors[made] = Tensor.constant(made, np.expand_dims(data, -2))
        return made


def _is_image_of(image: Shape, line: Shape) -> bool:
    """Whether (N, C, 1, L) and (N, C, L) are the same sizes; one may be unknown, since the elements are as many."""
    if len(image) != 4 or len(line) != 3 or image[2] != 1:
        return False
    return sum(not same(a, b) for a, b in zip((*image[:2], image[3]), line, strict=True)) <= 1


def _attributes(node: Node) -> Any:
    """The attributes that do to images what the node does to lines; None where that is not known."""
    attrs = node.attrs
    if node.op in ("Unary", "PRelu", "Binary", "BatchNormalization"):
        return attrs
    if node.op in ("Concat", "Softmax"):
        return replace(attrs, axis=PLACES[attrs.axis])
    if isinstance(attrs, NormalizeAttrs):
        return replace(attrs, axes=tuple(PLACES[axis] for axis in attrs.axes))
    if isinstance(attrs, SliceAttrs):
        return replace(attrs, axes=tuple(PLACES[axis] for axis in attrs.axes))
    if isinstance(attrs, PadAttrs):
        return replace(attrs, pads=(*_with_row(attrs.pads[:3]), *_with_row(attrs.pads[3:])))
    if isinstance(attrs, ReduceAttrs) and attrs.axes == (2,):
        return replace(attrs, axes=(2, 3))
    return None


def _with_row(pads: Sequence[int]) -> tuple[int, ...]:
    return (*pads[:2], 0, pads[2])
