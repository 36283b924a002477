# SPDX-License-Identifier: Apache-2.0
"""What stands at the ends of networks, comparisons, masks and indices: the engine equals the oracle to the last bit.

The importer's half, against ONNX Runtime, is in test_importer_heads.py.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from engine_compare import check
from hypothesis import given, settings
from hypothesis import strategies as st

import fewbins
from fewbins import model_file, oracle
from fewbins.graph import Graph, Node, Tensor
from fewbins.levels import Levels
from fewbins.model_file import FileContents
from fewbins.numerics import Affine
from fewbins.ops import (
    ArgReduceAttrs,
    CastAttrs,
    CompareAttrs,
    ConcatAttrs,
    GatherAttrs,
    LogicAttrs,
    ReshapeAttrs,
    SliceAttrs,
    TopKAttrs,
    TransposeAttrs,
    WhereAttrs,
)
from fewbins.ops.evaluate import evaluate
from fewbins.verify import available_isas

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES = ("float32", "bool", "uint8", "int32", "int64")
ODD = np.float32([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 0.5, 2.9, -2.9, 3e9, -3e9, 1e20, -1e20, 255.5, 1e-40])
LEVELS = Affine(0.25, 3, Levels.of(16))

seeds = st.integers(0, 2**16)
few = settings(max_examples=25)


def numbers(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Array:
    """Numbers of a type, equal ones and odd ones among them."""
    if dtype == "float32":
        found = np.where(rng.random(shape) < 0.3, rng.choice(ODD, shape), rng.integers(-3, 4, shape))
    elif dtype == "bool":
        found = rng.random(shape) < 0.5
    elif dtype == "uint8":
        found = rng.integers(0, 256, shape)
    else:
        big = 2**31 - 1 if dtype == "int32" else 2**63 - 1
        found = np.where(rng.random(shape) < 0.2, rng.choice([big, -big - 1], shape), rng.integers(-3, 4, shape))
    return np.asarray(found, dtype)


def part(data: st.DataObject, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to this one: some sizes are 1, some axes in front are missing."""
    kept = tuple(1 if data.draw(st.booleans()) else size for size in shape)
    return kept[data.draw(st.integers(0, len(shape))) :]


shapes = st.lists(st.integers(1, 5), min_size=0, max_size=5).map(tuple)


@pytest.mark.parametrize(("source", "target"), [*itertools.product(DTYPES, DTYPES)])
def test_cast_equals_the_oracle(source: str, target: str, rng: np.random.Generator) -> None:
    x = ODD if source == "float32" else numbers(rng, source, (2, 3, 2, 2))
    check("Cast", CastAttrs(target), [x])


@pytest.mark.parametrize("target", ["uint8", "int32", "int64"])
def test_cast_of_floats_saturates_and_nan_gives_zero(target: str) -> None:
    limits = np.iinfo(target)
    found = evaluate("Cast", CastAttrs(target), [np.float32([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, -0.9])])
    assert found.tolist() == [0, limits.max, limits.min, limits.max, limits.min, 2, 0]


