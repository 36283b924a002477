# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's Python interface over our engine, so that a script works after `import fewbins as ort`.

Which of its options do something here, and which are taken and ignored, is in docs/onnxruntime.md.
"""

from fewbins.onnxruntime_api.inference import (
    InferenceSession,
    get_all_providers,
    get_available_providers,
    get_device,
    loaded_model,
    set_default_logger_severity,
    set_default_logger_verbosity,
)
from fewbins.onnxruntime_api.options import (
    ExecutionMode,
    GraphOptimizationLevel,
    ModelMetadata,
    RunOptions,
    SessionOptions,
)
from fewbins.onnxruntime_api.values import IOBinding, OrtValue

__all__ = [
    "ExecutionMode",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "ModelMetadata",
    "OrtValue",
    "RunOptions",
    "SessionOptions",
    "get_all_providers",
    "get_available_providers",
    "get_device",
    "loaded_model",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
]
