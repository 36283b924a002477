# SPDX-License-Identifier: Apache-2.0
"""The .fewbins file: a safetensors file with one JSON header. The normative text is docs/format.md."""

from fewbins.model_file.contents import FileContents
from fewbins.model_file.read import from_bytes, read
from fewbins.model_file.write import to_bytes, write, write_atomically

__all__ = ["FileContents", "from_bytes", "read", "to_bytes", "write", "write_atomically"]
