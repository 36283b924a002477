# SPDX-License-Identifier: Apache-2.0
"""One operator in the engine against the same operator in the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fewbins.graph import Graph, Node, Tensor
from fewbins.model_file import FileContents, to_bytes
from fewbins.numerics import Affine, dequantize
from fewbins.ops import REGISTRY, DequantizeAttrs, QuantizeAttrs
from fewbins.ops.evaluate import single_node
from fewbins.session import Session
from fewbins.verify import available_isas

Array = np.ndarray[Any, np.dtype[Any]]


def as_model(graph: Graph, constants: Sequence[int], values: Sequence[Array]) -> tuple[bytes, list[Array]]:
    """The single-node graph as a model file whose inputs and outputs are not levels, and the values of its inputs.

    Inputs of levels come from a Quantize node, an output of levels goes through a Dequantize node; the inputs in
    `constants` are stored in the file.
    """
    tensors, nodes, names, feed = dict(graph.tensors), [], [], []
    for index, value in enumerate(values):
        name = f"x{index}"
        affine = tensors[name].affine
        if index in constants:
            data = value if affine is None else (value - affine.levels.lo).astype(np.uint8)
            dtype = value.dtype.name if affine is None else "levels"
            tensors[name] = Tensor(name, value.shape, dtype, affine, data)
            continue
        names.append(name if affine is None else f"float_{name}")
        feed.append(value if affine is None else dequantize(value, affine))
        if affine is not None:
            tensors[names[-1]] = Tensor(names[-1], value.shape)
            nodes.append(Node("Quantize", f"quantize_{name}", (names[-1],), (name,), QuantizeAttrs()))
    nodes += graph.nodes
    output = "y"
    if tensors["y"].dtype == "levels":
        output = "float_y"
        tensors[output] = Tensor(output, tensors["y"].shape)
        nodes.append(Node("Dequantize", "dequantize_y", ("y",), (output,), DequantizeAttrs()))
    whole = replace(graph, nodes=tuple(nodes), tensors=tensors, inputs=tuple(names), outputs=(output,))
    return to_bytes(FileContents(whole, "8bit")), feed


def engine_outputs(model: bytes, feed: Sequence[Array], affine: Affine | None, isa: str, threads: int) -> Array:
    """Tensor y as the oracle has it: float32, or signed levels as int32."""
    session = Session(model, threads, isa=isa)
    y = session.trace(list(feed), ["y"])["y"]
    return y if affine is None else y.astype(np.int32) + affine.levels.lo


def check(
    op: str, attrs: Any, inputs: Sequence[Any], *, tolerance: float = 0.0, constants: Sequence[int] = (), **tensors: Any
) -> None:
    """Fail unless the engine gives what the oracle gives, on every instruction set of this machine, at 1 and 2 threads.

    Args:
        op: the operator; this and the next three are as `fewbins.ops.evaluate.single_node` takes them.
        attrs: its attributes.
        inputs: its inputs.
        **tensors: affines, output, params, weight_affine.
        tolerance: 0 for equal bits; else the largest difference, relative to the largest magnitude.
        constants: the inputs that are constants of the file.
    """
    graph, values = single_node(op, attrs, inputs, **tensors)
    want = REGISTRY[op].oracle(graph.nodes[0], values, graph)[0]
    model, feed = as_model(graph, constants, values)
    affine = graph.tensors["y"].affine
    for isa in available_isas():
        for threads in (1, 2):
            got = engine_outputs(model, feed, affine, isa, threads)
            assert got.dtype == want.dtype and got.shape == want.shape, (isa, got.dtype, got.shape, want.shape)
            if tolerance == 0.0:
                assert np.array_equal(got, want, equal_nan=want.dtype == np.float32), (isa, threads, got, want)
            else:
                peak = max(1e-30, float(np.abs(want).max(initial=0)))
                assert float(np.abs(got - want).max(initial=0)) <= tolerance * peak, (isa, threads, got, want)
