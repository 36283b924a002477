# SPDX-License-Identifier: Apache-2.0
"""Tensors of rank 3 (audio, sensors) as images of one row; `fewbins.passes.one_row` removes the needless ways back."""

from __future__ import annotations

from fewbins.importers.context import Context
from fewbins.importers.problems import NodeError, show_shape
from fewbins.importers.values import OnnxNode, Value
from fewbins.passes.one_row import TO_IMAGE, TO_LINE


def to_image(ctx: Context, node: OnnxNode, x: Value) -> tuple[Value, int]:
    """The value as (N, C, H, W), of one row if it is (N, C, L), and the rank that it had."""
    rank = len(x.shape)
    if rank == 4:
        return x, rank
    if rank == 3:
        return ctx.emit("Reshape", node, [x], TO_IMAGE, suffix="to image"), rank
    raise NodeError(
        f"works on {show_shape(x.shape)}, of rank {rank}; only rank 4 (images) and rank 3 (signals) are supported"
    )


def from_image(ctx: Context, node: OnnxNode, y: Value, rank: int) -> Value:
    """The inverse of `to_image` for a result."""
    return y if rank == 4 else ctx.emit("Reshape", node, [y], TO_LINE, suffix="from image")
