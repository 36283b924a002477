# SPDX-License-Identifier: Apache-2.0
"""What stands at the ends of networks: comparisons, truth values, choices by them, casts, and places of extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.elementwise import INTEGERS
from fewbins.importers.operators.folds import normal_axis
from fewbins.importers.problems import NodeError
from fewbins.importers.values import Activation, OnnxNode, Value
from fewbins.ops import ArgReduceAttrs, CastAttrs, CompareAttrs, LogicAttrs, TopKAttrs, WhereAttrs

TYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.BOOL: "bool",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.INT64: "int64",
}
"""ONNX's types that a tensor may have at run time."""


def _compare(op: str, versions: tuple[int, ...], function: str, *, swapped: bool = False) -> None:
    @lowers(op, *versions)
    def _lower(ctx: Context, node: OnnxNode) -> Sequence[Value]:
        operands = [ctx.operand(node, 0), ctx.operand(node, 1)]
        return [ctx.emit("Compare", node, operands[::-1] if swapped else operands, CompareAttrs(function))]


_compare("Equal", (7, 11, 13, 19), "equal")
_compare("Less", (7, 9, 13), "less")
_compare("LessOrEqual", (12, 16), "less_equal")
_compare("Greater", (7, 9, 13), "less", swapped=True)
_compare("GreaterOrEqual", (12, 16), "less_equal", swapped=True)


def _logic(op: str, version: int, function: str) -> None:
    @lowers(op, version)
    def _lower(ctx: Context, node: OnnxNode) -> Sequence[Value]:
        operands = [ctx.operand(node, slot) for slot in range(1 if function == "not" else 2)]
        return [ctx.emit("Logic", node, operands, LogicAttrs(function))]


_logic("And", 7, "and")
_logic("Or", 7, "or")
_logic("Xor", 7, "xor")
_logic("Not", 1, "not")


@lowers("IsNaN", 9, 13, 20)
def _is_nan(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    same = ctx.emit("Compare", node, [x, x], CompareAttrs("equal"), suffix="is a number")
    return [ctx.emit("Logic", node, [same], LogicAttrs("not"))]


@lowers("Where", 9, 16)
def _where(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [ctx.emit("Where", node, [ctx.operand(node, slot) for slot in range(3)], WhereAttrs())]


@lowers("Cast", 6, 9, 13, 19, 21, 23, 24, 25, 28)
def _cast(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, to = ctx.operand(node, 0), node.integer("to", 0)
    if isinstance(x, Activation) and x.integer and to in (onnx.TensorProto.FLOAT, *INTEGERS):
        return [replace(x, integer=to != onnx.TensorProto.FLOAT)]
    if to not in TYPES:
        known = {value: name for name, value in onnx.TensorProto.DataType.items()}
        raise NodeError(
            f"casts to {known.get(to, to)}; at run time there are {', '.join(TYPES.values())}, export in float32"
        )
    if isinstance(x, Activation) and x.dtype == TYPES[to]:
        return [x]
    return [ctx.emit("Cast", node, [x], CastAttrs(TYPES[to]))]


def _arg_reduce(op: str, function: str) -> None:
    @lowers(op, 1, 11, 12, 13)
    def _lower(ctx: Context, node: OnnxNode) -> Sequence[Value]:
        x = ctx.operand(node, 0)
        attrs = ArgReduceAttrs(
            function,
            normal_axis(node.integer("axis", 0), len(x.shape)),
            bool(node.integer("keepdims", 1)),
            bool(node.integer("select_last_index", 0)),
        )
        return [ctx.emit("ArgReduce", node, [x], attrs)]


_arg_reduce("ArgMax", "max")
_arg_reduce("ArgMin", "min")


@lowers("TopK", 1, 10, 11, 24)
def _top_k(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.operand(node, 0)
    if node.version == 1:
        k = node.integer("k", 0)
    else:
        given = ctx.integers(node, 1, "k")
        if given is None or len(given) != 1:
            raise NodeError("k must be one number; the file is not valid ONNX")
        (k,) = given
    # Without `sorted` any order will do, and sorted is one.
    attrs = TopKAttrs(normal_axis(node.integer("axis", -1), len(x.shape)), k, bool(node.integer("largest", 1)))
    return ctx.emit_all("TopK", node, [x], attrs)
