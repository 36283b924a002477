# SPDX-License-Identifier: Apache-2.0
"""Write a model file: safetensors layout, 64-byte aligned data, CRC32C of everything, one rename at the end."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import Any

import numpy as np

from fewbins import _engine
from fewbins.checks import path_text
from fewbins.errors import FileAccessError, GraphError
from fewbins.graph import Graph, Tensor
from fewbins.graph.names import PADDING, RESERVED_PREFIXES, SCALES
from fewbins.limits import MAX_DECODED_BYTES, MAX_HEADER_BYTES, MAX_LABELS, MAX_NODES, MAX_TENSORS
from fewbins.model_file.contents import (
    ALIGNMENT,
    CRC_MARK,
    FORMAT,
    NUMERICS,
    SAFETENSORS_DTYPE,
    VERSION,
    FileContents,
)
from fewbins.ops import attrs_to_json

Bytes = bytes | memoryview

# What the writer lets coded constants grow by, far inside what readers allow for all that loading takes.
_FREE_DECODED_BYTES = 256 << 10
_DECODED_BYTES_PER_BYTE = 8


def crc_hex(data: Bytes) -> str:
    """CRC32C (Castagnoli) as eight lower-case hex digits."""
    return f"{_engine.crc32c(bytes(data)):08x}"


def write(path: str | os.PathLike[str], contents: FileContents) -> None:
    """Write the file under a temporary name, sync it, then rename it.

    Raises:
        FileAccessError: the folder is missing, forbidden or full; nothing half-written stays behind.
    """
    write_atomically(path, to_bytes(contents))


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put the bytes at the path wholly or not at all; see `write`."""
    path = os.path.abspath(path_text(path))
    folder, name = os.path.split(path)
    temporary = ""
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(21, "is a directory")
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = ""
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileAccessError(f"cannot write '{path}': {reason}; nothing was written") from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def to_bytes(contents: FileContents) -> bytes:
    """The whole file as bytes.

    Raises:
        GraphError: the graph breaks its own rules or a limit of docs/format.md.
    """
    graph = contents.graph.prune().validate()
    for what, count, limit in (("nodes", len(graph.nodes), MAX_NODES), ("tensors", len(graph.tensors), MAX_TENSORS)):
        if count > limit:
            raise GraphError(f"graph '{graph.name}' has {count} {what}; a model file takes at most {limit}")
    if contents.labels is not None and len(contents.labels) > MAX_LABELS:
        raise GraphError(f"there are {len(contents.labels)} labels; a model file takes at most {MAX_LABELS}")
    scales = _Scales(graph)
    tensors = {t.name: _activation_json(t, scales) for t in graph.tensors.values() if not t.is_constant}
    stored: dict[str, tuple[str, tuple[int, ...], Bytes]] = {}  # name -> safetensors dtype, shape, bytes
    constants: dict[str, Any] = {}
    total = 0
    for tensor in _constants(graph, scales):
        total += tensor.value.nbytes
        if total > MAX_DECODED_BYTES:
            raise GraphError(f"the constants of graph '{graph.name}' pass the limit of {MAX_DECODED_BYTES} bytes")
        constants[tensor.name], stored[tensor.name] = _encode(tensor, scales)
    _keep_loadable(graph, constants, stored)
    table = np.array(scales.values, np.float32)
    constants[SCALES], stored[SCALES] = _encode(Tensor.constant(SCALES, table), scales)
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": list(VERSION),
        "numerics": NUMERICS,
        "scheme": contents.scheme,
        "preprocessing": contents.preprocessing,
        "labels": None if contents.labels is None else list(contents.labels),
        "provenance": contents.provenance,
        "report": contents.report,
        "graph": {
            "name": graph.name,
            "inputs": list(graph.inputs),
            "outputs": list(graph.outputs),
            "tensors": tensors,
            "nodes": [
                {
                    "op": node.op,
                    "name": node.name,
                    "inputs": list(node.inputs),
                    "outputs": list(node.outputs),
                    "params": dict(node.params),
                    "attrs": attrs_to_json(node.attrs),
                }
                for node in graph.nodes
            ],
        },
        "constants": constants,
    }
    if graph.unread:
        header["unread_inputs"] = [
            {"name": info.name, "type": info.type, "shape": list(info.shape)} for info in graph.unread
        ]
    return _safetensors(_canonical(header), stored)


class _Scales:
    """All activation scales, each distinct value once, ascending: the same graph always gives the same file.

    Attributes:
        values: the scales.
        of_weight: weight -> the name of the constant that holds its scales.
    """

    def __init__(self, graph: Graph) -> None:
        tensors = [t for t in graph.tensors.values() if t.dtype == "levels" and t.affine is not None]
        self.values = sorted({float(t.affine.scale) for t in tensors if t.affine is not None})
        self._index = {value: index for index, value in enumerate(self.values)}
        names = graph.names()
        weights = [t for t in graph.tensors.values() if t.is_constant and t.dtype != "levels" and t.affine is not None]
        self.of_weight = {weight.name: names.fresh(f"{weight.name}.scale") for weight in weights}

    def index(self, scale: float) -> int:
        return self._index[scale]


