# SPDX-License-Identifier: Apache-2.0
"""Operators on constants and on shape values: computed at import, with free sizes carried along as symbols."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx

from fewbins.importers import sizes
from fewbins.importers.context import MAX_FOLDED_ELEMENTS
from fewbins.importers.operators.base import folds
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import Array, Constant, OnnxNode, to_sizes

Inputs = Sequence[Constant | None]
Result = list[Constant | Array]


def given(inputs: Inputs, slot: int) -> Constant:
    """An input that must be there."""
    value = inputs[slot] if slot < len(inputs) else None
    if value is None:
        raise NodeError(f"input {slot} is missing; the file is not valid ONNX")
    return value


def _plain(inputs: Inputs, slot: int, what: str) -> Array | None:
    value = inputs[slot] if slot < len(inputs) else None
    if value is None:
        return None
    if value.symbolic:
        raise NodeError(f"{what} depends on a free size; fix it with load_onnx(..., input_shapes=...)")
    return value.data


def needed(inputs: Inputs, slot: int, what: str) -> Array:
    """The values of an input that must be there, without free sizes."""
    data = _plain(inputs, slot, what)
    if data is None:
        raise NodeError(f"{what} is missing; the file is not valid ONNX")
    return data


def _axes(node: OnnxNode, inputs: Inputs, slot: int, inputs_since: int) -> tuple[int, ...] | None:
    if node.version < inputs_since:
        return node.integers("axes")
    data = _plain(inputs, slot, "axes")
    return None if data is None else tuple(int(axis) for axis in data.flat)


def like(data: Any, source: Constant) -> Constant | Array:
    """Values that come from a constant's, of its type."""
    # NumPy gives the element itself, not an array, where one is picked.
    data = np.asarray(data, dtype=source.data.dtype)
    return Constant.of_sizes(data, floating=source.floating) if data.dtype == object else data


def check_elements(shape: Sequence[int]) -> None:
    """Refuse a constant that is too large to be made at import."""
    if math.prod(shape) > MAX_FOLDED_ELEMENTS:
        raise NodeError(f"its constant result {show_shape(shape)} exceeds {MAX_FOLDED_ELEMENTS} elements")


def elementwise(inputs: Inputs, function: Callable[..., Any]) -> Constant | Array:
    """A function of broadcast operands, on arrays or on objects where one has free sizes."""
    operands = [given(inputs, slot) for slot in range(len(inputs))]
    check_elements(np.broadcast_shapes(*(value.shape for value in operands)))
    if not any(value.symbolic for value in operands):
        return np.asarray(function(*(value.data for value in operands)))
    floating = any(value.floating or value.data.dtype.kind == "f" for value in operands)
    arrays = [objects(value) for value in operands]
    return Constant.of_sizes(np.asarray(function(*arrays), dtype=object), floating=floating)


def objects(value: Constant) -> Array:
    """The values of a constant as sizes: Python numbers and symbols."""
    return _filled(to_sizes(value), value.shape)


def _filled(items: Sequence[sizes.Size], shape: tuple[int, ...]) -> Array:
    data = np.empty(len(items), dtype=object)
    data[:] = items
    return data.reshape(shape)


@folds("Add", 7, 13, 14)
def _add(node: OnnxNode, inputs: Inputs) -> Result:
    return [elementwise(inputs, operator.add)]


@folds("Sub", 7, 13, 14)
def _sub(node: OnnxNode, inputs: Inputs) -> Result:
    return [elementwise(inputs, operator.sub)]


@folds("Mul", 7, 13, 14)
def _mul(node: OnnxNode, inputs: Inputs) -> Result:
    return [elementwise(inputs, operator.mul)]


@folds("Div", 7, 13, 14)
def _div(node: OnnxNode, inputs: Inputs) -> Result:
    a, b = given(inputs, 0), given(inputs, 1)
    floating = a.floating or a.data.dtype.kind == "f"
    if not floating and any(size == 0 for size in (to_sizes(b) if b.symbolic else b.data.flat)):
        raise NodeError("divides integers by zero")
    if floating:
        return [elementwise(inputs, operator.truediv)]
    return [elementwise(inputs, operator.floordiv if a.symbolic or b.symbolic else _truncating_div)]


