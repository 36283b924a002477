# SPDX-License-Identifier: Apache-2.0
"""What every operator is made of: its attributes, its shape rule, its oracle, and the one registry that lists them.

An operator's file declares a frozen dataclass of attributes with `attributes`, and registers an oracle together with a
shape rule with `register`. Attributes go to and from JSON with `attrs_to_json` and `attrs_from_json`; the second trusts
nothing, since model files are untrusted.

>>> @attributes("ExampleShift")
... @dataclass(frozen=True)
... class ExampleAttrs:
...     by: tuple[int, int]
...     clamp: tuple[float | None, float | None] | None = None
>>> attrs_to_json(ExampleAttrs((1, 2), (0.0, None)))
{'by': [1, 2], 'clamp': [0.0, None]}
>>> attrs_from_json("ExampleShift", {"by": [1, 2], "clamp": None})
ExampleAttrs(by=(1, 2), clamp=None)
>>> _ = ATTRS.pop("ExampleShift")
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from fewbins.errors import GraphError, ShapeError
from fewbins.graph import Graph, Node, Shape

Array = np.ndarray[Any, np.dtype[Any]]

REQUANTIZE_KINDS = ("float", "fixed", "shift", "dequantize")


@dataclass(frozen=True)
class Requantize:
    """How an accumulator becomes the next tensor: section 4 of docs/numerics.md. The constants are params of the node.

    Attributes:
        kind: "float" | "fixed" | "shift" | "dequantize".
        lo: lo', the lowest level of the output after the fused activation; 0 and unused for "dequantize".
        hi: hi', the highest level, likewise.
        negate_residual: the residual is subtracted; "shift" only, whose constants carry no sign.
    """

    kind: str
    lo: int = 0
    hi: int = 0
    negate_residual: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown kind and levels that are no levels."""
        check_choice("requantize kind", self.kind, REQUANTIZE_KINDS)
        if not -128 <= self.lo <= self.hi <= 127:
            raise GraphError(f"requantize levels {self.lo}..{self.hi} must be ascending and within -128..127")
        if self.negate_residual and self.kind != "shift":
            raise GraphError(f"requantize kind '{self.kind}' cannot negate the residual; make its multiplier negative")


ShapeRule = Callable[[Node, Sequence[Shape], Mapping[str, Shape]], list[Shape]]
Oracle = Callable[[Node, Sequence[Array], Graph], list[Array]]


@dataclass(frozen=True)
class OpDef:
    """One canonical operator.

    Attributes:
        name: the operator's name, as in `Node.op`.
        attrs: the class of `Node.attrs`.
        infer_shape: `(node, input_shapes, param_shapes) -> output_shapes`; `param_shapes` goes by role ("weight", ...).
        oracle: `(node, inputs, graph) -> outputs`; float32 arrays, or int32 arrays of signed levels. The graph gives
            the affines of tensors and the values of params.
        arity: least and greatest number of inputs; None is no limit.
        params: the roles that params may have.
    """

    name: str
    attrs: type
    infer_shape: ShapeRule
    oracle: Oracle
    arity: tuple[int, int | None]
    params: tuple[str, ...]


ATTRS: dict[str, type] = {}
REGISTRY: dict[str, OpDef] = {}

_Class = TypeVar("_Class", bound=type)


def attributes(*ops: str) -> Callable[[_Class], _Class]:
    """Class decorator: the frozen dataclass holds the attributes of these operators."""

    def declare(cls: _Class) -> _Class:
        for op in ops:
            ATTRS[op] = cls
        return cls

    return declare


def since(minor: int, *, before: Any, default: Any) -> Any:
    """A field of an attributes class that came with a later minor version of the file format.

    Args:
        minor: the version 1.`minor` that the field came with. The engine's table is in engine/ops/registry.cpp.
        before: its value in files of earlier versions, which lack it: the one that keeps their results.
        default: its value where the class is made without it.
    """
    return field(default=default, metadata={"since": minor, "before": before})


def register(
    op: str, infer_shape: ShapeRule, *, arity: tuple[int, int | None] = (1, 1), params: Iterable[str] = ()
) -> Callable[[Oracle], Oracle]:
    """Function decorator: the function is the oracle of `op`, and the operator enters `REGISTRY`."""

    def enter(oracle: Oracle) -> Oracle:
        REGISTRY[op] = OpDef(op, ATTRS[op], infer_shape, oracle, arity, tuple(params))
        return oracle

    return enter


def fail(node: Node, message: str) -> NoReturn:
    """Raise ShapeError with the node's name and operator in front of the message."""
    raise ShapeError(f"node '{node.name}' ({node.op}): {message}")


