# SPDX-License-Identifier: Apache-2.0
"""One operator on its own: a graph of a single node, run at once. For examples and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewbins.graph import Graph, Node, Tensor
from fewbins.numerics import Affine
from fewbins.ops.base import REGISTRY, Array
from fewbins.ops.dtypes import PLAIN, check_dtypes, expected_dtypes
from fewbins.ops.infer import infer_shapes


def single_node(
    op: str,
    attrs: Any,
    inputs: Sequence[Any],
    *,
    affines: Sequence[Affine | None] = (),
    output: Affine | None = None,
    params: Mapping[str, Any] | None = None,
    weight_affine: Affine | None = None,
) -> tuple[Graph, list[Array]]:
    """A graph of one node named "node", with inputs x0, x1, ... and output y, and the values of its inputs.

    Args:
        op: the operator.
        attrs: its attributes.
        inputs: arrays of bool or integers, or what becomes float32, or signed levels where the input has an affine.
        affines: the affine of each input, None for float32; shorter lists are filled up with None.
        output: the affine of the output, None for float32.
        params: arrays by role.
        weight_affine: the affine of the param "weight", where it is stored in integers.
    """
    given = [*affines, *[None] * (len(inputs) - len(affines))]
    values: list[Array] = [_value(value, affine) for value, affine in zip(inputs, given, strict=True)]
    tensors: dict[str, Tensor] = {}
    for index, (value, affine) in enumerate(zip(values, given, strict=True)):
        tensors[f"x{index}"] = Tensor(
            f"x{index}", value.shape, value.dtype.name if affine is None else "levels", affine
        )
    names = {role: f"{role}_of_node" for role in params or {}}
    for role, data in (params or {}).items():
        affine = weight_affine if role == "weight" else None
        tensors[names[role]] = Tensor.constant(names[role], np.asarray(data), affine=affine)
    operands = tuple(f"x{index}" for index in range(len(values)))
    node = Node(op, "node", operands, ("y",), attrs, names)
    made = expected_dtypes(node, [tensors[name].dtype for name in operands])[1][0]
    tensors["y"] = Tensor("y", (), made if output is None else "levels", output)
    graph = Graph((node,), tensors, operands, ("y",))
    return infer_shapes(graph), values


def _value(value: Any, affine: Affine | None) -> Array:
    """Signed levels where there is an affine; arrays of bool and of integers as they are; anything else is float32."""
    if affine is not None:
        return np.asarray(value, dtype=np.int32)
    plain = isinstance(value, np.ndarray) and value.dtype.name in PLAIN
    return value if plain else np.asarray(value, dtype=np.float32)


def evaluate(op: str, attrs: Any, inputs: Sequence[Any], **tensors: Any) -> Array:
    """The oracle's output of one node; arguments as for `single_node`.

    >>> from fewbins.ops import UnaryAttrs
    >>> evaluate("Unary", UnaryAttrs("abs"), [[-1.5, 2.0]]).tolist()
    [1.5, 2.0]
    """
    graph, values = single_node(op, attrs, inputs, **tensors)
    check_dtypes(graph.nodes[0], graph)
    return np.asarray(REGISTRY[op].oracle(graph.nodes[0], values, graph)[0])