def _truncating_div(a: Array, b: Array) -> Array:
    # ONNX's integer division rounds to zero as C's does; NumPy's rounds down.
    quotient = a // b
    return np.asarray(quotient + ((a % b != 0) & ((a < 0) != (b < 0))), dtype=quotient.dtype)


def on_each(inputs: Inputs, plain: Callable[..., Any], symbolic: Callable[[sizes.Size], sizes.Size]) -> Result:
    """A function of one operand, on arrays or on each size."""
    value = given(inputs, 0)
    if not value.symbolic:
        return [np.asarray(plain(value.data))]
    data = _filled([symbolic(size) for size in to_sizes(value)], value.shape)
    return [Constant.of_sizes(data, floating=value.floating)]


@folds("Floor", 6, 13)
def _floor(node: OnnxNode, inputs: Inputs) -> Result:
    return on_each(inputs, np.floor, sizes.floor)


@folds("Ceil", 6, 13)
def _ceil(node: OnnxNode, inputs: Inputs) -> Result:
    return on_each(inputs, np.ceil, sizes.ceil)


@folds("Neg", 6, 13)
def _neg(node: OnnxNode, inputs: Inputs) -> Result:
    return on_each(inputs, np.negative, lambda size: -size)


@folds("Identity", 1, 13, 14, 16, 19, 21, 23, 24, 25)
def _identity(node: OnnxNode, inputs: Inputs) -> Result:
    return [given(inputs, 0)]


@folds("Cast", 9, 13, 19, 21, 23, 24, 25, 28)
def _cast(node: OnnxNode, inputs: Inputs) -> Result:
    value, to = given(inputs, 0), node.integer("to", 0)
    if to not in onnx.TensorProto.DataType.values() or to in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING):
        raise NodeError(f"casts to type {to}; only numbers can be imported")
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(to))
    if not value.symbolic:
        with np.errstate(all="ignore"):
            return [value.data.astype(dtype)]
    floating = dtype.kind == "f"
    if dtype.kind not in "iuf":
        raise NodeError(f"casts free sizes to {dtype}; only integers and floats are followed")
    data = value.data if floating or not value.floating else on_each(inputs, np.floor, sizes.floor)[0]
    return [Constant.of_sizes(data.data if isinstance(data, Constant) else data, floating=floating)]


@folds("Equal", 7, 11, 13, 19)
def _equal(node: OnnxNode, inputs: Inputs) -> Result:
    if not (given(inputs, 0).symbolic or given(inputs, 1).symbolic):
        return [elementwise(inputs, operator.eq)]
    a, b = np.broadcast_arrays(objects(given(inputs, 0)), objects(given(inputs, 1)))
    answers = [sizes.equal(x, y) for x, y in zip(a.flat, b.flat, strict=True)]
    if None in answers:
        raise NodeError("compares a free size with a number; fix it with load_onnx(..., input_shapes=...)")
    return [np.array(answers, dtype=np.bool_).reshape(a.shape)]


@folds("Where", 9, 16)
def _where(node: OnnxNode, inputs: Inputs) -> Result:
    chosen, a, b = (given(inputs, slot) for slot in range(3))
    check_elements(np.broadcast_shapes(chosen.shape, a.shape, b.shape))
    if a.symbolic or b.symbolic:
        floating = a.floating or b.floating
        return [Constant.of_sizes(np.where(chosen.data, objects(a), objects(b)), floating=floating)]
    return [np.where(chosen.data, a.data, b.data)]


