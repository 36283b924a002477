# SPDX-License-Identifier: Apache-2.0
"""fewbins: convolutional networks in few-bin integers, fast and exact on ordinary CPUs.

    graph = fewbins.load_onnx("resnet18.onnx")
    model = fewbins.quantize(graph, images, scheme="255x33,first=8bit,last=8bit")
    model.save("resnet18.fewbins")
    logits = fewbins.Session("resnet18.fewbins").run(batch)

Names are loaded when they are first used, so that `import fewbins` is quick and needs no optional package.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewbins.data.preprocess import Preprocessing
    from fewbins.errors import (
        ArgumentError,
        CalibrationError,
        DataError,
        EngineError,
        EngineMemoryError,
        FewbinsError,
        FewbinsWarning,
        FileAccessError,
        GraphError,
        ModelFileError,
        SchemeError,
        ShapeError,
        UnsupportedError,
    )
    from fewbins.graph import Graph, Node, Tensor
    from fewbins.importers.onnx import load_onnx
    from fewbins.levels import Levels
    from fewbins.model import QuantizedModel
    from fewbins.quantize import quantize
    from fewbins.scheme import Scheme
    from fewbins.session import InferenceSession, Session
    from fewbins.verify import verify

__version__ = "0.1.0"

_WHERE = {
    "Preprocessing": "data.preprocess",
    "ArgumentError": "errors",
    "CalibrationError": "errors",
    "DataError": "errors",
    "EngineError": "errors",
    "EngineMemoryError": "errors",
    "FewbinsError": "errors",
    "FewbinsWarning": "errors",
    "FileAccessError": "errors",
    "GraphError": "errors",
    "ModelFileError": "errors",
    "SchemeError": "errors",
    "ShapeError": "errors",
    "UnsupportedError": "errors",
    "Graph": "graph",
    "Node": "graph",
    "Tensor": "graph",
    "load_onnx": "importers.onnx",
    "Levels": "levels",
    "QuantizedModel": "model",
    "quantize": "quantize",
    "Scheme": "scheme",
    "InferenceSession": "session",
    "Session": "session",
    "verify": "verify",
}

__all__ = [
    "ArgumentError",
    "CalibrationError",
    "DataError",
    "EngineError",
    "EngineMemoryError",
    "FewbinsError",
    "FewbinsWarning",
    "FileAccessError",
    "Graph",
    "GraphError",
    "InferenceSession",
    "Levels",
    "ModelFileError",
    "Node",
    "Preprocessing",
    "QuantizedModel",
    "Scheme",
    "SchemeError",
    "Session",
    "ShapeError",
    "Tensor",
    "UnsupportedError",
    "__version__",
    "load_onnx",
    "quantize",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _WHERE:
        raise AttributeError(f"module 'fewbins' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"fewbins.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


class _Package(types.ModuleType):
    """Keeps `quantize` and `verify` functions: an import of the modules of their names would bind those instead."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _WHERE or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
