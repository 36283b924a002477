# SPDX-License-Identifier: Apache-2.0
"""The limits of the model file, docs/format.md section 7: the engine's own list, so that both readers refuse alike."""

from __future__ import annotations

from typing import Final

from fewbins import _engine

_VALUES: Final[dict[str, int]] = {name: value for name, value, _unit, _what in _engine.limits()}

MAX_HEADER_BYTES: Final = _VALUES["MAX_HEADER_BYTES"]
MAX_NODES: Final = _VALUES["MAX_NODES"]
MAX_TENSORS: Final = _VALUES["MAX_TENSORS"]
MAX_OPERANDS: Final = _VALUES["MAX_OPERANDS"]
MAX_ATTRIBUTE_ENTRIES: Final = _VALUES["MAX_ATTRIBUTE_ENTRIES"]
MAX_RANK: Final = _VALUES["MAX_RANK"]
MAX_DIM: Final = _VALUES["MAX_DIM"]
MAX_ELEMENTS: Final = _VALUES["MAX_ELEMENTS"]
MAX_NAME_BYTES: Final = _VALUES["MAX_NAME_BYTES"]
MAX_JSON_DEPTH: Final = _VALUES["MAX_JSON_DEPTH"]
MAX_LABELS: Final = _VALUES["MAX_LABELS"]
MAX_DECODED_BYTES: Final = _VALUES["MAX_DECODED_BYTES"]
FREE_LOAD_BYTES: Final = _VALUES["FREE_LOAD_BYTES"]
LOAD_BYTES_PER_BYTE: Final = _VALUES["LOAD_BYTES_PER_BYTE"]
FREE_PLAN_BYTES: Final = _VALUES["FREE_PLAN_BYTES"]
PLAN_BYTES_PER_BYTE: Final = _VALUES["PLAN_BYTES_PER_BYTE"]
