# SPDX-License-Identifier: Apache-2.0
"""Which operators take float32 and which take levels."""

from __future__ import annotations

from fewbins.graph import Graph, Node
from fewbins.ops.base import fail
from fewbins.ops.grid import reads_sizes_only

_MOVES = ("MaxPool", "Concat", "Slice", "Pad", "Transpose", "Reshape", "DepthToSpace", "SpaceToDepth")


def moves_levels(node: Node) -> bool:
    """Whether the node moves or picks elements, and so takes levels as well as float32 and keeps their affine.

    >>> from fewbins.ops import ReduceAttrs, ResizeAttrs
    >>> moves_levels(Node("Reduce", "max", (), (), ReduceAttrs("max", (2, 3))))
    True
    >>> moves_levels(Node("Resize", "up", (), (), ResizeAttrs("linear", sizes=(8, 8))))
    False
    """
    if node.op == "Reduce":
        return node.attrs.function in ("max", "min")
    return node.op in _MOVES or (node.op == "Resize" and node.attrs.mode == "nearest")


def expected_dtypes(node: Node, first: str) -> tuple[list[str], str]:
    """The dtypes that a node's inputs and output must have, "float32" or "levels".

    Args:
        node: any canonical node.
        first: the dtype of its first input, which decides for a node that moves elements.

    Returns:
        One dtype per input, and the output's.

    >>> from fewbins.ops import BinaryAttrs, Requantize
    >>> expected_dtypes(Node("Binary", "add", ("a", "b"), ("y",), BinaryAttrs("add")), "float32")
    (['float32', 'float32'], 'float32')
    >>> rule = Requantize("dequantize")
    >>> expected_dtypes(Node("Binary", "add", ("a", "b"), ("y",), BinaryAttrs("add", requantize=rule)), "levels")
    (['levels', 'float32'], 'float32')
    """
    count = len(node.inputs)
    if moves_levels(node):
        return [first] * count, first
    if node.op in ("Quantize", "Dequantize"):
        return (["float32"], "levels") if node.op == "Quantize" else (["levels"], "float32")
    if node.op == "Table":
        return ["levels"], "levels"
    rule = getattr(node.attrs, "requantize", None)
    if rule is None:
        return ["float32"] * count, "float32"
    if rule.kind != "dequantize":
        return ["levels"] * count, "levels"
    product = getattr(node.attrs, "function", "") == "mul"
    return ["levels", *["levels" if product else "float32"] * (count - 1)], "float32"


def check_dtypes(node: Node, graph: Graph) -> None:
    """Refuse a node whose inputs or output hold levels where it takes float32, or the other way round.

    Raises:
        ShapeError: names the node and the tensor.
    """
    if not node.inputs:
        return
    inputs, output = expected_dtypes(node, graph.tensors[node.inputs[0]].dtype)
    expected = [*zip(node.inputs, inputs, strict=True), *((name, output) for name in node.outputs)]
    for slot, (name, dtype) in enumerate(expected):
        if slot < len(node.inputs) and reads_sizes_only(node, slot):
            continue
        if graph.tensors[name].dtype != dtype:
            fail(node, f"tensor '{name}' holds {graph.tensors[name].dtype}; it must hold {dtype} here")
