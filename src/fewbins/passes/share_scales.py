# SPDX-License-Identifier: Apache-2.0
"""Which tensors must mean the same by their levels: docs/numerics.md, "Whose levels a tensor has"."""

from __future__ import annotations

from collections.abc import Iterable

from fewbins.graph import Graph, Node

MOVES = ("Reshape", "Transpose", "Slice", "Pad", "DepthToSpace", "SpaceToDepth")


def keeps_levels(node: Node) -> bool:
    """Whether the node only moves or picks levels: its output has the affine of its inputs."""
    if node.op == "Resize":
        return bool(node.attrs.mode == "nearest")
    if node.op == "Reduce":
        return node.attrs.function in ("max", "min")
    return node.op in (*MOVES, "MaxPool", "Concat")


def share_scales(graph: Graph, nodes: Iterable[Node]) -> dict[str, str]:
    """Join the tensors of each node that keeps levels.

    Args:
        graph: where the nodes are.
        nodes: the nodes that work on levels; the others join nothing.

    Returns:
        tensor name -> the name that stands for its group; tensors that no node joined stand for themselves and are
        not listed.
    """
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for node in nodes:
        if keeps_levels(node):
            for name in (*node.inputs[1:], *node.outputs):
                parent[find(name)] = find(node.inputs[0])
    return {name: find(name) for name in parent}
