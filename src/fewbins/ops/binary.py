# SPDX-License-Identifier: Apache-2.0
"""Binary: a function of two tensors, element by element, with broadcasting.

a - z_a = [3, -5], b - z_b = [2, 2]. Add with m = 1/2 and m_r = 3/4: 1.5 + 1.5 = 3 and -2.5 + 1.5 = -1; z_y = 1 gives 4
and 0. Their product is [6, -10]; m = 1/4 gives 1.5 -> 2 and -2.5 -> -2 (halves to even), and 3 and -1 with z_y.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> quantized = {"affines": [Affine(1.0, 0, Levels.of(16)), Affine(1.5, -1, Levels.of(16))],
...              "output": Affine(2.0, 1, Levels.of(16))}
>>> evaluate("Binary", BinaryAttrs("add", requantize=Requantize("float", -8, 7)), [[3, -5], [1]], **quantized,
...          params={"multiplier": np.float32([0.5]), "residual_multiplier": np.float32([0.75])}).tolist()
[4, 0]
>>> evaluate("Binary", BinaryAttrs("mul", requantize=Requantize("float", -8, 7)), [[3, -5], [1]], **quantized,
...          params={"multiplier": np.float32([0.25])}).tolist()
[3, -1]
>>> evaluate("Binary", BinaryAttrs("div", clamp=(0.0, 6.0)), [[[9.0, -1.0], [15.0, 20.0]], [2.0]]).tolist()
[[4.5, 0.0], [6.0, 6.0]]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Graph, Node, Shape
from fewbins.numerics import clamp_float
from fewbins.ops.base import Array, Requantize, attributes, check_choice, check_clamp, register
from fewbins.ops.operands import centred, finish_levels
from fewbins.ops.shapes import CONSTANT_ROLES, broadcast, need_constants

FUNCTIONS = ("add", "sub", "mul", "div", "pow", "max", "min")
QUANTIZED_FUNCTIONS = ("add", "sub", "mul")


@attributes("Binary")
@dataclass(frozen=True)
class BinaryAttrs:
    """Attributes of Binary: inputs (a, b), either of which may be a constant; NumPy's broadcasting.

    Attributes:
        function: one of `FUNCTIONS`; quantized: add, sub, mul.
        clamp: as Conv's.
        requantize: None for float arithmetic.
    """

    function: str
    clamp: tuple[float | None, float | None] | None = None
    requantize: Requantize | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Binary function", self.function, FUNCTIONS)
        check_clamp("Binary", self.clamp)
        if self.requantize is not None:
            check_choice("quantized Binary function", self.function, QUANTIZED_FUNCTIONS)
            if self.requantize.negate_residual and self.function != "sub":
                raise GraphError(f"Binary {self.function} cannot negate its second operand; only sub can")


def infer_binary(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Two shapes broadcast as NumPy's."""
    shape = broadcast(node, inputs[0], inputs[1])
    need_constants(node, params, shape[1] if len(shape) > 1 else 1)
    return [shape]


_FLOAT: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


@register("Binary", infer_binary, arity=(2, 2), params=CONSTANT_ROLES)
def binary(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """In float: one float32 operation (pow in float64, rounded once; max and min give NaN for NaN), then the clamp.

    Quantized add and sub: `acc = q_a - z_a` with b as the residual; sub's residual multiplier is negative, under
    `shift` the residual is negated. Under "dequantize" b is float32 (sub: negated, so that `f32(t - b)` is what is
    computed). Quantized mul: `acc = (q_a - z_a) * (q_b - z_b)`.
    """
    attrs: BinaryAttrs = node.attrs
    a, b = inputs
    if attrs.requantize is None:
        with np.errstate(all="ignore"):
            if attrs.function == "pow":
                y = np.power(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
            else:
                y = _FLOAT[attrs.function](a, b)
        return [clamp_float(y, attrs.clamp)]
    acc = centred(graph, node.inputs[0], a)
    if attrs.function == "mul":
        return [finish_levels(node, graph, acc * centred(graph, node.inputs[1], b))]
    acc, b = np.broadcast_arrays(acc, b)
    if attrs.requantize.kind == "dequantize" and attrs.function == "sub":
        b = -b
    return [finish_levels(node, graph, acc, [b])]
