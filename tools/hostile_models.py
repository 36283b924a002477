# SPDX-License-Identifier: Apache-2.0
"""Model files written byte by byte, for those that the library itself would never write: tests and tools/limits.py."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fewbins import _engine

STORED = {"float32": "F32", "levels": "U8", "int8": "I8", "uint8": "U8", "int32": "I32", "int64": "I64"}


def zeros_blob(count: int) -> bytes:
    """The rANS blob of so many zero bytes: 24 bytes, whatever the count."""
    return struct.pack("<IBBH4I", count, 0, 0, 4096, *[1 << 16] * 4)


def conv_attrs(kernel: tuple[int, int] = (1, 1), groups: int = 1, **more: Any) -> dict[str, Any]:
    """Attributes of a Conv without pads, stride 1, in float."""
    plain = {"kernel": list(kernel), "strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "groups": groups}
    return plain | {"auto_pad": "explicit", "clamp": None, "requantize": None} | more


@dataclass
class Bytes:
    """A model file in the making; `file()` seals it with right checksums.

    Attributes:
        header: the header text's JSON, to be changed at will.
        stored: the container's tensors: dtype, shape and bytes.
    """

    header: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, tuple[str, list[int], bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph: dict[str, Any] = {"name": "g", "inputs": [], "outputs": [], "tensors": {}, "nodes": []}
        self.header = {
            "format": "fewbins", "version": [1, 1], "numerics": 1, "scheme": "float", "preprocessing": None,
            "labels": None, "provenance": {}, "report": None, "graph": graph, "constants": {},
        }  # fmt: skip
        self.constant("__scales", np.array([0.5, 0.25], np.float32))

    def tensor(self, name: str, shape: list[int | str], affine: dict[str, int] | None = None) -> Bytes:
        """An activation: float32, or levels where there is an affine."""
        row: dict[str, Any] = {"shape": shape, "dtype": "levels" if affine else "float32"}
        self.header["graph"]["tensors"][name] = row | ({"affine": affine} if affine else {})
        return self

    def node(
        self, op: str, inputs: list[str], output: str, attrs: dict[str, Any], params: dict[str, str] | None = None
    ) -> Bytes:
        """A node; its name is that of its output with an n in front."""
        self.header["graph"]["nodes"].append(
            {
                "op": op,
                "name": f"n{output}",
                "inputs": inputs,
                "outputs": [output],
                "params": params or {},
                "attrs": attrs,
            }
        )
        return self

    def ends(self, inputs: list[str], outputs: list[str]) -> Bytes:
        """The graph's inputs and outputs."""
        self.header["graph"] |= {"inputs": inputs, "outputs": outputs}
        return self

    def constant(self, name: str, values: np.ndarray[Any, Any]) -> Bytes:
        """A constant stored raw."""
        return self.coded(name, str(values.dtype), list(values.shape), "raw", values.tobytes())

    def zeros(self, name: str, dtype: str, shape: list[int], affine: dict[str, Any] | None = None) -> Bytes:
        """A constant of zero bytes, entropy-coded to 24 bytes."""
        return self.coded(name, dtype, shape, "rans", zeros_blob(math.prod(shape)), affine)

    def coded(
        self, name: str, dtype: str, shape: list[int], encoding: str, blob: bytes, affine: dict[str, Any] | None = None
    ) -> Bytes:
        """A constant with the bytes as they are stored."""
        row: dict[str, Any] = {"dtype": dtype, "shape": shape, "encoding": encoding}
        row["crc32c"] = f"{_engine.crc32c(blob):08x}"
        self.header["constants"][name] = row | ({"affine": affine} if affine else {})
        self.stored[name] = (STORED[dtype], shape, blob) if encoding == "raw" else ("U8", [len(blob)], blob)
        return self

    def file(self, header_bytes: int | None = None) -> bytes:
        """The whole file; the container's header is padded to `header_bytes`, or to the next 64."""
        body = json.dumps(self.header, sort_keys=True, separators=(",", ":"))[:-1]
        outer: dict[str, Any] = {
            "__metadata__": {"fewbins": f'{body},"crc32c":"{_engine.crc32c(body.encode()):08x}"}}'}
        }
        position = 0
        for name, (dtype, shape, blob) in self.stored.items():
            outer[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + len(blob)]}
            position += len(blob)
        packed = json.dumps(outer, separators=(",", ":")).encode()
        padding = -(len(packed) + 8) % 64 if header_bytes is None else header_bytes - len(packed)
        packed += b" " * padding
        return struct.pack("<Q", len(packed)) + packed + b"".join(blob for _, _, blob in self.stored.values())


RELU = {"function": "relu", "alpha": 0.0, "beta": 0.0, "lo": None, "hi": None}


def relu(shape: list[int | str]) -> Bytes:
    """Relu from x to y."""
    return Bytes().tensor("x", shape).tensor("y", shape).node("Unary", ["x"], "y", dict(RELU)).ends(["x"], ["y"])
