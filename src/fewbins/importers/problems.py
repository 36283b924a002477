# SPDX-License-Identifier: Apache-2.0
"""What stops one node from being imported; the importer collects these and reports all of them at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from fewbins.errors import UnsupportedError

# How many kinds of problems one error shows, and how many nodes of a kind by name.
MAX_KINDS = 12
MAX_NAMES = 3

_QUANTIZED = re.compile("^(QuantizeLinear|DequantizeLinear|DynamicQuantize|QLinear|QAttention|QGemm)|Integer")


class NodeError(Exception):
    """A node that cannot be imported: what is wrong with it, and what to do. Never leaves the importer."""


def show_shape(shape: Iterable[Any]) -> str:
    """A shape as people write it.

    >>> show_shape(("batch", 3, 224, 224)), show_shape(())
    ('batch x 3 x 224 x 224', 'scalar')
    """
    return " x ".join(str(size) for size in shape) or "scalar"


@dataclass(frozen=True)
class Problem:
    """One thing that cannot be imported.

    Attributes:
        op: the operator, or "input", "output".
        name: of the node, input or output.
        inputs: the node's input shapes, for people.
        reason: what is wrong with it, and what to do.
        free: whether fixed sizes might help: a free one is among the inputs of an operator that can be imported.
    """

    op: str
    name: str
    reason: str
    inputs: str = ""
    free: bool = False


def grouped(problems: Sequence[Problem]) -> list[str]:
    """One line for each kind of problem: same operator, same reason but for the names in it.

    >>> lines = grouped([Problem("LSTM", f"rnn{i}", "the operator is not supported", "5 x 1 x 8") for i in range(5)])
    >>> lines
    ["LSTM, 5 nodes: 'rnn0', 'rnn1', 'rnn2', ... (inputs 5 x 1 x 8): the operator is not supported"]
    """
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.op, re.sub("'[^']*'|[0-9]+", "", problem.reason)), []).append(problem)
    lines = []
    for (op, _), members in kinds.items():
        first = members[0]
        if len(members) == 1:
            shown = f"{op} '{first.name}'"
        else:
            names = ", ".join(f"'{member.name}'" for member in members[:MAX_NAMES])
            what = "nodes" if first.inputs else f"{op}s"
            shown = f"{op}, {len(members)} {what}: {names}{', ...' if len(members) > MAX_NAMES else ''}"
        if first.inputs:
            differ = any(member.inputs != first.inputs for member in members)
            shown += f" (inputs {first.inputs}{'; the first of them' if differ else ''})"
            shown += ":"
        lines.append(f"{shown} {first.reason}")
    if len(lines) > MAX_KINDS:
        lines[MAX_KINDS:] = [f"and {len(lines) - MAX_KINDS} more kinds of problems"]
    return lines


def refuse_quantized(source: str, nodes: Iterable[onnx.NodeProto]) -> None:
    """Refuse a file that another tool has quantized already, in one short line.

    Raises:
        UnsupportedError: some nodes are of ONNX's operators on quantized tensors.
    """
    found = Counter(node.op_type for node in nodes if _QUANTIZED.search(node.op_type))
    if found:
        kinds = [f"{count} {op}" for op, count in found.most_common(MAX_NAMES)]
        raise UnsupportedError(
            f"{source} is quantized already ({', '.join(kinds)}{', ...' if len(found) > MAX_NAMES else ''}); give the "
            "float32 model that it was made from, since quantized files cannot be imported yet"
        )
