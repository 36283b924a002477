# SPDX-License-Identifier: Apache-2.0
"""Operators that treat every element by itself, Softmax, and those that vanish."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx

from fewbins.importers.context import Context
from fewbins.importers.operators.base import lowers
from fewbins.importers.operators.folds import normal_axis
from fewbins.importers.operators.reshaping import reshape
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.sizes import product
from fewbins.importers.values import Activation, Constant, OnnxNode, Value
from fewbins.ops import BinaryAttrs, PReluAttrs, SoftmaxAttrs, UnaryAttrs

INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
FLOAT_MAX = float(np.finfo(np.float32).max)


def _scalar(value: Value) -> float | None:
    """The value of a constant with one element that broadcasts without adding axes."""
    if isinstance(value, Constant) and not value.symbolic and value.data.size == 1:
        return float(value.data.reshape(-1)[0])
    return None


# Functions of one tensor without attributes: ONNX name, since-versions, canonical name.
PLAIN = (
    ("Relu", (6, 13, 14), "relu"),
    ("Sigmoid", (6, 13), "sigmoid"),
    ("Tanh", (6, 13), "tanh"),
    ("HardSwish", (14, 22), "hard_swish"),
    ("Exp", (6, 13), "exp"),
    ("Sqrt", (6, 13), "sqrt"),
    ("Erf", (9, 13), "erf"),
    ("Abs", (6, 13), "abs"),
    ("Neg", (6, 13), "neg"),
    ("Log", (6, 13), "log"),
    ("Softplus", (1, 22), "softplus"),
    ("Mish", (18, 22), "mish"),
    ("Reciprocal", (6, 13), "reciprocal"),
    ("Floor", (6, 13), "floor"),
    ("Ceil", (6, 13), "ceil"),
)


def _unary(ctx: Context, node: OnnxNode, attrs: UnaryAttrs) -> Sequence[Value]:
    return [ctx.emit("Unary", node, [ctx.activation(node, 0)], attrs)]


def _declare(op: str, versions: tuple[int, ...], function: str) -> None:
    @lowers(op, *versions)
    def _plain(ctx: Context, node: OnnxNode) -> Sequence[Value]:
        return _unary(ctx, node, UnaryAttrs(function))


for _row in PLAIN:
    _declare(*_row)


@lowers("LeakyRelu", 6, 16)
def _leaky_relu(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _unary(ctx, node, UnaryAttrs("leaky_relu", alpha=node.number("alpha", 0.01)))


@lowers("HardSigmoid", 6, 22)
def _hard_sigmoid(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    attrs = UnaryAttrs("hard_sigmoid", alpha=node.number("alpha", 0.2), beta=node.number("beta", 0.5))
    return _unary(ctx, node, attrs)


@lowers("Elu", 6, 22)
def _elu(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _unary(ctx, node, UnaryAttrs("elu", alpha=node.number("alpha", 1.0)))


@lowers("Gelu", 20)
def _gelu(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    approximate = node.text("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise NodeError(f"approximate '{approximate}' is not one of none, tanh")
    return _unary(ctx, node, UnaryAttrs("gelu" if approximate == "none" else "gelu_tanh"))


@lowers("Swish", 24)
def _swish(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    alpha = node.number("alpha", 1.0)
    if alpha == 1:
        return _unary(ctx, node, UnaryAttrs("silu"))
    x = ctx.activation(node, 0)
    factor = Constant(np.float32(alpha).reshape(()))
    inner = ctx.emit("Binary", node, [x, factor], BinaryAttrs("mul"), suffix="alpha")
    gate = ctx.emit("Unary", node, [inner], UnaryAttrs("sigmoid"), suffix="sigmoid")
    return [ctx.emit("Binary", node, [x, gate], BinaryAttrs("mul"))]


@lowers("Clip", 6, 11, 12, 13)
def _clip(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    if node.version < 11:
        lo: float | None = node.number("min", -FLOAT_MAX)
        hi: float | None = node.number("max", FLOAT_MAX)
    else:
        lo, hi = (_limit(ctx, node, slot, what) for slot, what in ((1, "min"), (2, "max")))
    return [clip(ctx, node, ctx.activation(node, 0), lo, hi)]


def _limit(ctx: Context, node: OnnxNode, slot: int, what: str) -> float | None:
    data = ctx.constant(node, slot, what)
    if data is None:
        return None
    if data.size != 1 or math.isnan(float(data.reshape(-1)[0])):
        raise NodeError(f"{what} must be one number, not an array {show_shape(data.shape)} or NaN")
    return float(data.reshape(-1)[0])


def clip(ctx: Context, node: OnnxNode, x: Value, lo: float | None, hi: float | None) -> Value:
    """Emit a clamp; limits beyond float32's numbers are none, and max wins where they cross, as in ONNX."""
    lo = None if lo is not None and lo <= -FLOAT_MAX else lo
    hi = None if hi is not None and hi >= FLOAT_MAX else hi
    lo = hi if lo is not None and hi is not None and lo > hi else lo
    if lo is None and hi is None:
        return x
    attrs = UnaryAttrs("relu") if (lo, hi) == (0, None) else UnaryAttrs("clip", lo=lo, hi=hi)
    return ctx.emit("Unary", node, [x], attrs)