def check_choice(what: str, value: str, allowed: Sequence[str]) -> None:
    """Raise GraphError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise GraphError(f"{what} '{value}' is unknown (expected one of: {', '.join(allowed)})")


def check_window(
    op: str, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int]
) -> None:
    """Raise GraphError unless the window of a convolution or pool makes sense: two positive sizes, four pads >= 0."""
    for what, values, count, least in (
        ("kernel", kernel, 2, 1),
        ("strides", strides, 2, 1),
        ("pads", pads, 4, 0),
        ("dilations", dilations, 2, 1),
    ):
        if len(values) != count or min(values) < least or max(values) >= 2**31:
            raise GraphError(f"{op}: {what} {tuple(values)} must be {count} integers from {least} to {2**31 - 1}")


def check_clamp(op: str, clamp: tuple[float | None, float | None] | None) -> None:
    """Raise GraphError unless the fused clamp is None or an ascending range."""
    if clamp is not None and clamp[0] is not None and clamp[1] is not None and not clamp[0] <= clamp[1]:
        raise GraphError(f"{op}: clamp {clamp} must be ascending")


def attrs_to_json(attrs: Any) -> dict[str, Any]:
    """The attributes as a JSON object: every field by name, defaults too, tuples as lists.

    Raises:
        GraphError: a number is not finite; JSON has no such numbers.
    """
    return {field.name: _to_json(getattr(attrs, field.name), type(attrs), field.name) for field in fields(attrs)}


def _to_json(value: Any, owner: type, name: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise GraphError(f"{owner.__name__}.{name} is {value}; a model file holds finite numbers only")
        return float(value)
    if isinstance(value, tuple | list):
        return [_to_json(item, owner, name) for item in value]
    if is_dataclass(value):
        return attrs_to_json(value)
    raise GraphError(f"{owner.__name__}.{name} has type {type(value).__name__}, which attributes may not have")


def attrs_from_json(op: str, data: Any, minor: int | None = None) -> Any:
    """The attributes of operator `op` from a JSON object that may be hostile.

    Args:
        op: a name in `REGISTRY`.
        data: what `attrs_to_json` made: exactly the fields of the attributes class.
        minor: the file's minor version of the format, where it may be an old one: fields that came later may be
            missing, and then have the value that keeps the old results (see `since`).

    Raises:
        GraphError: the operator is unknown, a field is missing, unknown or of a wrong type, or a value makes no sense.
    """
    if op not in ATTRS:
        raise GraphError(f"operator '{op}' is unknown (expected one of: {', '.join(sorted(ATTRS))})")
    if minor is not None and isinstance(data, Mapping):
        data = {**_values_before(ATTRS[op], minor), **data}
    return _object_from_json(ATTRS[op], data, f"{op} attributes")


def _values_before(cls: type, minor: int) -> dict[str, Any]:
    later = [one for one in fields(cls) if one.metadata.get("since", 0) > minor]
    return {one.name: one.metadata["before"] for one in later}


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _object_from_json(cls: type, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise GraphError(f"{where} must be an object, not {_show(data)}")
    hints = _hints(cls)
    unknown, missing = sorted(set(data) - set(hints)), sorted(set(hints) - set(data))
    if unknown or missing:
        raise GraphError(f"{where}: unknown fields {unknown}, missing fields {missing}; expected {sorted(hints)}")
    values = {name: _from_json(hint, data[name], f"{where}: '{name}'") for name, hint in hints.items()}
    return cls(**values)


def _from_json(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        members = get_args(hint)
        if value is None and type(None) in members:
            return None
        return _from_json(next(member for member in members if member is not type(None)), value, where)
    if get_origin(hint) is tuple:
        items = get_args(hint)
        free = len(items) == 2 and items[1] is Ellipsis
        if not isinstance(value, list | tuple) or (not free and len(value) != len(items)):
            raise GraphError(f"{where} must be a list of {'any length' if free else len(items)}, not {_show(value)}")
        return tuple(_from_json(items[0] if free else items[i], item, where) for i, item in enumerate(value))
    if is_dataclass(hint):
        return _object_from_json(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        number = _as_float(value)
        if math.isfinite(number):
            return number
    elif hint is int and isinstance(value, int) and not isinstance(value, bool):
        if -(2**63) <= value < 2**63:
            return value
    elif hint in (bool, str) and isinstance(value, hint):
        return value
    raise GraphError(f"{where} must be {'a finite number' if hint is float else hint.__name__}, not {_show(value)}")


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
