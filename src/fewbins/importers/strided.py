# SPDX-License-Identifier: Apache-2.0
"""PyTorch's `as_strided`, as its exporter writes it for a free batch: a Gather that takes every element in its place.

The input is flattened, and the indices are computed from `Range(0, batch, 1)` by Mul, Unsqueeze and Add with constants.
Where they count 0, 1, 2, ... the Gather is a Reshape of what was flattened, and the indices need not be computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.importers.values import Array

if TYPE_CHECKING:
    import onnx

    from fewbins.importers.onnx_file import OnnxFile

# Indices are sums of products with one free number: equal at these, they are equal everywhere.
BATCHES = (1, 2, 3)


@dataclass(frozen=True)
class StridedView:
    """A Gather that is a Reshape.

    Attributes:
        source: the value that was flattened.
        batch: the value that says how large the result's first axis is.
        sizes: of the result behind that axis.
        indices: the nodes that nothing but its indices needs.
    """

    source: str
    batch: str
    sizes: tuple[int, ...]
    indices: frozenset[int]


@dataclass
class _Indices:
    """The nodes that some indices are computed by, and what they read."""

    nodes: list[int] = field(default_factory=list)  # in the order in which they compute
    limits: set[str] = field(default_factory=set)


def strided_views(file: OnnxFile) -> dict[int, StridedView]:
    """The views of a file, by the place of their Gather."""
    proto = file.proto.graph
    if not any(node.op_type == "Range" for node in proto.node):
        return {}
    makers = {name: place for place, node in enumerate(proto.node) for name in node.output}
    reads = Counter(name for node in proto.node for name in node.input)
    reads.update(output.name for output in proto.output)
    constants = dict(file.constants())
    found = {}
    for place, node in enumerate(proto.node):
        if node.op_type == "Gather" and not any(a.name == "axis" and a.i for a in node.attribute):
            view = _view(file, node, makers, reads, constants)
            if view is not None:
                found[place] = view
    return found


def _view(
    file: OnnxFile,
    gather: onnx.NodeProto,
    makers: Mapping[str, int],
    reads: Mapping[str, int],
    constants: Mapping[str, Any],
) -> StridedView | None:
    nodes = file.proto.graph.node
    flatten = nodes[makers[gather.input[0]]] if gather.input[0] in makers else None
    if flatten is None or flatten.op_type != "Reshape" or flatten.input[1] not in constants:
        return None
    if file.array(constants[flatten.input[1]], flatten.input[1]).tolist() != [-1]:
        return None
    indices = _Indices()
    if not _collect(file, gather.input[1], makers, reads, constants, indices) or len(indices.limits) != 1:
        return None
    limit = next(iter(indices.limits))
    for batch in BATCHES:
        values: dict[str, Array] = {limit: np.array(batch)}
        for place in indices.nodes:
            for name in nodes[place].input:
                if name not in values:
                    values[name] = file.array(constants[name], name)
            values[nodes[place].output[0]] = _computed(nodes[place], [values[name] for name in nodes[place].input])
        made = values[gather.input[1]]
        if made.shape[:1] != (batch,) or not np.array_equal(made.ravel(), np.arange(made.size)):
            return None
    return StridedView(flatten.input[0], limit, made.shape[1:], frozenset(indices.nodes))


def _collect(
    file: OnnxFile,
    name: str,
    makers: Mapping[str, int],
    reads: Mapping[str, int],
    constants: Mapping[str, Any],
    indices: _Indices,
) -> bool:
    """Whether a value comes from a Range and constants alone; its nodes are then in `indices`."""
    if name in constants:
        return True
    node = file.proto.graph.node[makers[name]] if name in makers else None
    if node is None or reads[name] != 1 or node.op_type not in ("Range", "Mul", "Unsqueeze", "Add"):
        return False
    operands = list(node.input)
    if node.op_type == "Range":
        indices.limits.add(operands.pop(1))
    elif node.op_type == "Unsqueeze" and (len(operands) != 2 or operands[1] not in constants):
        return False
    if not all(_collect(file, operand, makers, reads, constants, indices) for operand in operands):
        return False
    indices.nodes.append(makers[name])
    return True


def _computed(node: onnx.NodeProto, operands: list[Array]) -> Array:
    if node.op_type == "Range":
        return np.arange(*(operand.item() for operand in operands))
    if node.op_type == "Unsqueeze":
        return np.expand_dims(operands[0], tuple(int(axis) for axis in operands[1].ravel()))
    return operands[0] * operands[1] if node.op_type == "Mul" else operands[0] + operands[1]
