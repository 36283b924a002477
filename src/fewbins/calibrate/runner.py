# SPDX-License-Identifier: Apache-2.0
"""How calibration runs a float graph: any callable that traces; the engine is the usual one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fewbins.graph import Graph
from fewbins.model import QuantizedModel

Array = np.ndarray[Any, np.dtype[Any]]


class Runner(Protocol):
    """Runs one float graph."""

    def __call__(self, inputs: Sequence[Array], names: Sequence[str]) -> dict[str, Array]:
        """Run once; the float32 activations of these names, graph inputs and outputs included."""


MakeRunner = Callable[[Graph], Runner]


def engine_runner(graph: Graph) -> Runner:
    """A runner on the C++ engine's float32 kernels."""
    from fewbins.session import Session

    # A session keeps what it was opened from: here the graph, which is in memory anyway, and not the bytes of its file.
    session = Session(QuantizedModel(graph, "float"))

    def run(inputs: Sequence[Array], names: Sequence[str]) -> dict[str, Array]:
        return session.trace(list(inputs), names)

    return run
