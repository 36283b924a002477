# SPDX-License-Identifier: Apache-2.0
"""The reference: runs a float or a quantized graph in plain NumPy, to the last bit of docs/numerics.md.

A value is an array of the tensor's dtype, or, for a tensor of levels, an int32 array of signed levels `q`.

>>> import numpy as np
>>> from fewbins.graph import Graph, Node, Tensor
>>> from fewbins.ops import UnaryAttrs
>>> x, y = Tensor("x", ("batch", 2)), Tensor("y", ("batch", 2))
>>> graph = Graph((Node("Unary", "act", ("x",), ("y",), UnaryAttrs("relu")),), {"x": x, "y": y}, ("x",), ("y",))
>>> run(graph, {"x": np.float32([[-1, 2]])}, trace=False)
{'y': array([[0., 2.]], dtype=float32)}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewbins.errors import GraphError, ShapeError
from fewbins.graph import Graph, Node, Tensor
from fewbins.graph.types import STORAGE
from fewbins.numerics import from_memory
from fewbins.ops import REGISTRY, infer_node
from fewbins.ops.dtypes import check_dtypes
from fewbins.ops.shapes import is_unknown, show

Array = np.ndarray[Any, np.dtype[Any]]


def run(
    graph: Graph,
    inputs: Mapping[str, Array] | Sequence[Array],
    *,
    until: str | None = None,
    trace: bool = True,
) -> dict[str, Array]:
    """Run a graph.

    Args:
        graph: float or quantized, its nodes in topological order.
        inputs: arrays of the inputs' dtypes, float32 as a rule, by name or in the order of `graph.inputs`; axes as in
            ONNX (N, C, H, W).
        until: a tensor at which to stop; nothing after it is computed.
        trace: give every activation, not only the outputs.

    Returns:
        Values by tensor name: with `trace` the inputs and everything computed, else the graph's outputs, or `until`.

    Raises:
        ShapeError: an input is missing, unknown, of another dtype, or of a shape that the graph does not take.
        GraphError: `until` is no activation of the graph.
    """
    values = _checked_inputs(graph, inputs)
    wanted = list(graph.outputs) if until is None else [until]
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    for index, node in enumerate(graph.nodes):
        if until in values:
            break
        results = run_node(graph, node, [value_of(graph, name, values) for name in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
        if not trace:
            for name in {*node.inputs, *node.outputs}:
                if last_use.get(name, -1) <= index and name not in wanted:
                    values.pop(name, None)
    if until is not None and until not in values:
        raise GraphError(f"'{until}' is no activation of graph '{graph.name}'")
    return values if trace else {name: value_of(graph, name, values) for name in wanted}


def run_node(graph: Graph, node: Node, values: Sequence[Array] | Mapping[str, Array]) -> list[Array]:
    """Run one node.

    Args:
        graph: the graph of the node, for affines and constants.
        node: any canonical node.
        values: of its inputs in slot order, constants included; or by name, where constants may be left out.

    Returns:
        The values of its outputs.

    Raises:
        ShapeError, GraphError: the operands do not fit; names the node.
    """
    if isinstance(values, Mapping):
        operands = [value_of(graph, name, values) for name in node.inputs]
    else:
        operands = list(values)
    # Sizes that are free in the graph are known only now.
    params = {role: graph.tensors[name].shape for role, name in node.params.items()}
    infer_node(node, [operand.shape for operand in operands], params)
    check_dtypes(node, graph)
    # NumPy makes scalars of arrays of rank 0.
    return [np.asarray(result) for result in REGISTRY[node.op].oracle(node, operands, graph)]


def value_of(graph: Graph, name: str, values: Mapping[str, Array]) -> Array:
    """The value of a tensor: computed, or constant (signed levels for a constant of levels)."""
    if name in values:
        return values[name]
    if name not in graph.tensors or not graph.tensors[name].is_constant:
        raise GraphError(f"tensor '{name}' has no value yet; nodes must be in topological order")
    return constant_value(graph.tensors[name])


def constant_value(tensor: Tensor) -> Array:
    """The value of a constant as an operand: float32, or signed levels `q` of a constant of levels."""
    if tensor.dtype != "levels":
        return tensor.value
    if tensor.affine is None:
        raise GraphError(f"constant '{tensor.name}' holds levels but has no affine")
    return from_memory(tensor.value, tensor.affine.levels)


def _checked_inputs(graph: Graph, inputs: Mapping[str, Array] | Sequence[Array]) -> dict[str, Array]:
    if not isinstance(inputs, Mapping):
        if len(inputs) != len(graph.inputs):
            raise ShapeError(f"the graph has {len(graph.inputs)} inputs ({', '.join(graph.inputs)}), not {len(inputs)}")
        inputs = dict(zip(graph.inputs, inputs, strict=True))
    unread = {info.name for info in graph.unread}
    if set(inputs) - unread != set(graph.inputs):
        raise ShapeError(f"inputs {sorted(inputs)} must be exactly {sorted(graph.inputs)}")
    sizes: dict[str, int] = {}
    for name in graph.inputs:
        value, shape = inputs[name], graph.tensors[name].shape
        if value.dtype != STORAGE[graph.tensors[name].dtype]:
            raise ShapeError(f"input '{name}' has dtype {value.dtype}; give {graph.tensors[name].dtype}")
        fits = value.ndim == len(shape)
        for size, dim in zip(value.shape, shape, strict=False):
            if isinstance(dim, int):
                fits = fits and size == dim
            elif not is_unknown(dim):
                fits = fits and sizes.setdefault(dim, size) == size
        if not fits:
            known = f" with {', '.join(f'{dim}={size}' for dim, size in sizes.items())}" if sizes else ""
            raise ShapeError(f"input '{name}' has shape {value.shape}; the graph takes {show(shape)}{known}")
    return {name: inputs[name] for name in graph.inputs}
