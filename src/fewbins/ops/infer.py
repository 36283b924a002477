# SPDX-License-Identifier: Apache-2.0
"""The shapes of a whole graph, from the shapes of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape, Tensor
from fewbins.ops.base import REGISTRY, fail
from fewbins.ops.shapes import show


def infer_node(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape] | None = None) -> list[Shape]:
    """The shapes of a node's outputs.

    Args:
        node: any canonical node.
        inputs: the shapes of its inputs.
        params: the shapes of its params, by role.

    Raises:
        GraphError: the operator is unknown.
        ShapeError: an unknown param, too few or too many inputs, or shapes that do not fit.

    >>> from fewbins.ops import ConvAttrs
    >>> node = Node("Conv", "conv1", ("x",), ("y",), ConvAttrs((3, 3), strides=(2, 2), pads=(1, 1, 1, 1)))
    >>> infer_node(node, [("batch", 3, 32, "width")], {"weight": (16, 3, 3, 3)})
    [('batch', 16, 16, '?')]
    """
    if node.op not in REGISTRY:
        known = ", ".join(sorted(REGISTRY))
        raise GraphError(f"node '{node.name}' ({node.op}): unknown operator (expected one of: {known})")
    definition = REGISTRY[node.op]
    least, greatest = definition.arity
    if len(inputs) < least or (greatest is not None and len(inputs) > greatest):
        wanted = f"{least}" if least == greatest else f"{least} to {'any number' if greatest is None else greatest}"
        fail(node, f"has {len(inputs)} inputs, not {wanted}")
    if not isinstance(node.attrs, definition.attrs):
        fail(node, f"has attributes of type {type(node.attrs).__name__}, not {definition.attrs.__name__}")
    roles = dict(params or {})
    unknown = sorted(set(roles) - set(definition.params))
    if unknown:
        fail(node, f"has unknown params {unknown} (expected: {', '.join(definition.params) or 'none'})")
    return definition.infer_shape(node, inputs, roles)


def infer_shapes(graph: Graph) -> Graph:
    """The same graph with the shape of every activation derived from the graph's inputs.

    Outputs of nodes keep their dtype and affine. Sizes that depend on a symbol in a way that no symbol expresses
    become "?".

    Raises:
        ShapeError: shapes that do not fit each other; names the node and the values.
    """
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        inputs = [tensors[name].shape for name in node.inputs]
        params = {role: tensors[name].shape for role, name in node.params.items()}
        shapes = infer_node(node, inputs, params)
        if len(shapes) != len(node.outputs):
            fail(node, f"has {len(node.outputs)} outputs, not {len(shapes)}; inputs {[show(s) for s in inputs]}")
        for name, shape in zip(node.outputs, shapes, strict=True):
            tensors[name] = replace(tensors[name], shape=shape) if name in tensors else Tensor(name, shape)
    return graph.replace(tensors=tensors)
