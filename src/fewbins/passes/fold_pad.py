# SPDX-License-Identifier: Apache-2.0
"""Let a convolution or a pool do the padding of the Pad node before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fewbins.graph import Graph, Node

LOWEST = float(np.finfo(np.float32).min)


def fold_pad(graph: Graph) -> Graph:
    """Fold a Pad of zeros over height and width into the Conv that alone reads it, one of -inf into a MaxPool.

    Only pads that add (none that crop) fold, and only where the reader's own pads are explicit.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        pad = graph.producer(node.inputs[0]) if node.inputs else None
        if pad is None or not _folds(graph, pad, node):
            nodes.append(node)
            continue
        top, left, bottom, right = node.attrs.pads
        _, _, begin_h, begin_w, _, _, end_h, end_w = pad.attrs.pads
        pads = (top + begin_h, left + begin_w, bottom + end_h, right + end_w)
        spans = [d * (k - 1) + 1 for k, d in zip(node.attrs.kernel, node.attrs.dilations, strict=True)]
        if node.op == "MaxPool" and any(p >= span for p, span in zip(pads, spans * 2, strict=True)):
            nodes.append(node)
            continue
        nodes.append(node.with_(inputs=(pad.inputs[0], *node.inputs[1:]), attrs=replace(node.attrs, pads=pads)))
    return graph.replace(nodes=nodes).prune()


def _folds(graph: Graph, pad: Node, reader: Node) -> bool:
    if pad.op != "Pad" or pad.attrs.mode != "constant" or reader.op not in ("Conv", "MaxPool"):
        return False
    pads = pad.attrs.pads
    if len(pads) != 8 or min(pads) < 0 or any(pads[axis] or pads[4 + axis] for axis in (0, 1)):
        return False
    # The importer writes -inf as float32's least number: a file holds finite numbers only, and no maximum can tell.
    fits = pad.attrs.value == 0.0 if reader.op == "Conv" else pad.attrs.value <= LOWEST
    return (
        fits
        and reader.attrs.auto_pad == "explicit"
        and not getattr(reader.attrs, "ceil_mode", False)
        and graph.use_count(pad.output) == 1
        and pad.output not in reader.inputs[1:]
    )
