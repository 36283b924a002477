# SPDX-License-Identifier: Apache-2.0
"""Free sizes as values: numbers that are known when the network runs, and integers made of them.

ONNX computes anchors in integers. The canonical operators have float32 only, in which whole numbers up to 2**24 are
exact, so an `Activation` says whether it stands for integers, and only what rounds neither way is computed with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from fewbins.importers.problems import NodeError
from fewbins.importers.sizes import Symbol, terms
from fewbins.importers.values import Activation, Constant, OnnxNode, Value, to_sizes
from fewbins.ops import BinaryAttrs, ConcatAttrs, ExpandAttrs, ReduceAttrs, ReshapeAttrs

if TYPE_CHECKING:
    from fewbins.importers.context import Context

FIX = "fix the free sizes with load_onnx(..., input_shapes=...)"
MAX_WHOLE = 2**24
# What gives the same whole numbers in float32 as in integers, as long as these are below MAX_WHOLE.
WHOLE = frozenset(
    [
        "Abs",
        "Add",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Sub",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ]
)


def axis_of(ctx: Context, size: Symbol) -> tuple[Activation, int, Fraction] | None:
    """A tensor and an axis of it whose size, times a fraction, is this one; None where there is none."""
    for value in ctx.with_sizes():
        for axis, have in enumerate(ctx.sizes_of(value)):
            ratio = size / have if isinstance(have, Symbol) else size
            if not isinstance(ratio, Symbol) and ratio > 0:
                return value, axis, Fraction(ratio)
    return None


def at_run_time(ctx: Context, node: OnnxNode, value: Constant) -> Value:
    """A constant operand as what a node can compute with beside its operands that are known at run time."""
    if value.symbolic and any(isinstance(ctx.value(name), Activation) for name in node.inputs if name):
        return _numbers(ctx, node, value)
    return exact_float32(value) if _computes_integers(ctx, node) and not value.symbolic else value


def typed(ctx: Context, node: OnnxNode, values: Sequence[Value | None]) -> Sequence[Value | None]:
    """What a node computes, marked as integer where its operands are.

    Raises:
        NodeError: the operator may round integers otherwise than float32 numbers.
    """
    if node.op in ("Cast", "Shape", "Size") or not _computes_integers(ctx, node):
        return values
    if node.op not in WHOLE:
        raise NodeError(f"computes with integers that come from free sizes; {FIX}")
    return [replace(value, integer=True) if isinstance(value, Activation) else value for value in values]


def exact_float32(value: Constant) -> Constant:
    """An integer constant as float32, which holds whole numbers up to 2**24."""
    if value.data.dtype.kind not in "iu":
        return value
    if np.abs(value.data.astype(np.float64)).max(initial=0) > MAX_WHOLE:
        raise NodeError(f"computes with integers above {MAX_WHOLE} beside free sizes; {FIX}")
    return Constant(value.data.astype(np.float32))


def _computes_integers(ctx: Context, node: OnnxNode) -> bool:
    found = [ctx.value(name) for name in node.inputs if name]
    return any(isinstance(value, Activation) and value.integer for value in found)


def _numbers(ctx: Context, node: OnnxNode, value: Constant) -> Value:
    parts = [
        _number(ctx, node, size) if isinstance(size, Symbol) else Constant(np.array([size], np.float32))
        for size in to_sizes(value)
    ]
    joined = parts[0] if len(parts) == 1 else ctx.emit("Concat", node, parts, ConcatAttrs(0), suffix="sizes")
    if len(value.shape) > 1:
        joined = ctx.emit("Reshape", node, [joined], ReshapeAttrs(value.shape), suffix="sizes")
    return joined


def _number(ctx: Context, node: OnnxNode, size: Symbol) -> Value:
    """A free size as a tensor of one float32: the sum of as many ones, times and plus what the size has besides."""
    part, term = terms(size) or (size, Fraction(0))
    found = axis_of(ctx, part)
    if found is None:
        raise NodeError(f"computes with the free size {size}; {FIX}")
    like, axis, ratio = found
    one = Constant(np.ones(1, np.float32))
    ones = ctx.emit("Expand", node, [one, like], ExpandAttrs((1,), (1,), (axis,), (1,)), suffix="ones")
    total = ctx.emit("Reduce", node, [ones], ReduceAttrs("sum", (0,)), suffix="size")
    for function, number, neutral in (("mul", ratio, 1), ("add", term, 0)):
        if number != neutral:
            operand = Constant(np.array([float(number)], np.float32))
            total = ctx.emit("Binary", node, [total, operand], BinaryAttrs(function), suffix=function)
    return total
