# SPDX-License-Identifier: Apache-2.0
"""A float network, in whatever form it is given, as a graph; and what is said of it beside that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fewbins.checks import shown
from fewbins.errors import ArgumentError, DataError
from fewbins.graph import Graph
from fewbins.model import QuantizedModel

if TYPE_CHECKING:
    import onnx

Network: TypeAlias = "Graph | str | os.PathLike[str] | bytes | onnx.ModelProto"


def is_network(value: object) -> bool:
    """Whether a value says by itself that it is a float network to be imported: an .onnx path or a parsed model."""
    if isinstance(value, str | os.PathLike):
        return str(os.fspath(value)).lower().endswith(".onnx")
    return type(value).__name__ == "ModelProto"


def as_graph(network: Any) -> Graph:
    """A float network in any form as a graph.

    Raises:
        ArgumentError: a model that is quantized already, or something that is no network.
    """
    if isinstance(network, Graph):
        return network
    kind = type(network).__name__
    if isinstance(network, QuantizedModel) or (
        isinstance(network, str | os.PathLike) and str(os.fspath(network)).endswith(".fewbins")
    ):
        what = "a QuantizedModel" if isinstance(network, QuantizedModel) else f"'{os.fspath(network)}'"
        raise ArgumentError(f"{what} is quantized already; give the float network that it was made from")
    if not (isinstance(network, str | os.PathLike | bytes) or is_network(network)):
        remedy = "; torch.onnx.export writes one" if hasattr(network, "state_dict") else ""
        raise ArgumentError(
            f"the network is of type {kind}; give a Graph, or the path or bytes of an .onnx file{remedy}"
        )
    from fewbins.importers.onnx import load_onnx

    return load_onnx(network)


def class_names(labels: Sequence[str] | None, graph: Graph) -> list[str] | None:
    """Class names, as many as the network has classes where all its outputs are (N, classes)."""
    if labels is None:
        return None
    if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
        raise ArgumentError(f"labels is of type {type(labels).__name__}; give a list of class names")
    names = list(labels)
    wrong: list[object] = [name for name in list[object](names) if not isinstance(name, str)]
    if wrong:
        raise ArgumentError(f"labels holds {shown(wrong[0])}, which is no string; give a list of class names")
    # Outputs that are class numbers do not say how many classes there are.
    shapes = [graph.tensors[name].shape for name in graph.outputs if graph.tensors[name].dtype == "float32"]
    classes = [shape[1] for shape in shapes if len(shape) >= 2 and all(size == 1 for size in shape[2:])]
    counts = [count for count in classes if isinstance(count, int)]
    if counts and len(counts) == len(shapes) and len(names) not in counts:
        raise DataError(
            f"there are {len(names)} labels for {counts[0]} outputs; give one name for each output, in order"
        )
    return names
