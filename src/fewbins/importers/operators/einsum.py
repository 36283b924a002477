# SPDX-License-Identifier: Apache-2.0
"""Einsum, taken apart into Reduce, Transpose, Reshape and MatMul, or a Gemm where one factor is a constant matrix.

Operands are combined from left to right. An axis is called by its letter, the axes behind "..." by numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.reshaping import reshape
from fewbins.importers.problems import NodeError
from fewbins.importers.sizes import Size, product
from fewbins.importers.values import Constant, OnnxNode, Value
from fewbins.ops import BinaryAttrs, GemmAttrs, MatMulAttrs, ReduceAttrs, TransposeAttrs


@dataclass(frozen=True)
class _Term:
    """A value, the label of each of its axes, and the sizes of these."""

    value: Value
    labels: tuple[str, ...]
    sizes: tuple[Size, ...]

    def size(self, label: str) -> Size:
        return self.sizes[self.labels.index(label)] if label in self.labels else 1


@lowers("Einsum", 12, 28)
def _einsum(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    equation = node.text("equation", "")
    values = [ctx.activation(node, slot) for slot in range(len(node.inputs))]
    inputs, output = parse_equation(equation, [len(value.shape) for value in values])
    terms = [_Term(value, labels, tuple(ctx.sizes_of(value))) for value, labels in zip(values, inputs, strict=True)]
    for index, term in enumerate(terms):
        others = {label for other in (*inputs[:index], *inputs[index + 1 :]) for label in other}
        terms[index] = _summed(ctx, node, term, others | set(output))
    whole = terms[0]
    for index, term in enumerate(terms[1:], 1):
        later = {label for other in terms[index + 1 :] for label in other.labels}
        whole = _combined(ctx, node, whole, term, later | set(output))
    return [_ordered(ctx, node, whole, output).value]


def parse_equation(equation: str, ranks: Sequence[int]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The labels of every operand's axes, and of the output's.

    Raises:
        NodeError: the equation does not fit the operands, or asks for a diagonal.

    >>> parse_equation("...ij, jk -> ...ik", [4, 2])
    ([('0', '1', 'i', 'j'), ('j', 'k')], ('0', '1', 'i', 'k'))
    >>> parse_equation("ba", [2])
    ([('b', 'a')], ('a', 'b'))
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ranks):
        raise NodeError(f"equation '{equation}' has {len(texts)} operands, the node {len(ranks)}")
    depth = max((rank - len(text.replace("...", "")) for text, rank in zip(texts, ranks, strict=True)), default=0)
    inputs = [_labels(equation, text, rank, depth) for text, rank in zip(texts, ranks, strict=True)]
    seen = [label for labels in inputs for label in labels]
    if arrow:
        spread = depth if "..." in right else 0
        output = _labels(equation, right, len(right.replace("...", "")) + spread, depth)
    else:
        numbers = sorted({label for label in seen if label.isdigit()}, key=int)
        output = (*numbers, *sorted(label for label in seen if not label.isdigit() and seen.count(label) == 1))
    if not set(output) <= set(seen):
        raise NodeError(f"equation '{equation}' has a letter in its output that no operand has")
    return inputs, output


def _labels(equation: str, text: str, rank: int, depth: int) -> tuple[str, ...]:
    front, dots, back = text.partition("...")
    spread = rank - len(front) - len(back)
    if not (front + back).isalpha() and front + back:
        raise NodeError(f"equation '{equation}' must be letters, commas, an arrow and '...'")
    if spread < 0 or (spread > 0 and not dots):
        raise NodeError(f"equation '{equation}': '{text}' does not fit an operand of {rank} axes")
    labels = (*front, *(str(place) for place in range(depth - spread, depth)), *back)
    if len(set(labels)) != len(labels):
        raise NodeError(f"equation '{equation}' repeats a letter in '{text}'; diagonals are not supported")
    return labels


def _summed(ctx: Context, node: OnnxNode, term: _Term, keep: set[str]) -> _Term:
    """Without the axes that nothing else has: they are summed."""
    gone = tuple(axis for axis, label in enumerate(term.labels) if label not in keep)
    if not gone:
        return term
    value = ctx.emit("Reduce", node, [term.value], ReduceAttrs("sum", gone, keepdims=False), suffix="sum")
    left = [axis for axis in range(len(term.labels)) if axis not in gone]
    return _Term(value, tuple(term.labels[axis] for axis in left), tuple(term.sizes[axis] for axis in left))


def _ordered(ctx: Context, node: OnnxNode, term: _Term, labels: Sequence[str]) -> _Term:
    """With its axes in the order of the labels."""
    perm = tuple(term.labels.index(label) for label in labels)
    if perm == tuple(range(len(perm))):
        return term
    value = ctx.emit("Transpose", node, [term.value], TransposeAttrs(perm), suffix="transpose")
    return _Term(value, tuple(labels), tuple(term.sizes[axis] for axis in perm))


def _reshaped(ctx: Context, node: OnnxNode, term: _Term, sizes: Sequence[Size]) -> Value:
    return reshape(ctx, node, term.value, sizes, suffix="reshape", source=term.sizes)


def _combined(ctx: Context, node: OnnxNode, a: _Term, b: _Term, keep: set[str]) -> _Term:
    """The product of two operands, summed over the axes that both have and nothing else needs."""
    shared = [label for label in a.labels if label in b.labels]
    stack = [label for label in shared if label in keep]
    inner = [label for label in shared if label not in keep]
    rows = [label for label in a.labels if label not in shared]
    columns = [label for label in b.labels if label not in shared]
    if isinstance(a.value, Constant) and not isinstance(b.value, Constant) and not stack:
        a, b, rows, columns = b, a, columns, rows  # a constant matrix comes last
    labels = (*stack, *rows, *columns)
    sizes = tuple(b.size(label) if a.size(label) == 1 else a.size(label) for label in labels)
    if not inner:
        left = _reshaped(ctx, node, _ordered(ctx, node, a, [*stack, *rows]), [a.size(label) for label in labels])
        right = _reshaped(ctx, node, _ordered(ctx, node, b, [*stack, *columns]), [b.size(label) for label in labels])
        return _Term(ctx.emit("Binary", node, [left, right], BinaryAttrs("mul")), labels, sizes)
    depth, height = (product([a.size(label) for label in group]) for group in (inner, rows))
    width = product([b.size(label) for label in columns])
    left = _reshaped(
        ctx, node, _ordered(ctx, node, a, [*stack, *rows, *inner]), [*(a.size(s) for s in stack), height, depth]
    )
    right = _reshaped(
        ctx, node, _ordered(ctx, node, b, [*stack, *inner, *columns]), [*(b.size(s) for s in stack), depth, width]
    )
    if isinstance(right, Constant) and not stack:
        y = ctx.emit("Gemm", node, [left], GemmAttrs(), {"weight": Constant(np.ascontiguousarray(right.data.T))})
    else:
        y = ctx.emit("MatMul", node, [left, right], MatMulAttrs())
    flat = (*sizes[: len(stack)], height, width)
    return _Term(_reshaped(ctx, node, _Term(y, (), flat), sizes), labels, sizes)
