# SPDX-License-Identifier: Apache-2.0
"""Activations that exporters spell out in simple operators, put together again.

hard-swish: x * clip(x + 3, 0, 6) / 6, or x * hard_sigmoid(x); SiLU: x * sigmoid(x); Mish: x * tanh(softplus(x)); GELU:
x * (1 + erf(x / sqrt(2))) / 2, or with tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)) for erf. The factors may stand in any
order and the constants anywhere among them.
"""

from __future__ import annotations

import math
from collections import Counter

from fewbins.graph import Graph, Node
from fewbins.ops import UnaryAttrs

# Constants are float32, and exporters round them differently.
TOLERANCE = 1e-4
# Products nested deeper than any spelled-out activation are left alone.
MAX_DEPTH = 6


def recognize_activations(graph: Graph) -> Graph:
    """Replace every product that spells out an activation by one Unary node; `Graph.prune` takes its inner nodes."""
    nodes = [_recognized(graph, node) or node for node in graph.nodes]
    return graph.replace(nodes=nodes)


def _recognized(graph: Graph, node: Node) -> Node | None:
    if node.op != "Binary" or node.attrs.function not in ("mul", "div"):
        return None
    factor, factors = _product(graph, node.output)
    if len(factors) != 2:
        return None
    for x, gate in (factors, factors[::-1]):
        function = _gated(graph, factor, x, gate)
        if function is not None and graph.tensors[x].shape == graph.tensors[node.output].shape:
            return Node("Unary", node.name, (x,), node.outputs, UnaryAttrs(function))
    return None


def _gated(graph: Graph, factor: float, x: str, gate: str) -> str | None:
    """The name of factor * x * gate, if it has one."""
    producer = graph.producer(gate)
    if producer is None:
        return None
    if producer.op == "Unary" and _close(factor, 1) and producer.inputs[0] == x:
        attrs = producer.attrs
        if attrs.function == "sigmoid":
            return "silu"
        if attrs.function == "hard_sigmoid" and _close(attrs.alpha, 1 / 6) and _close(attrs.beta, 0.5):
            return "hard_swish"
    if producer.op == "Unary" and producer.attrs.function == "tanh" and _close(factor, 1):
        inner = graph.producer(producer.inputs[0])
        if inner is not None and inner.op == "Unary" and inner.attrs.function == "softplus" and inner.inputs[0] == x:
            return "mish"
    if producer.op == "Unary" and producer.attrs.function == "clip" and _close(factor, 1 / 6):
        limits = (producer.attrs.lo, producer.attrs.hi)
        if limits == (0, 6) and sum_with(graph, producer.inputs[0]) == (x, 3.0):
            return "hard_swish"
    plus_one = sum_with(graph, gate)
    if plus_one is None or not _close(plus_one[1], 1) or not _close(factor, 0.5):
        return None
    inner = graph.producer(plus_one[0])
    if inner is None or inner.op != "Unary":
        return None
    scale, factors = _product(graph, inner.inputs[0])
    if inner.attrs.function == "erf" and factors == [x] and _close(scale, math.sqrt(0.5)):
        return "gelu"
    if inner.attrs.function == "tanh" and _close(scale, math.sqrt(2 / math.pi)) and _is_cubic(graph, factors, x):
        return "gelu_tanh"
    return None


def _is_cubic(graph: Graph, factors: list[str], x: str) -> bool:
    """Whether the factors multiply to x + 0.044715 * x**3."""
    if len(factors) == 1:
        terms = operands_of(graph, factors[0], "add")
        if terms is None or x not in terms:
            return False
        scale, powers = _product(graph, terms[1] if terms[0] == x else terms[0])
        return _close(scale, 0.044715) and _exponents(graph, powers) == {x: 3}
    if len(factors) == 2 and x in factors:
        rest = sum_with(graph, factors[1] if factors[0] == x else factors[0])
        if rest is not None and _close(rest[1], 1):
            scale, powers = _product(graph, rest[0])
            return _close(scale, 0.044715) and _exponents(graph, powers) == {x: 2}
    return False


def _exponents(graph: Graph, factors: list[str]) -> dict[str, float]:
    """Tensors and their exponents in a product, powers opened."""
    total: Counter[str] = Counter()
    for name in factors:
        node = graph.producer(name)
        if node is not None and node.op == "Unary" and node.attrs.function == "pow" and node.attrs.alpha in (2, 3):
            total[node.inputs[0]] += int(node.attrs.alpha)
        else:
            total[name] += 1
    return dict(total)


def _product(graph: Graph, name: str, depth: int = 0) -> tuple[float, list[str]]:
    """A tensor as a number times other tensors, through products and quotients by numbers."""
    node = graph.producer(name)
    if node is None or node.op != "Binary" or node.attrs.function not in ("mul", "div") or depth == MAX_DEPTH:
        return 1.0, [name]
    left, right = node.inputs
    numbers = [_number(graph, left), _number(graph, right)]
    if node.attrs.function == "div":
        if numbers[1] is None or numbers[1] == 0:
            return 1.0, [name]
        factor, factors = _product(graph, left, depth + 1)
        return factor / numbers[1], factors
    total, factors = 1.0, []
    for operand, number in zip((left, right), numbers, strict=True):
        factor, names = (number, list[str]()) if number is not None else _product(graph, operand, depth + 1)
        total *= factor
        factors += names
    # The factors of the whole must be few, and only their own product is opened: (x * a) * b, not (x * y) * (z * w).
    return (total, factors) if len(factors) <= 3 else (1.0, [name])


def sum_with(graph: Graph, name: str) -> tuple[str, float] | None:
    """A tensor as another one plus a number."""
    operands = operands_of(graph, name, "add")
    if operands is not None:
        for x, constant in (operands, operands[::-1]):
            number = _number(graph, constant)
            if number is not None:
                return x, number
    return None


def operands_of(graph: Graph, name: str, function: str) -> tuple[str, str] | None:
    """What a tensor is the sum, difference or product of."""
    node = graph.producer(name)
    if node is None or node.op != "Binary" or node.attrs.function != function:
        return None
    return node.inputs[0], node.inputs[1]


def _number(graph: Graph, name: str) -> float | None:
    """The value of a constant with one element."""
    data = graph.tensors[name].data
    return float(data.reshape(-1)[0]) if data is not None and data.size == 1 else None


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * abs(b)
