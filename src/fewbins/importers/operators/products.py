# SPDX-License-Identifier: Apache-2.0
"""Matrix products, and BatchNormalization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.reshaping import reshape
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import Array, Constant, OnnxNode, Value
from fewbins.ops import BatchNormAttrs, BinaryAttrs, GemmAttrs, MatMulAttrs, TransposeAttrs


def _scaled(values: Constant, factor: float) -> Constant:
    return values if factor == 1 else Constant(values.data * np.float32(factor))


@lowers("Gemm", 7, 9, 11, 13)
def _gemm(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    a, b = ctx.activation(node, 0, rank=2), ctx.activation(node, 1, rank=2)
    turn_a, turn_b = bool(node.integer("transA", 0)), bool(node.integer("transB", 0))
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if isinstance(b, Constant):
        # (M, K) whatever transB says; the same array where nothing changes, so that it keeps its name.
        weight = _scaled(b if turn_b else Constant(b.data.T), alpha)
        left = _transposed(ctx, node, a) if turn_a else a
        bias, rest = _gemm_bias(ctx, node, weight.shape[0], beta)
        y = ctx.emit("Gemm", node, [left], GemmAttrs(), {"weight": weight, "bias": bias})
    elif isinstance(a, Constant):
        # y = A B is the transpose of B' A'.
        weight = _scaled(Constant(a.data.T) if turn_a else a, alpha)
        right = b if turn_b else _transposed(ctx, node, b)
        y = _transposed(ctx, node, ctx.emit("Gemm", node, [right], GemmAttrs(), {"weight": weight}), "transpose back")
        rest = ctx.optional(node, 2)
    else:
        left = _transposed(ctx, node, a) if turn_a else a
        right = _transposed(ctx, node, b) if turn_b else b
        y = ctx.emit("MatMul", node, [left, right], MatMulAttrs())
        if alpha != 1:
            y = ctx.emit("Binary", node, [y, _number(alpha)], BinaryAttrs("mul"), suffix="alpha")
        rest = ctx.optional(node, 2)
    if rest is not None and beta != 0:
        if beta != 1:
            rest = ctx.emit("Binary", node, [rest, _number(beta)], BinaryAttrs("mul"), suffix="beta")
        y = ctx.emit("Binary", node, [y, rest], BinaryAttrs("add"), suffix="add")
    return [y]


def _number(value: float) -> Constant:
    return Constant(np.float32(value).reshape(()))


def _gemm_bias(ctx: Context, node: OnnxNode, columns: int, beta: float) -> tuple[Constant | None, Value | None]:
    """C as a bias of one number for each column, or what has to be added instead."""
    c = ctx.optional(node, 2)
    if isinstance(c, Constant):
        c = ctx.weights(node, 2, "C")
        assert c is not None
        if c.data.size == 1 or (c.shape and c.shape[-1] == c.data.size == columns):
            plain = c if c.shape == (columns,) else Constant(np.broadcast_to(c.data.reshape(-1), (columns,)).copy())
            return _scaled(plain, beta), None
    return None, c


def _transposed(ctx: Context, node: OnnxNode, x: Value, suffix: str = "transpose") -> Value:
    rank = len(x.shape)
    perm = (*range(rank - 2), rank - 1, rank - 2)
    return ctx.emit("Transpose", node, [x], TransposeAttrs(perm), suffix=suffix)


@lowers("MatMul", 1, 9, 13)
def _matmul(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    a, b = ctx.activation(node, 0), ctx.activation(node, 1)
    if not a.shape or not b.shape:
        raise NodeError("a factor has no axes; the file is not valid ONNX")
    if isinstance(b, Constant) and _is_matrix(b, len(a.shape)):
        y = ctx.emit("Gemm", node, [a], GemmAttrs(), {"weight": Constant(_matrix(b).T)})
        return [y if b.data.ndim > 1 else _without_axis(ctx, node, y, -1)]
    if isinstance(a, Constant) and a.data.ndim > 1 and len(b.shape) > 1 and _is_matrix(a, len(b.shape)):
        # y = A B is the transpose of B' A'.
        y = ctx.emit("Gemm", node, [_transposed(ctx, node, b)], GemmAttrs(), {"weight": Constant(_matrix(a))})
        return [_transposed(ctx, node, y, "transpose back")]
    left = _with_axis(ctx, node, a, 0) if len(a.shape) == 1 else a
    right = _with_axis(ctx, node, b, 1) if len(b.shape) == 1 else b
    y = ctx.emit("MatMul", node, [left, right], MatMulAttrs())
    if len(a.shape) == 1:
        y = _without_axis(ctx, node, y, -2)
    return [_without_axis(ctx, node, y, -1) if len(b.shape) == 1 else y]


def _is_matrix(value: Constant, rank: int) -> bool:
    """Whether a constant factor is one matrix (or one vector), and adds no axes to the other factor's `rank`."""
    return value.data.ndim <= rank and all(size == 1 for size in value.data.shape[:-2])


def _matrix(value: Constant) -> Array:
    return value.data.reshape(-1, 1) if value.data.ndim == 1 else np.reshape(value.data, value.data.shape[-2:])


def _with_axis(ctx: Context, node: OnnxNode, x: Value, place: int) -> Value:
    sizes = ctx.sizes_of(x)
    sizes.insert(place, 1)
    return reshape(ctx, node, x, sizes, suffix="unsqueeze")


def _without_axis(ctx: Context, node: OnnxNode, y: Value, place: int) -> Value:
    sizes = ctx.sizes_of(y)
    del sizes[place]
    return reshape(ctx, node, y, sizes, suffix="squeeze")


@lowers("BatchNormalization", 7, 9, 14, 15)
def _batch_normalization(ctx: Context, node: OnnxNode) -> Sequence[Value | None]:
    x = ctx.activation(node, 0)
    if node.integer("training_mode", 0) or any(ctx.wanted(node, slot) for slot in range(1, len(node.outputs))):
        raise NodeError("is in training mode; export the network in evaluation mode")
    if len(x.shape) < 2:
        raise NodeError(f"input {show_shape(x.shape)} has no channel axis")
    roles = ("scale", "bias", "mean", "var")
    params = {role: ctx.weights(node, slot, f"the {role}") for slot, role in enumerate(roles, 1)}
    missing = [role for role, value in params.items() if value is None]
    if missing:
        raise NodeError(f"{', '.join(missing)} missing; the file is not valid ONNX")
    y = ctx.emit("BatchNormalization", node, [x], BatchNormAttrs(node.number("epsilon", 1e-5)), params)
    return [y, *[None] * (len(node.outputs) - 1)]
