# SPDX-License-Identifier: Apache-2.0
"""Compare: what is true of two tensors, element by element; Logic: of truth values.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Compare", CompareAttrs("less_equal"), [[1.0, 2.0, float("nan")], [1.5]]).tolist()
[True, False, False]
>>> evaluate("Logic", LogicAttrs("and"), [np.array([True, True]), np.array([True, False])]).tolist()
[True, False]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.ops.base import Array, attributes, check_choice, fail, register
from fewbins.ops.shapes import broadcast

COMPARISONS = {"equal": np.equal, "less": np.less, "less_equal": np.less_equal}
LOGIC = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not}


@attributes("Compare")
@dataclass(frozen=True)
class CompareAttrs:
    """Attributes of Compare: inputs (a, b) of one dtype, levels of one affine; the output is bool.

    Attributes:
        function: "equal" | "less" | "less_equal"; what is greater is less the other way round.
    """

    function: str

    def __post_init__(self) -> None:
        """Refuse an unknown function."""
        check_choice("Compare function", self.function, tuple(COMPARISONS))


@attributes("Logic")
@dataclass(frozen=True)
class LogicAttrs:
    """Attributes of Logic: inputs (a, b) or, for "not", (a); all bool; NumPy's broadcasting.

    Attributes:
        function: "and" | "or" | "xor" | "not".
    """

    function: str

    def __post_init__(self) -> None:
        """Refuse an unknown function."""
        check_choice("Logic function", self.function, tuple(LOGIC))


def infer_compare(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Two shapes broadcast as NumPy's."""
    return [broadcast(node, inputs[0], inputs[1])]


def infer_logic(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """One shape, or two that broadcast as NumPy's."""
    wanted = 1 if node.attrs.function == "not" else 2
    if len(inputs) != wanted:
        fail(node, f"has {len(inputs)} inputs; {node.attrs.function} takes {wanted}")
    return [tuple(inputs[0]) if wanted == 1 else broadcast(node, inputs[0], inputs[1])]


@register("Compare", infer_compare, arity=(2, 2))
def compare(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Float32 as IEEE has it: NaN is neither equal to nor less than anything. Levels by their integers."""
    return [np.asarray(COMPARISONS[node.attrs.function](inputs[0], inputs[1]))]


@register("Logic", infer_logic, arity=(1, 2))
def logic(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Truth values."""
    return [np.asarray(LOGIC[node.attrs.function](*inputs))]
