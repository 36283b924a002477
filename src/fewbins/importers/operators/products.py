# SPDX-License-Identifier: Apache-2.0
"""Matrix products with a constant, and BatchNormalization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import Activation, Array, Constant, OnnxNode, Value
from fewbins.ops import BatchNormAttrs, BinaryAttrs, GemmAttrs, ReshapeAttrs, TransposeAttrs


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
        bias, rest = None, ctx.optional(node, 2)
    else:
        raise NodeError("multiplies two activations; one factor must be a constant")
    if rest is not None and beta != 0:
        if beta != 1:
            factor = Constant(np.float32(beta).reshape(()))
            rest = ctx.emit("Binary", node, [rest, factor], BinaryAttrs("mul"), suffix="beta")
        y = ctx.emit("Binary", node, [y, rest], BinaryAttrs("add"), suffix="add")
    return [y]


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
    if isinstance(b, Constant) and len(a.shape) >= 1:
        weight = _matrix(b, "the second factor", len(a.shape))
        columns = b.data.ndim > 1
        y = ctx.emit("Gemm", node, [a], GemmAttrs(), {"weight": Constant(weight.T)})
        return [y if columns else _drop_last(ctx, node, y)]
    if isinstance(a, Constant) and isinstance(b, Activation) and a.data.ndim >= 2 and b.rank >= 2:
        # y = A B is the transpose of B' A'.
        weight = _matrix(a, "the first factor", b.rank)
        right = _transposed(ctx, node, b)
        y = ctx.emit("Gemm", node, [right], GemmAttrs(), {"weight": Constant(weight)})
        return [_transposed(ctx, node, y, "transpose back")]
    raise NodeError("multiplies two activations; one factor must be a constant matrix")


def _matrix(value: Constant, what: str, rank: int) -> Array:
    data = value.data
    if data.ndim == 1:
        return data.reshape(-1, 1)
    if data.ndim == 2:
        return data
    if data.ndim > rank or any(size != 1 for size in data.shape[:-2]):
        raise NodeError(f"{what} {show_shape(data.shape)} is a stack of matrices; only one matrix is supported")
    return np.reshape(data, data.shape[-2:])


def _drop_last(ctx: Context, node: OnnxNode, y: Value) -> Value:
    sizes = y.shape[:-1]
    return ctx.emit("Reshape", node, [y], ReshapeAttrs((0,) * len(sizes)), suffix="squeeze")


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
