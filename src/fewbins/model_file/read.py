# SPDX-License-Identifier: Apache-2.0
"""Read a model file back to a graph. Files are untrusted: every length, name, type and checksum is checked first."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors

from fewbins import _engine
from fewbins.checks import path_text
from fewbins.errors import EngineMemoryError, FewbinsError, FileAccessError, GraphError, ModelFileError
from fewbins.graph import Graph, Node, Shape, Tensor, UnreadInput
from fewbins.graph.names import PADDING, SCALES
from fewbins.graph.types import STORAGE
from fewbins.levels import Levels
from fewbins.limits import (
    FREE_LOAD_BYTES,
    LOAD_BYTES_PER_BYTE,
    MAX_ATTRIBUTE_ENTRIES,
    MAX_DECODED_BYTES,
    MAX_DIM,
    MAX_ELEMENTS,
    MAX_HEADER_BYTES,
    MAX_JSON_DEPTH,
    MAX_LABELS,
    MAX_NAME_BYTES,
    MAX_NODES,
    MAX_OPERANDS,
    MAX_RANK,
    MAX_TENSORS,
)
from fewbins.model_file.contents import (
    CRC_MARK,
    FORMAT,
    NUMERICS,
    SAFETENSORS_DTYPE,
    VERSION,
    FileContents,
)
from fewbins.model_file.write import crc_hex
from fewbins.numerics import Affine
from fewbins.ops import attrs_from_json
from fewbins.ops.dtypes import PLAIN

Json = dict[str, Any]
Stored = dict[str, Mapping[str, Any]]


def read(path: str | os.PathLike[str]) -> FileContents:
    """Read a model file.

    Raises:
        FileAccessError: it is missing, forbidden or a folder.
        ModelFileError: it is not a fewbins file, is truncated or corrupt, or passes a limit; the message says which.
    """
    name = path_text(path)
    try:
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise FileAccessError(f"cannot read '{name}': {(error.strerror or str(error)).lower()}") from error
    return from_bytes(data, name)


def from_bytes(data: bytes, name: str = "model") -> FileContents:
    """Read a model from the bytes of a file; `name` is what error messages call it."""
    try:
        return _parse(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    except MemoryError as error:
        raise EngineMemoryError(f"{name}: there is not enough memory to read the model") from error
    except (FewbinsError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        what = f"missing {error}" if isinstance(error, KeyError) else str(error)
        raise ModelFileError(f"{name}: the header does not describe a valid model ({what})") from error


def _parse(data: bytes) -> FileContents:
    header = _header(data)
    stored = _stored(data)
    _need(header.get("format") == FORMAT, "the header's format is not 'fewbins'")
    minor = _minor_version(header["version"])
    _need(header["numerics"] == NUMERICS, f"numerics {header['numerics']} is unknown; update fewbins")
    rows: dict[str, Json] = header["constants"]
    _need(len(rows) <= MAX_TENSORS, f"{len(rows)} constants pass the limit of {MAX_TENSORS}")
    extra = [n for n in stored if n not in rows and not n.startswith(PADDING)]
    _need(not extra, f"tensor '{extra[0] if extra else ''}' is not listed among the constants")
    _need(len(header.get("labels") or ()) <= MAX_LABELS, f"there are more labels than the limit of {MAX_LABELS}")
    arrays = _decode_all(rows, stored, FREE_LOAD_BYTES + LOAD_BYTES_PER_BYTE * len(data))
    scales = arrays.pop(SCALES)
    tensors: dict[str, Tensor] = {}
    weight_scales: set[str] = set()
    for key, row in rows.items():
        if key != SCALES:
            affine = _affine(row["affine"], scales, arrays, weight_scales) if row.get("affine") else None
            tensors[key] = Tensor(key, tuple(row["shape"]), row["dtype"], affine, arrays[key])
    graph_row = header["graph"]
    _need(len(graph_row["tensors"]) <= MAX_TENSORS, f"more than {MAX_TENSORS} tensors")
    _need(len(graph_row["nodes"]) <= MAX_NODES, f"more than {MAX_NODES} nodes")
    for names in (graph_row["inputs"], graph_row["outputs"]):
        _need(len(names) <= MAX_OPERANDS, f"the graph has more than {MAX_OPERANDS} inputs or outputs")
    for key, row in graph_row["tensors"].items():
        _check_name(key)
        _need(key not in tensors, f"tensor '{key}' is an activation and a constant at once")
        _need(row["dtype"] in (*PLAIN, "levels"), f"tensor '{key}' has dtype '{row['dtype']}'")
        affine = _affine(row["affine"], scales, arrays, weight_scales) if row["dtype"] == "levels" else None
        tensors[key] = Tensor(key, _symbolic_shape(key, row["shape"]), row["dtype"], affine)
    for key in weight_scales:
        tensors.pop(key, None)
    graph = Graph(
        tuple(_node(row, minor) for row in graph_row["nodes"]),
        tensors,
        tuple(graph_row["inputs"]),
        tuple(graph_row["outputs"]),
        str(graph_row["name"]),
        tuple(_unread(row) for row in header.get("unread_inputs", ())),
    ).validate()
    return FileContents(
        graph,
        str(header["scheme"]),
        header.get("preprocessing"),
        header.get("labels"),
        header.get("provenance") or {},
        header.get("report"),
    )


def _unread(row: Json) -> UnreadInput:
    return UnreadInput(str(row["name"]), str(row["type"]), tuple(row["shape"]))


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ModelFileError(message)


def _check_name(name: str) -> None:
    size = len(name.encode())
    _need(0 < size <= MAX_NAME_BYTES, f"a name has {size} bytes; it must have 1..{MAX_NAME_BYTES}")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        containers = [one for one in level if isinstance(one, dict | list)]
        if not containers:
            return
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    raise ModelFileError(f"the header is nested deeper than the limit of {MAX_JSON_DEPTH}")


def _minor_version(version: Any) -> int:
    good = isinstance(version, list) and len(version) == 2 and all(type(n) is int and n >= 0 for n in version)
    _need(good, f"the format version {version} must be two numbers")
    major, minor = version
    _need(
        major == VERSION[0] and minor <= VERSION[1],
        f"format version {major}.{minor} is not one that this release reads ({VERSION[0]}.0 to "
        f"{VERSION[0]}.{VERSION[1]}); update fewbins",
    )
    return int(minor)


def _header(data: bytes) -> Json:
    _need(len(data) >= 8, f"{len(data)} bytes are too few for a model file; the file is truncated or another kind")
    size = int.from_bytes(data[:8], "little")
    _need(
        size <= MAX_HEADER_BYTES, f"the header claims {size} bytes, the limit is {MAX_HEADER_BYTES}; not a model file"
    )
    _need(8 + size <= len(data), f"the header ends at byte {8 + size} but the file has {len(data)}; it is truncated")
    try:
        outer = json.loads(data[8 : 8 + size])
        text = outer["__metadata__"][FORMAT]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError("not a fewbins model file (no fewbins entry in a safetensors header)") from error
    tail = len(CRC_MARK) + 10
    _need(isinstance(text, str) and text[-tail:].startswith(CRC_MARK), "the header's checksum is missing")
    _need(crc_hex(text[:-tail].encode()) == text[-10:-2], "the header's checksum does not match; the file is corrupt")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the header is not JSON ({error})") from error
    _need(isinstance(header, dict), "the header is not a JSON object")
    _check_depth(header)
    return dict(header)


def _stored(data: bytes) -> Stored:
    try:
        return dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"the tensors do not match the file ({error}); it is truncated or corrupt") from error


def _decode_all(rows: dict[str, Json], stored: Stored, limit: int) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """All constants; their sizes are known and within `limit` bytes before memory is taken for the first."""
    total = 0
    for key, row in rows.items():
        _check_name(key)
        _need(row["dtype"] in STORAGE, f"constant '{key}' has unknown dtype '{row['dtype']}'")
        shape = row["shape"]
        good = isinstance(shape, list) and len(shape) <= MAX_RANK
        good = good and all(isinstance(n, int) and 0 <= n <= MAX_DIM for n in shape)
        _need(good and math.prod(shape) <= MAX_ELEMENTS, f"constant '{key}' has the impossible shape {shape}")
        total += math.prod(shape) * STORAGE[row["dtype"]].itemsize
        _need(total <= MAX_DECODED_BYTES, f"the constants pass the limit of {MAX_DECODED_BYTES} bytes")
        _need(key in stored, f"constant '{key}' is missing from the file")
    _need(
        total <= limit,
        f"decoded constants of {total} bytes would pass the limit of {limit} bytes for a file of this size",
    )
    return {key: _decode(key, row, stored[key]) for key, row in rows.items()}


def _decode(key: str, row: Json, entry: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[Any]]:
    blob = bytes(entry["data"])
    _need(crc_hex(blob) == row["crc32c"], f"constant '{key}' fails its checksum; the file is corrupt")
    values = _decoded(key, row, entry, blob)
    if row["dtype"] != "bool":
        return values
    _need(values.view(np.uint8).max(initial=0) <= 1, f"constant '{key}' is bool and holds bytes other than 0 and 1")
    return values


def _decoded(key: str, row: Json, entry: Mapping[str, Any], blob: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    dtype, shape, encoding = STORAGE[row["dtype"]], tuple(row["shape"]), row["encoding"]
    count = math.prod(shape)
    if encoding == "raw":
        same = entry["dtype"] == SAFETENSORS_DTYPE[row["dtype"]] and tuple(entry["shape"]) == shape
        _need(same and len(blob) == count * dtype.itemsize, f"constant '{key}' is stored with another dtype or shape")
        return np.frombuffer(blob, dtype).reshape(shape)
    _need(dtype.itemsize == 1 and entry["dtype"] == "U8", f"constant '{key}': encoding '{encoding}' needs bytes")
    if encoding == "nibbles":
        _need(len(blob) == (count + 1) // 2, f"constant '{key}' has {len(blob)} bytes for {count} nibbles")
        packed = np.frombuffer(blob, np.uint8)
        codes = np.stack([packed & 15, packed >> 4], 1).reshape(-1)[:count]
        return np.ascontiguousarray(codes).view(dtype).reshape(shape)
    _need(encoding == "rans", f"constant '{key}' has unknown encoding '{encoding}'")
    return np.frombuffer(_engine.rans_decode(blob, count), dtype).reshape(shape)


def _affine(
    row: Json,
    scales: np.ndarray[Any, np.dtype[Any]],
    arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
    weight_scales: set[str],
) -> Affine:
    levels = Levels(row["lo"], row["hi"])
    if isinstance(row["scale"], int):
        if not 0 <= row["scale"] < scales.size:
            raise GraphError(f"scale {row['scale']} is not one of {scales.size}")
        return Affine(scales.reshape(-1)[row["scale"]], row["zero_point"], levels, None)
    weight_scales.add(row["scale"])
    values = arrays[row["scale"]]
    axis = row["axis"]
    return Affine(values if axis is not None else values.reshape(-1)[0], row["zero_point"], levels, axis)


def _symbolic_shape(key: str, shape: Any) -> Shape:
    good = isinstance(shape, list) and len(shape) <= MAX_RANK
    good = good and all(isinstance(n, str) or (isinstance(n, int) and 0 <= n <= MAX_DIM) for n in shape)
    _need(good, f"tensor '{key}' has the impossible shape {shape}")
    return tuple(shape)


def _node(row: Json, minor: int) -> Node:
    _check_name(row["name"])
    for key in ("inputs", "outputs", "params"):
        count = len(row[key])
        _need(count <= MAX_OPERANDS, f"node '{row['name']}' has {count} {key}; the limit is {MAX_OPERANDS}")
    for key, value in row["attrs"].items():
        _need(
            not isinstance(value, list) or len(value) <= MAX_ATTRIBUTE_ENTRIES,
            f"node '{row['name']}': {key} has more than {MAX_ATTRIBUTE_ENTRIES} entries",
        )
    return Node(
        row["op"],
        row["name"],
        tuple(row["inputs"]),
        tuple(row["outputs"]),
        attrs_from_json(row["op"], row["attrs"], minor),
        MappingProxyType(dict(row["params"])),
    )