@folds("Gather", 1, 11, 13)
def _gather(node: OnnxNode, inputs: Inputs) -> Result:
    value, indices = given(inputs, 0), needed(inputs, 1, "an index")
    axis = normal_axis(node.integer("axis", 0), len(value.shape))
    size = value.shape[axis]
    if indices.size and (indices.min() < -size or indices.max() >= size):
        raise NodeError(f"reads index {int(indices.max())} of an axis of size {size}")
    check_elements((*indices.shape, *value.shape[:axis], *value.shape[axis + 1 :]))
    return [like(np.take(value.data, indices.astype(np.int64) % max(size, 1), axis=axis), value)]


@folds("Concat", 4, 11, 13)
def _concat(node: OnnxNode, inputs: Inputs) -> Result:
    parts = [given(inputs, slot) for slot in range(len(inputs))]
    axis = normal_axis(node.integer("axis", 0), len(parts[0].shape))
    check_elements([sum(math.prod(value.shape) for value in parts)])
    if not any(value.symbolic for value in parts):
        return [np.concatenate([value.data for value in parts], axis)]
    floating = any(value.floating for value in parts)
    return [Constant.of_sizes(np.concatenate([objects(value) for value in parts], axis), floating=floating)]


@folds("Slice", 1, 10, 11, 13)
def _slice(node: OnnxNode, inputs: Inputs) -> Result:
    value = given(inputs, 0)
    if node.version == 1:
        starts, ends, axes = node.integers("starts"), node.integers("ends"), node.integers("axes")
        steps = None
    else:
        starts, ends, axes, steps = (
            None if data is None else tuple(int(item) for item in data.flat)
            for data in (_plain(inputs, slot, "a bound") for slot in range(1, 5))
        )
    if starts is None or ends is None:
        raise NodeError("starts or ends is missing; the file is not valid ONNX")
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    window = [slice(None)] * len(value.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = normal_axis(axis, len(value.shape))
        size = value.shape[axis]
        # An end before the first element, written as a large negative number, is NumPy's None.
        stop = None if step < 0 and end < -size else end
        window[axis] = slice(start, stop, step)
    return [like(value.data[tuple(window)], value)]


@folds("Reshape", 5, 13, 14, 19, 21, 23, 24, 25)
def _reshape(node: OnnxNode, inputs: Inputs) -> Result:
    value, target = given(inputs, 0), needed(inputs, 1, "the shape")
    keep_zero = bool(node.integer("allowzero", 0))
    shape = [
        value.shape[axis] if size == 0 and not keep_zero and axis < len(value.shape) else int(size)
        for axis, size in enumerate(target.flat)
    ]
    return [like(value.data.reshape(shape), value)]


@folds("Unsqueeze", 1, 11, 13, 21, 23, 24, 25)
def _unsqueeze(node: OnnxNode, inputs: Inputs) -> Result:
    value, axes = given(inputs, 0), _axes(node, inputs, 1, 13)
    if axes is None:
        raise NodeError("axes are missing; the file is not valid ONNX")
    rank = len(value.shape) + len(axes)
    return [like(np.expand_dims(value.data, tuple(normal_axis(axis, rank) for axis in axes)), value)]


@folds("Squeeze", 1, 11, 13, 21, 23, 24, 25)
def _squeeze(node: OnnxNode, inputs: Inputs) -> Result:
    value, axes = given(inputs, 0), _axes(node, inputs, 1, 13)
    rank = len(value.shape)
    return [like(np.squeeze(value.data, None if axes is None else tuple(normal_axis(a, rank) for a in axes)), value)]


@folds("Transpose", 1, 13, 21, 23, 24, 25)
def _transpose(node: OnnxNode, inputs: Inputs) -> Result:
    value = given(inputs, 0)
    return [like(np.transpose(value.data, node.integers("perm")), value)]


@folds("Expand", 8, 13)
def _expand(node: OnnxNode, inputs: Inputs) -> Result:
    value, target = given(inputs, 0), needed(inputs, 1, "the shape")
    shape = np.broadcast_shapes(value.shape, tuple(int(size) for size in target.flat))
    check_elements(shape)
    return [like(np.broadcast_to(value.data, shape).copy(), value)]


@folds("ConstantOfShape", 9, 20, 21, 23, 24, 25)
def _constant_of_shape(node: OnnxNode, inputs: Inputs) -> Result:
    target = needed(inputs, 0, "the shape")
    shape = tuple(int(size) for size in target.flat)
    if min(shape, default=0) < 0:
        raise NodeError(f"asks for a constant of shape {show_shape(shape)}")
    check_elements(shape)
    fill = node.attributes.get("value")
    if fill is None:
        return [np.zeros(shape, np.float32)]
    if not isinstance(fill, onnx.TensorProto) or fill.data_location == onnx.TensorProto.EXTERNAL:
        raise NodeError("attribute 'value' must be a tensor in the file itself")
    values = onnx.numpy_helper.to_array(fill)
    if values.size != 1:
        raise NodeError(f"attribute 'value' has {values.size} elements, not 1")
    return [np.full(shape, values.reshape(-1)[0], values.dtype)]


@folds("Range", 11, 27)
def _range(node: OnnxNode, inputs: Inputs) -> Result:
    arrays = [_plain(inputs, slot, "a bound") for slot in range(3)]
    if any(array is None or array.size != 1 for array in arrays):
        raise NodeError("start, limit and delta must be three scalars")
    start, limit, delta = (array.reshape(-1)[0] for array in arrays if array is not None)
    if delta == 0 or not np.isfinite(float(limit)) or not np.isfinite(float(start)):
        raise NodeError(f"start {start}, limit {limit} and delta {delta} give no range")
    count = max(math.ceil((Fraction(limit.item()) - Fraction(start.item())) / Fraction(delta.item())), 0)
    check_elements((count,))
    return [np.asarray(start + np.arange(count).astype(start.dtype) * delta, dtype=start.dtype)]


@folds("ReduceProd", 1, 11, 13, 18)
def _reduce_prod(node: OnnxNode, inputs: Inputs) -> Result:
    value, axes = given(inputs, 0), reduced_axes(node, inputs, 18)
    if axes is None:
        return [value]
    reduced = np.prod(value.data, axis=axes, keepdims=bool(node.integer("keepdims", 1)), dtype=value.data.dtype)
    return [like(np.asarray(reduced, dtype=value.data.dtype), value)]


def reduced_axes(node: OnnxNode, inputs: Inputs, inputs_since: int) -> tuple[int, ...] | None:
    """The axes that a Reduce takes away, all where it names none; None where it does nothing."""
    axes, rank = _axes(node, inputs, 1, inputs_since), len(given(inputs, 0).shape)
    if not axes:
        return None if node.integer("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted({normal_axis(axis, rank) for axis in axes}))


@folds("Split", 2, 11, 13, 18)
def _split(node: OnnxNode, inputs: Inputs) -> Result:
    value = given(inputs, 0)
    axis = normal_axis(node.integer("axis", 0), len(value.shape))
    wanted = node.integers("split") if node.version < 13 else _split_input(inputs)
    parts = split_sizes(wanted, value.shape[axis], len(node.outputs))
    ends = np.cumsum(parts)[:-1]
    return [like(part, value) for part in np.split(value.data, ends, axis)]


def _split_input(inputs: Inputs) -> tuple[int, ...] | None:
    data = _plain(inputs, 1, "the sizes of the parts")
    return None if data is None else tuple(int(size) for size in data.flat)


def split_sizes(given: tuple[int, ...] | None, size: int, count: int) -> tuple[int, ...]:
    """The sizes of the parts of Split: as given, or equal ones with a smaller last.

    >>> split_sizes(None, 7, 3)
    (3, 3, 1)
    """
    if given is None:
        part = -(-size // count)
        given = (part,) * (count - 1) + (size - part * (count - 1),)
    if len(given) != count or sum(given) != size or min(given, default=0) < 0:
        raise NodeError(f"parts of sizes {given} do not make {count} outputs of an axis of size {size}")
    return given


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from the front.

    >>> normal_axis(-1, 4)
    3
    """
    if not -rank <= axis < rank:
        raise NodeError(f"axis {axis} does not exist in rank {rank}")
    return axis % rank