def _activation_json(tensor: Tensor, scales: _Scales) -> dict[str, Any]:
    row: dict[str, Any] = {"shape": list(tensor.shape), "dtype": tensor.dtype}
    if tensor.dtype == "levels":
        row["affine"] = _affine_json(tensor, scales)
    return row


def _affine_json(tensor: Tensor, scales: _Scales) -> dict[str, Any]:
    affine = tensor.affine
    if affine is None:
        raise GraphError(f"tensor '{tensor.name}' holds levels but has no scale and zero point")
    row: dict[str, Any] = {"zero_point": affine.zero_point, "lo": affine.levels.lo, "hi": affine.levels.hi}
    if tensor.dtype == "levels":
        row["scale"] = scales.index(float(affine.scale))
    else:
        row["scale"] = scales.of_weight[tensor.name]
        row["axis"] = affine.axis
    return row


def _constants(graph: Graph, scales: _Scales) -> list[Tensor]:
    found = []
    for tensor in graph.tensors.values():
        if tensor.is_constant:
            found.append(tensor)
            if tensor.affine is not None and tensor.dtype != "levels":
                scale = np.atleast_1d(np.asarray(tensor.affine.scale, np.float32))
                found.append(Tensor.constant(scales.of_weight[tensor.name], scale))
    for tensor in found:
        if tensor.name.startswith(RESERVED_PREFIXES):
            raise GraphError(f"graph '{graph.name}': the file format keeps the name '{tensor.name}' of a constant")
    return sorted(found, key=lambda tensor: tensor.name)


def _encode(tensor: Tensor, scales: _Scales) -> tuple[dict[str, Any], tuple[str, tuple[int, ...], Bytes]]:
    """The smallest of raw bytes, nibbles (values 0..15) and entropy-coded bytes."""
    data = np.asarray(tensor.value, order="C")
    raw = data.tobytes()
    encoding, blob = "raw", raw
    if data.dtype.itemsize == 1 and data.size:
        codes = data.reshape(-1).view(np.uint8)
        if tensor.dtype == "uint8" and int(codes.max()) < 16:
            even = np.append(codes, np.uint8(0)) if codes.size % 2 else codes
            encoding, blob = "nibbles", (even[0::2] | (even[1::2] << 4)).astype(np.uint8).tobytes()
        coded = _engine.rans_encode(raw)
        if len(coded) < len(blob):
            encoding, blob = "rans", coded
    row: dict[str, Any] = {
        "dtype": tensor.dtype,
        "shape": list(data.shape),
        "encoding": encoding,
        "crc32c": crc_hex(blob),
    }
    if tensor.affine is not None:
        row["affine"] = _affine_json(tensor, scales)
    if encoding == "raw":
        return row, (SAFETENSORS_DTYPE[tensor.dtype], data.shape, raw)
    return row, ("U8", (len(blob),), blob)


def _keep_loadable(
    graph: Graph, constants: dict[str, Any], stored: dict[str, tuple[str, tuple[int, ...], Bytes]]
) -> None:
    """Store constants raw until the file is no smaller than the memory that it will need warrants.

    Readers limit what a file may take by its size (docs/format.md section 7), and unpacking and packing take up to 30
    times the decoded ones. Weights of one bit each and more are never touched.
    """
    sizes = {name: graph.tensors[name].value.nbytes for name, row in constants.items() if row["encoding"] != "raw"}
    decoded = sum(sizes.values())
    coded = sum(len(stored[name][2]) for name in sizes)
    for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if decoded <= _FREE_DECODED_BYTES + _DECODED_BYTES_PER_BYTE * coded:
            return
        tensor = graph.tensors[name]
        raw = np.ascontiguousarray(tensor.value).tobytes()
        coded += len(raw) - len(stored[name][2])
        constants[name] |= {"encoding": "raw", "crc32c": crc_hex(raw)}
        stored[name] = (SAFETENSORS_DTYPE[tensor.dtype], tensor.value.shape, raw)


def _canonical(header: dict[str, Any]) -> str:
    try:
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise GraphError(f"the model's description cannot be written as JSON: {error}") from error
    body = text[:-1]
    return f'{body}{CRC_MARK}{crc_hex(body.encode())}"}}'


def _safetensors(text: str, stored: dict[str, tuple[str, tuple[int, ...], Bytes]]) -> bytes:
    """Lay the tensors out: every one starts at a multiple of 64 bytes of the file; no holes, as the format demands."""
    header: dict[str, Any] = {"__metadata__": {FORMAT: text}}
    parts: list[Bytes] = []
    position = 0
    for name, (dtype, shape, blob) in stored.items():
        gap = -position % ALIGNMENT
        if gap:
            header[f"{PADDING}{len(parts)}"] = {
                "dtype": "U8",
                "shape": [gap],
                "data_offsets": [position, position + gap],
            }
            parts.append(bytes(gap))
            position += gap
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, position + len(blob)]}
        parts.append(blob)
        position += len(blob)
    packed = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    packed += b" " * (-(len(packed) + 8) % ALIGNMENT)
    if len(packed) > MAX_HEADER_BYTES:
        raise GraphError(f"the file's header would take {len(packed)} bytes; the limit is {MAX_HEADER_BYTES}")
    return b"".join([len(packed).to_bytes(8, "little"), packed, *parts])


__all__ = ["crc_hex", "to_bytes", "write", "write_atomically"]
