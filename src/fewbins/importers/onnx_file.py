# SPDX-License-Identifier: Apache-2.0
"""Reading ONNX files, which are untrusted: limits, tensors, external data.

Limits: a file of 2 GiB (protobuf's own), 65,536 nodes, 2**31 - 1 elements in a tensor, rank 8, 4 GiB of tensors
outside the file. External data must lie in regular files below the model's folder: no absolute path, no "..", and never
more bytes than the file has. Links may lead to the folder where the model is reached and, where that is a link itself,
to the folder where it really lies (download caches keep all files there and link to them), nowhere else.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from fewbins.errors import ArgumentError, FileAccessError, ModelFileError, UnsupportedError

MAX_FILE_BYTES = 2**31 - 1
MAX_NODES = 65536
MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 8
MAX_EXTERNAL_BYTES = 2**32
MIN_OPSET = 9

Array = np.ndarray[Any, np.dtype[Any]]


class OnnxFile:
    """A parsed model, its folder for external data, and its opset.

    Attributes:
        proto: the model.
        source: what errors call it: the path, or "model".
        folder: where external data may lie; None where the model did not come from a file.
        opset: the version of the default operator set.
    """

    def __init__(self, proto: onnx.ModelProto, source: str, folder: Path | None) -> None:
        """Check the model's frame: that it has a graph, a supported opset, and not too many nodes."""
        self.proto = proto
        self.source = source
        self.folder = folder
        self._external_bytes = 0
        self._initializers: dict[str, Array] = {}
        if not proto.HasField("graph") or not proto.opset_import or proto.ir_version < 1:
            raise ModelFileError(f"{source}: this is not an ONNX model; it has no graph or no operator set")
        versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
        if not versions:
            domains = ", ".join(repr(entry.domain) for entry in proto.opset_import)
            raise UnsupportedError(f"{source}: uses only the operator sets {domains}; export with ONNX's default set")
        self.opset = max(versions)
        newest = onnx.defs.onnx_opset_version()
        if not MIN_OPSET <= self.opset <= newest:
            remedy = "install a newer onnx" if self.opset > newest else "onnx.version_converter can raise it"
            raise UnsupportedError(
                f"{source}: opset {self.opset} is not among the supported {MIN_OPSET} to {newest}; {remedy}"
            )
        if len(proto.graph.node) > MAX_NODES:
            raise ModelFileError(f"{source}: {len(proto.graph.node)} nodes exceed the limit of {MAX_NODES}")
        for text in _texts(proto.graph):
            # Protobuf gives bytes, not str, where a name is no text.
            if not isinstance(text, str):
                raise ModelFileError(f"{source}: the name {text!r} is not UTF-8; the file is corrupt")

    def constants(self) -> Iterator[tuple[str, onnx.TensorProto | onnx.SparseTensorProto]]:
        """The initializers by name."""
        for tensor in self.proto.graph.initializer:
            yield tensor.name, tensor
        for sparse in self.proto.graph.sparse_initializer:
            yield sparse.values.name, sparse

    def initializer(self, tensor: onnx.TensorProto | onnx.SparseTensorProto, name: str) -> Array:
        """The values of an initializer, read once; see `array`."""
        if name not in self._initializers:
            self._initializers[name] = self.array(tensor, name)
        return self._initializers[name]

    def array(self, tensor: onnx.TensorProto | onnx.SparseTensorProto, name: str) -> Array:
        """The values of a tensor.

        Raises:
            ModelFileError: sizes that do not fit the data, or that exceed the limits.
            FileAccessError: external data that is missing or lies outside the model's folder.
            UnsupportedError: a type of number that NumPy cannot hold.
        """
        if isinstance(tensor, onnx.SparseTensorProto):
            return self._dense(tensor, name)
        shape = self._shape(tensor.dims, name)
        if tensor.data_type in _NO_NUMBERS:
            kind = onnx.TensorProto.DataType.Name(tensor.data_type)
            raise UnsupportedError(f"{self.source}: tensor '{name}' has type {kind}; only real numbers can be imported")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return self._external(tensor, shape, name)
        try:
            data: Array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise ModelFileError(f"{self.source}: tensor '{name}' {shape} cannot be read ({_line(error)})") from error
        if data.shape != shape:
            raise ModelFileError(f"{self.source}: tensor '{name}' holds {data.shape}, not {shape}; the file is corrupt")
        return data

    def _shape(self, dims: Any, name: str) -> tuple[int, ...]:
        shape = tuple(int(size) for size in dims)
        if len(shape) > MAX_RANK or min(shape, default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
            raise ModelFileError(
                f"{self.source}: tensor '{name}' has shape {shape}; the limits are rank {MAX_RANK} and "
                f"{MAX_ELEMENTS} elements"
            )
        return shape

    def _dense(self, sparse: onnx.SparseTensorProto, name: str) -> Array:
        shape = self._shape(sparse.dims, name)
        values = self.array(sparse.values, name)
        indices = self.array(sparse.indices, f"{name} (indices)")
        if indices.ndim == 2 and indices.shape[1] == len(shape):
            if indices.size and ((indices < 0).any() or (indices >= np.array(shape)).any()):
                raise ModelFileError(f"{self.source}: sparse tensor '{name}' has indices outside its shape {shape}")
            indices = np.ravel_multi_index(tuple(indices.T), shape) if shape else indices[:, 0]
        if values.ndim != 1 or indices.shape != values.shape:
            raise ModelFileError(
                f"{self.source}: sparse tensor '{name}' has {values.shape} values and {indices.shape} indices"
            )
        if indices.size and (indices.min() < 0 or indices.max() >= math.prod(shape)):
            raise ModelFileError(f"{self.source}: sparse tensor '{name}' has indices outside its shape {shape}")
        dense = np.zeros(math.prod(shape), values.dtype)
        dense[indices] = values
        return np.reshape(dense, shape)

    def _external(self, tensor: onnx.TensorProto, shape: tuple[int, ...], name: str) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._external_path(entries.get("location", ""), name)
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        if tensor.data_type in _PACKED_TYPES:
            raise UnsupportedError(f"{self.source}: tensor '{name}' stores {dtype} numbers outside the file")
        size = math.prod(shape) * dtype.itemsize
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError as error:
            raise ModelFileError(f"{self.source}: tensor '{name}' has an offset or length that is no number") from error
        if length != size or offset < 0:
            raise ModelFileError(
                f"{self.source}: tensor '{name}' {shape} needs {size} bytes, but its external data is {length} bytes "
                f"at offset {offset}"
            )
        self._external_bytes += size
        if self._external_bytes > MAX_EXTERNAL_BYTES:
            raise ModelFileError(f"{self.source}: external data exceeds the limit of {MAX_EXTERNAL_BYTES} bytes")
        try:
            with path.open("rb") as file:
                available = os.fstat(file.fileno()).st_size
                if offset + size > available:
                    raise ModelFileError(
                        f"{self.source}: tensor '{name}' ends at byte {offset + size} of '{path.name}', which has "
                        f"{available}; the file is truncated"
                    )
                file.seek(offset)
                data = np.frombuffer(file.read(size), dtype.newbyteorder("<"))
        except OSError as error:
            raise FileAccessError(f"{path}: cannot read the external data of '{name}' ({error.strerror})") from error
        return np.reshape(data.astype(dtype, copy=False), shape)

    def _external_path(self, location: str, name: str) -> Path:
        if self.folder is None:
            raise ArgumentError(
                f"tensor '{name}' lies in the external file '{location}'; give load_onnx the model's path instead"
            )
        posix, windows = PurePosixPath(location), PureWindowsPath(location)
        inside = location and not posix.is_absolute() and not windows.anchor and "\0" not in location
        if not inside or ".." in posix.parts or ".." in windows.parts:
            raise ModelFileError(
                f"{self.source}: tensor '{name}' names the external file {location!r}; it must be a relative path "
                "below the model's folder"
            )
        roots = self._roots()
        path = next((root / location for root in roots if (root / location).exists()), self.folder / location)
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise FileAccessError(f"{path}: the external data of tensor '{name}' is missing") from error
        if not resolved.is_file():
            raise ModelFileError(
                f"{self.source}: tensor '{name}' names the external file {location!r}, which is no regular file"
            )
        if not any(resolved.is_relative_to(root) for root in roots):
            raise ModelFileError(
                f"{self.source}: tensor '{name}' names the external file {location!r}, a link that leads out of the "
                f"model's folder, to {resolved}; if you trust it, copy the model and its data into one folder (cp -L)"
            )
        return resolved

    def _roots(self) -> list[Path]:
        """The folders where external data may lie, links resolved: the model's, and that of the file it links to."""
        assert self.folder is not None
        try:
            found = [self.folder.resolve(strict=True), Path(self.source).resolve(strict=True).parent]
        except (OSError, RuntimeError) as error:
            raise FileAccessError(f"{self.source}: the model's folder is gone") from error
        return list(dict.fromkeys(found))


def _texts(graph: onnx.GraphProto) -> Iterator[Any]:
    """Every name that the importer reads."""
    yield graph.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (sparse.values.name for sparse in graph.sparse_initializer)
    for info in (*graph.input, *graph.output):
        yield info.name
        yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)


