# SPDX-License-Identifier: Apache-2.0
"""The graph that every part of fewbins speaks: immutable nodes and tensors."""

from fewbins.graph.names import Names
from fewbins.graph.types import Dim, Graph, Node, Shape, Tensor, UnreadInput

__all__ = ["Dim", "Graph", "Names", "Node", "Shape", "Tensor", "UnreadInput"]
