# SPDX-License-Identifier: Apache-2.0
"""What a model file holds (docs/format.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fewbins.graph import Graph

FORMAT = "fewbins"
VERSION = (1, 1)  # what is written; a reader takes this minor version and earlier ones of the same major version
NUMERICS = 1  # the arithmetic contract that the integers in the file were made for
ALIGNMENT = 64
CRC_MARK = ',"crc32c":"'  # the header text ends in this, eight hex digits and '"}'

# dtype of a constant -> its name in a safetensors file
SAFETENSORS_DTYPE = {
    "float32": "F32",
    "levels": "U8",
    "int8": "I8",
    "uint8": "U8",
    "int32": "I32",
    "int64": "I64",
    "bool": "U8",
}


@dataclass(frozen=True, eq=False)
class FileContents:
    """A graph and what travels with it.

    Attributes:
        graph: float or quantized; inputs and outputs hold anything but levels.
        scheme: the canonical scheme string.
        preprocessing: how an image becomes the input, or None; fields as in `fewbins.Preprocessing`.
        labels: class names in the order of the outputs, or None.
        provenance: where the model came from: source hash, calibration, library version.
        report: one row per layer, for people; the engine does not read it.
    """

    graph: Graph
    scheme: str
    preprocessing: Mapping[str, Any] | None = None
    labels: Sequence[str] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    report: Sequence[Mapping[str, Any]] | None = None
