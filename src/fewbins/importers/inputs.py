# SPDX-License-Identifier: Apache-2.0
"""The inputs of an ONNX model: their types, and their shapes with the caller's in place of the file's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from fewbins.errors import ArgumentError, ShapeError
from fewbins.graph import Dim, Names, Shape

FREE_NAMES = {4: ("batch", "channels", "height", "width"), 3: ("batch", "channels", "length"), 2: ("batch", "features")}


def type_name(info: onnx.ValueInfoProto) -> str:
    """The element type in ONNX's words, such as "FLOAT"."""
    kind = info.type.tensor_type.elem_type
    return str(onnx.TensorProto.DataType.Name(kind) if kind in onnx.TensorProto.DataType.values() else kind)


def runtime_type(info: onnx.ValueInfoProto) -> str:
    """The type in ONNX Runtime's words, such as "tensor(float)"."""
    kind = info.type.WhichOneof("value") or "tensor_type"
    if kind != "tensor_type":
        return f"{kind.removesuffix('_type')}(...)"
    return f"tensor({type_name(info).lower()})"


def file_dims(info: onnx.ValueInfoProto) -> Shape | None:
    """The shape in the file; "?" for a size that is absent, negative or zero."""
    if not info.type.tensor_type.HasField("shape"):
        return None
    return tuple(
        int(dim.dim_value) if dim.dim_value > 0 else dim.dim_param or "?" for dim in info.type.tensor_type.shape.dim
    )


def bound_sizes(infos: Sequence[onnx.ValueInfoProto], given: Mapping[str, Sequence[Dim]]) -> dict[Dim, Dim]:
    """What the sizes that the file names become through the shapes given for some inputs."""
    bound: dict[Dim, Dim] = {}
    for info in infos:
        if info.name not in given:
            continue
        dims, wanted = file_dims(info), tuple(given[info.name])
        if not all(_is_size(size) for size in wanted):
            raise ArgumentError(f"input_shapes: {wanted} of '{info.name}' must be numbers >= 1 or names of free sizes")
        if dims is not None and len(dims) != len(wanted):
            raise ShapeError(f"input_shapes: '{info.name}' has rank {len(dims)} in the file, not {len(wanted)}")
        for old, new in zip(dims or (), wanted, strict=False):
            if isinstance(old, str) and not old.startswith("?") and bound.setdefault(old, new) != new:
                raise ShapeError(f"input_shapes: the size '{old}' cannot be both {bound[old]} and {new}")
    return bound


def _is_size(size: object) -> bool:
    if isinstance(size, int) and not isinstance(size, bool):
        return size >= 1
    return isinstance(size, str) and size != ""


def named_sizes(tensor: str, dims: Shape, names: Names) -> Shape:
    """The shape with a name of its own for each unknown size, so that sizes derived from it can be compared."""
    usual = FREE_NAMES.get(len(dims), ())
    named: list[Dim] = []
    for axis, size in enumerate(dims):
        if isinstance(size, str) and size.startswith("?"):
            own = f"{tensor}.{axis}"
            size = names.fresh(usual[axis] if axis < len(usual) and usual[axis] not in names else own)
        named.append(size)
    return tuple(named)
