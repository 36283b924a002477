# SPDX-License-Identifier: Apache-2.0
"""Which operators take which dtypes, and what they give: float32, levels, truth values and integers."""

from __future__ import annotations

from collections.abc import Sequence

from fewbins.graph import Graph, Node
from fewbins.ops.base import fail
from fewbins.ops.grid import reads_sizes_only

PLAIN = ("float32", "bool", "uint8", "int32", "int64")
"""What a graph's inputs and outputs may hold, and a Cast makes of each other."""

_MOVES_REAL = ("MaxPool", "Pad")
_MOVES_ALL = ("Concat", "Slice", "Transpose", "Reshape", "DepthToSpace", "SpaceToDepth")


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
    return node.op in (*_MOVES_REAL, *_MOVES_ALL) or (node.op == "Resize" and node.attrs.mode == "nearest")


def expected_dtypes(node: Node, given: Sequence[str]) -> tuple[list[str], list[str]]:
    """The dtypes that a node's inputs must have, and those that its outputs have.

    Args:
        node: any canonical node.
        given: the dtypes of its inputs, some of which decide about the others.

    >>> from fewbins.ops import BinaryAttrs, CastAttrs, Requantize
    >>> expected_dtypes(Node("Binary", "add", ("a", "b"), ("y",), BinaryAttrs("add")), ["float32", "float32"])
    (['float32', 'float32'], ['float32'])
    >>> rule = BinaryAttrs("add", requantize=Requantize("dequantize"))
    >>> expected_dtypes(Node("Binary", "add", ("a", "b"), ("y",), rule), ["levels", "float32"])
    (['levels', 'float32'], ['float32'])
    >>> expected_dtypes(Node("Cast", "to", ("a",), ("y",), CastAttrs("int64")), ["bool"])
    (['bool'], ['int64'])
    """
    count, first = len(given), given[0]
    picked = _PICKING.get(node.op)
    if picked is not None:
        return picked(node, list(given))
    if moves_levels(node):
        real = first in ("float32", "levels")
        kept = first if real or node.op in _MOVES_ALL else "float32"
        return [kept] * count, [kept]
    if node.op in ("Quantize", "Dequantize"):
        return (["float32"], ["levels"]) if node.op == "Quantize" else (["levels"], ["float32"])
    if node.op == "Table":
        return ["levels"], ["levels"]
    rule = getattr(node.attrs, "requantize", None)
    if rule is None:
        return ["float32"] * count, ["float32"]
    if rule.kind != "dequantize":
        return ["levels"] * count, ["levels"]
    product = getattr(node.attrs, "function", "") == "mul"
    return ["levels", *["levels" if product else "float32"] * (count - 1)], ["float32"]


def _one_of(dtype: str, allowed: Sequence[str]) -> str:
    """The dtype if it is allowed, else the first that is."""
    return dtype if dtype in allowed else allowed[0]


def _cast(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    return [_one_of(given[0], PLAIN)], [node.attrs.to]


def _compare(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    return [_one_of(given[0], (*PLAIN, "levels"))] * 2, ["bool"]


def _logic(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    return ["bool"] * len(given), ["bool"]


def _where(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    picked = _one_of(given[1], (*PLAIN, "levels"))
    return ["bool", picked, picked], [picked]


def _arg_reduce(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    return [_one_of(given[0], ("float32", "levels", "uint8", "int32", "int64"))], ["int64"]


def _top_k(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    kept = _one_of(given[0], ("float32", "int32", "int64"))
    return [kept], [kept, "int64"]


def _gather(node: Node, given: list[str]) -> tuple[list[str], list[str]]:
    kept = _one_of(given[0], (*PLAIN, "levels"))
    return [kept, _one_of(given[1], ("int64", "int32"))], [kept]


_PICKING = {
    "Cast": _cast,
    "Compare": _compare,
    "Logic": _logic,
    "Where": _where,
    "ArgReduce": _arg_reduce,
    "TopK": _top_k,
    "Gather": _gather,
}


def check_dtypes(node: Node, graph: Graph) -> None:
    """Refuse a node whose inputs or outputs hold another dtype than it takes or gives.

    Raises:
        ShapeError: names the node and the tensor.
    """
    if not node.inputs:
        return
    inputs, outputs = expected_dtypes(node, [graph.tensors[name].dtype for name in node.inputs])
    expected = [*zip(node.inputs, inputs, strict=True), *zip(node.outputs, outputs, strict=True)]
    for slot, (name, dtype) in enumerate(expected):
        if slot < len(node.inputs) and reads_sizes_only(node, slot):
            continue
        if graph.tensors[name].dtype != dtype:
            fail(node, f"tensor '{name}' holds {graph.tensors[name].dtype}; it must hold {dtype} here")
    if node.op in ("Compare", "Where", "Gather"):
        alike = {"Compare": node.inputs, "Where": (*node.inputs[1:], *node.outputs)}.get(
            node.op, (node.inputs[0], *node.outputs)
        )
        if len({graph.tensors[name].affine for name in alike}) > 1:
            fail(node, f"the levels of {', '.join(repr(name) for name in alike)} must mean the same values")


__all__ = ["PLAIN", "check_dtypes", "expected_dtypes", "moves_levels"]
