# SPDX-License-Identifier: Apache-2.0
"""Which inputs of a network come one for each image, and which are the same for all: a mask, a table of anchors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from fewbins.graph import Dim, Graph

Array = np.ndarray[Any, np.dtype[Any]]


class Input(Protocol):
    """An input of a network: a Tensor, or what a session says of it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def shape(self) -> Sequence[Dim]:
        """Sizes, free ones by name."""


def batch_size(inputs: Sequence[Input]) -> Dim | None:
    """The batch: the first size of the input of most axes; None where all have rank 0.

    Of several with as many axes it is the first one whose first size is free, else the first one.

    >>> from fewbins.graph import Tensor
    >>> batch_size([Tensor("mask", (16, 16)), Tensor("x", ("N", 3, 16, 16))])
    'N'
    """
    most = max((len(tensor.shape) for tensor in inputs), default=0)
    firsts = [tensor.shape[0] for tensor in inputs if len(tensor.shape) == most > 0]
    return next((size for size in firsts if isinstance(size, str)), firsts[0] if firsts else None)


def own_arrays(inputs: Sequence[Input]) -> list[bool]:
    """For each input whether its first axis is the batch: it has the batch's name, or its number.

    Inputs of rank 0, of another first size, and where the batch is free of a fixed one, are the same for all images.
    A free size that the file does not name is the batch, too, unless the input says that it is another one.

    >>> from fewbins.graph import Tensor
    >>> x, mask, table = Tensor("x", ("N", 3, 16, 16)), Tensor("mask", (16, 16)), Tensor("table", ("anchors", 4))
    >>> own_arrays([x, mask, table, Tensor("gain", ())])
    [True, False, False, False]
    """
    batch = batch_size(inputs)
    # The importer calls a free first size that the file has no name for so, after the first of them.
    return [bool(tensor.shape) and tensor.shape[0] in (batch, f"{tensor.name}.0") for tensor in inputs]


def has_batch(graph: Graph) -> list[bool]:
    """`own_arrays` of a graph's inputs."""
    return own_arrays([graph.tensors[name] for name in graph.inputs])


def is_free(graph: Graph) -> bool:
    """Whether the network takes any number of images at once."""
    return isinstance(batch_size([graph.tensors[name] for name in graph.inputs]), str)


def joined(graph: Graph, samples: Sequence[Sequence[Array]]) -> list[Array]:
    """Samples as one batch; what is the same for all images is taken once."""
    if len(samples) == 1:
        return list(samples[0])
    return [
        np.concatenate(arrays) if batched else arrays[0]
        for arrays, batched in zip(zip(*samples, strict=True), has_batch(graph), strict=True)
    ]


def can_join(graph: Graph, a: Iterable[Array], b: Iterable[Array]) -> bool:
    """Whether two samples make one batch: equal shapes, and what is the same for all images is the same."""
    return all(
        x.shape == y.shape and (batched or x is y or np.array_equal(x, y))
        for x, y, batched in zip(a, b, has_batch(graph), strict=True)
    )
