# SPDX-License-Identifier: Apache-2.0
"""Which form of its operator a node has: that of the file's opset, or an older one that its attributes give away.

Old exporters write an opset into the file that is newer than the forms of some of their nodes, and attributes that mean
nothing in a network that only infers.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import Any

import onnx

from fewbins.importers.problems import NodeError
from fewbins.importers.values import OnnxNode, attribute_value

# Attribute -> the values under which it changes nothing, and what the others would ask for; None: any value.
NEEDLESS: dict[str, tuple[tuple[int, ...] | None, str]] = {
    "consumed_inputs": (None, ""),
    "is_test": ((1,), "training"),
    "spatial": ((1,), "statistics for each position"),
}


def read_node(proto: onnx.NodeProto, label: str, opset: int, versions: Set[int]) -> OnnxNode:
    """The node in the form that it has.

    Args:
        proto: a node of ONNX's default domain.
        label: its name.
        opset: of the file.
        versions: forms of the operator that can be imported, by the opsets that introduced them.

    Raises:
        NodeError: no form fits, or the one that fits cannot be imported.
    """
    attributes = {}
    for attribute in proto.attribute:
        try:
            value = attribute_value(attribute)
        except ValueError as error:
            raise NodeError(f"attribute '{attribute.name}' cannot be read; the file is not valid ONNX") from error
        if not _is_needless(proto.op_type, opset, attribute.name, value):
            attributes[attribute.name] = value
    schema = _form(proto, opset, frozenset(attributes))
    if schema.since_version not in versions:
        raise NodeError(
            f"its form of opset {schema.since_version} is not supported; convert the model with onnx.version_converter"
        )
    return OnnxNode(proto.op_type, label, schema.since_version, tuple(proto.input), tuple(proto.output), attributes)


def _is_needless(op: str, opset: int, name: str, value: Any) -> bool:
    """Whether an attribute of an older form of the operator asks for nothing that this network would notice."""
    forms = [schema for schema in _forms(op) if schema.since_version <= opset]
    if name not in NEEDLESS or not any(name in schema.attributes for schema in forms):
        return False
    allowed, otherwise = NEEDLESS[name]
    if allowed is not None and value not in allowed:
        raise NodeError(f"attribute '{name}' = {value} asks for {otherwise}; export the network for inference")
    return True


def _form(proto: onnx.NodeProto, opset: int, attributes: frozenset[str]) -> onnx.defs.OpSchema:
    """The newest form of the opset or before it that has these attributes and as many inputs."""
    forms = [schema for schema in _forms(proto.op_type) if schema.since_version <= opset]
    if not forms:
        raise NodeError(f"opset {opset} has no such operator; the file is not valid ONNX")
    own = forms[0]
    unknown = sorted(attributes - set(own.attributes))
    if not unknown and not own.deprecated:
        return own
    for schema in forms[1:]:
        fits = attributes <= set(schema.attributes) and schema.min_input <= len(proto.input) <= schema.max_input
        if fits and not schema.deprecated:
            return schema
    if unknown:
        raise NodeError(f"attribute '{unknown[0]}' is unknown in opset {opset}")
    return own


@cache
def _forms(op: str) -> list[onnx.defs.OpSchema]:
    """All forms of an operator of the default domain, the newest first."""
    return _all_forms().get(op, [])


@cache
def _all_forms() -> dict[str, list[onnx.defs.OpSchema]]:
    forms: dict[str, list[onnx.defs.OpSchema]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            forms.setdefault(schema.name, []).append(schema)
    for schemas in forms.values():
        schemas.sort(key=lambda schema: -schema.since_version)
    return forms
