# SPDX-License-Identifier: Apache-2.0
"""Graph, Node and Tensor. All are immutable; a pass returns a new graph.

Axes and shapes are in ONNX order (N, C, H, W) everywhere in Python and in the file; only the engine keeps
rank-4 activations as NHWC in its own memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.errors import GraphError
from fewbins.graph.names import Names
from fewbins.graph.show import html_table, shape_text, short_name, signature, tensor_text

if TYPE_CHECKING:
    from fewbins.numerics import Affine

Dim = int | str
Shape = tuple[Dim, ...]

# dtype of a tensor -> dtype of its NumPy data. "levels" are quantized activations: u = q - lo.
STORAGE: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "float32": np.dtype(np.float32),
        "levels": np.dtype(np.uint8),
        "int8": np.dtype(np.int8),
        "uint8": np.dtype(np.uint8),
        "int32": np.dtype(np.int32),
        "int64": np.dtype(np.int64),
        "bool": np.dtype(np.bool_),
    }
)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph: an activation, or a constant when it has data.

    Attributes:
        name: unique in its graph.
        shape: sizes; a string is a size that is only known at run time. Equal strings are equal sizes,
            except those that start with "?", each of which is unknown by itself.
        dtype: "float32", "levels", "bool", "uint8", "int32" or "int64"; constants may also be "int8".
        affine: what the integers mean; None for float32 and for plain integers such as biases.
        data: the values of a constant, else None. A "levels" constant holds u = q - lo as uint8.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    affine: Affine | None = None
    data: np.ndarray[Any, np.dtype[Any]] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in STORAGE:
            raise GraphError(f"tensor '{self.name}': dtype '{self.dtype}' is not one of {', '.join(STORAGE)}")
        if self.data is not None:
            if self.data.dtype != STORAGE[self.dtype]:
                raise GraphError(
                    f"tensor '{self.name}': data is {self.data.dtype}, but dtype {self.dtype} "
                    f"is stored as {STORAGE[self.dtype]}"
                )
            if self.data.shape != self.shape:
                raise GraphError(f"tensor '{self.name}': data has shape {self.data.shape}, not {self.shape}")

    def __repr__(self) -> str:
        """Name, dtype and shape; not the data."""
        kind = "constant" if self.is_constant else "activation"
        return f"<Tensor '{short_name(self.name)}': {kind}, {self.dtype} {shape_text(self.shape)}>"

    @classmethod
    def constant(
        cls,
        name: str,
        data: np.ndarray[Any, np.dtype[Any]],
        *,
        dtype: str | None = None,
        affine: Affine | None = None,
    ) -> Tensor:
        """A constant; its dtype is the data's unless "levels" is asked for."""
        return cls(name, data.shape, dtype or data.dtype.name, affine, data)

    @property
    def is_constant(self) -> bool:
        """Whether the tensor has data."""
        return self.data is not None

    @property
    def value(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The data of a constant; GraphError for an activation."""
        if self.data is None:
            raise GraphError(f"tensor '{self.name}' is not a constant")
        return self.data


@dataclass(frozen=True, eq=False)
class Node:
    """One operator. `inputs` are operands in slot order, `params` the constants by their role.

    Example:
        >>> node = Node("Unary", "act", ("x",), ("y",), None)
        >>> node.output
        'y'
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Any
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy, which cannot take a read-only view of a mapping."""
        return {**self.__dict__, "params": dict(self.params)}

    @property
    def output(self) -> str:
        """The only output's name."""
        if len(self.outputs) != 1:
            raise GraphError(f"node '{self.name}' ({self.op}) has {len(self.outputs)} outputs, not one")
        return self.outputs[0]

    def reads(self) -> Iterator[str]:
        """Names of all tensors that the node reads: operands, then constants."""
        yield from self.inputs
        yield from self.params.values()

    def with_(self, **changes: Any) -> Node:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class UnreadInput:
    """An input in the signature of a network that nothing in it reads, so that nobody is asked for it.

    Attributes:
        name: the file's name for it.
        type: ONNX Runtime's word for its type, such as "tensor(int64)".
        shape: sizes; free ones are strings.
    """

    name: str
    type: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: nodes in topological order, tensors by name.

    Attributes:
        nodes: in topological order.
        tensors: activations and constants, by name.
        inputs: names of the tensors that a caller gives.
        outputs: names of the tensors that a caller gets.
        name: of the network.
        unread: inputs of the network's file that no node reads.

    Example:
        >>> x, y = Tensor("x", ("batch", 4)), Tensor("y", ("batch", 4))
        >>> graph = Graph((Node("Unary", "act", ("x",), ("y",), None),), {"x": x, "y": y}, ("x",), ("y",))
        >>> graph.producer("y").name, [n.name for n in graph.consumers("x")]
        ('act', ['act'])
    """

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str = ""
    unread: tuple[UnreadInput, ...] = ()

    def __repr__(self) -> str:
        """Its name, what goes in and out, and the operators by number."""
        ops = Counter(node.op for node in self.nodes).most_common()
        counts = ", ".join(f"{count} {op}" for op, count in ops[:4]) + (", ..." if len(ops) > 4 else "")
        name = f" '{short_name(self.name)}'" if self.name else ""
        nodes = f"{len(self.nodes)} node{'s' * (len(self.nodes) != 1)} ({counts})"
        return f"<Graph{name}: {self.signature()}, {nodes}>"

    def signature(self) -> str:
        """Inputs and outputs with their shapes, such as `x (N, 3, 8, 8) -> y (N, 10)`."""
        tensors = [[self.tensors[name] for name in names] for names in (self.inputs, self.outputs)]
        return signature(*([tensor_text(t.name, t.shape, t.dtype) for t in side] for side in tensors))

    def _repr_html_(self) -> str:
        rows = [
            (node.name, node.op, ", ".join(node.inputs), shape_text(self.tensors[node.outputs[0]].shape))
            for node in self.nodes
        ]
        return html_table(f"Graph {short_name(self.name)}: {self.signature()}", ("node", "op", "reads", "shape"), rows)

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {out: node for node in self.nodes for out in node.outputs}

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.reads()):
                found.setdefault(name, []).append(node)
        return found

    def producer(self, tensor: str) -> Node | None:
        """The node that writes the tensor; None for graph inputs and constants."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> Sequence[Node]:
        """The nodes that read the tensor, in order, each once."""
        return tuple(self._consumers.get(tensor, ()))

    def use_count(self, tensor: str) -> int:
        """How many node operands and graph outputs read the tensor."""
        operands = sum(list(node.reads()).count(tensor) for node in self._consumers.get(tensor, ()))
        return operands + self.outputs.count(tensor)

    def node(self, name: str) -> Node:
        """The node of that name; GraphError where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise GraphError(f"graph '{self.name}' has no node '{name}'")

    def constant(self, node: Node, role: str) -> np.ndarray[Any, np.dtype[Any]]:
        """The values of the node's constant of that role, such as "weight"."""
        try:
            return self.tensors[node.params[role]].value
        except KeyError:
            raise GraphError(f"node '{node.name}' ({node.op}) has no '{role}'") from None

    def names(self) -> Names:
        """The names of all tensors and nodes, for whoever adds some: a fresh one is unlike both."""
        return Names((*self.tensors, *(node.name for node in self.nodes)))

    def activations(self) -> Iterator[Tensor]:
        """Inputs, then what each node writes, in topological order."""
        for name in self.inputs:
            yield self.tensors[name]
        for node in self.nodes:
            for name in node.outputs:
                yield self.tensors[name]

    def replace(
        self,
        *,
        nodes: Iterable[Node] | None = None,
        tensors: Mapping[str, Tensor] | None = None,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        unread: Sequence[UnreadInput] | None = None,
    ) -> Graph:
        """A copy with some parts changed."""
        return Graph(
            self.nodes if nodes is None else tuple(nodes),
            self.tensors if tensors is None else tensors,
            self.inputs if inputs is None else tuple(inputs),
            self.outputs if outputs is None else tuple(outputs),
            self.name,
            self.unread if unread is None else tuple(unread),
        )

    def prune(self) -> Graph:
        """Without the nodes and tensors that no output depends on; inputs stay."""
        needed = set(self.outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.reads())
        written = {out for node in kept for out in node.outputs}
        names = needed | written | set(self.inputs)
        return self.replace(nodes=reversed(kept), tensors={k: v for k, v in self.tensors.items() if k in names})

    def validate(self) -> Graph:
        """Checks names, order and constants; returns itself.

        Raises:
            GraphError: a tensor is missing, written twice, read before it is written, or a node's constant is not
                one; names the node.
        """
        known: set[str] = set()
        for name in self.inputs:
            if name not in self.tensors:
                raise GraphError(f"graph input '{name}' is not among the tensors")
            known.add(name)
        known.update(name for name, tensor in self.tensors.items() if tensor.is_constant)
        seen: set[str] = set()
        for node in self.nodes:
            if node.name in seen:
                raise GraphError(f"two nodes are named '{node.name}'")
            seen.add(node.name)
            for name in node.inputs:
                if name not in known:
                    raise GraphError(f"node '{node.name}' ({node.op}) reads '{name}', which nothing before it writes")
            for role, name in node.params.items():
                if name not in self.tensors or not self.tensors[name].is_constant:
                    raise GraphError(f"node '{node.name}' ({node.op}): its {role} '{name}' is not a constant")
            for name in node.outputs:
                if name in known:
                    raise GraphError(f"node '{node.name}' ({node.op}) writes '{name}' a second time")
                if name not in self.tensors:
                    raise GraphError(f"node '{node.name}' ({node.op}) writes '{name}', which is not among the tensors")
                known.add(name)
        for name in self.outputs:
            if name not in known:
                raise GraphError(f"graph output '{name}' is written by no node")
        return self


__all__ = ["STORAGE", "Dim", "Graph", "Node", "Shape", "Tensor", "UnreadInput"]
