# SPDX-License-Identifier: Apache-2.0
"""Pad: more rows, columns or channels around a tensor, or fewer.

On levels with s = 1/2 and z = 1 the value 1.5 is the level 3 + 1 = 4; a pad of -1 crops.

>>> from fewbins.levels import Levels
>>> from fewbins.numerics import Affine
>>> from fewbins.ops.evaluate import evaluate
>>> affine = Affine(0.5, 1, Levels.of(16))
>>> evaluate("Pad", PadAttrs((2, -1), value=1.5), [[5, 6, 7]], affines=[affine], output=affine).tolist()
[4, 4, 5, 6]
>>> evaluate("Pad", PadAttrs((2, 1), "reflect"), [[5, 6, 7]], affines=[affine], output=affine).tolist()
[7, 6, 5, 6, 7, 6]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.numerics import quantize
from fewbins.ops.base import Array, attributes, check_choice, fail, register
from fewbins.ops.operands import affine_of, is_levels
from fewbins.ops.shapes import UNKNOWN, show

MODES = ("constant", "reflect", "edge")


@attributes("Pad")
@dataclass(frozen=True)
class PadAttrs:
    """Attributes of Pad: input (x), float32 or levels.

    Attributes:
        pads: 2 * rank numbers, all begins and then all ends; a negative one crops.
        mode: "constant" | "reflect" | "edge".
        value: what mode "constant" pads with; on levels, `quantize(value)`.
    """

    pads: tuple[int, ...]
    mode: str = "constant"
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("Pad mode", self.mode, MODES)
        if len(self.pads) % 2:
            raise GraphError(f"Pad: pads {self.pads} must hold a begin and an end for each axis")


def infer_pad(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """Each size grows by its two pads; a symbol stays where both are 0, else it becomes unknown."""
    x, pads = inputs[0], node.attrs.pads
    if len(pads) != 2 * len(x):
        fail(node, f"pads {pads} must hold a begin and an end for each axis of {show(x)}")
    result: list[Dim] = []
    for begin, end, size in zip(pads[: len(x)], pads[len(x) :], x, strict=True):
        if not isinstance(size, int):
            result.append(size if begin == end == 0 else UNKNOWN)
            continue
        if size + begin + end < 1 or size + min(begin, 0) + min(end, 0) < 1:
            fail(node, f"pads {pads} leave nothing of {show(x)}")
        if node.attrs.mode == "reflect" and max(begin, end) >= size + min(begin, 0) + min(end, 0):
            fail(node, f"reflecting pads {pads} must be smaller than the sizes of {show(x)}")
        result.append(size + begin + end)
    return [tuple(result)]


@register("Pad", infer_pad)
def pad(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """First negative pads crop, then positive ones add: the value, or elements of what is left.

    On levels the value is `quantize(value)` by the input's affine, which is the output's. "reflect" mirrors without
    repeating the edge (of a b c, two before give c b a b c), "edge" repeats it.
    """
    x, attrs = inputs[0], node.attrs
    infer_pad(node, [x.shape], {})
    begins, ends = attrs.pads[: x.ndim], attrs.pads[x.ndim :]
    kept = tuple(
        slice(max(-begin, 0), size - max(-end, 0)) for begin, end, size in zip(begins, ends, x.shape, strict=True)
    )
    widths = [(max(begin, 0), max(end, 0)) for begin, end in zip(begins, ends, strict=True)]
    if attrs.mode != "constant":
        return [np.pad(x[kept], widths, mode=attrs.mode)]
    levels = is_levels(graph, node.inputs[0])
    value = quantize(attrs.value, affine_of(graph, node.inputs[0])) if levels else np.float32(attrs.value)
    return [np.pad(x[kept], widths, constant_values=value)]