@lowers("PRelu", 7, 9, 16)
def _prelu(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    slope = ctx.weights(node, 1, "the slope")
    if slope is None:
        raise NodeError("the slope is missing; the file is not valid ONNX")
    channel_axis = slope.data.ndim - (len(x.shape) - 1)
    if slope.data.size > 1 and (
        channel_axis < 0 or slope.shape[channel_axis] != slope.data.size or slope.data.size != x.shape[1]
    ):
        raise NodeError(f"slope {show_shape(slope.shape)} must be one number, or one for each channel: C x 1 x 1")
    flat = slope if slope.data.ndim == 1 else Constant(slope.data.reshape(-1))
    if flat.data.size == 1:
        return [ctx.emit("Unary", node, [x], UnaryAttrs("leaky_relu", alpha=float(flat.data[0])))]
    return [ctx.emit("PRelu", node, [x], PReluAttrs(), {"slope": flat})]


def _binary(ctx: Context, node: OnnxNode, function: str) -> Sequence[Value]:
    return [ctx.emit("Binary", node, [ctx.activation(node, 0), ctx.activation(node, 1)], BinaryAttrs(function))]


@lowers("Add", 7, 13, 14)
def _add(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _binary(ctx, node, "add")


@lowers("Sub", 7, 13, 14)
def _sub(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _binary(ctx, node, "sub")


@lowers("Mul", 7, 13, 14)
def _mul(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _binary(ctx, node, "mul")


@lowers("Div", 7, 13, 14)
def _div(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return _binary(ctx, node, "div")


@lowers("Pow", 7, 12, 13, 15)
def _pow(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x, exponent = ctx.activation(node, 0), ctx.input(node, 1)
    if isinstance(exponent, Constant) and not exponent.symbolic:
        scalar = _scalar(exponent)
        if scalar is not None and exponent.data.ndim <= len(x.shape):
            return [ctx.emit("Unary", node, [x], UnaryAttrs("pow", alpha=scalar))]
        exponent = Constant(exponent.data.astype(np.float32))
    else:
        exponent = ctx.activation(node, 1)
    return [ctx.emit("Binary", node, [x, exponent], BinaryAttrs("pow"))]


@lowers("Max", 8, 12, 13)
def _max(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_extreme(ctx, node, "max")]


@lowers("Min", 8, 12, 13)
def _min(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_extreme(ctx, node, "min")]


def _extreme(ctx: Context, node: OnnxNode, function: str) -> Value:
    values = [ctx.activation(node, slot) for slot in range(len(node.inputs))]
    if len(values) == 2:
        for x, limit in ((values[0], values[1]), (values[1], values[0])):
            scalar = _scalar(limit)
            plain = scalar is not None and math.isfinite(scalar) and len(limit.shape) <= len(x.shape)
            if isinstance(x, Activation) and plain:
                return clip(ctx, node, x, *((scalar, None) if function == "max" else (None, scalar)))
    return _chain(ctx, node, values, function)


@lowers("Sum", 8, 13)
def _sum(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [_chain(ctx, node, [ctx.activation(node, slot) for slot in range(len(node.inputs))], "add")]


def _chain(ctx: Context, node: OnnxNode, values: Sequence[Value], function: str) -> Value:
    if not values:
        raise NodeError("has no inputs; the file is not valid ONNX")
    total = values[0]
    for value in values[1:]:
        total = ctx.emit("Binary", node, [total, value], BinaryAttrs(function))
    return total


@lowers("Softmax", 1, 11, 13)
def _softmax(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    x = ctx.activation(node, 0)
    rank = len(x.shape)
    axis = normal_axis(node.integer("axis", -1 if node.version >= 13 else 1), rank)
    if node.version >= 13 or all(size == 1 for size in x.shape[axis + 1 :]):
        return [ctx.emit("Softmax", node, [x], SoftmaxAttrs(axis))]
    # Before opset 13 Softmax ran over all axes from `axis` on, as if they were one.
    sizes = ctx.sizes_of(x)
    flat = reshape(ctx, node, x, [*sizes[:axis], product(sizes[axis:])], suffix="flatten")
    y = ctx.emit("Softmax", node, [flat], SoftmaxAttrs(axis))
    return [reshape(ctx, node, y, sizes, suffix="reshape back", source=[*sizes[:axis], product(sizes[axis:])])]


@lowers("Identity", 1, 13, 14, 16, 19, 21, 23, 24, 25)
def _identity(ctx: Context, node: OnnxNode) -> Sequence[Value]:
    return [ctx.input(node, 0)]


@lowers("Dropout", 7, 10, 12, 13, 22)
def _dropout(ctx: Context, node: OnnxNode) -> Sequence[Value | None]:
    training = ctx.constant(node, 2, "training_mode")
    if (training is not None and bool(training.any())) or ctx.wanted(node, 1):
        raise NodeError("is in training mode or its mask is read; export the network in evaluation mode")
    return [ctx.input(node, 0), None]
