# SPDX-License-Identifier: Apache-2.0
"""Importers: other formats into a fewbins graph."""

from fewbins.importers.onnx import load_onnx

__all__ = ["load_onnx"]
