# SPDX-License-Identifier: Apache-2.0
"""Cast: from one of float32, bool, uint8, int32 and int64 to another.

>>> from fewbins.ops.evaluate import evaluate
>>> evaluate("Cast", CastAttrs("int32"), [[2.9, -2.9, 3e9, float("nan")]]).tolist()
[2, -2, 2147483647, 0]
>>> evaluate("Cast", CastAttrs("bool"), [[0.0, -0.5]]).tolist()
[False, True]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.graph import Graph, Node, Shape
from fewbins.graph.types import STORAGE
from fewbins.ops.base import Array, attributes, check_choice, register
from fewbins.ops.dtypes import PLAIN


@attributes("Cast")
@dataclass(frozen=True)
class CastAttrs:
    """Attributes of Cast: input (x), of any of these types.

    Attributes:
        to: "float32" | "bool" | "uint8" | "int32" | "int64".
    """

    to: str

    def __post_init__(self) -> None:
        """Refuse an unknown type."""
        check_choice("Cast to", self.to, PLAIN)


def infer_cast(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """The input's shape."""
    return [tuple(inputs[0])]


@register("Cast", infer_cast)
def cast(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """Element by element.

    float32 to an integer: cut towards zero, then clamped to what the type holds; NaN gives 0. An integer to float32:
    rounded once, half to even. An integer to a smaller one: its low bits. To bool: whether it is not 0, NaN is not.
    From bool: 0 or 1.
    """
    x, to = inputs[0], STORAGE[node.attrs.to]
    if x.dtype != np.float32 or to.kind not in "iu":
        return [x.astype(to)]
    limits = np.iinfo(to)
    whole = np.trunc(np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf))
    # 2^63 - 1 is no float64: from 2^63 on, the largest integer is put in its place.
    inside = (whole > float(limits.min)) & (whole < float(limits.max))
    exact = np.where(inside, whole, 0.0).astype(to)
    return [np.where(inside, exact, np.where(whole > 0, limits.max, limits.min).astype(to)).astype(to)]
