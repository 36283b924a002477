# SPDX-License-Identifier: Apache-2.0
"""What an ONNX value can be while a model is imported, and an ONNX node with checked attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import onnx

from fewbins.graph import Shape
from fewbins.importers.problems import NodeError
from fewbins.importers.sizes import Size, Symbol

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that is known at import.

    Attributes:
        data: the values; of dtype object where some of them are `Symbol`s (shape arithmetic only).
        name: the ONNX value it came from; the tensor of the graph is called so if it gets there unchanged.
        floating: for dtype object, whether the ONNX type is a floating one.
    """

    data: Array
    name: str = ""
    floating: bool = False

    @property
    def symbolic(self) -> bool:
        """Whether some of the values are only known at run time."""
        return self.data.dtype == object

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return tuple(self.data.shape)

    @classmethod
    def of_sizes(cls, data: Array, *, floating: bool) -> Constant:
        """Of an object array of sizes: plain numbers where no symbol is among them."""
        if any(isinstance(size, Symbol) for size in data.flat):
            return cls(data, floating=floating)
        return cls(data.astype(np.float64 if floating else np.int64))


@dataclass(frozen=True, eq=False)
class Activation:
    """A value that is computed at run time.

    Attributes:
        id: its tensor in the graph under construction.
        shape: sizes, free ones as strings.
        integer: whether ONNX has an integer type here: whole numbers made of free sizes, exact in float32.
        dtype: of the tensor; truth values and integers are made by few operators and taken by few.
    """

    id: str
    shape: Shape
    integer: bool = False
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)


@dataclass(frozen=True)
class Broken:
    """An output of a node that cannot be imported; nodes that read it are passed over in silence."""


Value = Constant | Activation
BROKEN = Broken()


@dataclass(frozen=True)
class OnnxNode:
    """An ONNX node.

    Attributes:
        op: the operator, such as "Conv".
        name: unique in the graph, made up where the file has none.
        version: the opset version that introduced this form of the operator.
        inputs: names of the values it reads; "" for an optional one that is absent.
        outputs: names of the values it writes; "" likewise.
        attributes: values by name; tensors stay protos.
    """

    op: str
    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self._typed(name, int, default, "an integer"))

    def number(self, name: str, default: float) -> float:
        """A float attribute."""
        return float(self._typed(name, float, default, "a float"))

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        value = self._typed(name, bytes, default.encode(), "a string")
        return bytes(value).decode("utf-8", "replace")

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of integers; None where it is absent."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
            raise NodeError(f"attribute '{name}' must be a list of integers; the file is not valid ONNX")
        return tuple(value)

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """A list of floats; None where it is absent."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, float) for item in value):
            raise NodeError(f"attribute '{name}' must be a list of floats; the file is not valid ONNX")
        return tuple(value)

    def _typed(self, name: str, kind: type, default: Any, text: str) -> Any:
        value = self.attributes.get(name, default)
        if not isinstance(value, kind):
            raise NodeError(f"attribute '{name}' must be {text}; the file is not valid ONNX")
        return value


def attribute_value(attribute: onnx.AttributeProto) -> Any:
    """The value of an attribute: int, float, bytes, list of them, or a proto; ValueError if its type is unknown."""
    value = onnx.helper.get_attribute_value(attribute)
    if value is None:
        raise ValueError("its type is unknown")
    return list(value) if attribute.type in _LISTS else value


_LISTS = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS)


def to_sizes(constant: Constant) -> list[Size]:
    """The values of a constant as sizes: Python integers, fractions and symbols."""
    sizes: list[Size] = []
    for value in constant.data.flat:
        if isinstance(value, Symbol | Fraction):
            sizes.append(value)
        elif isinstance(value, float | np.floating):
            sizes.append(float(value))
        else:
            sizes.append(int(value))
    return sizes