@few
@given(shapes, st.sampled_from(["equal", "less", "less_equal"]), st.sampled_from(DTYPES), seeds, st.data())
def test_compare_equals_the_oracle(
    shape: tuple[int, ...], function: str, dtype: str, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    check("Compare", CompareAttrs(function), [numbers(rng, dtype, shape), numbers(rng, dtype, part(data, shape))])


@pytest.mark.parametrize("function", ["equal", "less", "less_equal"])
def test_levels_are_compared_as_they_are(function: str, rng: np.random.Generator) -> None:
    a, b = rng.integers(-8, 8, (2, 3, 4, 5)), rng.integers(-8, 8, (3, 1, 1))
    check("Compare", CompareAttrs(function), [a, b], affines=[LEVELS, LEVELS])


@few
@given(shapes, st.sampled_from(["and", "or", "xor", "not"]), seeds, st.data())
def test_logic_equals_the_oracle(shape: tuple[int, ...], function: str, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    operands = [numbers(rng, "bool", shape), numbers(rng, "bool", part(data, shape))]
    check("Logic", LogicAttrs(function), operands[: 1 if function == "not" else 2])


@few
@given(shapes, st.sampled_from(DTYPES), seeds, st.data())
def test_where_equals_the_oracle(shape: tuple[int, ...], dtype: str, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    x, y = numbers(rng, dtype, shape), numbers(rng, dtype, part(data, shape))
    constants = (2,) if data.draw(st.booleans()) else ()
    check("Where", WhereAttrs(), [numbers(rng, "bool", part(data, shape)), x, y], constants=constants)


filled = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple)


@few
@given(filled, st.sampled_from(["max", "min"]), st.booleans(), st.booleans(), st.data(), seeds)
def test_arg_reduce_equals_the_oracle(
    shape: tuple[int, ...], function: str, keepdims: bool, last: bool, data: st.DataObject, seed: int
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    dtype = data.draw(st.sampled_from(["float32", "levels", "uint8", "int32", "int64"]))
    rng, attrs = np.random.default_rng(seed), ArgReduceAttrs(function, axis, keepdims, last)
    if dtype == "levels":
        check("ArgReduce", attrs, [rng.integers(-8, 8, shape)], affines=[LEVELS])
    else:
        check("ArgReduce", attrs, [numbers(rng, dtype, shape)])


def test_arg_reduce_takes_the_first_of_equals_and_nan_only_in_front() -> None:
    x = np.float32([[1, 3, 3, 0], [np.nan, 5, 5, 5], [1, np.nan, 2, np.nan], [-np.inf, np.nan, -np.inf, np.nan]])
    first, last = (
        evaluate("ArgReduce", ArgReduceAttrs("max", 1, keepdims=False, last=last), [x]).tolist()
        for last in (False, True)
    )
    assert (first, last) == ([1, 0, 2, 0], [2, 0, 2, 2])


def heads_graph(op: str, attrs: Any, inputs: list[Array], outputs: dict[str, str]) -> Graph:
    """A node with several outputs, as a network."""
    names = tuple(f"x{i}" for i in range(len(inputs)))
    tensors = {n: Tensor(n, value.shape, value.dtype.name) for n, value in zip(names, inputs, strict=True)}
    node = Node(op, "node", names, tuple(outputs), attrs)
    graph = Graph((node,), tensors, names, tuple(outputs))
    shapes = fewbins.ops.infer_node(node, [value.shape for value in inputs])
    for (name, dtype), shape in zip(outputs.items(), shapes, strict=True):
        tensors[name] = Tensor(name, shape, dtype)
    return graph.validate()


@few
@given(filled, st.sampled_from(["float32", "int32", "int64"]), st.booleans(), st.data(), seeds)
def test_top_k_equals_the_oracle(
    shape: tuple[int, ...], dtype: str, largest: bool, data: st.DataObject, seed: int
) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    attrs = TopKAttrs(axis, data.draw(st.integers(1, shape[axis])), largest)
    x = numbers(np.random.default_rng(seed), dtype, shape)
    graph = heads_graph("TopK", attrs, [x], {"values": dtype, "places": "int64"})
    want, model = oracle.run(graph, [x], trace=False), model_file.to_bytes(FileContents(graph, "float"))
    for isa, threads in itertools.product(available_isas(), (1, 2)):
        got = fewbins.Session(model, threads, isa=isa).run(x)
        for name in ("values", "places"):
            assert got[name].dtype == want[name].dtype
            np.testing.assert_array_equal(got[name], want[name])


@few
@given(filled, shapes, st.sampled_from(DTYPES), st.sampled_from(["int32", "int64"]), st.data(), seeds)
def test_gather_equals_the_oracle(
    shape: tuple[int, ...], places: tuple[int, ...], dtype: str, kind: str, data: st.DataObject, seed: int
) -> None:
    axis, places = data.draw(st.integers(0, len(shape) - 1)), places[: 9 - len(shape)]
    rng = np.random.default_rng(seed)
    indices = np.asarray(rng.integers(-shape[axis], shape[axis], places), kind)
    check("Gather", GatherAttrs(axis), [numbers(rng, dtype, shape), indices])


@pytest.mark.parametrize("index", [2, -3, 2**40])
def test_gather_refuses_an_index_beyond_its_axis(index: int) -> None:
    x, indices = np.float32([[1, 2], [3, 4]]), np.int64([0, index])
    graph = heads_graph("Gather", GatherAttrs(1), [x, indices], {"y": "float32"})
    message = f"Gather.*index {index} is not one of an axis of size 2"
    with pytest.raises(fewbins.ArgumentError, match=message):
        oracle.run(graph, [x, indices])
    with pytest.raises(fewbins.ArgumentError, match=message):
        fewbins.Session(model_file.to_bytes(FileContents(graph, "float"))).run([x, indices])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("Transpose", TransposeAttrs((0, 2, 3, 1))),
        ("Reshape", ReshapeAttrs((2, -1))),
        ("Slice", SliceAttrs((1, 3), (3, 0), (1, 3), (1, -2))),
        ("Concat", ConcatAttrs(1)),
    ],
)
def test_operators_that_move_elements_move_all_types(op: str, attrs: Any, dtype: str, rng: np.random.Generator) -> None:
    x = numbers(rng, dtype, (2, 3, 4, 5))
    check(op, attrs, [x, x] if op == "Concat" else [x])


def test_an_operator_of_numbers_refuses_truth_values() -> None:
    with pytest.raises(fewbins.ShapeError, match="'x0' holds bool; it must hold float32 here"):
        evaluate("Unary", fewbins.ops.UnaryAttrs("relu"), [np.array([True])])
    with pytest.raises(fewbins.ShapeError, match="must mean the same values"):
        evaluate("Compare", CompareAttrs("less"), [[1], [1]], affines=[LEVELS, Affine(0.5, 3, Levels.of(16))])


def test_a_session_says_what_types_it_takes_and_gives() -> None:
    x = np.float32([[1, 5, 2]])
    graph = heads_graph("TopK", TopKAttrs(1, 2), [x], {"values": "float32", "places": "int64"})
    session = fewbins.Session(model_file.to_bytes(FileContents(graph, "float")))
    assert [info.type for info in session.outputs] == ["tensor(float)", "tensor(int64)"]
    mask = heads_graph("Logic", LogicAttrs("not"), [np.array([True])], {"y": "bool"})
    session = fewbins.Session(model_file.to_bytes(FileContents(mask, "float")))
    assert session.run(np.array([False])).tolist() == [True]
    with pytest.raises(fewbins.ShapeError, match="is float32; it must be a bool array"):
        session.run(np.float32([1.0]))
