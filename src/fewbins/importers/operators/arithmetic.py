# SPDX-License-Identifier: Apache-2.0
"""Arithmetic, comparisons and scatters that exporters write for shapes, masks and anchors, computed at import."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fewbins.importers import sizes
from fewbins.importers.operators.base import folds
from fewbins.importers.operators.folds import (
    Inputs,
    Result,
    check_elements,
    elementwise,
    given,
    like,
    needed,
    normal_axis,
    objects,
    on_each,
    reduced_axes,
)
from fewbins.importers.problems import NodeError
from fewbins.importers.values import Array, Constant, OnnxNode

FREE = "depends on a free size; fix it with load_onnx(..., input_shapes=...)"


def _chain(inputs: Inputs, function: Callable[..., Any], symbolic: Callable[..., Any]) -> Constant | Array:
    """A function of two, over any number of broadcast operands."""
    total = given(inputs, 0)
    for slot in range(1, len(inputs)):
        pair = [total, given(inputs, slot)]
        free = any(value.symbolic for value in pair)
        made = elementwise(pair, np.frompyfunc(symbolic, 2, 1) if free else function)
        total = made if isinstance(made, Constant) else Constant(made)
    return total


@folds("Max", 8, 12, 13)
def _max(node: OnnxNode, inputs: Inputs) -> Result:
    return [_chain(inputs, np.maximum, sizes.larger)]


@folds("Min", 8, 12, 13)
def _min(node: OnnxNode, inputs: Inputs) -> Result:
    return [_chain(inputs, np.minimum, sizes.smaller)]


@folds("Clip", 6, 11, 12, 13)
def _clip(node: OnnxNode, inputs: Inputs) -> Result:
    value = given(inputs, 0)
    limits: list[Constant | None] = [*inputs[1:3], None, None][:2]
    if node.version < 11:
        limits = [Constant(np.float32(node.number(key, limit))) for key, limit in (("min", -np.inf), ("max", np.inf))]
    for limit, function, symbolic in zip(limits, (np.maximum, np.minimum), (sizes.larger, sizes.smaller), strict=True):
        if limit is not None:
            made = _chain([value, limit], function, symbolic)
            value = made if isinstance(made, Constant) else Constant(made)
    return [value]


@folds("Abs", 6, 13)
def _abs(node: OnnxNode, inputs: Inputs) -> Result:
    return on_each(inputs, np.abs, sizes.absolute)


def _of_numbers(op: str, versions: tuple[int, ...], function: Callable[..., Any]) -> None:
    """An elementwise operator that is computed on known numbers only."""

    @folds(op, *versions)
    def _fold(node: OnnxNode, inputs: Inputs) -> Result:
        return [elementwise([Constant(needed(inputs, slot, "an operand")) for slot in range(len(inputs))], function)]


_of_numbers("Cos", (7, 22), np.cos)
_of_numbers("Sin", (7, 22), np.sin)
_of_numbers("Sqrt", (6, 13), np.sqrt)
_of_numbers("And", (7,), np.logical_and)
_of_numbers("Or", (7,), np.logical_or)
_of_numbers("Xor", (7,), np.logical_xor)
_of_numbers("Not", (1,), np.logical_not)


@folds("Mod", 10, 13, 28)
def _mod(node: OnnxNode, inputs: Inputs) -> Result:
    a, b = given(inputs, 0), given(inputs, 1)
    if not a.symbolic and not b.symbolic and b.data.dtype.kind in "iu" and not b.data.all():
        raise NodeError("divides integers by zero")
    function = np.fmod if node.integer("fmod", 0) else np.mod
    return [_chain(inputs, function, sizes.modulo)]


@folds("Pow", 7, 12, 13, 15)
def _pow(node: OnnxNode, inputs: Inputs) -> Result:
    base, exponent = given(inputs, 0), needed(inputs, 1, "the exponent")
    if not base.symbolic:
        return [np.power(base.data, exponent, dtype=np.result_type(base.data, exponent)).astype(base.data.dtype)]
    if exponent.size != 1 or exponent.reshape(-1)[0] not in (1, 2, 3):
        raise NodeError(f"raises what {FREE}")
    return [_chain([base] * int(exponent.reshape(-1)[0]), operator.mul, operator.mul)]


def _compare(op: str, versions: tuple[int, ...], function: Callable[..., Any], *, turned: bool, negated: bool) -> None:
    """An order of two: a >= b, of the operands as they are or `turned`, and perhaps `negated`."""

    @folds(op, *versions)
    def _fold(node: OnnxNode, inputs: Inputs) -> Result:
        if not (given(inputs, 0).symbolic or given(inputs, 1).symbolic):
            return [elementwise(inputs, function)]

        def answer(a: sizes.Size, b: sizes.Size) -> bool:
            known = sizes.at_least(b, a) if turned else sizes.at_least(a, b)
            if known is None:
                raise NodeError(f"compares {a} with {b}, which {FREE}")
            return known != negated

        pair = [objects(given(inputs, slot)) for slot in (0, 1)]
        return [np.asarray(np.frompyfunc(answer, 2, 1)(*pair), dtype=np.bool_)]


_compare("Less", (9, 13), np.less, turned=False, negated=True)
_compare("LessOrEqual", (12, 16), np.less_equal, turned=True, negated=False)
_compare("Greater", (9, 13), np.greater, turned=True, negated=True)
_compare("GreaterOrEqual", (12, 16), np.greater_equal, turned=False, negated=False)


def _reduce(op: str, versions: tuple[int, ...], since: int, function: Any, symbolic: Callable[..., Any]) -> None:
    @folds(op, *versions)
    def _fold(node: OnnxNode, inputs: Inputs) -> Result:
        value = given(inputs, 0)
        axes = reduced_axes(node, inputs, since)
        if axes is None:
            return [value]
        keep = bool(node.integer("keepdims", 1))
        if not value.symbolic:
            return [np.asarray(function(value.data, axis=axes, keepdims=keep)).astype(value.data.dtype)]
        rank = len(value.shape)
        front = np.moveaxis(value.data, axes, tuple(range(len(axes))))
        rows = front.reshape(-1, *front.shape[len(axes) :])
        made = functools.reduce(np.frompyfunc(symbolic, 2, 1), rows)
        shape = [1 if axis in axes else value.shape[axis] for axis in range(rank) if keep or axis not in axes]
        return [like(np.asarray(made, dtype=object).reshape(shape), value)]


_reduce("ReduceMax", (1, 11, 12, 13, 18, 20), 18, np.max, sizes.larger)
_reduce("ReduceMin", (1, 11, 12, 13, 18, 20), 18, np.min, sizes.smaller)
_reduce("ReduceSum", (1, 11, 13), 13, np.sum, lambda a, b: a + b)


@folds("CumSum", 11, 14)
def _cum_sum(node: OnnxNode, inputs: Inputs) -> Result:
    value, axis = needed(inputs, 0, "the input"), needed(inputs, 1, "the axis")
    along = normal_axis(int(axis.reshape(-1)[0]), value.ndim)
    data = np.flip(value, along) if node.integer("reverse", 0) else value
    total = np.cumsum(data, along, dtype=value.dtype)
    if node.integer("exclusive", 0):
        total = total - data
    return [np.flip(total, along) if node.integer("reverse", 0) else total]


@folds("Tile", 6, 13)
def _tile(node: OnnxNode, inputs: Inputs) -> Result:
    value, repeats = given(inputs, 0), [int(count) for count in needed(inputs, 1, "the repeats").flat]
    if len(repeats) != len(value.shape) or min(repeats, default=1) < 0:
        raise NodeError(f"repeats {repeats} must hold a count for each of {len(value.shape)} axes")
    check_elements([*value.shape, *repeats])
    return [like(np.tile(value.data, repeats), value)]


@folds("ScatterElements", 11, 13, 16, 18)
def _scatter_elements(node: OnnxNode, inputs: Inputs) -> Result:
    value, indices, updates = _scattered(node, inputs)
    axis = normal_axis(node.integer("axis", 0), value.data.ndim)
    if indices.ndim != value.data.ndim or updates.data.shape != indices.shape:
        raise NodeError("indices and updates must have one shape, of the data's rank")
    place: list[Array] = list(np.indices(indices.shape, sparse=True))
    place[axis] = _within(indices, value.data.shape[axis])
    return [_assigned(value, tuple(place), updates)]


@folds("ScatterND", 11, 13, 16, 18)
def _scatter_nd(node: OnnxNode, inputs: Inputs) -> Result:
    value, indices, updates = _scattered(node, inputs)
    depth = indices.shape[-1] if indices.ndim else 0
    if not 1 <= depth <= value.data.ndim or updates.data.shape != indices.shape[:-1] + value.data.shape[depth:]:
        raise NodeError("indices and updates do not fit the data; the file is not valid ONNX")
    place = tuple(_within(indices[..., axis], value.data.shape[axis]) for axis in range(depth))
    return [_assigned(value, place, updates)]


def _scattered(node: OnnxNode, inputs: Inputs) -> tuple[Constant, Array, Constant]:
    if node.text("reduction", "none") != "none":
        raise NodeError("combines values by a reduction; only reduction 'none' is supported")
    return given(inputs, 0), needed(inputs, 1, "the indices"), given(inputs, 2)


def _within(indices: Array, size: int) -> Array:
    if indices.size and (indices.min() < -size or indices.max() >= size):
        raise NodeError(f"writes index {int(indices.max())} of an axis of size {size}")
    return indices.astype(np.int64)


def _assigned(value: Constant, place: tuple[Array, ...], updates: Constant) -> Constant | Array:
    if not (value.symbolic or updates.symbolic):
        data: Array = value.data.copy()
        data[place] = updates.data
        return data
    filled = objects(value)
    filled[place] = objects(updates)
    return Constant.of_sizes(filled, floating=value.floating or value.data.dtype.kind == "f")
