# SPDX-License-Identifier: Apache-2.0
"""DepthToSpace and SpaceToDepth: blocks of channels become blocks of pixels, and back.

>>> from fewbins.ops.evaluate import evaluate
>>> channels = [[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]]
>>> evaluate("DepthToSpace", DepthToSpaceAttrs(2), [channels]).tolist()
[[[[1.0, 2.0], [3.0, 4.0]]]]
>>> evaluate("SpaceToDepth", SpaceToDepthAttrs(2), [[[[[1.0, 2.0], [3.0, 4.0]]]]]).tolist() == channels
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph import Dim, Graph, Node, Shape
from fewbins.ops.base import Array, attributes, check_choice, fail, register
from fewbins.ops.shapes import UNKNOWN, need_rank, show


@attributes("DepthToSpace")
@dataclass(frozen=True)
class DepthToSpaceAttrs:
    """Attributes of DepthToSpace: input (x), rank 4, float32 or levels.

    Attributes:
        block: rows and columns of a block.
        mode: "DCR" (depth, column, row: ONNX's default) or "CRD" (PyTorch's PixelShuffle).
    """

    block: int
    mode: str = "DCR"

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_choice("DepthToSpace mode", self.mode, ("DCR", "CRD"))
        if self.block < 1:
            raise GraphError(f"DepthToSpace: block (={self.block}) must be >= 1")


@attributes("SpaceToDepth")
@dataclass(frozen=True)
class SpaceToDepthAttrs:
    """Attributes of SpaceToDepth: input (x), rank 4, float32 or levels.

    Attributes:
        block: rows and columns of a block.
    """

    block: int

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.block < 1:
            raise GraphError(f"SpaceToDepth: block (={self.block}) must be >= 1")


def infer_depth_to_space(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, C, H, W) gives (N, C / block^2, H * block, W * block)."""
    need_rank(node, inputs[0], 4)
    n, c, h, w = inputs[0]
    block = node.attrs.block
    if isinstance(c, int) and c % block**2:
        fail(node, f"channels (={c}) must be divisible by block^2 (={block**2})")
    return [(n, _divided(c, block**2), _times(h, block), _times(w, block))]


def infer_space_to_depth(node: Node, inputs: Sequence[Shape], params: Mapping[str, Shape]) -> list[Shape]:
    """(N, C, H, W) gives (N, C * block^2, H / block, W / block)."""
    need_rank(node, inputs[0], 4)
    n, c, h, w = inputs[0]
    block = node.attrs.block
    if any(isinstance(size, int) and size % block for size in (h, w)):
        fail(node, f"height and width of {show(inputs[0])} must be divisible by block (={block})")
    return [(n, _times(c, block**2), _divided(h, block), _divided(w, block))]


def _divided(size: Dim, by: int) -> Dim:
    return size // by if isinstance(size, int) else (size if by == 1 else UNKNOWN)


def _times(size: Dim, by: int) -> Dim:
    return size * by if isinstance(size, int) else (size if by == 1 else UNKNOWN)


@register("DepthToSpace", infer_depth_to_space)
def depth_to_space(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y[n, c, h*b + i, w*b + j]` is `x[n, (i*b + j)*C' + c, h, w]` (DCR) or `x[n, c*b*b + i*b + j, h, w]` (CRD).

    C' is the number of output channels, b the block; floats or levels.
    """
    x, block = inputs[0], node.attrs.block
    n, c, h, w = (int(size) for size in infer_depth_to_space(node, [x.shape], {})[0])
    height, width = x.shape[2:]
    if node.attrs.mode == "DCR":
        blocks = x.reshape(n, block, block, c, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(n, c, block, block, height, width).transpose(0, 1, 4, 2, 5, 3)
    return [blocks.reshape(n, c, h, w)]


@register("SpaceToDepth", infer_space_to_depth)
def space_to_depth(node: Node, inputs: Sequence[Array], graph: Graph) -> list[Array]:
    """`y[n, (i*b + j)*C + c, h, w]` is `x[n, c, h*b + i, w*b + j]`, C the count of input channels; floats or levels."""
    x, block = inputs[0], node.attrs.block
    n, c, h, w = (int(size) for size in infer_space_to_depth(node, [x.shape], {})[0])
    blocks = x.reshape(n, x.shape[1], h, block, w, block).transpose(0, 3, 5, 1, 2, 4)
    return [np.ascontiguousarray(blocks.reshape(n, c, h, w))]
