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
import logging
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
    from fewbins.evaluate import evaluate
    from fewbins.graph import Graph, Node, Tensor
    from fewbins.importers.onnx import load_onnx
    from fewbins.levels import Levels
    from fewbins.model import QuantizedModel
    from fewbins.onnxruntime_api import (
        ExecutionMode,
        GraphOptimizationLevel,
        InferenceSession,
        IOBinding,
        ModelMetadata,
        OrtValue,
        RunOptions,
        SessionOptions,
        get_all_providers,
        get_available_providers,
        get_device,
        set_default_logger_severity,
        set_default_logger_verbosity,
    )
    from fewbins.quantize import quantize
    from fewbins.scheme import Scheme
    from fewbins.session import NodeArg, Session
    from fewbins.verify import verify

__version__ = "0.1.0"

# A library's log goes nowhere until the program says where.
logging.getLogger("fewbins").addHandler(logging.NullHandler())

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
    "ExecutionMode": "onnxruntime_api",
    "GraphOptimizationLevel": "onnxruntime_api",
    "InferenceSession": "onnxruntime_api",
    "IOBinding": "onnxruntime_api",
    "ModelMetadata": "onnxruntime_api",
    "OrtValue": "onnxruntime_api",
    "RunOptions": "onnxruntime_api",
    "SessionOptions": "onnxruntime_api",
    "get_all_providers": "onnxruntime_api",
    "get_available_providers": "onnxruntime_api",
    "get_device": "onnxruntime_api",
    "set_default_logger_severity": "onnxruntime_api",
    "set_default_logger_verbosity": "onnxruntime_api",
    "NodeArg": "session",
    "evaluate": "evaluate",
    "Session": "session",
    "verify": "verify",
}

__all__ = [
    "ArgumentError",
    "CalibrationError",
    "DataError",
    "EngineError",
    "EngineMemoryError",
    "ExecutionMode",
    "FewbinsError",
    "FewbinsWarning",
    "FileAccessError",
    "Graph",
    "GraphError",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "Levels",
    "ModelFileError",
    "ModelMetadata",
    "Node",
    "NodeArg",
    "OrtValue",
    "Preprocessing",
    "QuantizedModel",
    "RunOptions",
    "Scheme",
    "SchemeError",
    "Session",
    "SessionOptions",
    "ShapeError",
    "Tensor",
    "UnsupportedError",
    "__version__",
    "evaluate",
    "get_all_providers",
    "get_available_providers",
    "get_device",
    "load_onnx",
    "quantize",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
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
    """Keeps `evaluate`, `quantize`, `verify` functions: an import of the modules of their names would bind those."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _WHERE or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