_NO_NUMBERS = (
    onnx.TensorProto.UNDEFINED,
    onnx.TensorProto.STRING,
    onnx.TensorProto.COMPLEX64,
    onnx.TensorProto.COMPLEX128,
)
_PACKED_TYPES = {
    value for key, value in onnx.TensorProto.DataType.items() if key in ("UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2")
}


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def read_onnx(source: str | os.PathLike[str] | bytes | onnx.ModelProto) -> OnnxFile:
    """Parse a model from a path, from bytes, or take one that is parsed already.

    Raises:
        FileAccessError: a path that is missing, a folder, or not readable.
        ModelFileError: contents that are not an ONNX model, or over a limit.
        UnsupportedError: an opset outside 9 .. the newest that the installed onnx knows.
    """
    if isinstance(source, onnx.ModelProto):
        return OnnxFile(source, "model", None)
    if isinstance(source, bytes | bytearray | memoryview):
        return OnnxFile(_parse(bytes(source), "model"), "model", None)
    try:
        path = Path(source)
    except TypeError:
        kind = type(source).__name__
        raise ArgumentError(f"load_onnx takes a path, bytes or an onnx.ModelProto, not {kind}") from None
    try:
        if path.is_dir():
            raise FileAccessError(f"{path}: this is a folder; give the path of an .onnx file")
        if path.exists() and not path.is_file():
            raise FileAccessError(f"{path}: this is a device or a pipe; give the path of an .onnx file")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFileError(f"{path}: {size} bytes exceed the limit of {MAX_FILE_BYTES}; use external data")
        content = path.read_bytes()
    except FileAccessError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FileAccessError(f"{path}: cannot be read ({reason}); check the path") from error
    return OnnxFile(_parse(content, str(path)), str(path), path.parent)


def _parse(content: bytes, source: str) -> onnx.ModelProto:
    try:
        return onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelFileError(f"{source}: this is not an ONNX file, or it is truncated ({_line(error)})") from error
